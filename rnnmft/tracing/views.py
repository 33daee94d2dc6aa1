"""Operations that move blocks of units around without changing them: views, cuts and joins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from rnnmft.tracing.arrays import Array, TracedParameter, Value, blocks, grid_of
from rnnmft.tracing.context import Context, is_number
from rnnmft.tracing.refusal import MixedRefusalError, RefusalError

__all__ = ["VIEWS", "transpose"]


def _method(method: str) -> Callable[..., Any]:
    """An operation that is a method of arrays and parameters; numbers stay as they are."""

    def operation(context: Context, value: Value, *args: Any, **_: Any) -> Value:
        if is_number(value):
            return value
        return getattr(value, method)(*args)

    return operation


def _view(context: Context, value: Value, *_: Any, **__: Any) -> Value:
    return value if is_number(value) else value.view(context.shape)


def transpose(context: Context, value: Value, first: int = 0, second: int = 1) -> Value:
    """Two axes exchanged; fewer than two stay."""
    if is_number(value) or len(value.shape) < 2:
        return value
    axes = list(range(len(value.shape)))
    axes[first], axes[second] = axes[second], axes[first]
    return value.permute(axes)


def _squeeze(context: Context, value: Value, axes: int | Sequence[int] | None = None) -> Value:
    if is_number(value):
        return value
    every = range(len(value.shape)) if axes is None else [axes] if isinstance(axes, int) else axes
    return value.squeeze(list(every))


def _slice(
    context: Context,
    value: Value,
    axis: int = 0,
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
) -> Value:
    if is_number(value):
        return value
    size = value.shape[axis]
    first, last, _ = slice(start, stop).indices(size)
    if step != 1:
        raise RefusalError(f"it takes every {step}th unit: the units of a cell are all alike")
    return value.cut(axis, first, last)


def _pieces(context: Context, value: Value, sizes: Sequence[int], axis: int = 0) -> list[Value]:
    if is_number(value):
        return [value] * len(sizes)
    if (
        isinstance(value, Array)
        and axis % value.grid.ndim - value.grid.ndim == value.unit
        and len(value.widths) == 1
        and len({*sizes}) > 1
        and any(p.rest.free_symbols for p in value.grid.flat)
    ):
        groups = f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
        raise MixedRefusalError(
            f"it splits the {value.widths[0]} units into groups of {groups}: the units of a cell "
            "are all alike (groups of one size are states of their own)"
        )
    edges = np.cumsum([0, *sizes]).tolist()
    return [value.cut(axis, a, b) for a, b in pairwise(edges)]


def _split(context: Context, value: Value, size: int, axis: int = 0) -> list[Value]:
    whole = value.shape[axis]
    sizes = [min(size, whole - start) for start in range(0, whole, size)]
    return _pieces(context, value, sizes, axis)


def _chunk(context: Context, value: Value, count: int, axis: int = 0) -> list[Value]:
    return _split(context, value, -(-value.shape[axis] // count), axis)


def _sections(context: Context, value: Value, count: int, axis: int = 0) -> list[Value]:
    """tensor_split: the first parts are one longer where it does not divide."""
    size, longer = divmod(value.shape[axis], count)
    return _pieces(context, value, [size + (j < longer) for j in range(count)], axis)


def _unbind(context: Context, value: Value, axis: int = 0) -> list[Value]:
    return [value.select(axis, j) for j in range(value.shape[axis])]


def _cat(context: Context, values: Sequence[Value], axis: int = 0) -> Array:
    if any(is_number(v) or (isinstance(v, TracedParameter) and len(v.long) > 1) for v in values):
        raise RefusalError("it joins constants or matrices: only states, inputs and vectors join")
    arrays = [
        grid_of(v, blocks(max(v.shape), context.width)) if isinstance(v, TracedParameter) else v
        for v in values
    ]
    if len({(a.unit, a.batch) for a in arrays}) > 1:
        raise RefusalError("it joins arrays whose axes mean different things")
    first = arrays[0]
    rank = first.grid.ndim
    axis = axis % rank - rank
    if axis == first.batch:
        raise RefusalError("it joins elements of the batch")
    grid = np.concatenate([a.grid for a in arrays], axis)
    if axis != first.unit:
        return replace(first, grid=grid)
    return replace(first, grid=grid, widths=tuple(w for a in arrays for w in a.widths))


def _stack(context: Context, values: Sequence[Value], axis: int = 0) -> Array:
    return _cat(context, [v.unsqueeze(axis) for v in values], axis)


# By aten's names.
VIEWS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(["permute"], _method("permute")),
    **dict.fromkeys(["t", "transpose.int", "numpy_T", "mT"], transpose),
    **dict.fromkeys(["view", "_unsafe_view", "reshape", "flatten.using_ints"], _view),
    "unsqueeze": _method("unsqueeze"),
    **dict.fromkeys(["squeeze", "squeeze.dim", "squeeze.dims"], _squeeze),
    "expand": lambda context, value, *_, **__: (
        value if is_number(value) else value.expand(context.shape)
    ),
    "select.int": _method("select"),
    "slice.Tensor": _slice,
    "split_with_sizes": _pieces,
    "split.Tensor": _split,
    "chunk": _chunk,
    "tensor_split.sections": _sections,
    "unbind.int": _unbind,
    "cat": _cat,
    "stack": _stack,
}
