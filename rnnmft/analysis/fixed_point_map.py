"""All fixed points over a grid, stable or not, as arrays: a phase diagram's coexistence regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.solvers.closed.closed_grid import ClosedGrid

__all__ = ["FixedPointMap"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FixedPointMap:
    """E[s^2] and its errors (states, m, B), stability (m, B) and number (B,) of fixed points.

    By increasing second moment; nan beyond the number, which is -1 where it is not known. `alone`:
    how many points were asked one by one.
    """

    second_moment: Array
    error: Array
    stable: NDArray[np.bool_]
    count: NDArray[np.int32]
    alone: int

    @classmethod
    def of(
        cls,
        whole: ClosedGrid | None,
        grid: ParameterGrid,
        progress: Callable[[int, int], object] | None,
    ) -> FixedPointMap:
        """From a map's solution; what that is not certain of from the theory of each point."""
        rows, rank, second, error, stable, open_ = _of_map(whole, grid)
        alone = np.flatnonzero(open_ & grid.valid)
        extra: list[tuple[int, int, list[float], list[float], bool]] = []
        unknown = np.zeros(grid.size, dtype=bool)
        for done, i in enumerate(alone.tolist(), 1):
            try:
                for k, at in enumerate(grid.at(i).fixed_points()):
                    errors = list(at.errors["second_moment"].values())
                    extra.append((i, k, list(at.second_moment.values()), errors, at.stable))
            except (ConvergenceError, DerivationError):
                unknown[i] = True
            if progress is not None:
                progress(done, len(alone))
        if extra:
            i, k, more, errors, settles = zip(*extra, strict=True)
            rows, rank = np.append(rows, i), np.append(rank, k)
            second, error = (
                np.hstack([second, np.transpose(more)]),
                np.hstack([error, np.transpose(errors)]),
            )
            stable = np.append(stable, settles)
        return cls._arranged(rows, rank, second, error, stable, unknown | ~grid.valid, len(alone))

    @classmethod
    def _arranged(
        cls,
        rows: NDArray[np.intp],
        rank: NDArray[np.intp],
        second: Array,
        error: Array,
        stable: NDArray[np.bool_],
        unknown: NDArray[np.bool_],
        alone: int,
    ) -> FixedPointMap:
        rows, rank = rows.astype(np.intp), rank.astype(np.intp)
        shape = (int(rank.max(initial=0)) + 1, len(unknown))
        values, errors = (np.full((len(second), *shape), np.nan) for _ in range(2))
        settles = np.zeros(shape, dtype=bool)
        values[:, rank, rows], errors[:, rank, rows] = second, error
        settles[rank, rows] = stable
        count = np.bincount(rows, minlength=len(unknown)).astype(np.int32)
        return cls(values, errors, settles, np.where(unknown, np.int32(-1), count), alone)


def _of_map(whole: ClosedGrid | None, grid: ParameterGrid) -> tuple:
    """Rows, ranks, second moments, errors, stability of certain ones, and which points are open."""
    states = len(grid.field.cell.states)
    if whole is None or whole.states is None:
        none = np.empty(0, dtype=np.intp)
        empty = np.empty((states, 0))
        return none, none, empty, empty, np.empty(0, dtype=bool), np.ones(grid.size, dtype=bool)
    found = whole.states
    open_ = np.zeros(grid.size, dtype=bool)
    open_[found.rows[~found.certain]] = True
    keep = ~open_[found.rows] & grid.valid[found.rows]
    squares = whole.squares
    return (
        found.rows[keep],
        found.rank[keep],
        found.moments[squares][:, keep],
        found.errors[squares][:, keep],
        found.slope[keep] < 1.0,
        open_,
    )
