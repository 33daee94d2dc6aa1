"""Which stationary kernel a network reaches: followed forward until one is near, then solved for.

The stationary equation of a chaotic network has other roots as well: static, periodic, zero. So the
recursion is followed from the start, roughly, until a root of the equation lies near it, comes
nearer, and is stable; what is left of the way to it is not walked.

Eq. (stationary-kernel), Eq. (gaussian-kernel).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.two_time.continuation import continued
from rnnmft.solvers.two_time.evolution import Evolution
from rnnmft.solvers.two_time.followed import Followed
from rnnmft.solvers.two_time.kernel import StationaryKernel
from rnnmft.solvers.two_time.lags import Lags
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.pair_curve import PairCurve
from rnnmft.solvers.two_time.stability import modes_of
from rnnmft.solvers.two_time.stationary import KernelEquation, solve_on_window

__all__ = ["settle", "zero_kernel"]

Array = NDArray[Any]
# As of `pairs`.
_FIRST_STEPS, _MOST_STEPS = 64, 8192
# What is followed needs no more accuracy than to tell the roots apart.
_ROUGH = 1e-6
# A moment that counts as divergent: its square is still a number.
_HUGE = 1e100
# Where larger weights settle sooner: an eighth of the steps, a sixtieth of the time.
_SHORT = 1024
# Growth of the logarithm over the last half of a run that is not slower than over the half before.
_UNSLOWED = 0.9
# In so many steps; below it is no growth.
_GROWN = 0.01
# A variance whose logarithm grew by more in the last half of a run is still leaving its start.
_UNSETTLED = 0.4
# A zero state has been reached at this share of the largest variance; activity falls that has lost
# a hundredth over the last half.
_GONE, _FALLEN = 1e-6, 0.99
# A variance of u at which saturation would show, and the share of it that what grows keeps.
_LARGE, _KEEPS = 1e12, 1e-6


def zero_kernel(system: LinearStates) -> StationaryKernel:
    """The zero state of a network that nothing drives."""
    count, lags = len(system.rows), Lags(8)
    curves = tuple(PairCurve(seen, 0.0, 0.0) for seen in system.seen)
    nothing = np.zeros((count, lags.length + 1))
    return StationaryKernel(system, lags, 1.0, nothing, np.zeros(count), curves, 0.0)


def settle(system: LinearStates) -> StationaryKernel:
    """The stationary kernel that the network reaches from its start.

    Where it is not reached in as many steps as are affordable: what there is by then, and
    `Status.MAX_STEPS`.

    Raises:
        ConvergenceError: it grows without bound.
    """
    if system.memory >= 1.0:
        raise ConvergenceError(Status.DIVERGES, "The states add up what they are given.")
    if not system.driven and not system.start_covariance.any():
        return zero_kernel(system)
    found = _settle_from(system)
    if isinstance(found, StationaryKernel):
        return found
    if _growth(found.variances)[1] > _UNSETTLED:
        # The start is left too slowly: another one shows what there is to be reached.
        names = [s.name for s in system.cell.states]
        other = _settle_from(replace(system, start=dict.fromkeys(names, 1.0)))
        if isinstance(other, StationaryKernel):
            return replace(other, system=system, status=Status.MAX_STEPS)
    return _as_followed(system, found)


def _settle_from(system: LinearStates, most: int = _MOST_STEPS) -> StationaryKernel | Followed:
    """The kernel reached in so many steps, or how far the recursion has come."""
    evolution = Evolution(system, _ROUGH, exact=False)
    zero = None if system.driven else zero_kernel(system)
    variances: list[Array] = []
    steps = _FIRST_STEPS
    while True:
        while len(variances) < steps:
            moments = evolution.advance()
            if moments.size > _HUGE:
                raise ConvergenceError(Status.DIVERGES)
            variances.append(np.diag(moments.second))
        followed = Followed(evolution.drives[:, 0, ::-1], np.array(variances), evolution.error)
        if zero is not None and _died(zero, followed):
            return zero
        if zero is None or not _dying(zero, followed):
            found = _stationary_near(system, followed)
            if found is not None:
                return found
        if steps >= most:
            break
        steps *= 2
    if most < _MOST_STEPS:
        return followed
    dying = zero is not None and _dying(zero, followed)
    found = None if dying else continued(system, _settled_soon)
    if found is not None and _is_reached(found, followed):
        return found
    before, now = _growth(followed.variances)
    if now > _GROWN and now > 2 * _UNSLOWED * before and _unbounded(system):
        detail = f"Still growing, and not slower, after {_MOST_STEPS} steps."
        raise ConvergenceError(Status.DIVERGES, detail)
    return followed


def _settled_soon(system: LinearStates) -> StationaryKernel | None:
    try:
        found = _settle_from(system, _SHORT)
    except ConvergenceError:
        return None
    return found if isinstance(found, StationaryKernel) else None


def _growth(variances: Array) -> tuple[float, float]:
    """By what the logarithm of the largest variance grew in the second quarter, and since."""
    size = np.log(np.maximum(variances.max(1), np.finfo(float).tiny))
    quarter = len(size) // 4
    return float(size[2 * quarter] - size[quarter]), float(size[-1] - size[2 * quarter])


def _as_followed(system: LinearStates, followed: Followed) -> StationaryKernel:
    """The last row of the recursion, as if it were stationary."""
    half = followed.kernel.shape[1] // 2
    plateau = followed.kernel[:, half]
    forgotten = followed.kernel[:, : half + 1] - plateau[:, None]
    rough = StationaryKernel(system, Lags(half), 1.0, forgotten, plateau, (), 0.0)
    means = system.rows @ system.mean
    laws = zip(system.seen, means, rough.looked_at[0][:, 0], strict=True)
    curves = tuple(PairCurve(seen, float(mu), max(float(q), 0.0)) for seen, mu, q in laws)
    moved = float(np.abs(followed.variances[-1] - followed.variances[half]).max())
    return replace(rough, curves=curves, error=moved, status=Status.MAX_STEPS)


def _died(zero: StationaryKernel | None, followed: Followed) -> bool:
    """Whether a stable zero state has been reached."""
    variances = followed.variances
    gone = variances[-1].max() <= _GONE * variances.max()
    return zero is not None and bool(gone) and modes_of(zero).edge < 1.0


def _dying(zero: StationaryKernel | None, followed: Followed) -> bool:
    """Whether the activity falls and nothing holds it up: the zero state is not unstable."""
    if zero is None or modes_of(zero).edge > 1.0:
        return False
    half = len(followed.variances) // 2
    return bool(followed.variances[-1].max() < _FALLEN * followed.variances[half].max())


def _stationary_near(system: LinearStates, followed: Followed) -> StationaryKernel | None:
    try:
        kernel = solve_on_window(
            lambda lags: KernelEquation(system, lags, 1.0),
            *followed.apart(KernelEquation(system, followed.window, 1.0)),
        )
    except ConvergenceError:
        return None
    return kernel if _is_reached(kernel, followed) else None


def _is_reached(kernel: StationaryKernel, followed: Followed) -> bool:
    """Whether a root is stable and what the recursion approaches."""
    variances = kernel.seen_from(np.eye(len(kernel.system.A)))[0][:, 0]
    return followed.near(variances) and modes_of(kernel).stable


def _unbounded(system: LinearStates) -> bool:
    """Whether what some W sees grows like the states do, or faster."""
    powers = [
        float(s.at_one_time("overlap", 0.0, _LARGE)[0])
        for s, w in zip(system.seen, system.weights, strict=True)
        if w > 0
    ]
    return any(power > _KEEPS * _LARGE for power in powers)
