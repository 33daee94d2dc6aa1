"""Tensors of a graph as grids of blocks of units, and parameters as views that are not yet used.

A tensor of shape (batch, k N) is k blocks of N units that all have the same expression, one
`Polynomial` a block. Its grid is a NumPy array of those sums with the tensor's axes: the batch axis
has length one there, the axis of the units one entry a block. Reshaping a tensor reshapes its grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np

from rnnmft.tracing.bindings import Slice
from rnnmft.tracing.refusal import MixedRefusalError, RefusalError
from rnnmft.tracing.sums import Polynomial, Vector

__all__ = ["Array", "TracedParameter", "Value", "as_block", "blocks", "grid_of", "grid_of_stack"]


@dataclass(frozen=True)
class Array:
    """A tensor of units.

    Attributes:
        grid: of `Polynomial`, one entry a block.
        unit: the axis of the units, from the right (negative); 0 for a number.
        widths: the sizes of the blocks along it.
        batch: the axis of the batch, from the right, or None.
        size: the size of the batch.
    """

    grid: np.ndarray
    unit: int = 0
    widths: tuple[int, ...] = ()
    batch: int | None = None
    size: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's own shape."""
        shape = list(self.grid.shape)
        if self.unit:
            shape[self.unit] = sum(self.widths)
        if self.batch is not None:
            shape[self.batch] = self.size
        return tuple(shape)

    @property
    def is_number(self) -> bool:
        """Whether it is the same number everywhere."""
        return not self.unit

    def with_grid(self, grid: np.ndarray, axes: Sequence[int] | None = None) -> Array:
        """The grid with `axes[j]` (from the left) as the old axis at place j of the new one."""
        if axes is None:
            return replace(self, grid=grid)
        rank, old = len(axes), self.grid.ndim
        unit = axes.index(self.unit + old) - rank
        batch = None if self.batch is None else axes.index(self.batch + old) - rank
        return replace(self, grid=grid, unit=unit, batch=batch)

    def permute(self, axes: Sequence[int]) -> Array:
        """Axes in another order."""
        order = [a % self.grid.ndim for a in axes]
        return self.with_grid(self.grid.transpose(order), order)

    def select(self, axis: int, index: int) -> Array:
        """One entry along an axis."""
        axis %= self.grid.ndim
        self._keep(axis, "one unit or one element of the batch is taken out")
        kept = [a for a in range(self.grid.ndim) if a != axis]
        return self.with_grid(_cell(self.grid.take(index, axis)), kept)

    def cut(self, axis: int, start: int, stop: int) -> Array:
        """A range along an axis; along the units it must hold whole blocks."""
        axis %= self.grid.ndim
        if (start, stop) == (0, self.shape[axis]):
            return self
        if axis - self.grid.ndim == self.batch:
            raise MixedRefusalError("it takes a part of the batch")
        if axis - self.grid.ndim == self.unit:
            edges = _edges(self.widths)
            if not {start, stop} <= {*edges}:
                return self._opened(start, stop).cut(axis, start, stop)
            start, stop = edges.index(start), edges.index(stop)
            part = np.take(self.grid, range(start, stop), axis)
            return replace(self, grid=part, widths=self.widths[start:stop])
        return self.with_grid(np.take(self.grid, range(start, stop), axis))

    def _opened(self, *places: int) -> Array:
        """The same units in smaller blocks, which a product of a matrix can be taken for."""
        edges = sorted({*_edges(self.widths), *places})
        grid, parts = np.moveaxis(self.grid, self.unit, -1), []
        for j, (first, last) in enumerate(pairwise(_edges(self.widths))):
            for start, stop in pairwise(e for e in edges if first <= e <= last):
                rows, own = (start - first, stop - first), np.empty(grid.shape[:-1], dtype=object)
                for index in np.ndindex(own.shape):
                    value: Polynomial = grid[*index, j]
                    whole = (start, stop) == (first, last)
                    part = value if whole else value.part(*rows)
                    if part is None:
                        raise MixedRefusalError(
                            f"its range {places[0]}:{places[-1]} cuts through the "
                            f"{_listed(self.widths)} units: the units of a cell are all alike"
                        )
                    own[index] = part
                parts.append(own)
        stacked = np.moveaxis(np.stack(parts, -1), -1, self.unit)
        widths = tuple(b - a for a, b in pairwise(edges))
        return replace(self, grid=stacked, widths=widths)

    def unsqueeze(self, axis: int) -> Array:
        """A new axis of length one."""
        rank = self.grid.ndim + 1
        axes = list(range(self.grid.ndim))
        axes.insert(axis % rank, -1)
        return self.with_grid(np.expand_dims(self.grid, axis % rank), axes)

    def squeeze(self, axes: Sequence[int]) -> Array:
        """Without those of the axes that have length one."""
        gone = {a % self.grid.ndim for a in axes if self.shape[a] == 1}
        kept = [a for a in range(self.grid.ndim) if a not in gone]
        return self.with_grid(np.squeeze(self.grid, tuple(gone)), kept)

    def view(self, shape: Sequence[int]) -> Array:
        """Another shape of the same numbers in the same order."""
        old = self.shape
        if [n for n in old if n != 1] == [n for n in shape if n != 1]:
            return self._view_with_ones(shape)
        at = list(shape).index(self.size) if self.batch is not None and self.size in shape else None
        split = self.batch is not None and (
            at is None or prod(shape[:at]) != prod(old[: self.batch + len(old)])
        )
        width = self.widths[0]
        if self.unit != -1 or split or len({*self.widths}) > 1 or shape[-1] % width:
            raise MixedRefusalError(f"its reshape of {old} to {tuple(shape)} {_why(width, shape)}")
        grid = list(shape)
        grid[-1] = shape[-1] // width
        if at is not None:
            grid[at] = 1
        batch = None if at is None else at - len(grid)
        widths = (width,) * grid[-1]
        return replace(self, grid=self.grid.reshape(grid), batch=batch, widths=widths)

    def _view_with_ones(self, shape: Sequence[int]) -> Array:
        places = [a for a, n in enumerate(self.shape) if n != 1]
        axes, grid = [], []
        for n in shape:
            axes.append(-1 if n == 1 else places.pop(0))
            grid.append(1 if n == 1 else self.grid.shape[axes[-1]])
        return self.with_grid(self.grid.reshape(grid), axes)

    def expand(self, shape: Sequence[int]) -> Array:
        """Repeated along axes of length one."""
        grid = list(_right(self.grid.shape, len(shape)))
        for axis, (new, old) in enumerate(zip(shape, _right(self.shape, len(shape)), strict=True)):
            if new != old:
                grid[axis] = new
        return replace(self, grid=np.broadcast_to(self.grid, grid))

    def _keep(self, axis: int, what: str) -> None:
        if axis - self.grid.ndim in (self.unit, self.batch):
            raise MixedRefusalError(what)


