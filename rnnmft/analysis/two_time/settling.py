"""Which stationary kernel a network reaches: followed forward until one is near, then solved for.

The stationary equation of a chaotic network has other roots as well: static, periodic, zero. So the
recursion is followed from the start, roughly, until a root of the equation lies near it, comes
nearer, and is stable; what is left of the way to it is not walked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.two_time.continuation import continued
from rnnmft.analysis.two_time.evolution import Evolution, StateRow
from rnnmft.analysis.two_time.growth import leading_growth
from rnnmft.analysis.two_time.jost import JostModes
from rnnmft.analysis.two_time.lags import Lags
from rnnmft.analysis.two_time.linear_states import LinearStates
from rnnmft.analysis.two_time.modes import KernelModes
from rnnmft.analysis.two_time.pair_curve import PairCurve
from rnnmft.analysis.two_time.response import KernelResponse, Response
from rnnmft.analysis.two_time.stationary import (
    KernelEquation,
    StationaryKernel,
    solve_on_window,
    weighted_averages,
)
from rnnmft.errors import ConvergenceError, Status

__all__ = ["modes_of", "perturbation", "settle", "settle_pair", "zero_kernel"]

Array = NDArray[Any]
_FIRST_STEPS, _MOST_STEPS = 64, 8192
# What is followed needs no more accuracy than to tell the roots apart.
_ROUGH = 1e-6
# A root is near at this relative distance, if it was farther before by so much; or simply at this.
_NEAR, _NEARER, _THERE = 0.1, 0.75, 1e-4
_HUGE = 1e100
# Where larger weights settle sooner.
_SHORT = 1024
# Growth of the logarithm over the last half of a run that is not slower than over the half before.
_UNSLOWED = 0.9
# A variance whose logarithm grew by more in the last half of a run is still leaving its start.
_UNSETTLED = 0.4


@dataclass(frozen=True)
class _Followed:
    """What the recursion has come to: C_e by lag, (K, T), and the states' variances, (T, m).

    `error`: the largest relative error of a pair average on the way.
    """

    kernel: Array
    variances: Array
    error: float = 0.0

    @property
    def window(self) -> Lags:
        """The lags that are known: beyond half of the run the recursion still knows the start."""
        return Lags(self.kernel.shape[1] // 2 - 1)

    def apart(self, equation: KernelEquation) -> tuple[Array, Array]:
        """What is forgotten, and the plateau."""
        kernel = self.kernel[:, : self.window.length + 1]
        plateau = equation.plateau_beside(kernel)
        return kernel - plateau[:, None], plateau

    def distance(self, limit: Array) -> tuple[float, float]:
        """From a stationary variance, in the last quarter of the run and before its half."""
        scale = np.where(limit > 0, limit, 1.0)
        away = np.abs(self.variances - limit) / scale
        steps = len(away)
        before, now = away[3 * steps // 8 : steps // 2], away[3 * steps // 4 :]
        return float(before.max()), float(now.max())

    def near(self, limit: Array) -> bool:
        """Whether that is near, and was farther before."""
        before, now = self.distance(limit)
        return now <= max(_THERE, 10 * self.error) or (now <= _NEAR and now <= _NEARER * before)


def modes_of(kernel: StationaryKernel, scale: float = 1.0) -> JostModes | KernelModes:
    """What small changes of a kernel decay like; `scale` multiplies its covariances."""
    response = KernelResponse.of(kernel, scale)
    return JostModes(response) if len(kernel.system.A) == 1 else KernelModes(response)


def perturbation(kernel: StationaryKernel, scale: float = 1.0) -> tuple[float, float]:
    """By what E|delta s|^2 grows a step beside a kernel, lambda^2, and its numerical error.

    Beside the kernel of two trajectories it is what their covariance is perturbed by.
    """
    response = Response.of(kernel, scale)
    if len(kernel.system.A) == 1:
        return JostModes(response.whole).slowest()[0], 0.0
    growth, error = leading_growth(response)
    return growth**2, 2 * growth * error


def zero_kernel(system: LinearStates) -> StationaryKernel:
    """The zero state of a network that nothing drives."""
    count, lags = len(system.rows), Lags(8)
    curves = tuple(PairCurve(seen, 0.0, 0.0) for seen in system.seen)
    nothing = np.zeros((count, lags.length + 1))
    return StationaryKernel(system, lags, 1.0, nothing, np.zeros(count), curves, 0.0)


# --- one trajectory ------------------------------------------------------------------------------


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


def _settle_from(system: LinearStates, most: int = _MOST_STEPS) -> StationaryKernel | _Followed:
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
        followed = _Followed(evolution.drives[:, 0, ::-1], np.array(variances), evolution.error)
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
    if now > 0.01 and now > 2 * _UNSLOWED * before and _unbounded(system):
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
    size = np.log(np.maximum(variances.max(1), 1e-300))
    quarter = len(size) // 4
    return float(size[2 * quarter] - size[quarter]), float(size[-1] - size[2 * quarter])


def _as_followed(system: LinearStates, followed: _Followed) -> StationaryKernel:
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


def _died(zero: StationaryKernel | None, followed: _Followed) -> bool:
    """Whether a stable zero state has been reached."""
    variances = followed.variances
    gone = variances[-1].max() <= 1e-6 * variances.max()
    return zero is not None and bool(gone) and modes_of(zero).edge < 1.0


def _dying(zero: StationaryKernel | None, followed: _Followed) -> bool:
    """Whether the activity falls and nothing holds it up: the zero state is not unstable."""
    if zero is None or modes_of(zero).edge > 1.0:
        return False
    half = len(followed.variances) // 2
    return bool(followed.variances[-1].max() < 0.99 * followed.variances[half].max())


def _stationary_near(system: LinearStates, followed: _Followed) -> StationaryKernel | None:
    try:
        kernel = solve_on_window(
            lambda lags: KernelEquation(system, lags, 1.0),
            *followed.apart(KernelEquation(system, followed.window, 1.0)),
        )
    except ConvergenceError:
        return None
    return kernel if _is_reached(kernel, followed) else None


def _is_reached(kernel: StationaryKernel, followed: _Followed) -> bool:
    """Whether a root is stable and what the recursion approaches."""
    variances = kernel.seen_from(np.eye(len(kernel.system.A)))[0][:, 0]
    return followed.near(variances) and modes_of(kernel).stable


def _unbounded(system: LinearStates) -> bool:
    """Whether what some W sees grows like the states do, or faster."""
    large = 1e12
    powers = [
        float(s.at_one_time("overlap", 0.0, large)[0])
        for s, w in zip(system.seen, system.weights, strict=True)
        if w > 0
    ]
    return any(power > 1e-6 * large for power in powers)


# --- two trajectories ----------------------------------------------------------------------------


def settle_pair(own: StationaryKernel) -> StationaryKernel:
    """The stationary covariance of two trajectories that knew nothing of each other.

    Raises:
        ConvergenceError: none that is stable was reached.
    """
    system = own.system
    if not own.looked_at[0][:, 0].any():
        raise ConvergenceError(Status.UNDEFINED, "The stationary state is zero.")
    fed = bool(system.wide.any() or system.c.any()) and system.inputs.R > 0
    share = system.inputs.correlation if fed else 1.0
    if share == 1.0 and perturbation(own)[0] < 1.0:
        return own
    row = StateRow(system.A, np.zeros((1, *system.A.shape)))
    into = np.einsum("ik,jk->kij", system.B, system.B)
    variances: list[Array] = []
    power = share * system.input(_MOST_STEPS)
    drives, steps = np.zeros((len(system.rows), 0)), _FIRST_STEPS
    while steps <= _MOST_STEPS:
        while len(variances) < steps:
            drives = _pair_drives(own, row, power)
            forcing = np.tensordot(drives, into, axes=(0, 0))[None]
            if system.c.any():
                back = power[: drives.shape[1]][::-1]
                forcing = forcing + back[None, :, None, None] * np.outer(system.c, system.c)
            row.advance(np.asarray(forcing, dtype=float))
            variances.append(np.diag(row.values[0, -1]))
        followed = _Followed(drives[:, ::-1], np.array(variances))
        found = _pair_near(own, share, followed)
        if found is not None:
            return found
        steps *= 2
    raise ConvergenceError(Status.MAX_STEPS, "The correlation is not stationary.")


def _pair_drives(own: StationaryKernel, row: StateRow, power: Array) -> Array:
    """C_e,k between the two, s = 0, .., t, (K, t + 1)."""
    system = own.system
    looked = np.einsum("ki,sij,kj->ks", system.rows, row.values[0], system.rows)
    seen, _ = weighted_averages(system, "overlap", looked, looked[:, -1], own.curves)
    back = power[: looked.shape[1]][::-1]
    return seen + system.wide[:, None] * back + system.bias[:, None]


def _pair_near(own: StationaryKernel, share: float, followed: _Followed) -> StationaryKernel | None:
    """A stable root that the recursion approaches, from it or from what the two may share."""
    equation = KernelEquation(own.system, followed.window, share, own)
    guesses = [followed.apart(equation)]
    if followed.kernel.shape[1] >= _SHORT:
        guesses += [(part * own.forgotten, own.plateau) for part in (0.0, share)]
    whole = np.eye(len(own.system.A))
    size = own.seen_from(whole)[0][:, 0]
    for guess in guesses:
        try:
            kernel = solve_on_window(
                lambda lags: KernelEquation(own.system, lags, share, own), *guess
            )
        except ConvergenceError:
            continue
        cross = kernel.seen_from(whole)[0][:, 0]
        # Distances are relative to the variances: a correlation may be 0.
        away = replace(followed, variances=followed.variances - cross + size)
        if away.near(size) and perturbation(kernel)[0] < 1.0:
            return kernel
    return None
