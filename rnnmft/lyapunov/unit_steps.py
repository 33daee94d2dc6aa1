"""The linearised steps of sampled units along their own trajectories, without the matrices W.

    ds^{t+1} = A^t ds^t + B^t de^t,     dy^t = C^t ds^t + D^t de^t

Eq. (linearised).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rnnmft.language.weight_ensembles import WeightEnsemble, weight_ensemble
from rnnmft.units.local_derivatives import LocalDerivatives, Matrix
from rnnmft.units.particles import UnitProcess

__all__ = ["UnitSteps", "sampled_steps"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class UnitSteps:
    """T steps of M units with m states and K recurrent preactivations.

    Attributes:
        a, b, c, d: (M, T, m, m), (M, T, m, K), (M, T, K, m), (M, T, K, K).
        sigma_w: of the K preactivations.
        weights: their ensembles.
        tied: whether weights are shared over time.
        parts: into how many independent parts the units fall, one after the other.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor
    sigma_w: tuple[float, ...]
    weights: tuple[WeightEnsemble, ...]
    tied: bool
    parts: int = 1

    @property
    def window(self) -> int:
        """T."""
        return self.a.shape[1]

    def part(self, index: int) -> UnitSteps:
        """One of the independent parts."""
        size = len(self.a) // self.parts
        kept = slice(index * size, (index + 1) * size)
        cut = {name: getattr(self, name)[kept] for name in "abcd"}
        return replace(self, **cut, parts=1)

    def shortened(self, window: int) -> UnitSteps:
        """Only the middle of the window."""
        first = (self.window - window) // 2
        kept = slice(first, first + window)
        return replace(self, **{name: getattr(self, name)[:, kept] for name in "abcd"})


def sampled_steps(process: UnitProcess, window: int) -> UnitSteps:
    """Step a process `window` times and collect every unit's linearised steps.

    Args:
        process: at stationarity; it is stepped.
        window: T.
    """
    cell, ensemble = process.cell, process.ensemble
    derivatives = LocalDerivatives(process)
    states = list(range(len(cell.states)))
    used = [
        k
        for k, p in enumerate(cell.preactivations)
        if p.is_recurrent and ensemble[p.name].sigma_w > 0.0
    ]
    places = ((states, states), (states, used), (used, states), (used, used))
    steps: list[list[Tensor]] = [[] for _ in places]
    for _ in range(window):
        process.step()
        for found, matrix, (rows, columns) in zip(steps, derivatives(), places, strict=True):
            found.append(_stacked(matrix, rows, columns, process))
    names = [cell.preactivations[k].name for k in used]
    a, b, c, d = (torch.stack(found, dim=1) for found in steps)
    return UnitSteps(
        a,
        b,
        c,
        d,
        tuple(ensemble[n].sigma_w for n in names),
        tuple(weight_ensemble(ensemble[n].weights) for n in names),
        process.tied,
        process.shape[0],
    )


def _stacked(matrix: Matrix, rows: list[int], columns: list[int], process: UnitProcess) -> Tensor:
    """Some entries of a matrix of every unit, (M, rows, columns)."""
    repetitions, _, units = process.shape
    found = torch.zeros(
        (repetitions * units, len(rows), len(columns)),
        dtype=torch.float64,
        device=process.like.device,
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            entry = matrix[row][column]
            if entry is not None:
                found[:, i, j] = entry.reshape(-1)
    return found