@dataclass(frozen=True)
class TracedParameter:
    """A matrix, a vector or a stack of them that a module holds; `axes` may hold None for new ones.

    Attributes:
        name: the parameter.
        ranges: (start, stop) along its own axes.
        axes: its own axes in the order of the view; None for an axis of length one that was added.
        scale: a number that it was multiplied by.
        multiple: c, where the module holds the constant matrix c times the identity; else None.
        structure: why a constant matrix is no matrix of independent entries; "" where it may be.
        density: of a constant matrix of zeros and ones, the share of ones; else None.
        not_random: why its zeros do not lie at random; "" where they may.
        mask: the matrix of zeros and ones that it was multiplied by, entry by entry.
    """

    name: str
    ranges: tuple[tuple[int, int], ...]
    axes: tuple[int | None, ...]
    scale: float = 1.0
    multiple: float | None = None
    structure: str = ""
    density: float | None = None
    not_random: str = ""
    mask: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the view."""
        return tuple(1 if a is None else self.ranges[a][1] - self.ranges[a][0] for a in self.axes)

    @property
    def long(self) -> tuple[int, ...]:
        """The parameter's own axes that are longer than one, in the order of the view."""
        return tuple(
            a for a, n in zip(self.axes, self.shape, strict=True) if n > 1 and a is not None
        )

    def permute(self, axes: Sequence[int]) -> TracedParameter:
        """Axes in another order."""
        return replace(self, axes=tuple(self.axes[a] for a in axes))

    def cut(self, axis: int, start: int, stop: int) -> TracedParameter:
        """A range along an axis."""
        own = self.axes[axis]
        if own is None:
            return self
        ranges = list(self.ranges)
        first = ranges[own][0]
        ranges[own] = (first + start, first + stop)
        return replace(self, ranges=tuple(ranges))

    def select(self, axis: int, index: int) -> TracedParameter:
        """One entry along an axis."""
        axis %= len(self.axes)
        index %= self.shape[axis]
        part = self.cut(axis, index, index + 1)
        return replace(part, axes=part.axes[:axis] + part.axes[axis + 1 :])

    def unsqueeze(self, axis: int) -> TracedParameter:
        """A new axis of length one."""
        axes = list(self.axes)
        axes.insert(axis % (len(axes) + 1), None)
        return replace(self, axes=tuple(axes))

    def squeeze(self, axes: Sequence[int]) -> TracedParameter:
        """Without those of the axes that have length one."""
        gone = {a % len(self.axes) for a in axes if self.shape[a] == 1}
        return replace(self, axes=tuple(a for j, a in enumerate(self.axes) if j not in gone))

    def view(self, shape: Sequence[int]) -> TracedParameter:
        """Another shape, where it only adds or drops axes of length one."""
        if [n for n in self.shape if n != 1] != [n for n in shape if n != 1]:
            raise RefusalError(f"it reshapes the parameter {self.name!r}")
        places = list(self.long)
        return replace(self, axes=tuple(None if n == 1 else places.pop(0) for n in shape))

    def expand(self, shape: Sequence[int]) -> TracedParameter:
        """Repeated along axes of length one, as for each element of a batch: nothing new."""
        return replace(self, axes=(*(None for _ in range(len(shape) - len(self.axes))), *self.axes))


