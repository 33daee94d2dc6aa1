"""What is read off sampled runs: per-repetition arrays "kind/name" in, named series out.

A `Reading` adds the scale that a tolerance refers to: its own size for a second moment, the second
moments' for a cross moment, and their root for a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import correlation
from rnnmft.units.repetitions import Reading, calibrated_error, mean_and_error

__all__ = [
    "READ",
    "all_readings",
    "block_readings",
    "correlations",
    "cross_moments",
    "gradient_readings",
    "lag_readings",
    "late_readings",
    "named",
    "second_moments",
]

Array = NDArray[np.float64]
Readings = Mapping[str, Reading]


def named(values: Mapping[str, Array], kind: str) -> dict[str, Array]:
    """The arrays of one kind by name."""
    return {n.removeprefix(f"{kind}/"): v for n, v in values.items() if n.startswith(f"{kind}/")}


def _diagonal(values: Array) -> Array:
    """Average of the trajectories' own second moments: (R, T, P, P) -> (R, T)."""
    return np.diagonal(values, axis1=-2, axis2=-1).mean(-1)


def second_moments(values: Mapping[str, Array]) -> dict[str, Array]:
    """E[s^2] of every state, averaged over the trajectories: (R, T)."""
    return {n: _diagonal(v) for n, v in named(values, "second").items()}


def cross_moments(values: Mapping[str, Array]) -> dict[str, Array]:
    """E[s_a s_b] of every state: (R, T)."""
    return {n: v[..., 0, 1] for n, v in named(values, "second").items()}


def correlations(values: Mapping[str, Array]) -> dict[str, Array]:
    """E[s_a s_b] over the mean of E[s_a^2] and E[s_b^2]; nan where that vanishes."""
    with np.errstate(invalid="ignore", over="ignore"):  # what has diverged has none
        second = second_moments(values)
        return {n: correlation(v, second[n]) for n, v in cross_moments(values).items()}


def _variance(values: Mapping[str, Array]) -> dict[str, Array]:
    return {n: _diagonal(v) for n, v in named(values, "pre").items()}


READ: dict[str, Callable[[Mapping[str, Array]], dict[str, Array]]] = {
    "second_moment": second_moments,
    "cross_moment": cross_moments,
    "correlation": correlations,
    "mean": lambda values: named(values, "mean"),
    "preactivation_variance": _variance,
    "preactivation_covariance": lambda values: {
        n: v[..., 0, 1] for n, v in named(values, "pre").items()
    },
    "average": lambda values: named(values, "average"),
}


def _mean_and_error(samples: Array) -> tuple[Array, Array]:
    """Mean over repetitions, and the error that is reported of it (without the 1/M bias)."""
    mean, error = mean_and_error(samples)
    return mean, calibrated_error(error, len(samples))


def _readings(values: Mapping[str, Array], last: int) -> Readings:
    """Every moment with its own scale; averaged over the last steps where `last` is given."""
    found: dict[str, Reading] = {}

    def take(series: Array) -> Array:
        return series[:, -last:].mean(1) if last else series

    for kind, moments in (("second", second_moments(values)), ("pre", _variance(values))):
        for name, series in moments.items():
            mean, error = _mean_and_error(take(series))
            found[f"{kind}/{name}"] = Reading(mean, error, mean)
            pair = values[f"{kind}/{name}"]
            if pair.shape[-1] == 2:
                crossed, error = _mean_and_error(take(pair[..., 0, 1]))
                found[f"{kind}/{name}/cross"] = Reading(crossed, error, mean)
            if kind == "second":
                first, error = _mean_and_error(take(values[f"mean/{name}"]))
                found[f"mean/{name}"] = Reading(first, error, np.sqrt(np.abs(mean)))
    return found


def all_readings(values: Mapping[str, Array]) -> Readings:
    """Every moment at every step."""
    return _readings(values, 0)


def late_readings(values: Mapping[str, Array]) -> Readings:
    """Every moment averaged over the last quarter of the steps."""
    return _readings(values, next(iter(values.values())).shape[1] // 4)


def lag_readings(values: Mapping[str, Array]) -> Readings:
    """Autocorrelations, on the scale of C(0)."""
    found = {}
    for name, series in named(values, "lag").items():
        mean, error = _mean_and_error(series)
        found[name] = Reading(mean, error, np.abs(mean[0]) * np.ones_like(mean))
    return found


def gradient_readings(values: Mapping[str, Array]) -> Readings:
    """m_1(T) at every horizon, each on its own scale."""
    mean, error = _mean_and_error(values["m_1"])
    return {"m_1": Reading(mean, error, mean)}


def block_readings(values: Mapping[str, Array]) -> Readings:
    """Mean squares of the Jacobian's blocks, on the scale of the largest of each horizon."""
    mean, error = _mean_and_error(values["block"])
    return {"block": Reading(mean, error, mean.max((1, 2), keepdims=True) * np.ones_like(mean))}
