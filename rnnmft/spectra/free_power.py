"""The T-step law as a free power: S_T = S^T, as if the steps were free of each other [chen2018].

With M(z) = z G(z) - 1 of one step and q = M / (1 + M) = 1 - 1/(z G), S_T = S^T reads

    zeta^T q(zeta)^(T-1) = z,      G_T(z) = zeta G(zeta) / z:

zeta(z) is the point of the one-step law that answers for z (a subordination function). It lies in
the upper half plane with z, where Im q < 0, so both logarithms keep to one sheet.
Exact for the vanilla RNN; an approximation for gated cells, whose gates of different steps commute.

Eq. (free-power), Eq. (free-power-point).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.block_solutions import Solutions
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.resolved import Resolved
from rnnmft.spectra.walk import on_upper

__all__ = ["FreePower", "free_power_moments"]

Complex = NDArray[Any]  # complex128
Flags = NDArray[np.bool_]
#: Newton's method for log zeta: a last step of 1e-8 leaves its square; a first one above 1/2 means
#: that the start was not near.
_ROUNDS, _SMALL_STEP, _LARGE_STEP = 12, 1e-8, 0.5
#: Parts of a way: the smallest step, and the rest that is none.
_SMALLEST_STEP, _SMALLEST_REST = 2.0**-16, 1e-9
#: Steps: sixteen halvings, and as many doublings back, several times over.
_MOST_STEPS = 120
#: How far out, in log z, beyond all that is asked the way begins, and where it ends: e^600 is a
#: double with room for squares' logarithms.
_FAR, _FARTHEST = 4.0, 600.0


class FreePower:
    """The free T-th power of a one-step law.

    Args:
        one_step: its branch.
        horizon: T >= 1.
        mean: m_1 of one step.
    """

    def __init__(self, one_step: Branch, horizon: int, mean: float) -> None:
        self.one_step, self.horizon, self.mean = one_step, horizon, mean

    @property
    def scout(self) -> None:
        """None: a power is looked at as a whole."""

    def resolve(self, z: Complex, errors: bool = False) -> Resolved:
        """G_T at points z: see `resolved.Resolver`."""
        with np.errstate(all="ignore"):  # what is lost is not a number, and said to be
            return self._resolve(on_upper(z), errors)

    def _resolve(self, z: Complex, errors: bool) -> Resolved:
        goal = _log(z)
        # Far out zeta = z / m_1^(T-1); in the middle of the half plane nothing is singular.
        far = max(float(np.real(goal).max()), self.horizon * np.log(self.mean)) + _FAR
        start = np.full(len(z), far + 0.5j * np.pi)
        zeta = np.exp(start - (self.horizon - 1) * np.log(self.mean))
        at, done = self._corrected(zeta, self.one_step.at(zeta)[0], start)
        while not done.all():
            start = start + _FAR
            zeta = zeta * np.exp(_FAR)
            if start[0].real > _FARTHEST:
                break
            at, done = self._corrected(zeta, self.one_step.at(zeta)[0], start)
        here = start
        for leg in (np.real(goal) + 1j * np.pi / 2, goal):
            here, at, done = self._follow(here, at, leg, done)
        return self._resolved(z, np.exp(here), at, done, errors)

    def _equation(self, at: Solutions) -> tuple[Complex, Complex]:
        """T log zeta + (T-1) log q, and its derivative by log zeta."""
        product = at.z * at.value
        q = 1.0 - 1.0 / product
        slope = at.z * (at.value + at.z * at.slope) / (product * product * q)
        power = self.horizon
        value = power * _log(at.z) + (power - 1) * _log_below(q)
        return value, power + (power - 1) * slope

    def _corrected(self, zeta: Complex, near: Solutions, goal: Complex) -> tuple[Solutions, Flags]:
        """Newton's method for zeta at log z = goal, from solutions near zeta."""
        at = self._moved(near, zeta)
        done, lost = np.zeros(len(goal), dtype=bool), ~at.proper
        for number in range(_ROUNDS):
            value, slope = self._equation(at)
            step = (goal - value) / slope
            size = np.abs(step)
            lost |= ~np.isfinite(size) | (~done & (size > (_LARGE_STEP if number == 0 else 1.0)))
            rows = np.flatnonzero(~done & ~lost)
            if not len(rows):
                break
            new = at.z[rows] * np.exp(step[rows])
            moved = self._moved(at[rows], _lifted(new))
            at[rows] = moved
            lost[rows] |= ~moved.proper
            done[rows] = ~lost[rows] & (size[rows] < _SMALL_STEP)
        return at, done

    def _moved(self, near: Solutions, zeta: Complex) -> Solutions:
        """The one-step solutions at zeta, by continuation."""
        return self.one_step.equation.solve(zeta, near.predicted(zeta))

    def _follow(
        self, start: Complex, at: Solutions, goal: Complex, alive: Flags
    ) -> tuple[Complex, Solutions, Flags]:
        """zeta continued along straight lines in log z."""
        here, at, done = start.copy(), at[np.arange(len(goal))], np.zeros(len(goal), dtype=bool)
        way, gone, step = goal - start, np.zeros(len(goal)), np.ones(len(goal))
        for _ in range(_MOST_STEPS):
            rows = np.flatnonzero(
                alive & ~done & (step >= _SMALLEST_STEP) & (gone < 1.0 - _SMALLEST_REST)
            )
            if not len(rows):
                break
            ahead = np.minimum(gone[rows] + step[rows], 1.0)
            last = ahead >= 1.0
            target = np.where(last, goal[rows], start[rows] + ahead * way[rows])
            _, slope = self._equation(at[rows])
            zeta = at.z[rows] * np.exp((target - here[rows]) / slope)
            found, good = self._corrected(_lifted(zeta), at[rows], target)
            at[rows[good]] = found[good]
            here[rows[good]], gone[rows[good]] = target[good], ahead[good]
            done[rows[good & last]] = True
            step[rows] = np.where(good, 2.0 * step[rows], 0.5 * step[rows])
        return here, at, done

    def _resolved(
        self, z: Complex, reached: Complex, at: Solutions, done: Flags, errors: bool
    ) -> Resolved:
        z = np.where(done, z, reached)
        value = at.z * at.value / z
        _, slope = self._equation(at)
        # d(zeta G)/dlog z = zeta (G + zeta G') / (the derivative of log z by log zeta).
        turned = at.z * (at.value + at.z * at.slope) / slope
        error = np.zeros(len(z))
        if errors:
            again = self.one_step.equation.solve(at.z, at.unknowns, errors=True)
            # Changing G at fixed z moves zeta too: log z must not move.
            power, product = self.horizon - 1, at.z * at.value
            moved = power * at.z / (product * product * (1.0 - 1.0 / product))
            by_value = at.z - at.z * (at.value + at.z * at.slope) * moved / slope
            error = np.abs(by_value / z) * np.where(again.converged, again.error, np.nan)
        return Resolved(z, value, (turned - at.z * at.value) / (z * z), error, done)


