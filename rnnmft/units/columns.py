"""Columns: a growing matrix of one number a unit, for independent repetitions, in blocks.

A block is allocated when those before it are full, so that nobody must know in advance how long a
run will be: as large as all before it together, up to a limit, so that blocks stay few.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from rnnmft.units.points import spread

__all__ = ["Columns"]

Tensor = torch.Tensor


# Columns of a block: as many as there are already, so that at most half of the room is empty, up to
# so many that one product with them is a matrix product's full speed.
_FIRST_BLOCK, _LARGEST_BLOCK = 16, 128


class Columns:
    """n columns of M units in R repetitions: `overlap` is A v / M, `add` is v + f c A.

    Args:
        like: a tensor of the wanted dtype and device.
        repetitions, units: R and M.
    """

    def __init__(self, like: Tensor, repetitions: int, units: int) -> None:
        self.like, self.repetitions, self.units = like, repetitions, units
        self.blocks: list[Tensor] = []
        self.count = 0
        self._room = 0

    def append(self, value: Tensor) -> None:
        """One more column, (R, M)."""
        if self._room == 0:
            self._room = min(max(self.count, _FIRST_BLOCK), _LARGEST_BLOCK)
            self.blocks.append(self.like.new_empty((self.repetitions, self._room, self.units)))
        self.blocks[-1][:, self.blocks[-1].shape[1] - self._room] = value
        self._room -= 1
        self.count += 1

    def spread(self, rows: int) -> Columns:
        """The same columns, given to every point of a repetition."""
        if rows == self.repetitions:
            return self
        found = Columns(self.like, rows, self.units)
        found.blocks = [spread(block, rows) for block in self.blocks]
        found.count, found._room = self.count, self._room
        return found

    def rotate(self, rotation: Tensor) -> None:
        """The columns' sums with the weights (R, n, n') in place of the columns."""
        count = rotation.shape[2]
        block = self.like.new_empty((self.repetitions, count + _FIRST_BLOCK, self.units))
        block[:, :count] = 0.0
        self._add_to(block[:, :count], rotation.transpose(1, 2), 1.0)
        self.blocks, self.count, self._room = [block], count, _FIRST_BLOCK

    def overlap(self, values: Tensor) -> Tensor:
        """Averages over units of each column times each of P rows: (R, P, M) -> (R, P, n)."""
        found = [torch.bmm(values, b.transpose(1, 2)) for b in self._filled(self.count)]
        if not found:
            return values.new_zeros((*values.shape[:2], 0))
        return torch.cat(found, 2).div_(self.units)

    def add(self, values: Tensor, coefficients: Tensor, factor: float = 1.0) -> Tensor:
        """`values` (R, P, M) plus a factor times sums of the first n columns, (R, P, n)."""
        return self._add_to(values.clone(), coefficients, factor)

    def _add_to(self, values: Tensor, coefficients: Tensor, factor: float) -> Tensor:
        first = 0
        for block in self._filled(coefficients.shape[2]):
            part = coefficients[:, :, first : first + block.shape[1]]
            values.baddbmm_(part, block, alpha=factor)
            first += block.shape[1]
        return values

    def last(self, count: int) -> Tensor:
        """The last columns, at most as many and no more than the last block holds: (R, n, M)."""
        filled = self.blocks[-1][:, : self.blocks[-1].shape[1] - self._room]
        return filled[:, -count:]

    def _filled(self, count: int) -> Iterator[Tensor]:
        """The first columns, block by block."""
        for block in self.blocks:
            if count <= 0:
                return
            yield block[:, :count]
            count -= block.shape[1]
