"""Perturbations of networks of units, pushed through a layer's own matrices and rescaled.

    de_k = W_k dy_k,    ds' = A ds + B de,    dy = C ds + D de

A, B, C, D are the units' own derivatives; several perturbations share those of one network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from rnnmft.diagnosis.probes import orthogonal_probes
from rnnmft.units.local_derivatives import LocalDerivatives, combine
from rnnmft.units.particles import UnitProcess

__all__ = ["Perturbations"]

Tensor = torch.Tensor
_ONE = torch.ones((), dtype=torch.float64)


class Perturbations:
    """Of networks of N units, (probes, repetitions, networks a repetition * N) a state.

    Args:
        process: the units.
        matrices: {preactivation: W (N, N); None where there is none}.
        networks: how many networks they are, and N.
        probes: perturbations of each.
        seed: of their directions.
    """

    def __init__(
        self,
        process: UnitProcess,
        matrices: Mapping[str, Tensor | None],
        networks: tuple[int, int],
        probes: int,
        seed: int,
    ) -> None:
        self.process, self.matrices = process, matrices
        self.derivatives = LocalDerivatives(process)
        repetitions, _, units = process.shape
        self.shape = (probes, repetitions, units)
        self.networks = (probes, *networks)
        random = torch.Generator().manual_seed(seed)
        states = process.cell.states
        self.ds = [orthogonal_probes(self.networks, random).view(self.shape) for _ in states]
        self.log_squares = torch.full(
            self.networks[:2], -math.log(networks[1] * len(states)), dtype=torch.float64
        )

    def step(self) -> Tensor:
        """ln |ds|^2 / (m N) after the step that the process just took, (networks, probes)."""
        self.local = self.derivatives()
        a, b, c, d = self.local
        de: list[Tensor | None] = []
        for k, p in enumerate(self.process.cell.preactivations):
            matrix = self.matrices[p.name]
            if matrix is None:
                de.append(None)
                continue
            dy = combine([*c[k], *d[k]], [*self.ds, *de])
            de.append(None if dy is None else self._times(dy, matrix.T))
        moved = [combine([*x, *y], [*self.ds, *de]) for x, y in zip(a, b, strict=True)]
        new = [torch.zeros(self.shape, dtype=torch.float64) if s is None else s for s in moved]
        norm = torch.stack([s.reshape(self.networks).square().sum(2) for s in new]).sum(0)
        root = torch.where((norm > 0) & norm.isfinite(), norm.sqrt(), 1.0)
        self.ds = [(s.reshape(self.networks) / root[..., None]).view(self.shape) for s in new]
        self.log_squares = self.log_squares + norm.log()
        return self.log_squares.T

    def isometry(self) -> tuple[float, float]:
        """m_2 - m_1^2 of the first step, from |J u|^2 and |J^T J u|^2, and its standard error."""
        a, b, c, d = self.local
        names = [p.name for p in self.process.cell.preactivations]
        back = [combine([row[j] for row in a], [*self.ds]) for j in range(len(self.ds))]
        on_e = [combine([row[k] for row in b], [*self.ds]) for k in range(len(names))]
        # Backwards through the chain of preactivations: what W_k sees may hold earlier ones.
        for k in reversed(range(len(names))):
            matrix, above = self.matrices[names[k]], on_e[k]
            if matrix is None or above is None:
                continue
            on_y = self._times(above, matrix)
            back = [combine([c[k][j], _ONE], [on_y, x]) for j, x in enumerate(back)]
            on_e = [combine([d[k][j], _ONE], [on_y, x]) for j, x in enumerate(on_e)]
        m_1 = self.log_squares.exp()
        # The tangents have been rescaled to |J u| = 1.
        m_2 = torch.zeros_like(m_1)
        for x in back:
            if x is not None:
                m_2 += x.reshape(self.networks).square().sum(2) * m_1
        m_1, m_2 = m_1.mean(0), m_2.mean(0)
        rows = m_2 - 2 * m_1.mean() * m_1
        return float(m_2.mean() - m_1.mean() ** 2), float(rows.std()) / math.sqrt(len(rows))

    def _times(self, values: Tensor, matrix: Tensor) -> Tensor:
        """Row vectors of every network times a matrix (N, N)."""
        return (values.reshape(self.networks) @ matrix).view(self.shape)
