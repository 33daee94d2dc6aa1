"""A unit's local slopes at all steps so far, kept in blocks of a few steps.

What is done over the past is done a block at a time: large enough to be worth a call, small enough
to stay near the processor.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from rnnmft.units.local_derivatives import LocalDerivatives, Matrix
from rnnmft.units.particles import UnitProcess

__all__ = ["BLOCK", "Rows", "SlopeHistory"]

Tensor = torch.Tensor
#: Steps in a block: responses to the newest 8 are updated singly, older ones by products of
#: matrices.
BLOCK = 8


class Rows:
    """One number a unit and step, (steps, R, M), or one for all units, (steps, R, 1)."""

    def __init__(self) -> None:
        self.blocks: list[Tensor] = []
        self.count = 0

    def append(self, row: Tensor) -> None:
        """One more step, (R, M)."""
        place = self.count % BLOCK
        if place == 0:
            self.blocks.append(row.new_empty((BLOCK, *row.shape)))
        self.blocks[-1][place] = row
        self.count += 1

    def block(self, number: int) -> Tensor:
        """The steps of one block, (8 or fewer, R, M)."""
        return self.blocks[number][: self.count - number * BLOCK]


class SlopeHistory:
    """The slopes A, B, C, D of the units on one trajectory, step after step.

    Args:
        process: sampled units.
        side: on which trajectory.

    Attributes:
        zero: which entries of the four matrices are identically zero.
        units: M, or 1 where every entry is one number for all units, whatever the step.
    """

    def __init__(self, process: UnitProcess, side: int) -> None:
        self._derivatives = LocalDerivatives(process, side)
        self.zero, constants = self._derivatives.zero, self._derivatives.constants
        alike = all(c is not None for m in constants for row in m for c in row)
        self.units = 1 if alike else process.shape[2]
        self._constant = [[[c is not None for c in row] for row in m] for m in constants]
        self._rows = [[[None if z else Rows() for z in row] for row in m] for m in self.zero]

    def now(self, inverse_scale: Tensor) -> list[Matrix]:
        """The process's current step; A and B times a number a repetition, (R, 1).

        An entry that is one number for all units has shape (R, 1), all others (R, M).
        """
        a, b, c, d = (
            [
                [v[:, :1] if v is not None and fixed else v for v, fixed in zip(*rows, strict=True)]
                for rows in zip(matrix, constant, strict=True)
            ]
            for matrix, constant in zip(self._derivatives(), self._constant, strict=True)
        )
        return [_each(a, inverse_scale.mul), _each(b, inverse_scale.mul), c, d]

    def append(self, slopes: list[Matrix]) -> None:
        """Keep a step."""
        for matrix, kept in zip(slopes, self._rows, strict=True):
            for row, rows in zip(matrix, kept, strict=True):
                for value, place in zip(row, rows, strict=True):
                    if value is not None and place is not None:
                        place.append(value)

    def block(self, number: int) -> list[Matrix]:
        """The steps of one block, every entry (8 or fewer, R, M or 1)."""
        return [
            [[None if r is None else r.block(number) for r in row] for row in matrix]
            for matrix in self._rows
        ]


def _each(matrix: Matrix, change: Callable[[Tensor], Tensor]) -> Matrix:
    return [[None if v is None else change(v) for v in row] for row in matrix]
