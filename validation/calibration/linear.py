"""Linear cells, solved exactly with one W at every step: the truth that needs no network.

    s' = A s + b e,   e = W (y . s) + d,   d = V x + bias;     s a vector of states a unit

s^T = sum_{t < T} P_{T-1-t}(W) b d^t with the matrix polynomials P_{n+1} = A P_n + W b y^T P_n, and
as the width grows <W^q u, W^r v> = delta_qr sigma_w^2q <u, v> for vectors u, v independent of W,
gaussian or orthogonal. So with the coefficients C[n, q] of sigma_w^-q W^q in P_n

    E[s^T (s^S)^T] = sum_{t < T, r < S} D(t - r) sum_q C[T-1-t, q] b b^T C[S-1-r, q]^T
    m_1(T)         = (1 / m) sum_q |C[T, q]|^2,         m states

where D(tau) = sigma_v^2 R kappa(tau) + sigma_b^2 + mu_b^2: the mean of the bias is one more vector
that W sees. At stationarity every unit is a linear filter of a Gaussian e, F = (e^iw - A)^-1 b:

    S_e(w) = S_d(w) / (1 - sigma_w^2 |y . F|^2),        S_s(w) = F F^* S_e(w)

and what is constant in D acts at w = 0 alone. It shares no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearCell", "Moments"]

Array = NDArray[np.float64]
# The spectrum of a cell of radius .99 is analytic to within .01 of the circle: .99^16384 is 1e-71.
_FREQUENCIES = np.linspace(0.0, 2.0 * math.pi, 1 << 14, endpoint=False)
_LONGEST, _FOREVER = 64, 10**9


@dataclass(frozen=True)
class LinearCell:
    """A linear cell and the laws of its parameters and input.

    Args:
        A, b, y: (m, m), (m,), (m,).
        sigma_w, sigma_v, mu_b, sigma_b: of its one preactivation.
        R, correlation: variance of the input, and between two trajectories.
        kappa: the autocorrelation of the input by lag.
    """

    A: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    y: tuple[float, ...]
    sigma_w: float
    sigma_v: float = 1.0
    mu_b: float = 0.0
    sigma_b: float = 0.0
    R: float = 1.0
    correlation: float = 0.5
    kappa: Callable[[int], float] = lambda lag: float(lag == 0)

    def coefficients(self, steps: int) -> Array:
        """C[n, q], n, q = 0, .., steps: (steps + 1, steps + 1, m, m)."""
        A, turn = np.array(self.A), self.sigma_w * np.outer(self.b, self.y)
        m = len(self.b)
        found = np.zeros((steps + 1, steps + 1, m, m))
        found[0, 0] = np.eye(m)
        for n in range(steps):
            found[n + 1] = A @ found[n]
            found[n + 1, 1:] += turn @ found[n, :-1]
        return found

    def moments(self, steps: int) -> Moments:
        """Every moment after up to `steps` updates from the zero state."""
        return Moments(self, steps)

    def jacobian_means(self, horizon: int) -> Array:
        """m_1(T), T = 1, .., horizon."""
        return (self.coefficients(horizon) ** 2).sum((1, 2, 3))[1:] / len(self.b)

    @cached_property
    def radius(self) -> float:
        """max over |w| = 1 of the spectral radius of A + sigma_w w b y^T.

        W's eigenvalues fill the disc of radius sigma_w; the largest is taken on its circle.
        """
        A, turn = np.array(self.A), self.sigma_w * np.outer(self.b, self.y)
        angles = np.exp(1j * np.linspace(0, math.pi, 2001))
        return float(np.abs(np.linalg.eigvals(A + angles[:, None, None] * turn)).max())

    def stationary(self, lag: int = 0, same: bool = True) -> Array:
        """E[s^t (s^{t - lag})^T] for t -> infinity, (m, m)."""
        share = 1.0 if same else self.correlation
        level, ends = self.kappa(_FOREVER), range(-_LONGEST, _LONGEST + 1)
        drive = sum((self.kappa(abs(n)) - level) * np.exp(-1j * _FREQUENCIES * n) for n in ends)
        moving = self._filtered(_FREQUENCIES, share * self.sigma_v**2 * self.R * drive)
        turned = (moving * np.exp(1j * _FREQUENCIES * lag)[:, None, None]).mean(0)
        still = share * self.sigma_v**2 * self.R * level + self.sigma_b**2 + self.mu_b**2
        return (turned + self._filtered(np.zeros(1), np.array([still]))[0]).real

    def _filtered(self, frequencies: Array, drive: Array) -> Array:
        """S_s of a drive of spectrum S_d, (frequencies, m, m)."""
        turn = np.exp(1j * frequencies)[:, None, None] * np.eye(len(self.b))
        response = np.linalg.solve(turn - np.array(self.A), np.array(self.b)[:, None])[..., 0]
        seen = np.abs(response @ np.array(self.y)) ** 2
        e = drive / (1.0 - self.sigma_w**2 * seen)
        return np.einsum("wi,wj,w->wij", response, response.conj(), e)

    @property
    def growth(self) -> float:
        """lim (1/T) log m_1(T)."""
        return 2 * math.log(self.radius)


class Moments:
    """The moments of a linear cell from the zero state, index t after t updates."""

    def __init__(self, cell: LinearCell, steps: int) -> None:
        self.cell, self.steps = cell, steps
        b = np.array(cell.b)
        # (n, q, m): what the drive n steps ago has become, by powers of W.
        self._response = np.einsum("nqij,j->nqi", cell.coefficients(steps), b)

    def drive(self, lag: int, same: bool = True, mean: bool = True) -> float:
        """D(lag) on one trajectory, or between the two; without mu_b^2 where mean is False."""
        cell = self.cell
        x = cell.sigma_v**2 * cell.R * cell.kappa(abs(lag)) * (1.0 if same else cell.correlation)
        return x + cell.sigma_b**2 + (cell.mu_b**2 if mean else 0.0)

    def two_time(self, t: int, s: int, same: bool = True) -> Array:
        """E[s^t (s^s)^T] after t and s updates, (m, m)."""
        # Response to the drive of step r is the one of age t - 1 - r.
        lags = np.arange(t)[:, None] - np.arange(s)[None, :]
        table = np.array([self.drive(lag, same) for lag in range(max(t, s, 1))])
        overlap = table[np.abs(lags)][::-1, ::-1]
        driven = np.tensordot(overlap, self._response[:s], 1)
        return np.einsum("nqi,nqj->ij", self._response[:t], driven)

    def second_moment(self, t: int, state: int = 0, same: bool = True) -> float:
        """E[s_a^2], or E[s_a s_b] between the trajectories."""
        return float(self.two_time(t, t, same)[state, state])

    def correlation(self, t: int, state: int = 0) -> float:
        """E[s_a s_b] / E[s^2]."""
        return self.second_moment(t, state, False) / self.second_moment(t, state)

    def mean(self, t: int, state: int = 0) -> float:
        """E[s]: W's rows have mean zero, so only the power q = 0 keeps it."""
        return float(self.cell.mu_b * self._response[:t, 0, state].sum())

    def preactivation(self, t: int, s: int, same: bool = True) -> float:
        """Covariance about mu_b of the preactivations of updates t and s (from 1)."""
        y, cell = np.array(self.cell.y), self.cell
        seen = float(y @ self.two_time(t - 1, s - 1, same) @ y)
        return cell.sigma_w**2 * seen + self.drive(t - s, same, mean=False)
