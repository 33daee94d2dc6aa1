"""Where a slow, nearly linear map ends, and at what rate: Anderson's mixing and Arnoldi's method.

Plain iteration takes 1 / (1 - rate) steps a digit: hundreds, where a state lasts for long.
Anderson's mixing of the last few iterates solves the same equation in about the root of that
[walker2011], and the rate is the leading eigenvalue of the linearised map. Both are SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import NoConvergence, anderson
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from rnnmft.errors import ConvergenceError, Status

__all__ = ["Limit", "slow_limit"]

Array = NDArray[np.float64]
# Steps of plain iteration before anything else, and where there is nothing else.
_PLAIN, _PATIENCE = 40, 2000
# Iterates that are mixed, and how often.
_DEPTH, _MOST = 12, 400
# When the rate has settled (a difference quotient is no better), and the displacement, of the
# place, whose step tells the derivative: the root of rounding, times what else the map leaves.
_SETTLED, _SHIFT = 1e-9, 1e-5
# Vectors of the Krylov space, and how often it is begun anew: a thousand maps, some ten seconds on
# the grid of a pair. Modes that are more crowded than that tells apart have no rate that is known.
_KRYLOV, _RESTARTS = 60, 20
# Mixed steps are that much smaller at the end than asked: mixing may overestimate the progress.
_FURTHER = 0.1


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
    >>> found = slow_limit(line, np.zeros(3), lambda d: float(np.abs(d).max()), lambda d: d)
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
    """Where mixed steps end; `ended` is asked whether a step is small enough."""
    try:
        return anderson(
            lambda x: move(x) - x,
            at,
            alpha=1.0,
            M=_DEPTH,
            maxiter=_MOST,
            line_search=None,
            f_tol=0.5,
            tol_norm=lambda step: float(not ended(step)),
        )
    except NoConvergence:
        raise _stalled() from None


def _rate(
    move: Callable[[Array], Array], at: Array, along: Array, project: Callable[[Array], Array]
) -> float:
    """The leading eigenvalue of the linearised map, from a displacement on."""
    centre, shift = move(at), _SHIFT * float(np.linalg.norm(at))

    def linearised(displacement: Array) -> Array:
        size = float(np.linalg.norm(displacement))
        return project(move(at + shift / size * displacement) - centre) * size / shift

    operator = LinearOperator((len(at), len(at)), matvec=linearised, dtype=float)
    try:
        found = eigs(
            operator,
            1,
            v0=project(along),
            ncv=min(_KRYLOV, len(at)),
            maxiter=_RESTARTS,
            tol=_SETTLED,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence:
        raise _stalled() from None
    return float(np.abs(found[0]))
