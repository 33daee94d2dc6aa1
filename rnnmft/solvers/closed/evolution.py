"""Moments over time where they close: step after step, with errors, until nothing changes.

Eq. (affine), Eq. (affine-pair).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnmft.correlation import correlation, ratio_errors
from rnnmft.errors import Status
from rnnmft.numerics.compile import STATUSES
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.sensitivity import (
    averages_with_error,
    cross_step_with_error,
    means_with_error,
    step_with_error,
)
from rnnmft.solvers.results import Trajectory, trajectory_status

__all__ = ["columns", "evolve", "worse"]

# Beyond _HUGE a moment counts as divergent: its square would overflow. Where the quadrature fails
# after a moment has passed _LARGE, that is why.
_HUGE, _LARGE = 1e100, 1e50
# Steps that change this part of a moment (50 eps), or of its error (which is an estimate), all
# together, are not taken.
_STILL, _STILL_ERROR = 1e-14, 1e-2


def evolve(
    recursion: UntiedRecursion, start: tuple[Array, Array], point: Point, steps: int
) -> Trajectory:
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
        pair = cross_step_with_error(recursion, cross, cross_error, moments, error, point)
        mean, mean_error = means_with_error(recursion, moments, error, point)
        average, average_error = averages_with_error(recursion, moments, error, point)
        size = float(np.abs(moments).max(initial=0.0))
        single = step_with_error(recursion, moments, error, point)
        moments, error, cross, cross_error = single.new, single.error, pair.new, pair.error
        status = worse(status, single.status, pair.status)
        row = (moments, cross, single.q, pair.q, mean, average)
        row += (error, cross_error, single.q_error, pair.q_error, mean_error, average_error)
        if not all((np.abs(r) < _HUGE).all() for r in row[:4]):
            ended = True
            if status is Status.OK or size > _LARGE:
                status = Status.DIVERGES
                row = tuple(np.where(np.abs(r) < _HUGE, r, np.inf) for r in row)
        history.append(row)
        left = steps - len(history)
        if left and not ended and _settled(history, left):
            history += [row] * left
    return _trajectory(recursion, [np.stack(part) for part in zip(*history, strict=True)], status)


def _trajectory(recursion: UntiedRecursion, parts: list[Array], status: Status) -> Trajectory:
    moments, cross, q, q_ab, mean, average, *errors = parts
    error, cross_error, q_error, q_ab_error, mean_error, average_error = errors
    square, pair = columns(recursion)
    names = {p.name: i for i, p in enumerate(recursion.derivation.cell.preactivations)}
    states = {s: i for i, s in enumerate(square)}
    averages = {m.name: i for i, m in enumerate(recursion.derivation.cell.averages)}

    def named(values: Array, at: dict[str, int]) -> dict[str, Array]:
        return {name: values[:, i] for name, i in at.items()}

    second, crossed = named(moments, square), named(cross, pair)
    error_by_kind = {
        "second_moment": named(error, square),
        "cross_moment": named(cross_error, pair),
        "mean": named(mean_error, states),
        "preactivation_variance": named(q_error, names),
        "preactivation_covariance": named(q_ab_error, names),
        "average": named(average_error, averages),
    }
    return Trajectory(
        tying="untied",
        steps=len(moments),
        second_moment=second,
        cross_moment=crossed,
        correlation={s: correlation(crossed[s], second[s]) for s in second},
        mean=named(mean, states),
        preactivation_variance=named(q, names),
        preactivation_covariance=named(q_ab, names),
        average=named(average, averages),
        error={**error_by_kind, "correlation": ratio_errors(second, crossed, error_by_kind)},
        **trajectory_status(second, status),
    )


def columns(recursion: UntiedRecursion) -> tuple[dict[str, int], dict[str, int]]:
    """Where each state's square and cross moment stand in the arrays of moments."""
    n = recursion.derivation.notation
    keys, cross = recursion.keys, recursion.cross_keys
    square = {s.name: keys.index(n.state_key(s, s)) for s in recursion.derivation.cell.states}
    pair = {
        s.name: cross.index(n.state_key(s, s, trajectories=2))
        for s in recursion.derivation.cell.states
    }
    return square, pair


def _settled(history: list[tuple[Array, ...]], left: int) -> bool:
    """Whether so many further steps like the last one would change nothing but the rounding."""
    if len(history) < 2:
        return False

    def still(old: Array, new: Array, part: float) -> bool:
        return bool((left * np.abs(new - old) <= part * np.abs(new).max(initial=0.0)).all())

    # Six rows of moments, covariances, means and averages, and as many of their errors.
    parts = (*[_STILL] * 6, *[_STILL_ERROR] * 6)
    return all(map(still, history[-2], history[-1], parts))


def worse(status: Status, *found: Any) -> Status:
    """The first status that is not OK; arrays hold the codes of `numerics.compile.STATUSES`."""
    if status is not Status.OK:
        return status
    for codes in found:
        bad = np.asarray(codes)[np.asarray(codes) != 0]
        if len(bad):
            return STATUSES[int(bad.flat[0])]
    return Status.OK
