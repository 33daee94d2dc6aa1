"""Averages over the units of each network while it runs; sums are taken in float64.

Eq. (second-moment), Eq. (memory).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rnnmft.language import Cell, Ensemble

__all__ = ["Recorder"]


class Recorder:
    """Collects, for one batch of networks, first, second and cross moments at every step.

    Args:
        cell: names the vectors that come in.
        ensemble: preactivations are taken about its mu_b.
        lags: of the autocovariance at the last step.
    """

    def __init__(self, cell: Cell, ensemble: Ensemble, lags: Sequence[int]) -> None:
        means = dict.fromkeys((s.name for s in cell.states), 0.0)
        self._means = means | {p.name: ensemble[p.name].mu_b for p in cell.preactivations}
        self._lags = tuple(lags)
        self._moments: list[Tensor] = []
        self._recent: deque[list[Tensor]] = deque(maxlen=max(self._lags, default=0) + 1)

    def record(self, states: Sequence[Tensor], preactivations: Sequence[Tensor]) -> None:
        """One step: tensors (networks, 2, N) in the cell's order."""
        vectors = [*states, *preactivations]
        row = []
        for v, mu in zip(vectors, self._means.values(), strict=True):
            v = v.double() - mu
            a, b = v.unbind(1)
            averages = (v.mean((1, 2)), v.square().mean((1, 2)), (a * b).mean(1))
            row.append(torch.stack(averages, dim=-1))
        self._moments.append(torch.stack(row))
        if self._lags:
            self._recent.append(vectors)

    def moments(self) -> np.ndarray:
        """First, second, cross moment of states, then e - mu_b: (names, networks, 3, steps)."""
        return torch.stack(self._moments, dim=-1).cpu().numpy()

    def autocovariance(self) -> np.ndarray:
        """(names, networks, lags): the average over both trajectories of v^T v^{T-lag}."""
        rows = []
        for i, mu in enumerate(self._means.values()):
            last = self._recent[-1][i].double() - mu
            lagged = [self._recent[-1 - lag][i].double() - mu for lag in self._lags]
            rows.append(torch.stack([(last * v).mean((1, 2)) for v in lagged], dim=-1))
        return torch.stack(rows).cpu().numpy()
