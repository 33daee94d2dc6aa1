"""How perturbations of Gaussian states grow: a Schroedinger problem over the lags.

delta h is Gaussian and independent of h. A covariance lambda^(t+s) E(tau) of delta e is kept if

    E_k(tau) = S_k(tau) U_k(tau),   U_k = sum_l G_kl * E_l,   S_k = sigma_w,k^2 E[y_k'(t) y_k'(s)],

G the filter of `lags` at lambda; then m_1 grows as lambda^(2 T). The operator on the right maps
covariances to covariances, and its spectral radius falls with lambda: the growth is where it is 1.
Far from tau = 0, S is a constant, the operator a filter, and its largest value the edge of a
continuous spectrum. With what S has above its plateau taken apart,

    W = (S - S(inf)) U,     U = Gamma * W,     Gamma = (1 - G S(inf))^-1 G,

is an equation on the lags at which the unit remembers (Birman-Schwinger), whose leading eigenvalue
is well separated even for modes that are hardly bound. For one state this is

    (lambda^2 + a^2) psi - a lambda (psi(+1) + psi(-1)) = b^2 S(tau) psi

(Sompolinsky, Crisanti & Sommers 1988 at a -> 1; Eissfeller & Opper 1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.sparse.linalg import LinearOperator, eigs

from rnnmft.analysis.two_time.lags import Lags, gain
from rnnmft.analysis.two_time.linear_states import LinearStates

__all__ = ["Response", "edge", "leading_growth"]

Array = NDArray[Any]
_GRID = 256
# Relative to the edge: below this a mode counts as not bound.
_UNBOUND = 1e-13
_WINDOWS = (1 << 19, 1e-12)


@dataclass(frozen=True)
class Response:
    """What a W sees of a small change at two times: S at the lags and at infinite lag.

    Attributes:
        system: the cell at its ensemble.
        near: S_k(tau), (K, L + 1).
        far: S_k(inf), (K,).
    """

    system: LinearStates
    near: Array
    far: Array

    @property
    def lags(self) -> Lags:
        """The window."""
        return Lags(self.near.shape[1] - 1)

    @property
    def bump(self) -> Array:
        """S - S(inf), (K, L + 1)."""
        return self.near - self.far[:, None]

    def widened(self) -> Response:
        """On a window twice as long."""
        more = np.repeat(self.far[:, None], self.lags.length, axis=1)
        return Response(self.system, np.concatenate([self.near, more], 1), self.far)

    def resolvent(self, growth: complex) -> Array:
        """Gamma(omega) at lambda, (K, K, L + 1)."""
        system = self.system
        gains = gain(system.rows, system.A, system.B, growth, self.lags.frequencies)
        gains = np.moveaxis(gains, -1, 0)
        kept = np.eye(len(self.far)) - gains * self.far
        return np.moveaxis(np.linalg.solve(kept, gains), 0, -1)

    def bound(self, growth: float, count: int = 1) -> Array:
        """The leading eigenvalues of W -> (S - S(inf)) Gamma * W at a real lambda."""
        bump, lags = self.bump, self.lags
        if not bump.any():
            return np.zeros(count)
        gamma = self.resolvent(growth)

        def apply(x: Array) -> Array:
            return (bump * lags.filtered(gamma, x.reshape(bump.shape))).ravel()

        operator = LinearOperator((bump.size, bump.size), matvec=apply, dtype=float)
        if bump.size < 20:
            columns = np.stack([apply(row) for row in np.eye(bump.size)], 1)
            found = np.linalg.eigvals(columns)
        else:
            found = eigs(operator, k=count, which="LR", v0=bump.ravel(), return_eigenvectors=False)
        return np.sort(found.real)[::-1][:count]


def edge(system: LinearStates, far: Array) -> float:
    """The largest lambda of the continuous spectrum: max over omega of rho(S(inf) G) = 1.

    One state: |a| + |b| sqrt(sum_k S_k).
    """
    if len(system.A) == 1:
        reach = (system.B[0] * system.rows[:, 0]) ** 2 * far
        return abs(float(system.A[0, 0])) + math.sqrt(max(float(reach.sum()), 0.0))
    if not (far > 0).any():
        return system.memory
    return _largest(system, far)


def _largest(system: LinearStates, far: Array) -> float:
    def radius(growth: float, omega: Array) -> Array:
        gains = np.moveaxis(gain(system.rows, system.A, system.B, growth, omega), -1, 0)
        return np.abs(np.linalg.eigvals(far[:, None] * gains)).max(1)

    def excess(growth: float) -> float:
        omega = np.pi * np.arange(_GRID + 1) / _GRID
        values = radius(growth, omega)
        top = int(np.argmax(values))
        low, high = omega[max(top - 1, 0)], omega[min(top + 1, _GRID)]
        refined = minimize_scalar(
            lambda w: -float(radius(growth, np.array([w]))[0]),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return max(float(values[top]), -float(refined.fun)) - 1.0

    low, high = system.memory * (1 + 1e-12) + 1e-12, system.memory + 1.0
    while excess(high) > 0:
        high *= 2.0
    if excess(low) <= 0:
        return system.memory
    return float(brentq(excess, low, high, xtol=1e-15, rtol=1e-14))


def leading_growth(response: Response) -> tuple[float, float]:
    """lambda at which perturbations neither grow nor decay relative to lambda^(t+s), and its error.

    The window grows until that makes no difference.
    """
    most, agreed = _WINDOWS
    found, moved = _on_window(response), 0.0
    while response.lags.length < most and response.bump.any():
        response = response.widened()
        before, found = found, _on_window(response)
        moved = abs(found - before)
        if moved <= agreed * max(found, 1e-300):
            break
    return found, moved


def _on_window(response: Response) -> float:
    system = response.system
    low = edge(system, np.maximum(response.far, 0.0))
    high = edge(system, np.abs(response.near).max(1, initial=0.0).clip(response.far))
    width = high - low
    if width <= _UNBOUND * max(low, 1e-300):
        return low

    def excess(log_above: float) -> float:
        return float(response.bound(low + math.exp(log_above))[0]) - 1.0

    return low + math.exp(_root(excess, math.log(_UNBOUND * max(low, width)), math.log(width)))


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0; -inf where it is negative at the lower end."""
    if excess(low) <= 0:
        return -math.inf
    if excess(high) >= 0:
        return high
    return float(brentq(excess, low, high, xtol=1e-13, rtol=1e-14))
