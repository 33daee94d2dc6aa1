"""Matrix products: a parameter matrix times a state or the input; everything else is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from rnnmft.language.symbols import Input
from rnnmft.tracing.arrays import Array, TracedParameter, Value, as_block, blocks
from rnnmft.tracing.bindings import Slice
from rnnmft.tracing.refusal import RefusalError
from rnnmft.tracing.sums import Groups, Monomial, Polynomial, Vector, exact

__all__ = ["linear", "matrix_product"]


def matrix_product(a: Value, b: Value, width: int, groups: Groups) -> Array:
    """a @ b, of which one is a parameter matrix."""
    if isinstance(a, TracedParameter) and isinstance(b, TracedParameter):
        raise RefusalError(
            f"it multiplies the parameters {a.name!r} and {b.name!r}: a recurrent matrix must be "
            "one parameter, its entries independent"
        )
    for seen, matrix in ((a, b), (b, a)):
        if isinstance(matrix, TracedParameter) and matrix.multiple is not None:
            return _multiple(seen, matrix)
        if isinstance(matrix, TracedParameter) and matrix.structure:
            raise RefusalError(matrix.structure)
    if isinstance(b, TracedParameter) and isinstance(a, Array):
        return linear(a, b, width, groups, transposed=False)
    if isinstance(a, TracedParameter) and isinstance(b, Array):
        axis = -2 if len(b.shape) > 1 else -1
        return _product(b, axis, a, _matrix_axes(a), width, groups)
    raise RefusalError("it multiplies two things that are no parameters, and so couples the units")


def _multiple(seen: Value, matrix: TracedParameter) -> Array:
    """A multiple of the identity times an array."""
    size = matrix.shape[-1]
    if not isinstance(seen, Array) or sum(seen.widths) != size or matrix.shape != (size, size):
        raise RefusalError(f"it takes a part of the identity matrix {matrix.name!r}")
    c = exact(matrix.scale * (matrix.multiple or 0.0))
    grid = np.empty_like(seen.grid)
    for index in np.ndindex(grid.shape):
        entry: Any = seen.grid[index]
        grid[index] = entry.times(c)
    return replace(seen, grid=grid)


def linear(
    x: Array, matrix: TracedParameter, width: int, groups: Groups, transposed: bool = True
) -> Array:
    """x W^T of a matrix stored as (out, in); not transposed, x W of one stored as (in, out)."""
    if matrix.structure:
        raise RefusalError(matrix.structure)
    first, second = _matrix_axes(matrix)
    axes = (first, second) if transposed else (second, first)
    return _product(x, -1, matrix, axes, width, groups)


def _matrix_axes(matrix: TracedParameter) -> tuple[int, int]:
    """Its own axes that stand first and second in the view."""
    if len(matrix.long) == 2:
        return matrix.long[0], matrix.long[1]
    last = matrix.axes[-2:]
    if len(last) == 2 and len(matrix.long) < 2 and None not in last:
        return last  # type: ignore[return-value]  # a column: the input is one number
    raise RefusalError(f"the parameter {matrix.name!r} is no matrix here: it sums over the units")


def _product(
    seen: Array,
    axis: int,
    matrix: TracedParameter,
    axes: tuple[int, int],
    width: int,
    groups: Groups,
) -> Array:
    """The product with the matrix whose own axes are (out, in), along one axis of what it sees."""
    drawn = _drawn(seen, width, groups)
    if drawn is not None:
        return _of_vector(drawn, matrix, axes, width)
    if seen.is_number:
        return _seen_constant(seen.grid.flat[0], axis, matrix, axes, width)
    if seen.unit != axis:
        raise RefusalError(f"{matrix.name!r} multiplies along an axis that is not that of units")
    out_size, in_size = (matrix.ranges[a][1] - matrix.ranges[a][0] for a in axes)
    _check_rank(matrix, out_size, width)
    if in_size != sum(seen.widths):
        raise RefusalError(f"the shape of {matrix.name!r} does not fit")
    rows = list(_ranges(blocks(out_size, width)))
    columns = list(_ranges(seen.widths))
    block: Callable[..., Slice] = lambda row, column: as_block(matrix, axes, row, column)  # noqa: E731

    def multiply(values: np.ndarray) -> np.ndarray:
        result = np.empty(len(rows), dtype=object)
        for j, row in enumerate(rows):
            total = Polynomial()
            for column, value in zip(columns, values, strict=True):
                operand, c = _operand(value, column[1] - column[0], width, matrix.name, groups)
                part = block(row, column)
                if operand is None:
                    part = replace(part, columns=_columns(value, groups))
                total = total + Polynomial({Monomial(part, operand): c * matrix.scale})
            result[j] = total
        return result

    moved = np.moveaxis(seen.grid, axis, -1)
    flat = moved.reshape(-1, len(columns))
    grid = np.empty((len(flat), len(rows)), dtype=object)
    for j, values in enumerate(flat):
        grid[j] = multiply(values)
    grid = np.moveaxis(grid.reshape(*moved.shape[:-1], len(rows)), -1, axis)
    return Array(grid, axis, blocks(out_size, width), seen.batch, seen.size)


def _seen_constant(
    value: Polynomial, axis: int, matrix: TracedParameter, axes: tuple[int, int], width: int
) -> Array:
    """A matrix times the same number everywhere: zero, or one number a unit for all time."""
    c = value.number
    if c is None:
        raise RefusalError(f"{matrix.name!r} multiplies the same number everywhere, which moves")
    if c == 0:
        grid = np.empty((), dtype=object)
        grid[()] = Polynomial()
        return Array(grid)
    array = _of_vector((float(c),), matrix, axes, width)
    return array if axis == -1 else array.unsqueeze(-1)


def _drawn(seen: Array, width: int, groups: Groups) -> tuple[float, ...] | None:
    """The numbers of an argument that is a vector as long as the input, or None."""
    if seen.grid.size != 1 or seen.is_number or sum(seen.widths) == width:
        return None
    value: Polynomial = seen.grid.flat[0]
    return None if value.atoms else groups.drawn.get(value.rest)  # type: ignore[arg-type]


def _of_vector(
    vector: tuple[float, ...], matrix: TracedParameter, axes: tuple[int, int], width: int
) -> Array:
    """A matrix times a constant vector: one number a unit for all time."""
    out_size, in_size = (matrix.ranges[a][1] - matrix.ranges[a][0] for a in axes)
    widths = blocks(out_size, width)
    grid = np.empty(len(widths), dtype=object)
    for j, row in enumerate(_ranges(widths)):
        block = as_block(matrix, axes, row, (0, in_size))
        grid[j] = Polynomial({Vector(replace(block, against=vector)): matrix.scale})
    return Array(grid, -1, widths)


def _ranges(widths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    start = 0
    for width in widths:
        yield start, start + width
        start += width


def _columns(value: Polynomial, groups: Groups) -> tuple[int, int] | None:
    """Which of several inputs it is: (first, number) of its columns."""
    return next((groups.pieces[s] for s in value.rest.free_symbols if s in groups.pieces), None)


def _operand(
    value: Polynomial, size: int, width: int, name: str, groups: Groups
) -> tuple[sp.Expr | None, float]:
    """What the matrix sees, None for the input, and a number times it."""
    inputs = [s for s in value.rest.free_symbols if isinstance(s, Input)]
    if not value.atoms and len(inputs) == 1:
        ratio = value.rest / inputs[0]
        if ratio.is_Number:
            return None, float(ratio)
    if size != width and inputs:
        raise RefusalError(
            f"{name!r} sees a function of the input, of {size} numbers: a cell's matrices see the "
            "input itself, or what has units of its own"
        )
    return groups.close(value), 1.0


#: Units whose squares fluctuate by a half from network to network, sqrt(2 / 8): fewer are no
#: population, unless the whole cell is small: then they are a part of it that grows with it.
_FEWEST, _SMALLEST_PART = 8, 4


def _check_rank(matrix: TracedParameter, rows: int, width: int) -> None:
    """Refuse what makes few numbers of many units: a rank that does not grow with N."""
    if rows == 1 < width or (rows < _FEWEST and _SMALLEST_PART * rows < width):
        raise RefusalError(
            f"{matrix.name!r} makes {rows} number{'s' * (rows > 1)} of all units: a rank that "
            f"stays {rows} while N grows differs from network to network however wide it is, and "
            f"has no mean field; {_FEWEST} units or more, or 1 / {_SMALLEST_PART} of N = {width}, "
            "are read as a width proportional to N"
        )
