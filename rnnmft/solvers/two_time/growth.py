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

([sompolinsky1988] at a -> 1; [eissfeller1992]).

Eq. (growth-modes), Eq. (growth-well).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.sparse.linalg import LinearOperator, eigs

from rnnmft.solvers.two_time.lags import Lags, gain
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.response import PerturbationResponse

__all__ = ["bound_eigenvalues", "edge", "leading_growth", "plateau_modes", "resolvent"]

Array = NDArray[Any]
# Frequencies between which the largest gain is bracketed, then minimised: gains of a cell with
# memory tau turn over 1 / tau, so that tau may be some dozens of steps.
_GRID = 256
# A growth of 0 makes a relative change 0 / tiny and not 0 / 0.
_TINY = np.finfo(float).tiny
# Where in omega the maximum is found: the value is off by its square.
_FLAT = 1e-9
# What brentq ends at: 5 and 50 eps of a number of order 1.
_XTOL, _RTOL = 1e-15, 1e-14
# Of the logarithm of the distance above the edge.
_LOG_XTOL = 1e-13
# Above the system's own memory, where the resolvent is singular, by rounding of it.
_ABOVE = 1e-12
# On fewer lags all eigenvalues are found at once, faster than the leading one by Arnoldi's method.
_DENSE = 60
# Relative to the edge: below this a mode counts as not bound: 500 roundings, and where it is
# decided wrongly the growth is off by this.
_UNBOUND = 1e-13
# The longest window (4 MiB an array), and what it may leave of lambda, in the error: no more than
# the integrals of the kernel (`quadrature.RTOL`).
_MOST_LAGS, _AGREED = 1 << 19, 1e-11


def resolvent(response: PerturbationResponse, growth: complex) -> Array:
    """Gamma(omega) at lambda, (K, K, L + 1)."""
    system = response.system
    gains = gain(system.rows, system.A, system.B, growth, response.lags.frequencies)
    gains = np.moveaxis(gains, -1, 0)
    kept = np.eye(len(response.far)) - gains * response.far
    return np.moveaxis(np.linalg.solve(kept, gains), 0, -1)


def bound_eigenvalues(response: PerturbationResponse, growth: float, count: int = 1) -> Array:
    """The leading eigenvalues of W -> (S - S(inf)) Gamma * W at a real lambda."""
    bump, lags = response.bump, response.lags
    if not bump.any():
        return np.zeros(count)
    gamma = resolvent(response, growth)
    # Where S is at its plateau W is 0: of Gamma lags up to twice the last of the others are seen.
    last = int(np.flatnonzero(bump.any(0))[-1])
    near = Lags(1 << (2 * last + 1).bit_length())
    if near.length < lags.length:
        gamma = near.spectrum(lags.values(gamma)[..., : near.length + 1])
        bump, lags = bump[:, : near.length + 1], near

    def apply(x: Array) -> Array:
        return (bump * lags.filtered(gamma, x.reshape(bump.shape))).ravel()

    inside = np.flatnonzero(bump.ravel())

    def within(x: Array) -> Array:
        whole = np.zeros(bump.size)
        whole[inside] = x
        return apply(whole)[inside]

    if len(inside) < _DENSE:
        found = np.linalg.eigvals(np.stack([within(row) for row in np.eye(len(inside))], 1))
    else:
        operator = LinearOperator((len(inside), len(inside)), matvec=within, dtype=float)
        start = bump.ravel()[inside]
        found = eigs(operator, k=count, which="LR", v0=start, return_eigenvectors=False)
    return np.sort(found.real)[::-1][:count]


def edge(system: LinearStates, far: Array) -> float:
    """The largest lambda of the continuous spectrum: max over omega of rho(S(inf) G) = 1.

    One state: |a| + sqrt(sum_k (b_k r_k)^2 S_k). A negative S counts as none.
    """
    far = np.maximum(far, 0.0)
    if len(system.A) == 1:
        reach = (system.B[0] * system.rows[:, 0]) ** 2 * far
        return abs(float(system.A[0, 0])) + math.sqrt(float(reach.sum()))
    if not (far > 0).any():
        return system.memory
    return _largest(system, far)


def plateau_modes(system: LinearStates, far: Array) -> Array:
    """z by which changes of the plateau shrink: det(1 - S(inf) G) = 0 at e^(i omega) = lambda.

    Where C(t, s) no longer depends on t - s, t alone moves it: the states s' = A s + B e with
    e_k answering to the other time at rest. One state: z = a + b^2 S(inf) / (1 - a).
    """
    size, count = len(system.A), len(far)
    rest = system.rows @ np.linalg.solve(np.eye(size) - system.A, system.B)
    found = np.kron(np.eye(count), system.A)
    for k in range(count):
        for j in range(count):
            block = np.outer(system.B[:, j], far[k] * rest[k, j] * system.rows[k])
            found[j * size : (j + 1) * size, k * size : (k + 1) * size] += block
    return np.linalg.eigvals(found)


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
            options={"xatol": _FLAT},
        )
        return max(float(values[top]), -float(refined.fun)) - 1.0

    low, high = system.memory * (1 + _ABOVE) + _ABOVE, system.memory + 1.0
    while excess(high) > 0:
        high *= 2.0
    if excess(low) <= 0:
        return system.memory
    return float(brentq(excess, low, high, xtol=_XTOL, rtol=_RTOL))


def leading_growth(response: PerturbationResponse) -> tuple[float, float]:
    """lambda at which perturbations neither grow nor decay relative to lambda^(t+s), and its error.

    Eq. (growth-modes).

    The window grows until that makes no difference.
    """
    system = response.system
    low = edge(system, response.far)
    high = edge(system, np.abs(response.far) + np.abs(response.bump).max(1, initial=0.0))
    width = high - low
    if width <= _UNBOUND * max(low, _TINY):
        return low, 0.0
    ends = math.log(_UNBOUND * max(low, width)), math.log(width)

    def on(window: PerturbationResponse, near: float, reach: float) -> float:
        def excess(log_above: float) -> float:
            return float(bound_eigenvalues(window, low + math.exp(log_above))[0]) - 1.0

        return _root(excess, *ends, near, reach)

    at = on(response, -math.inf, math.inf)
    reach, moved, error = math.inf, 0.0, 0.0
    while response.lags.length < _MOST_LAGS and response.bump.any():
        response = response.widened()
        before, at = at, on(response, at, reach)
        reach, last, moved = abs(at - before), moved, abs(math.exp(at) - math.exp(before))
        # A window of L lags leaves C exp(-kappa L): from the last two changes follows the next.
        error = moved * (moved / last) ** 2 if moved < last else moved
        if error <= _AGREED * max(low + math.exp(at), _TINY):
            break
    return low + math.exp(at), error


def _root(
    excess: Callable[[float], float], low: float, high: float, near: float, reach: float
) -> float:
    """Where a falling function is 0; -inf where it is negative at the lower end.

    `near` is where it is on a shorter window, and `reach` by how much that one moved it: it is
    looked for there first.
    """
    inside = reach > 0.0 and low < near - reach and near + reach < high
    if inside and excess(near - reach) > 0 > excess(near + reach):
        return _solved(excess, near - reach, near + reach)
    if excess(low) <= 0:
        return -math.inf
    return high if excess(high) >= 0 else _solved(excess, low, high)


def _solved(excess: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(excess, low, high, xtol=_LOG_XTOL, rtol=_RTOL))
