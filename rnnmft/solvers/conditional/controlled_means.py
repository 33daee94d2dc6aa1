"""Averages over paths of W h, less what chance has made of the paths themselves.

What a state keeps of its gate is nearly a function of a running sum of W h,

    z(t) ~ sum_n kept^n w(t - 1 - n),      normal, of known variance,

and what He_1(z) and He_2(z) are on average over all paths is known: 0. What they are on the paths
at hand, times their covariance with what is averaged, is taken from an average: they are control
variates. They leave a tenth or so of the variance of a state's weights.

The covariances are those of all repetitions together: of few paths they would be chance as well.

Eq. (controlled-means).
"""

from __future__ import annotations

import math

import torch

from rnnmft.solvers.conditional.gate_paths import GatePaths

__all__ = ["ControlledMeans", "PlainMeans"]

Tensor = torch.Tensor
# Of what is summed up no more than e^-8 comes from the round of the ring before.
_ROUND = 8.0


class PlainMeans:
    """Means over the steps and the paths of each repetition, as they are."""

    def of(self, values: Tensor) -> Tensor:
        """The means of values (T, R, M), (R,)."""
        # Steps first: a mean over both at once takes ten times as long.
        return values.mean(0).mean(1)

    def over_all(self, values: Tensor) -> Tensor:
        """The mean over all repetitions."""
        return values.mean()


class ControlledMeans(PlainMeans):
    """The same without what their controls have of chance.

    Args:
        paths: of W h.
        covariance: of the paths, (lags,) or (lags, R).
        kept: what is left of a sum after a step, on average.
    """

    def __init__(self, paths: GatePaths, covariance: Tensor, kept: float) -> None:
        kept = min(max(kept, 0.0), math.exp(-_ROUND / paths.steps))
        z = paths.running_sum(covariance, kept)
        each = torch.stack([z, (z.square() - 1.0) / math.sqrt(2.0)])
        chance = each.mean(1).mean(2)
        self._controls = (each - chance.mean(1)[:, None, None, None]).flatten(1)
        # In the place of their own covariance, which is 1: values have the same chance in theirs.
        covariance = (self._controls @ self._controls.T / z.numel()).double()
        self._chance = (torch.linalg.pinv(covariance) @ chance.double()).to(chance)

    def of(self, values: Tensor) -> Tensor:
        """The means of values (T, R, M), (R,)."""
        return super().of(values) - self._shares(values) @ self._chance

    def over_all(self, values: Tensor) -> Tensor:
        """The mean over all repetitions."""
        return super().over_all(values) - self._shares(values) @ self._chance.mean(1)

    def _shares(self, values: Tensor) -> Tensor:
        """The covariance of values with each control."""
        return self._controls @ values.flatten() / values.numel()
