"""Means over the units of a state in a graph: averages of the cell, and the norms made of them.

A mean over the whole axis of units is a number, m = E[f], by name an `Average`; layer and RMS
normalisation, variances and standard deviations are written with it. Sums over units are not: they
grow with the width.

Eq. (population-average).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch

from rnnmft.tracing.arrays import Array, Value
from rnnmft.tracing.context import Context
from rnnmft.tracing.refusal import RefusalError
from rnnmft.tracing.sums import Polynomial, exact

__all__ = ["average_operations"]

# An elementwise operation: its name in aten, context, arguments and keywords.
Pointwise = Callable[[str, Context, Sequence[Any], dict[str, Any]], Any]
Axes = int | Sequence[int] | None


def average_operations(pointwise: Pointwise) -> dict[str, Callable[..., Any]]:
    """The table of operations, by their names in aten.

    Args:
        pointwise: what does an elementwise operation.
    """

    def layer_norm(
        context: Context,
        x: Value,
        shape: Sequence[int],
        weight: Value | None = None,
        bias: Value | None = None,
        eps: float = 1e-5,
        *_: Any,
    ) -> Value:
        centre = _mean(context, _whole(x, shape), -1)
        centred = pointwise("sub.Tensor", context, [x, centre], {})
        normal = scaled(context, centred, eps)
        if weight is not None:
            normal = pointwise("mul.Tensor", context, [normal, weight], {})
        return normal if bias is None else pointwise("add.Tensor", context, [normal, bias], {})

    def rms_norm(
        context: Context,
        x: Value,
        shape: Sequence[int],
        weight: Value | None = None,
        eps: float | None = None,
    ) -> Value:
        # PyTorch's own is that of the tensor's dtype: in single precision both are rounding.
        eps = torch.finfo(torch.float64).eps if eps is None else eps
        normal = scaled(context, _whole(x, shape), eps)
        return normal if weight is None else pointwise("mul.Tensor", context, [normal, weight], {})

    def scaled(context: Context, x: Value, eps: float) -> Value:
        """x / sqrt(E[x^2] + eps)."""
        square = _average(context, x, lambda value: value**2)
        return pointwise("mul.Tensor", context, [x, _number(1 / sp.sqrt(square + exact(eps)))], {})

    return {
        "mean.dim": _mean,
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        **dict.fromkeys(["var.correction", "var.dim"], _variance(1)),
        **dict.fromkeys(["std.correction", "std.dim"], _variance(sp.S.Half)),
        "var_mean.correction": lambda context, x, axes=None, **given: [
            _variance(1)(context, x, axes, **given),
            _mean(context, x, axes),
        ],
    }


def _mean(context: Context, x: Value, axes: Axes = None, *_: Any, **__: Any) -> Array:
    return _number(_average(context, _over_units(x, axes), lambda value: value))


def _variance(power: Any) -> Callable[..., Array]:
    """E[(x - E[x])^2] N / (N - correction), to a power."""

    def operation(
        context: Context,
        x: Value,
        axes: Axes = None,
        unbiased: bool = True,
        *_: Any,
        correction: float | None = None,
        **__: Any,
    ) -> Array:
        array = _over_units(x, axes)
        centre = _average(context, array, lambda value: value)
        square = _average(context, array, lambda value: (value - centre) ** 2)
        size, less = sum(array.widths), float(unbiased) if correction is None else correction
        if size <= less:
            raise RefusalError(f"it is the variance of {size} unit")
        return _number((square * sp.Rational(size) / exact(size - less)) ** power)

    return operation


def _whole(x: Value, shape: Sequence[int]) -> Array:
    """The array, where it is normalised over all its units and nothing else."""
    return _over_units(x, range(-len(shape), 0))


def _over_units(x: Value, axes: Axes) -> Array:
    """The array, where these axes are that of its units."""
    if not isinstance(x, Array):
        raise RefusalError("it averages a parameter")
    if x.is_number:
        raise RefusalError("it averages a number")
    rank = x.grid.ndim
    every = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    over = {a - rank if a >= 0 else a for a in every}
    if x.batch in over:
        raise RefusalError("it couples the elements of a batch")
    if over != {x.unit}:
        raise RefusalError("it averages over another axis than that of the units")
    return x


def _average(context: Context, x: Value, average: Callable[[sp.Expr], sp.Expr]) -> sp.Dummy:
    """The symbol of the mean of a function of an array over its units."""
    assert isinstance(x, Array)  # `_over_units` has looked
    if x.grid.size != len(x.widths):
        raise RefusalError("it averages each of several vectors of units: take them apart first")
    if {*x.widths} != {context.width}:
        raise RefusalError(
            f"it averages over {sum(x.widths)} numbers that are not the units of a state"
        )
    parts = [average(context.groups.close(value)) for value in x.grid.flat]
    return context.groups.average(sp.Add(*parts) / len(parts))


def _number(value: sp.Expr) -> Array:
    """The same for all units, whatever the shape."""
    grid = np.empty((), dtype=object)
    grid[()] = Polynomial(rest=value)
    return Array(grid)
