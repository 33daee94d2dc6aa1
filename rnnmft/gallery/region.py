"""The trainable region: a coarse map of the tied theory around a cell, and its share that trains.

The same map for every cell: sigma_w of its gate from a quarter to seven quarters of what it is,
mu_b of it from 2 below to 2 above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import Axis
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.errors import DerivationError, Status
from rnnmft.page.figure import Figure
from rnnmft.records import Quantity
from rnnmft.report.figures import phase_figure
from rnnmft.report.phase import axis_labels, gate

__all__ = ["FACTOR", "SPAN", "Region", "region_around"]

Array = NDArray[np.float64]
#: Gradients that change by less than this factor over so many steps can be trained with.
FACTOR, SPAN = 10.0, 50
# Of the rate of squared gradients, per step.
_BOUND = 2 * math.log(FACTOR) / SPAN
# Points where each takes time, and where all are solved at once. Odd: the middle is the cell.
_POINT_BY_POINT, _AT_ONCE = (7, 5), (25, 21)
# Of sigma_w, as a share of the cell's; of mu_b, on either side.
_LOW, _HIGH, _SHIFT = 0.25, 1.75, 2.0
# Standard error per step of a sampled rate: a third of the bound, so that few points are undecided.
_TOLERANCE = 0.03
# Steps that a state has to settle in: five times those that gradients are followed over.
_SETTLING = 256
# Standard errors within which a rate is as good as at the bound.
_UNDECIDED = 2.0


@dataclass(frozen=True, eq=False)
class Region:
    """A map of gradient growth around a cell.

    `growth`: in its middle, where the cell stands; MAX_STEPS: by the time that it is waited for.
    `trainable`: the share of points at which gradients change by less than a factor of `FACTOR`
    over `SPAN` steps, |growth| SPAN < 2 log FACTOR; its error is the share of points that their own
    errors or a lack of time leave undecided, and half a point on either side, for a grid has no
    finer share. A point without stationary state does not train; one that is slow to settle is
    judged by the growth after so many steps as it is given.
    `names`: of the two parameters; `x`, `y`: their values; `z[i, j]`: the growth at x[i], y[j].
    """

    growth: Quantity
    trainable: Quantity
    names: tuple[str, str]
    x: Array
    y: Array
    z: Array
    figure: Figure

    def axes(self) -> dict[str, list[float]]:
        """The values of each parameter by its name."""
        return dict(zip(self.names, (self.x.tolist(), self.y.tolist()), strict=True))


def region_around(field: MeanField, name: str | None = None) -> Region:
    """The map around a cell.

    Args:
        field: the theory at which the cell stands.
        name: of the preactivation that is varied; None for the one that decides about memory.

    Raises:
        DerivationError: there are no recurrent weights to vary.
    """
    chosen = gate(field.cell)
    name = name or (chosen.name if chosen is not None else None)
    if name is None or not field.ensemble[name].sigma_w:
        raise DerivationError("There are no recurrent weights to vary.")
    law = field.ensemble[name]
    shape = _POINT_BY_POINT if field.recursion is None else _AT_ONCE
    factors, shifts = np.linspace(_LOW, _HIGH, shape[0]), np.linspace(-_SHIFT, _SHIFT, shape[1])
    vary: dict[Axis, list[float]] = {
        (name, "sigma_w"): (law.sigma_w * factors).tolist(),
        (name, "mu_b"): (law.mu_b + shifts).tolist(),
    }
    setting = (field.cell, field.ensemble, field.inputs)
    effort = {"tolerance": _TOLERANCE, "settle_within": _SETTLING}
    found = phase_diagram(
        *setting, vary, ["gradient_growth"], field.tying, start=field.start, **effort
    )
    return _region(found, (name, law.sigma_w, law.mu_b), axis_labels(field.cell, name))


def _region(found: Any, here: tuple[str, float, float], labels: tuple[str, str]) -> Region:
    z = found.gradient_growth.values.astype(float)
    error = found.gradient_growth_error.values.astype(float)
    status = found.status.sel(quantity="gradient_growth").values
    late = status == Status.OUT_OF_TIME.name
    kind = found.attrs["error_kind"]
    middle = tuple(n // 2 for n in z.shape)
    growth = Quantity(
        "gradient growth (tied)",
        float(z[middle]),
        float(error[middle]),
        Status[str(status[middle])],
        "per step",
        kind,
    )
    share, off = _share(z, error, late | (np.isnan(z) & (status == Status.MAX_STEPS.name)))
    trainable = Quantity(
        "trainable share of the map",
        share,
        off,
        Status.OUT_OF_TIME if late.any() else Status.OK,
        error_kind="bound",
    )
    name, sigma_w, mu_b = here
    x, y = (found.gradient_growth[d].values.astype(float) for d in found.gradient_growth.dims)
    names = (f"{name}.sigma_w", f"{name}.mu_b")
    figure = phase_figure(found, (sigma_w, mu_b), labels, _BOUND)
    where = "Between dashed lines" if (np.abs(z) > _BOUND).any() else "Everywhere"
    within = f" {where} they change by less than {FACTOR:g} times in {SPAN} steps."
    figure = replace(figure, caption=figure.caption + within)
    return Region(growth, trainable, names, x, y, z, figure)


def _share(growth: Array, error: Array, unknown: NDArray[np.bool_]) -> tuple[float, float]:
    """The share of a map's points that train, and how wrong it may be.

    >>> growth = np.array([[0.0, 0.01, 0.5, np.nan]])
    >>> _share(growth, np.zeros((1, 4)), np.zeros((1, 4), dtype=bool))
    (0.5, 0.125)
    """
    trains = np.abs(growth) < _BOUND  # a nan does not
    with np.errstate(invalid="ignore"):
        undecided = unknown | (np.abs(np.abs(growth) - _BOUND) <= _UNDECIDED * error)
    return float(trains.mean()), float((undecided.sum() + 0.5) / growth.size)
