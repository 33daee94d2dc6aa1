"""The tangent process by sampling: how a small perturbation of one trajectory grows.

    ds' = A ds + B de,   dy = C ds + D de,   Cov(de_k^t, de_k^s) = sigma_w^2 E[dy_k^t dy_k^s]

(tied; untied: independent in time). A, B, C, D are a unit's own derivatives along its trajectory.
m_1(T) = E|ds^T|^2 / E|ds^0|^2 is the mean squared singular value of the T-step Jacobian.
"""

from __future__ import annotations

import sympy as sp
import torch

from rnnmft.analysis.units.kernel_memory import KernelMemory
from rnnmft.analysis.units.particles import UnitProcess
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.theory.jacobian import jacobian_theory

__all__ = ["LocalDerivatives", "TangentProcess", "combine"]

Tensor = torch.Tensor


class LocalDerivatives:
    """A, B, C, D of every unit on the first trajectory, at the process's current step."""

    def __init__(self, process: UnitProcess) -> None:
        self.process = process
        blocks = jacobian_theory(process.cell).blocks
        self.shapes = [b.shape for b in blocks]
        entries = [entry for block in blocks for entry in block]
        backend = torch_backend(process.sampling.device, process.sampling.dtype)
        self.zero = [[bool(entry == 0) for entry in block] for block in blocks]
        self._compiled = compile_elementwise(tuple(entries), process.arguments, backend)

    def __call__(self) -> list[list[list[Tensor | None]]]:
        """Four matrices of (R, M) arrays; None where the entry is identically zero."""
        repetitions, _, units = self.process.shape
        first = [v[:, 0] if v.dim() == 3 else v for v in self.process.now]
        values = iter(self._compiled(*first))
        matrices = []
        for (rows, columns), zero in zip(self.shapes, self.zero, strict=True):
            flags = iter(zero)
            matrix = []
            for _ in range(rows):
                row = [(next(values), next(flags)) for _ in range(columns)]
                matrix.append([None if z else v.expand(repetitions, units) for v, z in row])
            matrices.append(matrix)
        return matrices


class TangentProcess:
    """Perturbations of all units along the first trajectory of a `UnitProcess`.

    Starts with independent standard normal perturbations of every state; call `step` after each
    step of the process. `mean_square()` is then m_1 so far, per repetition.
    """

    def __init__(self, process: UnitProcess) -> None:
        self.process = process
        self.derivatives = LocalDerivatives(process)
        cell = process.cell
        repetitions, _, units = process.shape
        self._kernels = {
            p.sees: KernelMemory(
                (repetitions, 1, units),
                process.like,
                lambda: process.normals(16 if process.tied else 1),
                process.tied,
            )
            for p in cell.preactivations
            if p.is_recurrent
        }
        start = process.normals(len(cell.states))
        start.reserve(len(cell.states))
        self.ds: list[Tensor] = list(start.blocks[0].unbind(1))

    def step(self) -> None:
        """Move the perturbations by the step that the process just took."""
        a, b, c, d = self.derivatives()
        de: list[Tensor | None] = []
        started: dict[sp.Expr, bool] = {}
        for k, p in enumerate(self.process.cell.preactivations):
            weight = self.process.ensemble[p.name].sigma_w ** 2
            if not p.is_recurrent or weight == 0.0:
                de.append(None)
                continue
            kernel = self._kernels[p.sees]
            if p.sees not in started:
                dy = combine([*c[k], *d[k]], [*self.ds, *de])
                kernel.see(None if dy is None else dy[:, None])
                started[p.sees] = dy is not None
            de.append(kernel.draw(p.name, weight)[:, 0] if started[p.sees] else None)
        for y in started:
            self._kernels[y].keep()
        zero = torch.zeros_like(self.ds[0])
        moved = [
            combine([*row_a, *row_b], [*self.ds, *de]) for row_a, row_b in zip(a, b, strict=True)
        ]
        self.ds = [zero if ds is None else ds for ds in moved]

    def mean_square(self) -> Tensor:
        """m_1 after the steps so far: E[ds_a^2] averaged over the states; (R,)."""
        total = torch.stack([s.square().mean(1) for s in self.ds]).sum(0)
        return total / len(self.ds)


def combine(factors: list[Tensor | None], values: list[Tensor | None]) -> Tensor | None:
    """sum_b factor_b value_b, skipping what is identically zero; None where all of it is."""
    total: Tensor | None = None
    for factor, value in zip(factors, values, strict=False):
        if factor is not None and value is not None:
            total = factor * value if total is None else total.addcmul(factor, value)
    return total