def _log(z: Complex) -> Complex:
    """log with 0 <= arg <= pi: z stands on the closed upper half plane up to rounding."""
    return np.log(np.abs(z)) + 1j * np.abs(np.angle(z))


def _log_below(q: Complex) -> Complex:
    """log with -pi <= arg <= 0: q stands on the closed lower half plane up to rounding."""
    return np.log(np.abs(q)) - 1j * np.abs(np.angle(q))


def _lifted(z: Complex) -> Complex:
    """Rounding may have put a point of the real axis below it."""
    return np.real(z) + 1j * np.maximum(np.imag(z), 0.0)


def free_power_moments(one_step: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """m_1..m_k of the free T-th power from m_1..m_k of one step, (k,).

    S-transform by power series: chi = M^-1, S = chi (1 + y)/y, S_T = S^T, and back.

    >>> free_power_moments(np.array([1.0, 2.0, 5.0]), 2).tolist()  # Marchenko-Pastur: Fuss-Catalan
    [1.0, 3.0, 12.0]
    """
    count = len(one_step)
    if one_step[0] == 0.0:
        return np.zeros(count)
    series = np.concatenate([[0.0], one_step])
    chi = _reverted(series)
    # S(y) = (1 + y) chi(y) / y, coefficients 0..count-1.
    s = chi[1:] + np.concatenate([[0.0], chi[1:-1]])
    power = np.zeros(count)
    power[0] = 1.0
    for _ in range(horizon):
        power = np.convolve(power, s)[:count]
    # chi_T = y S_T / (1 + y).
    divided = np.zeros(count)
    for n in range(count):
        divided[n] = power[n] - (divided[n - 1] if n else 0.0)
    return _reverted(np.concatenate([[0.0], divided]))[1:]


def _reverted(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """The compositional inverse of c_1 y + c_2 y^2 + .., by Lagrange's inversion."""
    count = len(series) - 1
    reciprocal = np.zeros(count)
    reciprocal[0] = 1.0 / series[1]
    for n in range(1, count):
        reciprocal[n] = -(series[2 : n + 2] @ reciprocal[n - 1 :: -1][:n]) / series[1]
    found, power = np.zeros(count + 1), np.zeros(count)
    power[0] = 1.0
    for n in range(1, count + 1):
        power = np.convolve(power, reciprocal)[:count]
        found[n] = power[n - 1] / n
    return found
