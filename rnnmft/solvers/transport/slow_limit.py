"""Where a slow, nearly linear map ends, and at what rate: mixing and a Krylov space.

Plain iteration takes 1 / (1 - rate) steps a digit: hundreds, where a state lasts for long.
Anderson's mixing of the last few iterates solves the same equation in about the root of that
(Walker & Ni 2011, doi 10.1137/10078356X), and the rate is the leading eigenvalue of the linearised
map, read off an Arnoldi factorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status

__all__ = ["Limit", "slow_limit"]

Array = NDArray[np.float64]
# Steps of plain iteration before anything else, and where there is nothing else.
_PLAIN, _PATIENCE = 40, 2000
# Iterates that are mixed, and how often.
_DEPTH, _MOST = 12, 400
# Vectors of the Krylov space, and when its leading eigenvalue has settled: the rate of a difference
# quotient is no better.
_KRYLOV, _SETTLED = 60, 1e-9
# Of the point, for difference quotients: the root of rounding, times what else the map leaves.
_SHIFT = 1e-5
# Mixed steps are that much smaller at the end than asked: mixing may overestimate the progress.
_FURTHER = 0.1
# Singular values that take no part in the mixing; a Krylov vector that is rounding.
_RCOND, _ENDS = 1e-12, 1e-12


@dataclass(frozen=True)
class Limit:
    """A stable fixed point and the rate of its approach, per step."""

    at: Array
    rate: float


def slow_limit(
    move: Callable[[Array], Array],
    start: Array,
    size: Callable[[Array], float],
    project: Callable[[Array], Array],
    smooth: bool = True,
    precision: float = 1e-8,
) -> Limit:
    """The fixed point that a map's iterates approach.

    Args:
        move: one step.
        start: where to begin.
        size: of a step.
        project: takes out of a displacement what the map conserves.
        smooth: whether the map is, around its fixed point; where it is not there is only plain
            iteration.
        precision: the size of a step at which to stop; a tenth of it where steps are mixed.

    Raises:
        ConvergenceError: no stable fixed point was met.

    >>> line = lambda x: 0.999 * x + 0.001
    >>> found = slow_limit(line, np.zeros(2), lambda d: float(np.abs(d).max()), lambda d: d)
    >>> round(float(found.at[0]), 6), round(found.rate, 6)
    (1.0, 0.999)
    """
    at, step, before = start, np.zeros_like(start), 0.0
    for _ in range(_PLAIN if smooth else _PATIENCE):
        new = move(at)
        step, at = new - at, new
        change = size(step)
        if change < precision:
            return Limit(at, change / before if before > 0 else 0.0)
        before = change
    if not smooth:
        raise _stalled()
    at = _mixed(move, at, lambda d: size(d) < _FURTHER * precision)
    rate = _rate(move, at, step, project)
    if rate >= 1.0:
        raise _stalled()
    return Limit(at, rate)


def _stalled() -> ConvergenceError:
    return ConvergenceError(Status.STALLED, "The map is too close to critical.")


def _mixed(move: Callable[[Array], Array], at: Array, ended: Callable[[Array], bool]) -> Array:
    """Anderson mixing: the combination of the last steps' ends whose residual is least."""
    ends: list[Array] = []
    residuals: list[Array] = []
    for _ in range(_MOST):
        end = move(at)
        residual = end - at
        if ended(residual):
            return end
        ends, residuals = [*ends, end][-_DEPTH:], [*residuals, residual][-_DEPTH:]
        at = end
        if len(ends) > 1:
            moved, changed = (np.diff(np.stack(rows, 1)) for rows in (ends, residuals))
            at = end - moved @ np.linalg.lstsq(changed, residual, rcond=_RCOND)[0]
    raise _stalled()


def _rate(
    move: Callable[[Array], Array], at: Array, along: Array, project: Callable[[Array], Array]
) -> float:
    """The leading eigenvalue of the linearised map in the Krylov space of a displacement."""
    centre, shift, rate = move(at), _SHIFT * float(np.linalg.norm(at)), 0.0
    along = project(along)
    space, matrix = [along / np.linalg.norm(along)], np.zeros((_KRYLOV + 1, _KRYLOV))
    for k in range(_KRYLOV):
        moved = project(move(at + shift * space[k]) - centre) / shift
        for _ in range(2):  # Once leaves what rounding makes of nearly parallel vectors.
            for i, vector in enumerate(space):
                overlap = float(vector @ moved)
                matrix[i, k] += overlap
                moved = moved - overlap * vector
        last, rate = rate, float(np.abs(np.linalg.eigvals(matrix[: k + 1, : k + 1])).max())
        matrix[k + 1, k] = np.linalg.norm(moved)
        if matrix[k + 1, k] < _ENDS or (k > 3 and abs(rate - last) < _SETTLED):
            break
        space.append(moved / matrix[k + 1, k])
    return rate
