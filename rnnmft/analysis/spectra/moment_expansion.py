"""m_k = (1/mN) tr (J J^T)^k by expanding the block equation in t = z^(-1/2): nothing to follow.

Odd orders t^(2j+1) of the equation, with W_0 = 1 and Z_r = tau^T W_r:

    G_v,j = tau sum_i P_u,i Z_(j-i),     W_r = sum_i P_v,i G_v,(r-1-i),
    a_j = sum_i F_i V_(j-i),             F q(Y) = sigma_w^2 p(Y) order by order, Y = V U F,

and G_u, b with tau^T for tau. What W sees at one time answers to earlier e alone, so the unknowns
of one order follow row by row in time, at the cost of one product a unit.
m_(j+1) = E[tr_s G_v,j] / m.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.spectra.unit_transfer import UnitTransfer
from rnnmft.cells.weight_ensembles import weight_ensemble

__all__ = ["expanded_moments"]

Real = NDArray[np.float64]


def expanded_moments(units: UnitTransfer, highest: int) -> tuple[Real, Real]:
    """m_1..m_highest and their standard errors, (highest,) each.

    The value comes from all units together; the error from the spread of the parts' own moments
    (0 where the units are nodes of a quadrature).
    """
    value = _Expansion(units, units.tau, units.weight, highest).run()
    parts = units.parts()
    if parts is None:
        return value, np.zeros(highest)
    size, own = len(units.tau) // len(parts), []
    for r, part in enumerate(parts):
        piece = slice(r * size, (r + 1) * size)
        own.append(_Expansion(units, units.tau[piece], part[piece], highest).run())
    spread = np.stack(own).std(axis=0, ddof=1)
    return value, spread / np.sqrt(len(parts))


class _Side:
    """One of G_v (what W sees answers, earlier times first) and G_u (later times first)."""

    def __init__(self, tau: Real, causal: bool, highest: int, zero: Real) -> None:
        self.tau, self.causal = tau, causal
        self.transposed = np.swapaxes(tau, -1, -2)
        #: Orders of Z, of G, of the average (V or U) and of the self-energy (a or b).
        self.z: list[Real] = [self.transposed]
        self.g: list[Real] = []
        self.average = [zero.copy() for _ in range(highest)]
        self.self_energy = [zero.copy() for _ in range(highest)]


class _Expansion:
    """The expansion for one set of units."""

    def __init__(self, of: UnitTransfer, tau: Real, weight: Real, highest: int) -> None:
        self.of, self.weight, self.highest = of, weight, highest
        self.horizon, self.states = of.horizon, of.states
        kinds = len(of.sigma_w)
        self.starts = [of.states + k * of.horizon for k in range(kinds)]
        zero = np.zeros((kinds, of.horizon, of.horizon))
        self.v = _Side(tau, True, highest, zero)
        self.u = _Side(np.swapaxes(tau, -1, -2), False, highest, zero)
        self.f = [zero.copy() for _ in range(highest)]

    def run(self) -> Real:
        """Every moment up to the highest."""
        found = []
        for j in range(self.highest):
            last = j + 1 == self.highest
            self._determine(j)
            found.append(self._advance(self.v, self.u, j, last))
            if not last:
                self._advance(self.u, self.v, j, False)
        return np.array(found) / self.states

    def _advance(self, side: _Side, other: _Side, j: int, last: bool) -> float:
        """Order j of one side; returns E[tr_s G_j].

        `other`'s self-energies are those inside of W: lower orders, already known.
        """
        if j:
            w = _total(self._p(other, i) @ side.g[j - 1 - i] for i in range(j))
            side.z.append(side.transposed @ w)
        # Products with what is known: P_i of lower orders, and the states' part of P_0.
        inner = _total(self._p(side, i, known=j) @ side.z[j - i] for i in range(j + 1))
        self._solve_rows(side, j, self._kept(side, inner))
        inner += self._blocks(side.self_energy[j]) @ side.transposed
        rows = slice(0, self.states)
        trace = np.einsum("m,msn,mns->", self.weight, side.tau[:, rows], inner[..., rows])
        if not last:
            side.g.append(side.tau @ inner)
        return float(trace)

    def _p(self, side: _Side, order: int, known: int = -1) -> Real:
        """P of one order; without the self-energy where it is the unknown of order `known`."""
        unknown = order == known
        size = self.states + len(self.starts) * self.horizon
        found = np.zeros((size, size)) if unknown else self._blocks(side.self_energy[order])
        if order == 0:
            states = np.arange(self.states)
            found[states, states] = 1.0
        return found

    def _blocks(self, self_energy: Real) -> Real:
        size = self.states + len(self.starts) * self.horizon
        found = np.zeros((size, size))
        for k, start in enumerate(self.starts):
            place = slice(start, start + self.horizon)
            found[place, place] = self_energy[k]
        return found

    def _kept(self, side: _Side, inner: Real) -> Real:
        """E[tau inner] at the kept pairs of every preactivation, (K, T, T)."""
        found = np.empty((len(self.starts), self.horizon, self.horizon))
        for k, start in enumerate(self.starts):
            place = slice(start, start + self.horizon)
            if self.of.tied:
                left = (side.tau[:, place] * self.weight[:, None, None]).transpose(1, 0, 2)
                right = inner[:, :, place].reshape(-1, self.horizon)
                found[k] = left.reshape(self.horizon, -1) @ right
            else:
                diagonal = np.einsum(
                    "m,mtn,mnt->t", self.weight, side.tau[:, place], inner[..., place]
                )
                found[k] = np.diag(diagonal)
        return found

    def _solve_rows(self, side: _Side, j: int, known: Real) -> None:
        """Averages and self-energies of order j, each row after those it depends on."""

        def known_part(i: int, k: int) -> Real:
            f, average = self.f[i][k], side.average[j - i][k]
            return f @ average if side.causal else average @ f

        constant = [
            _total([np.zeros_like(block), *(known_part(i, k) for i in range(1, j + 1))])
            for k, block in enumerate(known)
        ]
        times = list(range(self.horizon))
        kinds = list(range(len(self.starts)))
        if not side.causal:
            times, kinds = times[::-1], kinds[::-1]
        p = np.zeros((side.tau.shape[-1], side.tau.shape[-1]))
        for t in times:
            for k in kinds:
                reach = (0, t + 1) if side.causal else (t, self.horizon)
                reach = reach if self.of.tied else (t, t + 1)
                row = known[k, t, slice(*reach)] + self._row(side, p, self.starts[k], t, reach)
                side.average[j][k, t, slice(*reach)] = row
                side.average[j][k, slice(*reach), t] = row
                start, place = self.starts[k], slice(*reach)
                energy = self.of.sigma_w[k] ** 2 * row + constant[k][t, place]
                side.self_energy[j][k, t, place] = energy
                side.self_energy[j][k, place, t] = energy
                p[start + t, start + reach[0] : start + reach[1]] = energy
                p[start + reach[0] : start + reach[1], start + t] = energy

    def _row(self, side: _Side, p: Real, start: int, t: int, reach: tuple[int, int]) -> Real:
        """E[tau_t p tau_s^T] for s in reach."""
        moved = (side.tau[:, start + t] * self.weight[:, None]) @ p
        others = side.tau[:, start + reach[0] : start + reach[1]]
        return np.einsum("mn,msn->s", moved, others)

    def _determine(self, j: int) -> None:
        """F_j from lower orders of V, U, F: coefficient j of sigma_w^2 psi(Y), Y = V U F."""
        one = np.eye(self.horizon)
        for k, sigma in enumerate(self.of.sigma_w):
            ensemble = weight_ensemble(self.of.weights[k])
            if j == 0:
                self.f[0][k] = sigma**2 * one
                continue
            if ensemble.is_constant:
                continue
            y = [np.zeros_like(one)] + [self._y(k, n) for n in range(1, j + 1)]
            p = _polynomial([float(c) for c in ensemble.numerator], y, j)
            q = _polynomial([float(c) for c in ensemble.denominator], y, j)
            rest = _total(self.f[i][k] @ q[j - i] for i in range(j))
            self.f[j][k] = sigma**2 * p[j] - rest

    def _y(self, k: int, order: int) -> Real:
        """Coefficient of t^(2 order) in V U F."""
        v, u = self.v.average, self.u.average
        return _total(
            v[p][k] @ u[q][k] @ self.f[order - 1 - p - q][k]
            for p in range(order)
            for q in range(order - p)
        )


def _polynomial(coefficients: list[float], y: list[Real], highest: int) -> list[Real]:
    """The series of sum_n c_n Y^n for a series Y that begins at order 1."""
    one = np.eye(y[0].shape[-1])
    zero = np.zeros_like(one)
    power = [one] + [zero] * highest
    found = [coefficients[0] * x for x in power]
    for c in coefficients[1:]:
        power = [zero] + [
            _total(power[n - i] @ y[i] for i in range(1, n + 1)) for n in range(1, highest + 1)
        ]
        found = [x + c * step for x, step in zip(found, power, strict=True)]
    return found


def _total(terms: Iterable[Real]) -> Real:
    total: Real | None = None
    for term in terms:
        total = term if total is None else total + term
    assert total is not None
    return total
