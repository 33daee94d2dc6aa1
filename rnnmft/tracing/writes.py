"""Writes into a part of a tensor: whole blocks of units, or entries along an axis of gates."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from rnnmft.tracing.arrays import Array, TracedParameter, Value, blocks, grid_of
from rnnmft.tracing.context import Context, is_number
from rnnmft.tracing.refusal import MixedRefusalError, RefusalError

__all__ = ["write_entry", "write_slice"]


def write_slice(
    context: Context,
    to: Value,
    value: Value,
    axis: int = 0,
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
) -> Array:
    """`to` with `value` in a range along an axis."""
    size = context.shape[axis]
    first, last, _ = slice(start, None if stop == sys.maxsize else stop).indices(size)
    if step != 1:
        raise RefusalError(f"it writes every {step}th unit: the units of a cell are all alike")
    if (first, last) == (0, size):
        return _spread(context, value, value)
    whole = _spread(context, to, value)
    place = axis % whole.grid.ndim
    if place - whole.grid.ndim == whole.batch:
        raise MixedRefusalError("it writes to a part of the batch")
    if place - whole.grid.ndim == whole.unit:
        edges = np.cumsum([0, *whole.widths]).tolist()
        if first not in edges or last not in edges:
            raise MixedRefusalError(
                f"it writes the units {first}:{last} of {size}: the units of a cell are all alike"
            )
        first, last = edges.index(first), edges.index(last)
    grid = whole.grid.copy()
    index = tuple(slice(first, last) if a == place else slice(None) for a in range(grid.ndim))
    written = _array(context, value).grid
    grid[index] = written.flat[0] if is_number(value) else written
    return replace(whole, grid=grid)


def write_entry(context: Context, to: Value, value: Value, axis: int, index: int) -> Array:
    """`to` with `value` at one index of an axis of gates."""
    index %= context.shape[axis]
    part = value if is_number(value) else value.unsqueeze(axis)
    return write_slice(context, to, part, axis, index, index + 1)


def _array(context: Context, value: Value) -> Array:
    if isinstance(value, TracedParameter):
        return grid_of(value, blocks(max(value.shape), context.width))
    return value


def _spread(context: Context, value: Value, like: Value) -> Array:
    """A whole tensor as a grid of its own: a number is written out, with the axes of `like`."""
    if not is_number(value):
        own = _array(context, value)
        return replace(own, grid=own.grid.copy())
    if is_number(like):
        raise RefusalError("it writes numbers into a tensor of numbers")
    typical = _array(context, like)
    shape = list(context.shape)
    widths = blocks(shape[typical.unit], context.width)
    shape[typical.unit] = len(widths)
    if typical.batch is not None:
        shape[typical.batch] = 1
    grid = np.empty(shape, dtype=object)
    grid.fill(_array(context, value).grid.flat[0])
    return replace(typical, grid=grid, widths=widths)