Value: TypeAlias = Array | TracedParameter


def blocks(size: int, width: int) -> tuple[int, ...]:
    """The blocks of an axis: k of the cell's width, or one of another width."""
    return (width,) * (size // width) if size % width == 0 else (size,)


def as_block(parameter: TracedParameter, own: Sequence[int], *ranges: tuple[int, int]) -> Slice:
    """The block of a parameter with ranges (within the view) along some of its own axes."""
    whole = list(parameter.ranges)
    for axis, (start, stop) in zip(own, ranges, strict=True):
        first = whole[axis][0]
        whole[axis] = (first + start, first + stop)
    return Slice(parameter.name, tuple(whole), tuple(own), mask=parameter.mask)


def grid_of(parameter: TracedParameter, widths: Sequence[int]) -> Array:
    """A parameter vector as an array of units, with these blocks."""
    (own,) = parameter.long
    place = parameter.axes.index(own)
    entries, start = [], 0
    for width in widths:
        block = as_block(parameter, [own], (start, start + width))
        entries.append(Polynomial({Vector(block): parameter.scale}))
        start += width
    shape = [1] * len(parameter.axes)
    shape[place] = len(entries)
    grid = np.empty(len(entries), dtype=object)
    grid[:] = entries
    return Array(grid.reshape(shape), place - len(shape), tuple(widths))


def grid_of_stack(parameter: TracedParameter, widths: Sequence[int]) -> Array:
    """A stack of vectors, one a gate, as an array; the units stand last."""
    if len(parameter.long) == 1:
        return grid_of(parameter, widths)
    place = next(j for j, n in enumerate(parameter.shape) if n > 1)
    parts = [
        grid_of_stack(parameter.select(place, j), widths) for j in range(parameter.shape[place])
    ]
    return replace(parts[0], grid=np.stack([p.grid for p in parts], place))


def _why(width: int, shape: Sequence[int]) -> str:
    """What is wrong with a view to a shape."""
    if len(shape) > 1 and shape[-2] == width and shape[-1] > 1:
        return (
            f"puts {shape[-1]} numbers of each unit side by side, where a cell has blocks: view as "
            f"(.., {shape[-1]}, {width}), with the rows of matrices and biases in that order, "
            f"w.unflatten(0, ({width}, {shape[-1]})).transpose(0, 1).flatten(0, 1)"
        )
    return "mixes units"


def _edges(widths: Sequence[int]) -> list[int]:
    return [sum(widths[:j]) for j in range(len(widths) + 1)]


def _right(shape: Sequence[int], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + tuple(shape)


def _cell(value: Any) -> np.ndarray:
    """NumPy gives an object itself where an array without axes is meant."""
    if isinstance(value, np.ndarray):
        return value
    wrapped = np.empty((), dtype=object)
    wrapped[()] = value
    return wrapped


def _listed(widths: Sequence[int]) -> str:
    return " + ".join(map(str, widths))
