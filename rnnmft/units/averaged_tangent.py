"""The tangent process averaged: how a small perturbation grows, without sampling it.

    ds' = A ds + B de,   dy_k = C_k ds + D_k de,   C_k(t, s) = sigma_w,k^2 E[dy_k^t dy_k^s]

A, B, C, D are a unit's own slopes along its trajectory. The perturbation is independent of them and
zero-mean at t = 0, so de_k is Gaussian with the kernel C_k(t, s) (tied: jointly over time; untied:
at t = s alone), independent over k, and everything is linear in it. Second moments given the slopes
follow from earlier ones,

    P_k(s + 1; t) = A^s P_k(s; t) + B_k^s C_k(t, s)          P_k(s; t) = E[ds^s de_k^t | slopes]
    D(t + 1, s) = A^t D(t, s) + sum_k B_k^t P_k(s; t)^T      D(t, s) = E[ds^t (ds^s)^T | slopes]

and only C_k(t, s) needs an average over units: linear cells are exact with a single one. (Drawn
unit by unit from its own kernel, a perturbation turns round and grows where the limit decays: what
the kernel's factor loses to rounding is not small beside it.) T steps take O(M T^2).

With slopes of two trajectories, D(t, s) = E[ds_a^t (ds_b^s)^T | slopes of both] is the linear
response of their cross moments: dE[f_a g_b] / dC_ab(t, s) = E[df_a/de_a^t dg_b/de_b^s]
[price1958]. On one trajectory m_1(T), the mean of E[(ds_a^T)^2] over the states, each for its share
of the units, is the mean squared singular value of the T-step Jacobian.

Eq. (averaged-tangent), Eq. (tangent-mean).
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch

from rnnmft.language import Cell
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.units.couplings import Couplings
from rnnmft.units.kernel_sums import KernelSums
from rnnmft.units.particles import UnitProcess
from rnnmft.units.slope_history import BLOCK, SlopeHistory
from rnnmft.units.tangent_moments import HalfMoments

__all__ = ["AveragedTangent", "numbers_a_unit"]

Tensor = torch.Tensor


class AveragedTangent:
    """Second moments of a perturbation of the units of a `UnitProcess`.

    Starts with independent perturbations of variance 1 of every state, or of the given ones; call
    `step` after each step of the process.

    Args:
        process: sampled units, at the time at which the perturbation starts.
        sides: the trajectories of the left and the right slopes: (0, 0) for a perturbation of one
            trajectory, (0, 1) for the response of the cross moments of two.
        perturbed: the numbers of the states that are perturbed; all when absent.
    """

    def __init__(
        self,
        process: UnitProcess,
        sides: tuple[int, int] = (0, 0),
        perturbed: Collection[int] | None = None,
    ) -> None:
        self.process, self.sides = process, sides
        chosen = range(len(process.cell.states)) if perturbed is None else perturbed
        # Trajectories that coincide are one.
        left, right = (min(side, process.shape[1] - 1) for side in sides)
        histories = {side: SlopeHistory(process, side) for side in (left, right)}
        self._histories = list(histories.values())
        self._couplings = Couplings(process, histories[left].zero)
        start = process.like.new_zeros((process.shape[0], histories[left].units))
        # On one trajectory D(s, t) is the transpose of D(t, s): one half is all.
        self._halves = [
            HalfMoments(self._couplings, histories[lead], histories[trail], start, chosen)
            for lead, trail in dict.fromkeys([(left, right), (right, left)])
        ]
        # log_2 of what the perturbations were divided by, per repetition.
        self._exponent = start.new_zeros(len(start))
        self._sums = KernelSums()

    def step(self) -> None:
        """Move the perturbation by the step that the process just took."""
        exponent, scale = self._exponent, self._rescale()
        now = {history: history.now(scale) for history in self._histories}
        past = [half.advance(now[half.lead]) for half in self._halves]
        first, last = self._halves[0], self._halves[-1]
        kernels = first.newest_kernels(now[first.lead], now[first.trail], last)
        self._sums.append(past[0], past[-1], exponent)
        for half in self._halves:
            half.respond(now[half.lead], now[half.trail], kernels)
        moments = first.arrive(now[first.lead], last)
        last.newest = [list(column) for column in zip(*moments, strict=True)]
        first.newest = moments
        if self.process.tied:
            for half, other in zip(self._halves, self._halves[::-1], strict=True):
                half.keep(other)
            for history, slopes in now.items():
                history.append(slopes)

    def _rescale(self) -> Tensor:
        """1 / lambda, (R, 1): a power of 2 that keeps the moments near 1."""
        size = self._diagonal().abs()
        usable = (size > 0) & size.isfinite()
        power = torch.where(usable, size, torch.ones_like(size)).log2().div(2).round()
        self._exponent = self._exponent + power
        return torch.exp2(-power)[:, None]

    def _diagonal(self) -> Tensor:
        """E[ds_a^t ds_a^t] over the units of all states, as rescaled; (R,)."""
        newest, shares = self._halves[0].newest, self.process.cell.shares
        own = torch.stack([row[a].mean(1) for a, row in enumerate(newest)], 1)
        return own @ own.new_tensor([float(w) for w in shares])

    def mean_square(self) -> Tensor:
        """m_1 after the steps so far, (R,); beyond the range of numbers it is 0 or infinite."""
        return self._diagonal() * torch.exp2(2 * self._exponent)

    def state_mean_squares(self) -> Tensor:
        """E[ds_a^t ds_a^t] of each state a after the steps so far, (R, states)."""
        newest = self._halves[0].newest
        own = torch.stack([row[a].mean(1) for a, row in enumerate(newest)], 1)
        return own * torch.exp2(2 * self._exponent)[:, None]

    def effective_units(self) -> Tensor:
        """(sum_i d_i)^2 / sum_i d_i^2 over the units' own second moments d, (R,).

        How many units decide the average: few where one in many has nearly all of it. Infinite
        where units are all alike.
        """
        newest = self._halves[0].newest
        own = torch.stack([row[a] for a, row in enumerate(newest)]).sum(0)
        if own.shape[1] == 1:
            return torch.full_like(self._exponent, math.inf)
        squares = own.square().sum(1)
        return torch.where(squares > 0, own.sum(1).square() / squares, math.inf)

    def log_mean_square(self) -> Tensor:
        """log |m_1|, (R,), whatever its size; -inf where the perturbation has died out."""
        return self._diagonal().abs().log() + 2 * math.log(2) * self._exponent

    def log_kernel_sums(self) -> Tensor | None:
        """log |sum_{t + s = 2 n + 1} sum_k C_k(t, s)|, n = 0, 1, ..: (R, half the steps).

        None before there are two steps, where no W_k carries a perturbation, and for untied
        weights, whose kernels are zero at t != s.
        """
        known = self.process.tied and self._couplings.active and len(self._sums) > 1
        return self._sums.log_sums() if known else None


def numbers_a_unit(cell: Cell, steps: int, sides: tuple[int, int], tied: bool) -> int:
    """How many numbers a unit needs for so many steps of an averaged tangent, at most."""
    distinct = len(set(sides))
    states = len(cell.states)
    recurrent = [k for k, p in enumerate(cell.preactivations) if p.is_recurrent]
    slopes = [entry for block in jacobian_theory(cell).blocks for entry in block]
    kept = sum(not entry.is_number for entry in slopes)
    _, _, _, d = jacobian_theory(cell).blocks
    inner = sum(any(d[k, j] != 0 for k in recurrent) for j in recurrent)
    kept += states * (states + inner)
    # A block of responses, the newest moments, and what a step works with.
    working = states * (len(recurrent) * (BLOCK + 4) + 3 * states + 2 * BLOCK) + len(slopes)
    return distinct * ((steps + BLOCK) * kept * tied + working)
