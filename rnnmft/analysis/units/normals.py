"""Columns of standard normal numbers, one number a unit, drawn in blocks and kept.

Every repetition has generators of its own, seeded by its number: repetitions do not depend on how
many there are or which are run together, and more of them extend the sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rnnmft.analysis.units.columns import Columns
from rnnmft.analysis.units.sobol import DIMENSIONS, sobol_points
from rnnmft.errors import ParameterError
from rnnmft.sampling import Sampling

__all__ = ["Draws", "StandardNormals"]

Tensor = torch.Tensor


class Draws:
    """Where the random numbers of some repetitions come from.

    Args:
        sampling: seed, units and kind of numbers.
        repetitions: the numbers of the repetitions.
        like: a tensor of the wanted dtype and device.
    """

    def __init__(self, sampling: Sampling, repetitions: Sequence[int], like: Tensor) -> None:
        self.sampling = sampling
        self.dtype, self.device = like.dtype, like.device
        self.shape = (len(repetitions), sampling.per_repetition)
        seeds = [_seeds(sampling.seed, r) for r in repetitions]
        self._scramble = [torch.Generator().manual_seed(a) for a, _ in seeds]
        self._random = [torch.Generator(device=self.device).manual_seed(b) for _, b in seeds]
        self._dimension = 0

    def normal(self, count: int) -> Tensor:
        """Independent standard normal numbers, (R, count, M).

        Sobol points through the inverse distribution function take one dimension a column of
        units; when the dimensions of the sequence are used up, pseudo-random numbers take over.
        """
        if self._quasi(count):
            return torch.special.ndtri(self._sobol(count)).to(self.dtype)
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
        return self.sampling.normals == "sobol" and self._dimension + count <= DIMENSIONS

    def _sobol(self, count: int) -> Tensor:
        first, self._dimension = self._dimension, self._dimension + count
        points = [sobol_points(first, count, self.shape[1], g, self.device) for g in self._scramble]
        return torch.stack(points)


def _seeds(seed: int, repetition: int) -> tuple[int, int]:
    words = np.random.SeedSequence((seed, repetition)).generate_state(2, np.uint64)
    # torch takes signed seeds: one bit less.
    return int(words[0] >> np.uint64(1)), int(words[1] >> np.uint64(1))


class StandardNormals(Columns):
    """Independent standard normal columns for R repetitions of M units.

    Args:
        draws: where the numbers come from.
        matched: make the columns of a repetition exactly standard and exactly uncorrelated over
            its units (Gram-Schmidt): what is drawn with them then has exactly the wanted
            covariance. It changes averages by O(1/M).
        block: how many columns are drawn at once.
    """

    def __init__(self, draws: Draws, matched: bool = False, block: int = 16) -> None:
        repetitions, units = draws.shape
        like = torch.empty((), dtype=draws.dtype, device=draws.device)
        super().__init__(like.expand(repetitions, units), block)
        self.draws, self.matched = draws, matched

    def reserve(self, count: int) -> None:
        """Draw until there are at least `count` columns.

        Raises:
            ParameterError: so many columns cannot be matched with so few units.
        """
        while self.count < count:
            fresh = self.draws.normal(self.block)
            self.append_block(self._match(fresh) if self.matched else fresh)

    def _match(self, fresh: Tensor) -> Tensor:
        """Centred, orthogonal to the columns before and to each other, of mean square 1."""
        if self.units < 4 * (self.count + self.block):
            raise ParameterError(
                f"units: {self.units} in a repetition are too few for {self.count + self.block} "
                "matched directions; take more units, fewer repetitions, or other normals"
            )
        fresh = fresh - fresh.mean(2, keepdim=True)
        for before in self.blocks:
            shared = torch.bmm(fresh, before.transpose(1, 2)) / self.units
            fresh = torch.baddbmm(fresh, shared, before, alpha=-1)
        if self.block == 1:
            return fresh / fresh.square().mean(2, keepdim=True).sqrt()
        # The Gram matrix is near the identity: its Cholesky factor is well conditioned.
        gram = torch.bmm(fresh, fresh.transpose(1, 2)) / self.units
        return torch.linalg.solve_triangular(torch.linalg.cholesky(gram), fresh, upper=False)
