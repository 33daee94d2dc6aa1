"""What an operation on the values of a graph needs to know, and numbers as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnmft.tracing.arrays import Array
from rnnmft.tracing.sums import Groups, number

__all__ = ["Context", "constant", "is_constant", "is_number"]


@dataclass(frozen=True)
class Context:
    """What an operation needs to know: the closed sums, the cell's width, the result's shape."""

    groups: Groups
    width: int
    shape: tuple[int, ...]


def constant(value: float) -> Array:
    """A number as an array."""
    grid = np.empty((), dtype=object)
    grid[()] = number(value)
    return Array(grid)


def is_number(value: Any) -> bool:
    """Whether it is a number, of Python's or of the graph's."""
    if isinstance(value, Array):
        return value.is_number
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_constant(value: Any) -> bool:
    """Whether it is a number that does not change in time, as averages over units do."""
    averages = isinstance(value, Array) and any(p.number is None for p in value.grid.flat)
    return is_number(value) and not averages
