"""The tangent process by sampling: how a small perturbation of one trajectory grows.

    ds' = A ds + B de,   dy = C ds + D de,   Cov(de_k^t, de_k^s) = sigma_w^2 E[dy_k^t dy_k^s]

(tied; untied: independent in time). A, B, C, D are a unit's own derivatives along its trajectory.
m_1(T) = E|ds^T|^2 / E|ds^0|^2 is the mean squared singular value of the T-step Jacobian.
"""

from __future__ import annotations

import torch

from rnnmft.analysis.gaussian_memory import GaussianMemory
from rnnmft.analysis.particles import UnitProcess
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.theory.jacobian import jacobian_theory

__all__ = ["LocalDerivatives", "TangentProcess"]

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

    def __init__(self, process: UnitProcess, horizon: int) -> None:
        self.process, self.horizon = process, horizon
        self.derivatives = LocalDerivatives(process)
        cell = process.cell
        repetitions, _, units = process.shape
        self._memories = {
            p.name: self._memory(horizon) for p in cell.preactivations if p.is_recurrent
        }
        self._seen = {
            name: process.like.new_zeros((repetitions, horizon, units))
            for name in self._memories
            if process.tied
        }
        start = self._memory(len(cell.states))
        one = process.like.new_ones(repetitions)
        self.ds: list[Tensor] = [
            start.draw(process.like.new_zeros((repetitions, start.count)), one) for _ in cell.states
        ]

    def _memory(self, capacity: int) -> GaussianMemory:
        repetitions, _, units = self.process.shape
        return GaussianMemory(
            repetitions,
            units,
            capacity,
            self.process.generator,
            self.process.like,
            self.process.sampling.matched,
        )

    def step(self) -> None:
        """Move the perturbations by the step that the process just took."""
        a, b, c, d = self.derivatives()
        de: list[Tensor | None] = []
        for k, p in enumerate(self.process.cell.preactivations):
            if not p.is_recurrent:
                de.append(None)
                continue
            dy = _combine(c[k], self.ds, d[k], de)
            de.append(None if dy is None else self._draw(p.name, dy))
        zero = torch.zeros_like(self.ds[0])
        self.ds = [
            zero if (new := _combine(row_a, self.ds, row_b, de)) is None else new
            for row_a, row_b in zip(a, b, strict=True)
        ]

    def _draw(self, name: str, dy: Tensor) -> Tensor:
        weight = self.process.ensemble[name].sigma_w ** 2
        units = dy.shape[1]
        variance = weight * dy.square().mean(1)
        if not self.process.tied:
            fresh = self._memory(1)
            return fresh.draw(dy.new_zeros((dy.shape[0], 0)), variance)
        memory, seen = self._memories[name], self._seen[name]
        before = memory.count
        overlap = torch.bmm(seen[:, :before], dy[:, :, None])[:, :, 0] / units
        value = memory.draw(weight * overlap, variance)
        if memory.count > before:
            seen[:, before] = dy
        return value

    def mean_square(self) -> Tensor:
        """m_1 after the steps so far: sum of E[ds_a^2] over states, divided by their number; (R,)."""
        total = torch.stack([s.square().mean(1) for s in self.ds]).sum(0)
        return total / len(self.ds)


def _combine(
    left: list[Tensor | None],
    ds: list[Tensor],
    right: list[Tensor | None],
    de: list[Tensor | None],
) -> Tensor | None:
    """sum_b left_b ds_b + sum_l right_l de_l, skipping what is identically zero."""
    terms = [f * v for f, v in zip(left, ds, strict=True) if f is not None]
    terms += [
        f * v
        for f, v in zip(right, [*de, *[None] * (len(right) - len(de))], strict=True)
        if f is not None and v is not None
    ]
    return None if not terms else torch.stack(terms).sum(0) if len(terms) > 2 else sum(terms[1:], terms[0])
