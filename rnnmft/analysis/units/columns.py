"""Columns: a growing matrix of one number a unit, for independent repetitions, in blocks.

A block is allocated when the one before it is full, so that nobody must know in advance how long a
run will be, and a longer run begins with the numbers of a shorter one.
"""

from __future__ import annotations

import torch

__all__ = ["Columns"]

Tensor = torch.Tensor


class Columns:
    """n columns of M units in R repetitions: `overlap` is A v / M, `combine` is c A.

    Args:
        like: a tensor of shape (R, ..., M) of the wanted dtype and device.
        block: how many columns are allocated at once.
    """

    def __init__(self, like: Tensor, block: int = 16) -> None:
        self.repetitions, self.units, self.block = like.shape[0], like.shape[-1], block
        self.blocks: list[Tensor] = []
        self.count = 0
        self.dtype, self.device = like.dtype, like.device
        self._like = like

    def append(self, value: Tensor) -> None:
        """One more column, (R, M)."""
        place = self.count % self.block
        if place == 0:
            shape = (self.repetitions, self.block, self.units)
            self.blocks.append(self._like.new_empty(shape))
        self.blocks[-1][:, place] = value
        self.count += 1

    def append_block(self, values: Tensor) -> None:
        """A whole block at once, (R, block, M)."""
        self.blocks.append(values)
        self.count += values.shape[1]

    def overlap(self, now: Tensor) -> Tensor:
        """Averages over units of each column times each of the P given: (R, P, M) -> (R, P, n)."""
        found = [_products(now, block[:, :used]) for block, used in self._used(self.count)]
        if not found:
            return now.new_zeros((*now.shape[:2], 0))
        return torch.cat(found, 2) / self.units

    def combine(self, coefficients: Tensor) -> Tensor:
        """Sums of the first n columns with given coefficients: (R, P, n) -> (R, P, M)."""
        total = self._like.new_zeros((self.repetitions, coefficients.shape[1], self.units))
        first = 0
        for block, used in self._used(coefficients.shape[2]):
            part = coefficients[:, :, first : first + used]
            total = torch.baddbmm(total, part, block[:, :used])
            first += used
        return total

    def _used(self, count: int) -> list[tuple[Tensor, int]]:
        """The blocks that hold the first columns, with how many of them each holds."""
        firsts = range(0, count, self.block)
        return [(b, min(self.block, count - f)) for b, f in zip(self.blocks, firsts, strict=False)]


def _products(now: Tensor, block: Tensor) -> Tensor:
    """(R, P, M) times (R, b, M) transposed, (R, P, b)."""
    if now.shape[1] == 1 and now.device.type == "cpu":
        # torch's batched product is half as fast as a loop over matrix-vector products here.
        rows = [torch.mv(a, v) for a, v in zip(block, now[:, 0], strict=True)]
        return torch.stack(rows)[:, None]
    return torch.bmm(now, block.transpose(1, 2))
