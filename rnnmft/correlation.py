"""The correlation of two trajectories, and where there is none: one rule for theory and networks.

    c = E[s_a s_b] / E[s^2]        UNDEFINED where E[s^2] is zero, or not finite

A second moment is zero where it is not above its own error. One correlation that is asked for
raises then; in an array, and in a record of several numbers, it is nan with `Status.UNDEFINED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status

__all__ = [
    "correlation",
    "correlation_error",
    "defined",
    "ratio_errors",
    "require_variance",
    "status_by_element",
]

Array = NDArray[np.float64]


def defined(second: Any, error: Any = 0.0) -> NDArray[np.bool_]:
    """Whether there is a correlation at given second moments.

    >>> defined([1.0, 0.0, np.inf, np.nan, 1e-9], error=1e-8)
    array([ True, False, False, False, False])
    """
    found = np.asarray(second, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(found) & (found > 0.0) & ~(found <= np.asarray(error)))


def correlation(cross: Any, second: Any) -> Array:
    """cross / second, of their shape; nan where it is not defined."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(cross, dtype=float), np.asarray(second, dtype=float)
    )
    found = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=found, where=defined(denominator))


def correlation_error(cross: Any, second: Any, cross_error: Any, second_error: Any) -> Array:
    """What errors of both may do to the ratio: (e_ab + |c| e) / (E[s^2] - e); inf without a bound.

    nan where the correlation is not defined.
    """
    ratio = np.abs(correlation(cross, second))
    least = np.asarray(second, dtype=float) - second_error
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = (cross_error + ratio * second_error) / least
        return np.where(np.isnan(ratio), np.nan, np.where(least > 0.0, moved, np.inf))


def ratio_errors(
    second: Mapping[str, Array],
    cross: Mapping[str, Array],
    error: Mapping[str, Mapping[str, Array]],
) -> dict[str, Array]:
    """`correlation_error` by state, from {"second_moment": .., "cross_moment": ..} of errors."""
    return {
        s: correlation_error(cross[s], second[s], error["cross_moment"][s], e)
        for s, e in error["second_moment"].items()
    }


def status_by_element(second: Any, otherwise: Status) -> Any:
    """UNDEFINED where the correlation is not defined, another status elsewhere.

    One `Status` where all elements share it, else an array of them.

    >>> status_by_element([1.0, 2.0], Status.OK).name
    'OK'
    """
    exists = defined(second)
    if exists.all():
        return otherwise
    if not exists.any():
        return Status.worst(otherwise, Status.UNDEFINED)
    found = np.full(exists.shape, otherwise, dtype=object)
    found[~exists] = Status.worst(otherwise, Status.UNDEFINED)
    return found


def require_variance(second: Mapping[str, Any], error: Mapping[str, Any] | float = 0.0) -> None:
    """Do nothing where every state has a variance.

    Args:
        second: {state: its stationary second moment}.
        error: of each, or of all.

    Raises:
        ConvergenceError: UNDEFINED: a state is zero, so that nothing correlates.
    """
    errors = error if isinstance(error, Mapping) else dict.fromkeys(second, error)
    zero = [name for name, value in second.items() if not defined(value, errors[name]).all()]
    if zero:
        raise ConvergenceError(Status.UNDEFINED, f"The stationary state {', '.join(zero)} is zero.")
