"""How a stationary unit answers in a bath of others whose directions grow as exp(mu t).

Perturbations are followed in a frame that grows with them, ds^{t+1} = e^-mu (A ds^t + B de^t), from
and into the endless past and future. The matrices W couple a unit to all others, whose sum is a
Gaussian bath: de has the covariance S_u, and what reads dy weighs it with S_v, both functions of
the time difference. Where mu lies among the exponents, neither is 0. With the dual p of ds

    [ 1 - Z A   -B S_u B^T  ] [ ds ]
    [ C^T S_v C  (1 - Z A)^T] [ p  ]  = sources,      Z the shift by one step,

(for D = 0), a unit answers by the inverse of this matrix, and the averages over units

    g_v = E[C (..)_sp C^T],   g_u = -E[B^T (..)_ps B],   m u = sum over states of 1 - E[(..)_ss]

give the bath of the next round and u(mu), the fraction of exponents above mu. All are read in the
middle of a window of T steps, whose ends the bath's memory does not reach.

Eq. (lyapunov-stationary).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from rnnmft.lyapunov.same_step import SameStep
from rnnmft.lyapunov.unit_steps import UnitSteps

__all__ = ["Bath", "Responses"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class Bath:
    """S_u and S_v by preactivation and time difference 0, .., T - 1: (K, T) each."""

    source: Tensor
    weight: Tensor


class Responses:
    """Averages over units at one mu.

    Args:
        units: T steps of them.
        mu: per step.
    """

    def __init__(self, units: UnitSteps, mu: float) -> None:
        self.units = units
        self.count, self.length, self.states, _ = units.a.shape
        shrunk = torch.exp(torch.tensor(-mu, dtype=torch.float64))
        self._a, self._b = units.a * shrunk, units.b * shrunk
        times = torch.arange(self.length, device=units.a.device)
        self._lag = (times[:, None] - times[None, :]).abs()
        rows, columns = (units.d != 0).any(0).any(0).nonzero(as_tuple=True)
        self._rows = sorted(set(rows.tolist()))
        self._columns = sorted(set(columns.tolist()))

    def __call__(self, bath: Bath) -> tuple[Tensor, Tensor, float]:
        """g_v and g_u by preactivation and time difference, (K, T) each, and u."""
        source, weight = bath.source[:, self._lag], bath.weight[:, self._lag]
        folded = self._folded(source, weight)
        inverse = torch.linalg.inv(self._matrix(source, weight, folded))
        size = self.length * self.states
        ss, sp = inverse[:, :size, :size], inverse[:, :size, size:]
        ps = inverse[:, size:, :size]
        shape = (self.count, self.length, self.states, self.length, self.states)
        c = self.units.c
        g_v = torch.einsum("mtka,mtasb,mskb->kts", c, sp.reshape(shape), c)
        g_u = -torch.einsum("mtak,mtasb,msbk->kts", *self._inner(ps.reshape(shape)))
        g_v, g_u = g_v / self.count, g_u / self.count
        if folded is not None:
            g_v[self._rows] = folded.seen(inverse)
            g_u[self._columns] = folded.dual(inverse)
        kept = ss.diagonal(dim1=1, dim2=2).reshape(self.count, self.length, self.states)
        above = 1.0 - float(kept[:, self.middle].mean())
        return self._read(g_v), self._read(g_u), above

    @cached_property
    def middle(self) -> slice:
        """The half of the window that is read."""
        quarter = self.length // 4
        return slice(quarter, self.length - quarter)

    def _folded(self, source: Tensor, weight: Tensor) -> SameStep | None:
        """What preactivations that see others of the same step add."""
        if not self._rows:
            return None
        d = self.units.d[:, :, self._rows][..., self._columns]
        b, c = self._b[..., self._columns], self.units.c[:, :, self._rows]
        return SameStep(b, c, d, source[self._columns], weight[self._rows])

    def _inner(self, ps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """B of every step with the answer at the state that it makes; the last one makes none."""
        b = self._b.clone()
        b[:, -1] = 0.0
        return b, ps.roll((-1, -1), dims=(1, 3)), b

    def _matrix(self, source: Tensor, weight: Tensor, folded: SameStep | None) -> Tensor:
        count, length, states = self.count, self.length, self.states
        size = length * states
        b, c = self._b[:, :-1], self.units.c
        plain = weight.clone()
        plain[self._rows] = 0.0  # rows with D != 0 are folded in
        forward = torch.eye(size, dtype=torch.float64, device=b.device).expand(count, -1, -1)
        forward = forward.clone().reshape(count, length, states, length, states)
        for t in range(length - 1):
            forward[:, t + 1, :, t, :] -= self._a[:, t]
        noise = torch.zeros_like(forward)
        noise[:, 1:, :, 1:, :] = torch.einsum("mtak,kts,msbk->mtasb", b, source[:, 1:, 1:], b)
        mass = torch.einsum("mtka,kts,mskb->mtasb", c, plain, c)
        forward, noise, mass = (x.reshape(count, size, size) for x in (forward, noise, mass))
        matrix = torch.cat(
            [torch.cat([forward, -noise], dim=2), torch.cat([mass, forward.mT], dim=2)], dim=1
        )
        return matrix if folded is None else matrix + folded.correction

    def _read(self, g: Tensor) -> Tensor:
        """By time difference, from the pairs of times around the middle of the window; (K, T)."""
        found = torch.zeros(g.shape[:2], dtype=g.dtype, device=g.device)
        for lag in range(self.length // 2):
            if lag and not self.units.tied:
                break
            first = self.middle.start - lag // 2
            pairs = g.diagonal(lag, dim1=1, dim2=2) + g.diagonal(-lag, dim1=1, dim2=2)
            found[:, lag] = pairs[:, first : self.middle.stop - (lag + 1) // 2].mean(1) / 2
        return found
