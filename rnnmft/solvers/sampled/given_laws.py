"""Averages at given preactivation laws by sampled units: for cells that nothing else solves.

Untied, nothing of a preactivation but its law enters: the units of `rnnmft.units` are moved with a
fresh bias N(mu_k, q_k) and no weights, and one such run serves every sigma_w. A perturbation's step
follows from the averages of a unit's squared derivatives,

    E[dy_k^2] = sum_b E[C_kb^2] + sum_j E[D_kj^2] sigma_w,j^2 E[dy_j^2]
    m_1       = sum_a share_a (sum_b E[A_ab^2] + sum_k E[B_ak^2] sigma_w,k^2 E[dy_k^2])

for ds' = A ds + B de, dy = C ds + D de: de_k = W_k dy_k is independent of everything before it. Of
more than one step, units remember: growth 0 follows from what returns of a perturbation in all
steps together (`returned`).

Eq. (given-laws), Eq. (returned).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.ensemble import PreactivationLaw
from rnnmft.language.laws import Law
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.returned import ReturnedVariance
from rnnmft.solvers.tangents import Tangent
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.units.particles import UnitProcess

__all__ = ["SampledLaws"]

Array = NDArray[np.float64]
# One unit in so many is moved, but read so often, over twice as many steps as the burn-in takes.
_FEWER, _READINGS = 8, 24
# What returns is read over twice the burn-in: it still grows if its later half is so much larger,
# which sampling does not make it.
_GROWN = 1.5


@dataclass(frozen=True)
class SampledAverages:
    """Units at one set of preactivation laws."""

    laws: SampledLaws
    q: Mapping[str, float]
    mu: Mapping[str, float]

    @cached_property
    def _averages(self) -> tuple[Array, Array, list[Array]]:
        """E[s^2], E[y^2], and the mean squares of A, B, C, D."""
        laws, found = self.laws, np.array([squares for squares, _ in self._read]).mean(0)
        states, preactivations = len(laws.cell.states), len(laws.cell.preactivations)
        second, seen, rest = np.split(found, [states, states + preactivations])
        shapes = [b.shape for b in jacobian_theory(laws.cell).blocks]
        parts = np.split(rest, np.cumsum([r * c for r, c in shapes])[:-1])
        blocks = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return second, seen, blocks

    @cached_property
    def _returned(self) -> Array:
        """R, (K, K): infinite where it still grows while it is read."""
        rows = np.array([returned for _, returned in self._read])
        half = len(rows) // 2
        early, late = rows[:half].mean(0), rows[half:].mean(0)
        return np.where(late > _GROWN * early, math.inf, rows.mean(0))

    @cached_property
    def _read(self) -> list[tuple[list[float], list[list[float]]]]:
        """Mean squares and R, `_READINGS` times once the zero state is forgotten."""
        laws = self.laws
        biases = {
            p.name: PreactivationLaw(0.0, 0.0, self.mu[p.name], math.sqrt(self.q[p.name]))
            for p in laws.cell.preactivations
        }
        ensemble = Ensemble(biases, laws.laws)
        process = UnitProcess(
            laws.cell, ensemble, laws.inputs, "untied", laws.moved, trajectories=1
        )
        stride = max(1, 2 * laws.burn_in // _READINGS)
        returned, found = ReturnedVariance(laws.zero), []
        for step in range(1, laws.burn_in + _READINGS * stride + 1):
            process.step()
            values = laws.read(*process.now)
            a, b, c, d = laws.matrices(values, process.shape)
            returned.step(a, b)
            if step > laws.burn_in and (step - laws.burn_in) % stride == 0:
                found.append(([float(v.square().mean()) for v in values], returned.seen(c, d)))
        return found

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        return {
            s.name: float(v) for s, v in zip(self.laws.cell.states, self._averages[0], strict=True)
        }

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]}."""
        pairs = zip(self.laws.cell.preactivations, self._averages[1], strict=True)
        return {p.name: float(v) for p, v in pairs if p.is_recurrent}

    @property
    def closed(self) -> None:
        """None: moments do not close."""

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 at the given sigma_w^2, and whether gradients grow: the operator is of generations.

        Its growth is 0 where that of steps is, and of the same sign.
        """
        a, b, c, d = self._averages[2]
        variances: list[float] = []
        for p, row, earlier in zip(self.laws.cell.preactivations, c, d, strict=True):
            perturbed = row.sum() + sum(e * v for e, v in zip(earlier, variances, strict=False))
            variances.append(squares.get(p.name, 0.0) * float(perturbed))
        shares = np.array([float(w) for w in self.laws.cell.shares])
        mean_square = float(shares @ (a.sum(1) + b @ variances))
        weights = np.array([squares.get(p.name, 0.0) for p in self.laws.cell.preactivations])
        # What returns for ever through units alone is as good as growth without bound.
        operator = np.where(weights > 0.0, self._returned, 0.0) * weights
        return Tangent(mean_square, operator)


@dataclass(frozen=True)
class SampledLaws:
    """Any cell; `burn_in` steps bring the zero state to stationarity."""

    cell: Cell
    inputs: Inputs
    laws: Mapping[str, Law]
    sampling: Sampling
    burn_in: int
    method: str = "sampled units"
    closes: bool = False
    is_sampled: bool = True
    precision: float = 1e-2

    @cached_property
    def moved(self) -> Sampling:
        """The units that are moved: all together, for nobody asks for a standard error."""
        return replace(self._with(self.sampling.units // _FEWER), repetitions=2)

    @property
    def coarse(self) -> SampledLaws:
        """The averages with fewer units and half the steps."""
        return replace(
            self, sampling=self._with(self.sampling.units // 8), burn_in=self.burn_in // 2
        )

    def _with(self, units: int) -> Sampling:
        return replace(self.sampling, units=max(units, 16 * self.sampling.repetitions))

    @cached_property
    def zero(self) -> list[list[list[bool]]]:
        """Which entries of A, B, C, D are identically zero."""
        blocks = jacobian_theory(self.cell).blocks
        return [[[bool(e == 0) for e in row] for row in block.tolist()] for block in blocks]

    def matrices(
        self, values: Sequence[torch.Tensor], shape: tuple[int, ...]
    ) -> list[list[list[torch.Tensor]]]:
        """A, B, C, D of what was read, an entry (units,)."""
        entries = iter(values[len(self.cell.states) + len(self.cell.preactivations) :])
        return [[[next(entries).expand(shape).flatten() for _ in r] for r in z] for z in self.zero]

    @cached_property
    def read(self) -> Callable[..., tuple[torch.Tensor, ...]]:
        """States, what weights see, and the entries of A, B, C, D, of a process's arguments."""
        cell, sampling = self.cell, self.sampling
        entries = [e for block in jacobian_theory(cell).blocks for e in block]
        return compile_elementwise(
            [*cell.states, *cell.sees.values(), *entries],
            cell.arguments,
            torch_backend(sampling.device, sampling.dtype),
        )

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> SampledAverages:
        """The averages at variances q and means mu."""
        return SampledAverages(self, dict(q), dict(mu))
