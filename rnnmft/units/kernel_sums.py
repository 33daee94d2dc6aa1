"""Sums of a two-time kernel over pairs of times: S(n) = sum_{t + s = 2 n + 1} C(t, s).

Where no single mode decides, a kernel is a packet of running waves: C(t, s) ~ exp(g (t + s) / 2)
times a Gaussian in t - s that widens as time goes on. On the diagonal the widening is a power,
C(T, T) ~ T^(-1/2) exp(g T), which hides the rate; the sum over t - s takes it out, S(n) ~ exp(g n).

Odd sums leave out t = s. For a linear cell, h' = a h + b e and w = b sigma_w, they are those of
((a + w)^(2 n + 2) - (a - w)^(2 n + 2)) / 2 w, whose slope comes down to its limit.

Eq. (growth-bracket).
"""

from __future__ import annotations

import math

import torch

__all__ = ["KernelSums"]

Tensor = torch.Tensor


class KernelSums:
    """The kernel as it becomes known, a time a step, in units of 2^exponent at either time."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._exponents: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, before: Tensor, after: Tensor, exponent: Tensor) -> None:
        """One more time t.

        Args:
            before: C(t, s), s < t, as (t, R).
            after: C(s, t), s < t, of the same shape.
            exponent: of t, (R,).
        """
        self._rows.append(before + after)
        self._exponents.append(exponent)

    def log_sums(self) -> Tensor:
        """log |S(n)| for n = 0, .., half the times - 1: (R, n)."""
        times = len(self._rows)
        exponents = torch.stack(self._exponents).double().cpu()
        kernel = torch.zeros((times, *exponents.shape), dtype=torch.float64)
        for t, row in enumerate(self._rows):
            kernel[t, :t] = row.double().cpu()
        # Pairs of one sum are a diagonal when the second time runs backwards.
        kernel = kernel.flip(1)
        found = []
        for total in range(1, times, 2):
            powers = exponents[: total + 1] + exponents[: total + 1].flip(0)
            found.append(_log_sum(torch.diagonal(kernel, times - 1 - total), powers.T))
        return torch.stack(found, 1)


def _log_sum(values: Tensor, powers: Tensor) -> Tensor:
    """log |sum of values * 2^powers| over the last axis."""
    most = powers.max(-1, keepdim=True).values
    total = (values * torch.exp2(powers - most)).sum(-1)
    return total.abs().log() + most[:, 0] * math.log(2)
