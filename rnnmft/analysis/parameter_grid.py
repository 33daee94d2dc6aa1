"""A grid of parameters: which ones vary, over which values, and the setting at each point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft import parameters
from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ParameterError
from rnnmft.language import Ensemble, Inputs
from rnnmft.language.law import ARGUMENTS

__all__ = ["Axis", "ParameterGrid", "in_domain"]

Array = NDArray[np.float64]
Axis = tuple[str, str] | str

# What an axis of the inputs is called; "correlation" by itself is that of the states.
_NAMES = {"R": "R", "correlation": "input_correlation"}


@dataclass(frozen=True, eq=False)
class ParameterGrid:
    """The points of a sweep, flattened: B = product of the axes' lengths.

    Attributes:
        field: the setting that the sweep varies.
        axes: each varied parameter with its values.
        columns: its values at every point, (B,) each.
        valid: which points lie within every parameter's domain, (B,).
    """

    field: MeanField
    axes: tuple[tuple[Axis, Array], ...]
    columns: tuple[Array, ...]
    valid: NDArray[np.bool_]

    @classmethod
    def of(cls, field: MeanField, vary: Mapping[Axis, Sequence[float]] | None) -> ParameterGrid:
        """Check the axes and lay out the points; the first axis varies slowest.

        Raises:
            ParameterError: an unknown parameter or preactivation, or an empty axis.
        """
        if not vary:
            raise ParameterError("vary must name at least one parameter and its values")
        axes = tuple((axis, _values(field, axis, values)) for axis, values in vary.items())
        mesh = np.meshgrid(*(values for _, values in axes), indexing="ij")
        columns = tuple(m.ravel() for m in mesh)
        valid = np.ones(columns[0].size, dtype=bool)
        for (axis, _), column in zip(axes, columns, strict=True):
            valid &= in_domain(axis, column)
        return cls(field, axes, columns, valid)

    @property
    def size(self) -> int:
        """B."""
        return self.valid.size

    @property
    def names(self) -> list[str]:
        """The axes' names: "e.sigma_w", "R", "input_correlation"."""
        return [_NAMES[axis] if isinstance(axis, str) else ".".join(axis) for axis, _ in self.axes]

    @property
    def varies_laws(self) -> bool:
        """Whether the law of an elementwise random parameter varies."""
        return any(axis[0] in self.field.ensemble.parameters for axis, _ in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes' lengths."""
        return tuple(len(values) for _, values in self.axes)

    def at(self, i: int) -> MeanField:
        """The theory of one point."""
        field = self.field
        given = {"tying": field.tying, "start": field.start, "device": field.sampling.device}
        return MeanField(field.cell, *self.setting(i), **given)

    def setting(self, i: int) -> tuple[Ensemble, Inputs]:
        """The ensemble and inputs of one point."""
        laws = dict(self.field.ensemble)
        given = vars(self.field.inputs).copy()
        own = dict(self.field.ensemble.parameters)
        for (axis, _), column in zip(self.axes, self.columns, strict=True):
            if isinstance(axis, str):
                given[axis] = float(column[i])
            elif axis[0] in own:
                own[axis[0]] = replace(own[axis[0]], **{axis[1]: float(column[i])})
            else:
                laws[axis[0]] = replace(laws[axis[0]], **{axis[1]: float(column[i])})
        return Ensemble(laws, own), Inputs(**given)


def in_domain(axis: Axis, values: Array) -> NDArray[np.bool_]:
    """Which values of a parameter are finite and in its domain."""
    domain = _parameter(axis)
    return np.isfinite(values) & (values >= domain.lower) & (values <= domain.upper)


def _parameter(axis: Axis) -> parameters.Parameter:
    if isinstance(axis, str):
        return parameters.R if axis == "R" else parameters.CORRELATION
    return parameters.PREACTIVATION_PARAMETERS.get(axis[1]) or ARGUMENTS[axis[1]]


def _values(field: MeanField, axis: Axis, values: Sequence[float]) -> Array:
    """The values of one axis, once its name is known to mean something here."""
    if isinstance(axis, str) and axis not in _NAMES:
        raise ParameterError(
            f"vary: {axis!r} is neither 'R', 'correlation' nor (preactivation, parameter)"
        )
    if axis[0] in field.ensemble.parameters:
        law = field.ensemble.parameters[axis[0]]
        arguments = [f.name for f in fields(law) if f.name in ARGUMENTS]
        if axis[1] not in arguments:
            known = ", ".join(arguments) or "none"
            raise ParameterError(f"vary: {axis[0]} is {law}; its arguments are {known}")
    elif not isinstance(axis, str):
        name, parameter = axis
        known = parameters.PREACTIVATION_PARAMETERS
        found = [p for p in field.cell.preactivations if p.name == name]
        if not found or parameter not in known:
            names = ", ".join(p.name for p in field.cell.preactivations)
            raise ParameterError(
                f"vary: no {name}.{parameter}; preactivations are {names}, parameters "
                f"{', '.join(known)}"
            )
        if (parameter == "sigma_w" and not found[0].is_recurrent) or (
            parameter == "sigma_v" and not found[0].has_input
        ):
            raise ParameterError(f"vary: {name!r} has no matrix for {parameter}")
    try:
        array = np.array([float(v) for v in values])
    except (TypeError, ValueError):
        raise ParameterError(f"vary: the values of {axis} must be numbers") from None
    if not array.size:
        raise ParameterError(f"vary: {axis} has no values")
    return array
