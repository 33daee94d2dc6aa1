"""Trajectories of Gaussian states and of their perturbations, each with what its errors come to.

Every number is computed twice: as it is, and with every pair average larger by a share of 1e-7.
Their difference, scaled down to the largest error of an average, is what such errors come to,
whatever the recursion does with them.

Eq. (gaussian-kernel), Eq. (tangent-mean), Eq. (memory).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import correlation
from rnnmft.errors import Status
from rnnmft.records import Quantity
from rnnmft.solvers.results import Trajectory, trajectory_status
from rnnmft.solvers.two_time.evolution import Evolution, StateRow
from rnnmft.solvers.two_time.hermite import HermiteOverlaps
from rnnmft.solvers.two_time.linear_states import LinearStates

__all__ = ["follow_lags", "follow_moments", "follow_perturbation", "scaled_moments"]

Array = NDArray[np.float64]
# By which covariances are scaled to see what their errors do: rounding leaves 1e-8 of the
# difference, its own curvature 1e-7, of an error.
_MOVED = 1e-7
# Of an average and of a step: 5 eps.
_ROUNDING = 1e-15
# Of averages: what `Evolution` asks for.
_TOLERANCE = 1e-12
# Beyond this a moment counts as divergent: its square would overflow.
_HUGE = 1e100


def follow_moments(system: LinearStates, steps: int, method: str) -> Trajectory:
    """Moments after 1, .., steps updates from the start."""
    values, error = scaled_moments(system, steps, 1.0)
    moved, _ = scaled_moments(system, steps, 1.0 + _MOVED)
    # What rounding of every step adds up to, beside the errors of the integrals.
    share = (error + _ROUNDING) / _MOVED
    with np.errstate(invalid="ignore"):  # inf - inf: what diverged has no error, and its status
        errors = {
            kind: {
                n: share * np.abs(moved[kind][n] - v)
                + _ROUNDING * np.arange(1, steps + 1) * np.abs(v)
                for n, v in names.items()
            }
            for kind, names in values.items()
        }
    second = values["second_moment"]
    diverged = any(not (v < _HUGE).all() for v in second.values())
    return Trajectory(
        tying="tied",
        steps=steps,
        **values,
        error=errors,
        method=method,
        **trajectory_status(second, Status.DIVERGES if diverged else Status.OK),
    )


def scaled_moments(system: LinearStates, steps: int, scale: float) -> tuple[dict[str, Any], float]:
    """Tables of the record by kind and name, and the largest relative error of an average.

    Args:
        system: the cell at its ensemble.
        steps: updates from the start.
        scale: what every pair average is multiplied by: 1, or what shows the effect of its errors.
    """
    states = [s.name for s in system.cell.states]
    names = [p.name for p in system.cell.preactivations]
    rows = np.full((5, steps, max(len(states), len(names))), np.nan)
    evolution = Evolution(system, scale=scale)
    for t in range(steps):
        m = evolution.advance()
        if not m.size < _HUGE:
            # What had not diverged by then is not known from there on.
            rows[:, t] = np.inf
            rows[4, t] = np.nan
            break
        square = m.mean**2
        rows[0, t, : len(states)] = np.diag(m.second) + square
        rows[1, t, : len(states)] = np.diag(m.cross) + square
        rows[2, t, : len(names)], rows[3, t, : len(names)] = m.variance, m.covariance
        rows[4, t, : len(states)] = m.mean
    second, cross, variance, covariance, mean = rows

    def table(values: Array, names: list[str]) -> dict[str, Array]:
        return {name: values[:, i].copy() for i, name in enumerate(names)}

    return {
        "second_moment": table(second, states),
        "cross_moment": table(cross, states),
        "correlation": table(correlation(cross, second), states),
        "mean": table(mean, states),
        "preactivation_variance": table(variance, names),
        "preactivation_covariance": table(covariance, names),
    }, evolution.error


def follow_lags(
    system: LinearStates, lags: int, burn_in: int
) -> tuple[dict[str, Array], dict[str, Array], Status]:
    """C(tau), tau = 0, .., lags, of update burn_in + lags + 1, by name, and the errors."""
    value, error = _lags(system, lags, burn_in, 1.0)
    moved, _ = _lags(system, lags, burn_in, 1.0 + _MOVED)
    steps, share = burn_in + lags + 1, (error + _ROUNDING) / _MOVED
    with np.errstate(invalid="ignore"):  # inf - inf: what diverged has no error, and its status
        bounds = {
            n: share * np.abs(moved[n] - v) + _ROUNDING * steps * np.abs(v)
            for n, v in value.items()
        }
    finite = all(np.isfinite(v).all() for v in value.values())
    return value, bounds, Status.OK if finite else Status.DIVERGES


def _lags(
    system: LinearStates, lags: int, burn_in: int, scale: float
) -> tuple[dict[str, Array], float]:
    evolution, means = Evolution(system, scale=scale), [np.zeros(len(system.A))]
    for _ in range(burn_in + lags + 1):
        if not evolution.advance().size < _HUGE:
            break
        means.append(evolution.mean)
    row, drives = evolution.row.values[0, ::-1], evolution.drives[:, 0, ::-1]
    back = np.stack(means[::-1])[: lags + 1]
    values = {
        s.name: _first(row[:, i, i], lags) + back[0, i] * _first(back[:, i], lags)
        for i, s in enumerate(system.cell.states)
    }
    for k, p in enumerate(system.cell.preactivations):
        values[p.name] = _first(drives[k], lags)
    return values, evolution.error


def _first(values: Array, lags: int) -> Array:
    """At lags 0, .., `lags`; nan where a run that diverged has ended before."""
    found = np.full(lags + 1, np.nan)
    found[: len(values)] = values[: lags + 1]
    return found


def follow_perturbation(system: LinearStates, horizon: int, burn_in: int) -> Quantity:
    """m_1(T), T = 1, .., horizon, of the Jacobians that start after burn_in steps."""
    value, error = _perturbation(system, horizon, burn_in, 1.0)
    moved, _ = _perturbation(system, horizon, burn_in, 1.0 + _MOVED)
    with np.errstate(invalid="ignore"):  # inf - inf: what diverged has no error, and its status
        bound = (error + _ROUNDING) / _MOVED * np.abs(moved - value)
        bound += _ROUNDING * (burn_in + np.arange(1, horizon + 1)) * np.abs(value)
    status = Status.OK if np.isfinite(value).all() else Status.DIVERGES
    return Quantity(f"mean of J J^T, horizons 1 to {horizon}, tied", value, bound, status)


def _perturbation(
    system: LinearStates, horizon: int, burn_in: int, scale: float
) -> tuple[Array, float]:
    """m_1(T), the mean of E[delta s_a^T^2] over units, from independent delta s^0 of variance 1.

    delta e is Gaussian.

    D(t, s) = Cov(delta s^t, delta s^s) obeys the recursion of the states with
    Cov(delta e^t, delta e^s) = sigma_w^2 E[y'(t) y'(s)] r D(t, s) r in place of C_e.
    """
    evolution = Evolution(system, scale=scale)
    found = np.full(horizon, np.nan)
    for _ in range(burn_in):
        if not evolution.advance().size < _HUGE:
            return found, 0.0
    shares, error = np.array([float(w) for w in system.cell.shares]), 0.0
    row = StateRow(system.A, np.eye(len(shares))[None])
    into = np.einsum("ik,jk->kij", system.B, system.B)
    slopes = [HermiteOverlaps(seen, _TOLERANCE, kind="slope") for seen in system.seen]
    for t in range(horizon):
        drives = np.zeros((len(slopes), t + 1))
        for k, slope in enumerate(slopes):
            if system.weights[k] > 0:
                slope.add(*evolution.law(k))
                found_slope, off = slope.row(evolution.looked_at(k, burn_in)[:1])
                error, r = max(error, off), system.rows[k]
                drives[k] = system.weights[k] * found_slope[0] * (row.values[0] @ r @ r)
        forcing = np.tensordot(scale * drives, into, axes=(0, 0))[None]
        row.advance(np.asarray(forcing, dtype=float))
        found[t] = float(shares @ np.diag(row.values[0, -1]))
        if not evolution.advance().size < _HUGE:
            break
    return found, max(error, evolution.error)
