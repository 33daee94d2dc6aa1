"""The tangent process averaged: how a small perturbation grows, without sampling it.

    ds' = A ds + B de,   dy_k = C_k ds + D_k de,   C_k(t, s) = sigma_w,k^2 E[dy_k^t dy_k^s]

A, B, C, D are a unit's own slopes along its trajectory. The perturbation is independent of them and
zero-mean at t = 0, so de_k is Gaussian with the kernel C_k(t, s) (tied: jointly over time; untied:
at t = s alone), independent over k, and everything is linear in it. Second moments given the slopes
follow from earlier ones,

    P_k(s + 1; t) = A^s P_k(s; t) + B_k^s C_k(t, s)          P_k(s; t) = E[ds^s de_k^t | slopes]
    D(t + 1, s) = A^t D(t, s) + sum_k B_k^t P_k(s; t)^T      D(t, s) = E[ds^t (ds^s)^T | slopes]

and only C_k(t, s) needs an average over units. Sampled perturbations would be a network of M units,
which feeds its own noise back: where the limit decays, they turn round and grow from T ~ sqrt(M)
on. Here linear cells are exact with a single unit. T steps take O(M T^2).

With slopes of two trajectories, D(t, s) = E[ds_a^t (ds_b^s)^T | slopes of both] is the linear
response of their cross moments: dE[f_a g_b] / dC_ab(t, s) = E[df_a/de_a^t dg_b/de_b^s] (Price
1958). On one trajectory m_1(T) = E[|ds^T|^2] / m is the mean squared singular value of the T-step
Jacobian.
"""

from __future__ import annotations

import math

import torch

from rnnmft.analysis.units.couplings import Couplings
from rnnmft.analysis.units.kernel_sums import KernelSums
from rnnmft.analysis.units.particles import UnitProcess
from rnnmft.analysis.units.slope_history import SlopeHistory
from rnnmft.analysis.units.tangent_moments import HalfMoments

__all__ = ["AveragedTangent"]

Tensor = torch.Tensor


class AveragedTangent:
    """Second moments of a perturbation of the units of a `UnitProcess`.

    Starts with independent perturbations of variance 1 of every state; call `step` after each step
    of the process.

    Args:
        process: sampled units, at the time at which the perturbation starts.
        sides: the trajectories of the left and the right slopes: (0, 0) for a perturbation of one
            trajectory, (0, 1) for the response of the cross moments of two.
    """

    def __init__(self, process: UnitProcess, sides: tuple[int, int] = (0, 0)) -> None:
        self.process = process
        # Trajectories that coincide are one.
        left, right = (min(side, process.shape[1] - 1) for side in sides)
        histories = {side: SlopeHistory(process, side) for side in (left, right)}
        self._histories = list(histories.values())
        ends = (histories[left], histories[right])
        couplings = Couplings(process, ends[0].zero)
        start = process.like.new_zeros((process.shape[0], ends[0].units))
        # On one trajectory D(s, t) is the transpose of D(t, s): one half is all.
        pairs = [ends] if left == right else [ends, ends[::-1]]
        self._halves = [HalfMoments(couplings, *pair, start) for pair in pairs]
        # log_2 of what the perturbations were divided by, per repetition.
        self._exponent = start.new_zeros(len(start))
        self._kernels = KernelSums(len(self._halves))

    def step(self) -> None:
        """Move the perturbation by the step that the process just took."""
        exponent, scale = self._exponent, self._rescale()
        now = {history: history.now(scale) for history in self._histories}
        past = [half.advance(now[half.lead]) for half in self._halves]
        first, last = self._halves[0], self._halves[-1]
        kernels = first.newest_kernels(now[first.lead], now[first.trail], last)
        self._kernels.append(past, kernels, exponent)
        for half in self._halves:
            half.respond(now[half.lead], now[half.trail], kernels)
        newest = first.arrive(now[first.lead], last)
        last.newest = [list(column) for column in zip(*newest, strict=True)]
        first.newest = newest
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
        """E[ds_a^t ds_a^t] over units, averaged over the states, as rescaled; (R,)."""
        newest = self._halves[0].newest
        return torch.stack([row[a].mean(1) for a, row in enumerate(newest)]).mean(0)

    def mean_square(self) -> Tensor:
        """m_1 after the steps so far, (R,); beyond the range of numbers it is 0 or infinite."""
        return self._diagonal() * torch.exp2(2 * self._exponent)

    def log_mean_square(self) -> Tensor:
        """log |m_1|, (R,), whatever its size; -inf where the perturbation has died out."""
        return self._diagonal().abs().log() + 2 * math.log(2) * self._exponent
