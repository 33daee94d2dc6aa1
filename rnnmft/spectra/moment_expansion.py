"""m_k = (1/mN) tr (J J^T)^k by expanding the block equation in t = z^(-1/2): nothing to follow.

Odd orders t^(2j+1) of the equation, with W_0 = 1 and Z_r = tau^T W_r:

    G_v,j = tau sum_i P_u,i Z_(j-i),     W_r = sum_i P_v,i G_v,(r-1-i),
    a_j = sum_i F_i V_(j-i),             F q(Y) = sigma_w^2 p(Y) order by order, Y = V U F,

and G_u, b with tau^T for tau. What W sees at one time answers to earlier e alone, so the unknowns
of one order follow row by row in time, at the cost of one product a unit.
m_(j+1) = E[tr_s G_v,j] / m. Groups of units, each with moments of its own, are expanded together,
on whatever backend the units are on.

Eq. (moment-expansion).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.language.weight_ensembles import weight_ensemble
from rnnmft.spectra.unit_transfer import UnitTransfer

__all__ = ["expanded_moments"]

Real = NDArray[np.float64]
#: An array of the units' backend.
Array = Any


def expanded_moments(units: UnitTransfer, highest: int) -> tuple[Real, Real]:
    """m_1..m_highest and their standard errors, (highest,) each.

    The value comes from all units together; the error from the spread of the parts' own moments
    (0 where the units are nodes of a quadrature).
    """
    tau, weight = (units.backend.asarray(x) for x in (units.tau, units.weight))
    value = _Expansion(units, tau[None], weight[None], highest).run()[0]
    groups = units.repetitions
    if groups == 1:
        return value, np.zeros(highest)
    weight = weight.reshape(groups, -1)
    tau, weight = tau.reshape(groups, -1, *tau.shape[1:]), weight / weight.sum(1)[:, None]
    own = _Expansion(units, tau, weight, highest).run()
    return value, own.std(axis=0, ddof=1) / np.sqrt(groups)


class _Side:
    """One of G_v (what W sees answers, earlier times first) and G_u (later times first)."""

    def __init__(self, tau: Array, causal: bool, zero: list[Array]) -> None:
        self.tau, self.causal = tau, causal
        self.transposed = tau.mT
        #: Orders of Z, of G, of the average (V or U) and of the self-energy (a or b).
        self.z: list[Array] = [self.transposed]
        self.g: list[Array] = []
        self.average = [0.0 * x for x in zero]
        self.self_energy = [0.0 * x for x in zero]


class _Expansion:
    """The expansion for R groups of M units: tau (R, M, n, n), weight (R, M)."""

    def __init__(self, transfer: UnitTransfer, tau: Array, weight: Array, highest: int) -> None:
        self.transfer, self.weight, self.highest = transfer, weight, highest
        self.xp, self.asarray = transfer.backend.xp, transfer.backend.asarray
        self.horizon, self.states = transfer.horizon, transfer.states
        self.groups, self.size, kinds = len(tau), tau.shape[-1], len(transfer.sigma_w)
        self.starts = [transfer.states + k * transfer.horizon for k in range(kinds)]
        shape = self.groups, kinds, transfer.horizon, transfer.horizon
        zero = [self._zeros(*shape) for _ in range(highest)]
        self.v, self.u = _Side(tau, True, zero), _Side(tau.mT, False, zero)
        self.f = zero

    def _zeros(self, *shape: int) -> Array:
        return self.transfer.backend.full(shape, 0.0)

    def run(self) -> Real:
        """Every moment up to the highest, (R, highest)."""
        found = []
        for j in range(self.highest):
            last = j + 1 == self.highest
            self._determine(j)
            found.append(self._advance(self.v, self.u, j, last))
            if not last:
                self._advance(self.u, self.v, j, False)
        return (
            self.transfer.backend.to_numpy(self.xp.stack(found, -1)) / self.transfer.states_a_unit
        )

    def _advance(self, side: _Side, other: _Side, j: int, last: bool) -> Array:
        """Order j of one side; returns E[tr_s G_j], (R,).

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
        traces = (side.tau[..., rows, :] * inner[..., rows].mT).sum((2, 3))
        if not last:
            side.g.append(side.tau @ inner)
        return (self.weight * traces).sum(1)

    def _p(self, side: _Side, order: int, known: int = -1) -> Array:
        """P of one order; without the self-energy where it is the unknown of order `known`."""
        found = self._blocks(side.self_energy[order]) if order != known else self._blocks(None)
        if order == 0:
            for s in range(self.states):
                found[..., s, s] = 1.0
        return found

    def _blocks(self, self_energy: Array | None) -> Array:
        """diag(0 of the states, self-energies), (R, 1, n, n)."""
        found = self._zeros(self.groups, 1, self.size, self.size)
        if self_energy is not None:
            for k, start in enumerate(self.starts):
                place = slice(start, start + self.horizon)
                found[:, 0, place, place] = self_energy[:, k]
        return found

    def _kept(self, side: _Side, inner: Array) -> Array:
        """E[tau inner] at the kept pairs of every preactivation, (R, K, T, T)."""
        found = self._zeros(self.groups, len(self.starts), self.horizon, self.horizon)
        for k, start in enumerate(self.starts):
            place = slice(start, start + self.horizon)
            left = side.tau[:, :, place] * self.weight[..., None, None]
            right = inner[..., place]
            if self.transfer.tied:
                found[:, k] = _summed(left.mT).mT @ _summed(right)
            else:
                diagonal = (left * right.mT).sum((1, 3))
                for t in range(self.horizon):
                    found[:, k, t, t] = diagonal[:, t]
        return found

    def _solve_rows(self, side: _Side, j: int, known: Array) -> None:
        """Averages and self-energies of order j, each row after those it depends on."""
        constant = 0.0 * known
        for i in range(1, j + 1):
            f, average = self.f[i], side.average[j - i]
            constant += f @ average if side.causal else average @ f
        times, kinds = list(range(self.horizon)), list(range(len(self.starts)))
        if not side.causal:
            times, kinds = times[::-1], kinds[::-1]
        p = self._zeros(self.groups, self.size, self.size)
        for t in times:
            for k in kinds:
                reach = slice(0, t + 1) if side.causal else slice(t, self.horizon)
                reach = reach if self.transfer.tied else slice(t, t + 1)
                start = self.starts[k]
                at, place = start + t, slice(start + reach.start, start + reach.stop)
                row = known[:, k, t, reach] + self._row(side, p, at, place)
                energy = self.transfer.sigma_w[k] ** 2 * row + constant[:, k, t, reach]
                for matrix, values in ((side.average[j], row), (side.self_energy[j], energy)):
                    matrix[:, k, t, reach] = values
                    matrix[:, k, reach, t] = values
                p[:, at, place] = energy
                p[:, place, at] = energy

    def _row(self, side: _Side, p: Array, at: int, others: slice) -> Array:
        """E[tau_t p tau_s^T] for the rows s in `others`, (R, s)."""
        moved = (side.tau[:, :, at] * self.weight[..., None]) @ p
        return self.xp.einsum("rmn,rmsn->rs", moved, side.tau[:, :, others])

    def _determine(self, j: int) -> None:
        """F_j from lower orders of V, U, F: coefficient j of sigma_w^2 psi(Y), Y = V U F."""
        one = self.asarray(np.eye(self.horizon))
        for k, sigma in enumerate(self.transfer.sigma_w):
            ensemble = weight_ensemble(self.transfer.weights[k])
            if j == 0:
                self.f[0][:, k] = sigma**2 * one
                continue
            if ensemble.is_constant:
                continue
            y = [self._zeros(self.groups, self.horizon, self.horizon)]
            y += [self._y(k, n) for n in range(1, j + 1)]
            q, p = (_polynomial(c, one, y, j) for c in ensemble.polynomials(self.transfer.room[k]))
            rest = _total(self.f[i][:, k] @ q[j - i] for i in range(j))
            self.f[j][:, k] = sigma**2 * p[j] - rest

    def _y(self, k: int, order: int) -> Array:
        """Coefficient of t^(2 order) in V U F, (R, T, T)."""
        v, u = self.v.average, self.u.average
        return _total(
            v[p][:, k] @ u[q][:, k] @ self.f[order - 1 - p - q][:, k]
            for p in range(order)
            for q in range(order - p)
        )


def _summed(rows: Array) -> Array:
    """(R, M, n, T) -> (R, M n, T)."""
    return rows.reshape(rows.shape[0], -1, rows.shape[-1])


def _polynomial(coefficients: list[float], one: Array, y: list[Array], highest: int) -> list[Array]:
    """The series of sum_n c_n Y^n for a series Y that begins at order 1."""
    zero = 0.0 * y[0]
    power = [one + zero] + [zero] * highest
    found = [coefficients[0] * x for x in power]
    for c in coefficients[1:]:
        power = [zero] + [
            _total(power[n - i] @ y[i] for i in range(1, n + 1)) for n in range(1, highest + 1)
        ]
        found = [x + c * step for x, step in zip(found, power, strict=True)]
    return found


def _total(terms: Iterable[Array]) -> Array:
    total: Array | None = None
    for term in terms:
        total = term if total is None else total + term
    assert total is not None
    return total
