"""A unit's own derivatives along its trajectory: the linearised cell, one matrix entry a unit.

    ds' = A ds + B de,     dy = C ds + D de

de_k = W_k dy_k is what couples the units; A, B, C, D do not.

Eq. (linearised).
"""

from __future__ import annotations

import torch

from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.units.particles import UnitProcess

__all__ = ["LocalDerivatives", "Matrix", "combine"]

Tensor = torch.Tensor
#: Rows of entries, one number a unit, (R, M); None where an entry is identically zero.
Matrix = list[list[Tensor | None]]


class LocalDerivatives:
    """A, B, C, D of every unit at the process's current step.

    Args:
        process: sampled units.
        side: on which trajectory; one that coincides with the first is the first.

    Attributes:
        constants: four matrices as called; the entries that are the same number everywhere and
            always, None for all others.
    """

    def __init__(self, process: UnitProcess, side: int = 0) -> None:
        self.process, self.side = process, side
        blocks = jacobian_theory(process.cell).blocks
        entries = [entry for block in blocks for entry in block]
        backend = torch_backend(process.sampling.device, process.sampling.dtype)
        self.zero = [[[bool(e == 0) for e in row] for row in b.tolist()] for b in blocks]
        self.constants = [
            [[float(e) if e.is_number else None for e in row] for row in b.tolist()] for b in blocks
        ]
        self._compiled = compile_elementwise(tuple(entries), process.arguments, backend)

    def __call__(self) -> list[Matrix]:
        """The four matrices; None where the entry is identically zero."""
        repetitions, _, units = self.process.shape
        values = iter(self._compiled(*(self._on_side(v) for v in self.process.now)))

        def entry(zero: bool) -> Tensor | None:
            value = next(values)
            return None if zero else value.expand(repetitions, units)

        return [[[entry(zero) for zero in row] for row in rows] for rows in self.zero]

    def _on_side(self, value: Tensor) -> Tensor:
        """One trajectory's numbers; parameters, and inputs that coincide, have but one."""
        return value[:, min(self.side, value.shape[1] - 1)] if value.dim() == 3 else value


def combine(factors: list[Tensor | None], values: list[Tensor | None]) -> Tensor | None:
    """sum_b factor_b value_b, skipping what is identically zero; None where all of it is."""
    total: Tensor | None = None
    for factor, value in zip(factors, values, strict=False):
        if factor is not None and value is not None:
            total = factor * value if total is None else total.addcmul(factor, value)
    return total
