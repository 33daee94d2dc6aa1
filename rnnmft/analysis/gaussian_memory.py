"""A Gaussian process over time, sampled unit by unit, whose kernel is found out as it goes.

In the tied theory a preactivation is one Gaussian process over time and over trajectories; its
covariance with its own past is an average over the very units that are being drawn. Each new
variable is drawn from its conditional law given the past: one new row of a Cholesky factor, kept
for independent repetitions at once.

Directions that the past already determines (a constant input without recurrent weights, zero
variance) are recognised by their pivot and add no column, so that no jitter is ever needed.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["GaussianMemory"]

Tensor = torch.Tensor


class GaussianMemory:
    """Samples of a Gaussian process, drawn one variable at a time given all before it.

    Shapes: R repetitions, M units in each, n columns (independent directions seen so far).

    Args:
        repetitions, units: R and M.
        capacity: the largest number of columns.
        generator: the source of randomness.
        matched: make the normal numbers of each new column exactly standard and exactly
            uncorrelated with the earlier columns over the units of a repetition: the sampled
            covariance then equals the kernel, which removes the first order of the sampling noise.
        like: a tensor of the wanted dtype and device.
    """

    def __init__(
        self,
        repetitions: int,
        units: int,
        capacity: int,
        generator: torch.Generator,
        like: Tensor,
        matched: bool = True,
    ) -> None:
        self.generator, self.matched = generator, matched
        self.normals = like.new_zeros((repetitions, capacity, units))
        self.factor = like.new_zeros((repetitions, capacity, capacity))
        self.count = 0
        self.tolerance = 64 * torch.finfo(like.dtype).eps
        # Which variables (in order of drawing) own a column: the others are determined by them.
        self.columns: list[int] = []
        self.drawn = 0

    def draw(self, past: Tensor, variance: Tensor) -> Tensor:
        """One more variable, of zero mean.

        Args:
            past: covariances with the variables that own a column, (R, n), in `columns` order.
            variance: (R,).

        Returns:
            (R, M).
        """
        n = self.count
        row = self._solve(past)
        left = variance - (row * row).sum(1)
        value = torch.bmm(row[:, None], self.normals[:, :n])[:, 0]
        if bool((left > self.tolerance * variance).any()):
            pivot = left.clamp_min(0).sqrt()
            fresh = self._standard()
            value = value + pivot[:, None] * fresh
            self._append(row, pivot, fresh)
        self.drawn += 1
        return value

    def _solve(self, past: Tensor) -> Tensor:
        """The new row of the factor: row L^T = past."""
        n = self.count
        if n == 0:
            return past
        factor = self.factor[:, :n, :n]
        return torch.linalg.solve_triangular(factor, past[:, :, None], upper=False)[:, :, 0]

    def _append(self, row: Tensor, pivot: Tensor, fresh: Tensor) -> None:
        n = self.count
        self.factor[:, n, :n] = row
        # A repetition whose own pivot vanished keeps a unit pivot: its coefficient stays zero.
        self.factor[:, n, n] = torch.where(pivot > 0, pivot, torch.ones_like(pivot))
        self.normals[:, n] = fresh
        self.columns.append(self.drawn)
        self.count = n + 1

    def _standard(self) -> Tensor:
        """New standard normals (R, M), matched to the earlier columns where wanted."""
        repetitions, _, units = self.normals.shape
        fresh = torch.randn(
            (repetitions, units),
            generator=self.generator,
            dtype=self.normals.dtype,
            device=self.normals.device,
        )
        if not self.matched:
            return fresh
        fresh = fresh - fresh.mean(1, keepdim=True)
        before = self.normals[:, : self.count]
        overlap = torch.bmm(before, fresh[:, :, None]) / units
        fresh = fresh - torch.bmm(overlap.transpose(1, 2), before)[:, 0]
        return fresh / fresh.square().mean(1, keepdim=True).sqrt()
