"""The block resolvent equation of J J^T over sampled units: resolvent and moments for any horizon.

With t = z^(-1/2), P_u = diag(t 1_m, a), P_v = diag(t 1_m, b) a unit's blocks are

    G_v = (1 - tau P_u tau^T P_v)^(-1) tau P_u tau^T,
    G_u = (1 - tau^T P_v tau P_u)^(-1) tau^T P_v tau,

and the self-energies of each preactivation follow from averages over units (T x T matrices over
time; their diagonals for untied weights), V = E[G_v]_yy, U = E[G_u]_ee:

    a = F V,   b = U F,   F = sigma_w^2 (gaussian),   F = sigma_w^2 (1 + V U F)^(-1) (orthogonal),
    (1/mN) tr (z - J J^T)^(-1) = (1 + t E[tr_s G_v] / m) / z.

The orthogonal F is followed as an unknown of its own, which keeps it on the branch connected to
large |z|. Expanding in t gives the moments order by order, without a root to follow.
Source: operator-valued free probability with free W_k (Yang 2020); orthogonal F: Haar R-diagonal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.unit_transfer import UnitTransfer
from rnnmft.errors import Status

__all__ = ["BlockEquation"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_ROUNDS = 2000
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class BlockEquation:
    """The equation for one set of units; arrays carry the repetitions first."""

    units: UnitTransfer

    @property
    def _kinds(self) -> int:
        return len(self.units.sigma_w)

    @cached_property
    def _places(self) -> list[slice]:
        start, horizon = self.units.states, self.units.horizon
        return [slice(start + k * horizon, start + (k + 1) * horizon) for k in range(self._kinds)]

    def _kept(self, blocks: NDArray[np.inexact]) -> NDArray[np.inexact]:
        """Averages over units of a T x T block; only equal times where weights are fresh."""
        mean = blocks.mean(axis=1)
        return mean if self.units.tied else mean * np.eye(self.units.horizon)

    def _diagonal(self, t: complex, blocks: list[Complex]) -> Complex:
        """P = diag(t 1_m, blocks): (R, n, n)."""
        repetitions, _, size, _ = self.units.tau.shape
        matrix = np.zeros((repetitions, size, size), dtype=np.complex128)
        for a in range(self.units.states):
            matrix[:, a, a] = t
        for place, block in zip(self._places, blocks, strict=True):
            matrix[:, place, place] = block
        return matrix

    # --- resolvent -----------------------------------------------------------------------------

    def resolvent(
        self, z: complex, start: Complex | None = None
    ) -> tuple[Complex, Complex, Status]:
        """(1/mN) tr (z - J J^T)^(-1) per repetition, the solution to go on from, and a status.

        Args:
            z: off the non-negative real axis.
            start: the solution at a neighbouring z; from large |z| when absent.
        """
        w = np.sqrt(complex(z))
        t = 1.0 / (w if w.imag >= 0 else -w)
        repetitions = self.units.tau.shape[0]
        shape = (repetitions, 3, self._kinds, self.units.horizon, self.units.horizon)
        values = np.zeros(shape, dtype=np.complex128) if start is None else start.copy()
        if start is None:
            for k, sigma in enumerate(self.units.sigma_w):
                values[:, 2, k] = sigma**2 * np.eye(self.units.horizon)
        history: list[tuple[Complex, Complex]] = []
        for _ in range(_ROUNDS):
            new = self._update(t, values)
            change = float(np.abs(new - values).max())
            scale = float(np.abs(new).max()) + abs(t)
            if not np.isfinite(change):
                return np.full(repetitions, np.nan + 0j), values, Status.NOT_CONVERGED
            if change <= _TOLERANCE * scale:
                g = self._g(t, new)[0]
                states = self.units.states
                trace = np.trace(g[..., :states, :states], axis1=-2, axis2=-1).mean(axis=1)
                return (1.0 + t * trace / states) / z, new, Status.OK
            values = _accelerated(history, values, new)
        return np.full(repetitions, np.nan + 0j), values, Status.NOT_CONVERGED

    def _g(self, t: complex, values: Complex) -> tuple[Complex, Complex]:
        tau = self.units.tau
        p_u = self._diagonal(t, list(np.moveaxis(values[:, 0], 1, 0)))[:, None]
        p_v = self._diagonal(t, list(np.moveaxis(values[:, 1], 1, 0)))[:, None]
        transposed = np.swapaxes(tau, -1, -2)
        x, y = tau @ (p_u @ transposed), transposed @ (p_v @ tau)
        one = np.eye(tau.shape[-1])
        g_v, g_u = np.linalg.solve(one - x @ p_v, x), np.linalg.solve(one - y @ p_u, y)
        return g_v.astype(np.complex128), g_u.astype(np.complex128)

    def _update(self, t: complex, values: Complex) -> Complex:
        g_v, g_u = self._g(t, values)
        new = np.empty_like(values)
        one = np.eye(self.units.horizon)
        for k, place in enumerate(self._places):
            v, u = self._kept(g_v[..., place, place]), self._kept(g_u[..., place, place])
            f = np.broadcast_to(self.units.sigma_w[k] ** 2 * one, v.shape).astype(np.complex128)
            if self.units.weights[k] == "orthogonal":
                f = self.units.sigma_w[k] ** 2 * np.linalg.inv(one + v @ u @ values[:, 2, k])
            new[:, 0, k], new[:, 1, k], new[:, 2, k] = f @ v, u @ f, f
        return new

    # --- moments -------------------------------------------------------------------------------

    def moments(self, highest: int) -> Real:
        """m_1..m_highest per repetition: (R, highest)."""
        return _Series(self, highest).run()


class _Series:
    """The expansion in odd powers of t, order by order."""

    def __init__(self, equation: BlockEquation, highest: int) -> None:
        self.of, self.highest = equation, highest
        self.tau = equation.units.tau
        self.transposed = np.swapaxes(self.tau, -1, -2)
        self.a: list[list[Real]] = []
        self.b: list[list[Real]] = []
        self.f: list[list[Real]] = []
        self.v: list[list[Real]] = []
        self.u: list[list[Real]] = []
        self.g_v: list[Real] = []
        self.g_u: list[Real] = []

    def run(self) -> Real:
        """Every moment up to the highest."""
        states, found = self.of.units.states, []
        for j in range(self.highest):
            self._advance(j)
            block = self.g_v[j][..., :states, :states]
            found.append(np.trace(block, axis1=-2, axis2=-1).mean(axis=1) / states)
        return np.stack(found, axis=1)

    def _advance(self, j: int) -> None:
        """Order j: unknown self-energies enter their own averages causally: few rounds do."""
        horizon, kinds = self.of.units.horizon, self.of._kinds
        zero = np.zeros((self.tau.shape[0], horizon, horizon))
        for series in (self.a, self.b, self.v, self.u, self.f):
            series.append([zero] * kinds)
        self.g_v.append(np.zeros_like(self.tau))
        self.g_u.append(np.zeros_like(self.tau))
        self._determine(j)
        known_v, known_u = (
            self._known(j, self.a, self.b, True),
            self._known(j, self.b, self.a, False),
        )
        for _ in range(kinds * horizon + 1):
            p_u, p_v = self._p(self.a, j), self._p(self.b, j)
            self.g_v[j] = known_v + self.tau @ (p_u @ self.transposed)
            self.g_u[j] = known_u + self.transposed @ (p_v @ self.tau)
            before = [*self.v[j], *self.u[j]]
            for k, place in enumerate(self.of._places):
                self.v[j][k] = self.of._kept(self.g_v[j][..., place, place]).real
                self.u[j][k] = self.of._kept(self.g_u[j][..., place, place]).real
                self.a[j][k] = _total(self.f[i][k] @ self.v[j - i][k] for i in range(j + 1))
                self.b[j][k] = _total(self.u[j - i][k] @ self.f[i][k] for i in range(j + 1))
            if all(
                np.array_equal(x, y) for x, y in zip(before, [*self.v[j], *self.u[j]], strict=True)
            ):
                break

    def _determine(self, j: int) -> None:
        """F_j: F = sigma_w^2 for gaussian, F + V U F^2 = sigma_w^2 for orthogonal weights."""
        one = np.eye(self.of.units.horizon)
        for k, sigma in enumerate(self.of.units.sigma_w):
            if j == 0:
                self.f[0][k] = np.broadcast_to(sigma**2 * one, self.f[0][k].shape)
            elif self.of.units.weights[k] == "orthogonal":
                self.f[j][k] = -_total(
                    self.v[p][k] @ self.u[q][k] @ self.f[r][k] @ self.f[j - 1 - p - q - r][k]
                    for p in range(j)
                    for q in range(j - p)
                    for r in range(j - p - q)
                )

    def _p(self, series: list[list[Real]], order: int) -> Real:
        blocks = [b.astype(np.complex128) for b in series[order]]
        return self.of._diagonal(1.0 if order == 0 else 0.0, blocks).real[:, None]

    def _known(self, j: int, near: list[list[Real]], far: list[list[Real]], right: bool) -> Real:
        """What lower orders give: sum over i + l + r = j - 1 of X_i P_l G_r."""
        left, other = (self.tau, self.transposed) if right else (self.transposed, self.tau)
        lower = self.g_v if right else self.g_u
        total = np.zeros_like(self.tau)
        for i in range(j):
            x = left @ (self._p(near, i) @ other)
            for n in range(j - i):
                total = total + x @ (self._p(far, n) @ lower[j - 1 - i - n])
        return total


def _total(terms: Iterable[Real]) -> Real:
    return np.sum(np.stack(list(terms)), axis=0)


def _accelerated(
    history: list[tuple[Complex, Complex]], values: Complex, new: Complex, depth: int = 6
) -> Complex:
    """Anderson mixing of a damped iteration, with the residuals of the last `depth` rounds."""
    residual = new - values
    history.append((values, residual))
    del history[:-depth]
    if len(history) < 3:
        return values + 0.5 * residual
    steps = np.stack([(r - residual).ravel() for _, r in history[:-1]], 1)
    weights, *_ = np.linalg.lstsq(steps, -residual.ravel(), rcond=1e-10)
    mixed, remaining = values.copy(), residual.copy()
    for (x, r), weight in zip(history[:-1], weights, strict=True):
        mixed = mixed + weight * (x - values)
        remaining = remaining + weight * (r - residual)
    return mixed + 0.5 * remaining
