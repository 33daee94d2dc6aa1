"""Standard normal and uniform numbers of units, one number a unit, drawn in blocks.

Every repetition has generators of its own, seeded by its number: repetitions do not depend on how
many there are or which are run together, and more of them extend the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from rnnmft.sampling import Sampling
from rnnmft.units.sobol import DIMENSIONS, sobol_points

__all__ = ["QUASI", "Draws"]

Tensor = torch.Tensor

# Sobol dimensions (and calls of a generator) are taken so many at a time: a matter of time and of
# 16 rows of memory.
_BLOCK = 16
#: Points of a few thousand are no more even than random ones in dimensions beyond, and dearer.
QUASI = min(DIMENSIONS, 4096)


class Draws:
    """Where the random numbers of some repetitions come from.

    Args:
        sampling: seed, units and kind of numbers.
        repetitions: the numbers of the repetitions.
        like: a tensor of the wanted dtype and device.

    Attributes:
        dimension: how many dimensions of the Sobol sequence were taken.
    """

    def __init__(self, sampling: Sampling, repetitions: Sequence[int], like: Tensor) -> None:
        self.sampling = sampling
        self.dtype, self.device = like.dtype, like.device
        self.shape = (len(repetitions), sampling.per_repetition)
        seeds = [_seeds(sampling.seed, r) for r in repetitions]
        self._scramble = [torch.Generator().manual_seed(a) for a, _ in seeds]
        self._random = [torch.Generator(device=self.device).manual_seed(b) for _, b in seeds]
        self.dimension = 0
        self._ready = like.new_empty((self.shape[0], 0, self.shape[1]))

    def normal(self, count: int) -> Tensor:
        """Independent standard normal numbers, (R, count, M), in the order in which they are used.

        Sobol points through the inverse distribution function take one dimension a column of
        units; when the dimensions of the sequence are used up, pseudo-random numbers take over.
        """
        while self._ready.shape[1] < count:
            self._ready = torch.cat([self._ready, self._normal(_BLOCK)], 1)
        taken, self._ready = self._ready[:, :count], self._ready[:, count:]
        return taken

    def _normal(self, count: int) -> Tensor:
        if self._quasi(count):
            return _normal_quantiles(self._sobol(count)).to(self.dtype)
        options = {"dtype": self.dtype, "device": self.device}
        shape = (count, self.shape[1])
        return torch.stack([torch.randn(shape, generator=g, **options) for g in self._random])

    def uniform(self, count: int) -> Tensor:
        """Uniform numbers strictly between 0 and 1, (R, count, M).

        Pseudo-random ones are stratified: one in each of M equal intervals, in random order.
        """
        eps = torch.finfo(self.dtype).eps
        if self._quasi(count):
            return self._sobol(count).to(self.dtype).clamp_(eps, 1 - eps)
        units = self.shape[1]
        drawn = []
        for g in self._random:
            rows = torch.rand((count, units), generator=g, dtype=torch.float64, device=self.device)
            order = torch.rand((count, units), generator=g, device=self.device).argsort(1)
            drawn.append((order + rows) / units)
        return torch.stack(drawn).to(self.dtype).clamp_(eps, 1 - eps)

    def _quasi(self, count: int) -> bool:
        return self.sampling.normals == "sobol" and self.dimension + count <= QUASI

    def _sobol(self, count: int) -> Tensor:
        first, self.dimension = self.dimension, self.dimension + count
        return sobol_points(first, count, self.shape[1], self._scramble, self.device)


def _normal_quantiles(points: Tensor) -> Tensor:
    """sqrt(2) erfinv(2 u - 1), in place of the points u: half the time of ndtri(u).

    2 u - 1 is exact, for u are odd multiples of 2^-31. A repetition stays near the processor.
    """
    for row in points:
        row.mul_(2.0).sub_(1.0).erfinv_().mul_(math.sqrt(2.0))
    return points


def _seeds(seed: int, repetition: int) -> tuple[int, int]:
    words = np.random.SeedSequence((seed, repetition)).generate_state(2, np.uint64)
    # torch takes signed seeds: one bit less.
    return int(words[0] >> np.uint64(1)), int(words[1] >> np.uint64(1))
