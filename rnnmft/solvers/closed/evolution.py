"""Moments over time where they close: step after step, with errors, until nothing changes.

Eq. (affine), Eq. (affine-pair).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnmft.errors import Status
from rnnmft.numerics.compile import STATUSES
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.sensitivity import cross_step_with_error, step_with_error
from rnnmft.solvers.results import Trajectory

__all__ = ["columns", "evolve", "worse"]

# Beyond _HUGE a moment counts as divergent: its square would overflow. Where the quadrature fails
# after a moment has passed _LARGE, that is why.
_HUGE, _LARGE = 1e100, 1e50
# Steps that change this part of a moment (50 eps), or of its error (which is an estimate), all
# together, are not taken.
_STILL, _STILL_ERROR = 1e-14, 1e-2


def evolve(of: UntiedRecursion, start: tuple[Array, Array], point: Point, steps: int) -> Trajectory:
    """Moments and cross moments after 1, .., steps updates from those of the start."""
    moments, cross = start
    error, cross_error = np.zeros_like(moments), np.zeros_like(cross)
    history: list[tuple[Array, ...]] = []
    status, ended = Status.OK, False
    while len(history) < steps:
        if ended:
            # What had not diverged by then is not known from there on.
            history.append(tuple(np.where(np.isinf(r), np.inf, np.nan) for r in history[-1]))
            continue
        cross, cross_error, q_ab, cross_codes = cross_step_with_error(
            of, cross, cross_error, moments, error, point
        )
        size = float(np.abs(moments).max(initial=0.0))
        moments, error, q, codes = step_with_error(of, moments, error, point)
        status = worse(status, codes, cross_codes)
        row = (moments, cross, q, q_ab, error, cross_error)
        if not all((np.abs(r) < _HUGE).all() for r in row[:4]):
            ended = True
            if status is Status.OK or size > _LARGE:
                status = Status.DIVERGES
                row = tuple(np.where(np.abs(r) < _HUGE, r, np.inf) for r in row)
        history.append(row)
        left = steps - len(history)
        if left and not ended and _settled(history, left):
            history += [row] * left
    return _trajectory(
        of, start, point, [np.stack(part) for part in zip(*history, strict=True)], status
    )


def _trajectory(
    of: UntiedRecursion,
    start: tuple[Array, Array],
    point: Point,
    parts: list[Array],
    status: Status,
) -> Trajectory:
    moments, cross, q, q_ab, error, cross_error = parts
    steps = len(parts[0])
    names = [p.name for p in of.derivation.cell.preactivations]
    square, pair = columns(of)
    before = np.concatenate([start[0][None], moments[:-1]])
    means = of.means(before.T, point)
    second = {s: moments[:, i] for s, i in square.items()}
    crossed = {s: cross[:, i] for s, i in pair.items()}
    correlation = {s: _correlation(crossed[s], second[s]) for s in second}
    if status is Status.OK and any(np.isnan(c).all() for c in correlation.values()):
        status = Status.UNDEFINED
    return Trajectory(
        tying="untied",
        steps=steps,
        second_moment=second,
        cross_moment=crossed,
        correlation=correlation,
        mean={s: np.broadcast_to(row, steps) for s, row in zip(square, means, strict=True)},
        preactivation_variance={n: q[:, i] for i, n in enumerate(names)},
        preactivation_covariance={n: q_ab[:, i] for i, n in enumerate(names)},
        error={
            "second_moment": {s: error[:, i] for s, i in square.items()},
            "cross_moment": {s: cross_error[:, i] for s, i in pair.items()},
        },
        status=status,
    )


def columns(of: UntiedRecursion) -> tuple[dict[str, int], dict[str, int]]:
    """Where each state's square and cross moment stand in the arrays of moments."""
    n = of.derivation.notation
    keys, cross = of.keys, of.cross_keys
    square = {s.name: keys.index(n.state_key(s, s)) for s in of.derivation.cell.states}
    pair = {
        s.name: cross.index(n.state_key(s, s, trajectories=2)) for s in of.derivation.cell.states
    }
    return square, pair


def _settled(history: list[tuple[Array, ...]], left: int) -> bool:
    """Whether so many further steps like the last one would change nothing but the rounding."""
    if len(history) < 2:
        return False

    def still(old: Array, new: Array, part: float) -> bool:
        return bool((left * np.abs(new - old) <= part * np.abs(new).max(initial=0.0)).all())

    # Four rows of moments and covariances, two of their errors.
    parts = (*[_STILL] * 4, *[_STILL_ERROR] * 2)
    return all(map(still, history[-2], history[-1], parts))


def _correlation(cross: Array, second: Array) -> Array:
    """cross / second; nan where there is no variance, or none that is finite."""
    defined = (second > 0) & np.isfinite(second)
    return np.divide(cross, second, out=np.full_like(cross, np.nan), where=defined)


def worse(status: Status, *found: Any) -> Status:
    """The first status that is not OK; arrays hold the codes of `numerics.compile.STATUSES`."""
    if status is not Status.OK:
        return status
    for codes in found:
        bad = np.asarray(codes)[np.asarray(codes) != 0]
        if len(bad):
            return STATUSES[int(bad.flat[0])]
    return Status.OK
