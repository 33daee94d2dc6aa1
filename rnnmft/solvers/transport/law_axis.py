"""Points of a parameter space as one axis of the transport, and the search for all their laws.

The maps of `accumulated_model` broadcast over parameters that are arrays. So the equations of many
points, or of one at many second moments, are as many matrices on one coarse grid, made and solved
together.

Eq. (transport), Eq. (fixed-point).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel
from rnnmft.solvers.transport.law_grid import LawGrid

__all__ = ["LawAxis"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]
# Where roots of one driver are bracketed, three a decade; readouts are bounded by 1.
_GRID = np.concatenate([[0.0], np.geomspace(1e-6, 10.0, 22)])
# Laws at once, next to each other in their variances: all have the quadrature of the widest.
_AT_ONCE = 8
# Of a bracketed root, a start only: the coarse grid's own error is larger. Brackets span a third of
# a decade: it takes some eight steps.
_ROUGH, _STEPS = 1e-6, 40


@dataclass(frozen=True)
class _Parameters:
    """Of one preactivation at many points: (B,) each."""

    sigma_w: Array
    sigma_v: Array
    sigma_b: Array
    mu_b: Array


@dataclass(frozen=True)
class _Drive:
    """Of the inputs at many points: (B,) each."""

    R: Array
    correlation: Array


@dataclass(frozen=True, eq=False)
class LawAxis:
    """Points of one cell on one grid.

    Args:
        cell: of all.
        points: the ensemble and inputs of each.
        grid, nodes: of `AccumulatedModel`.
    """

    cell: Cell
    points: Sequence[tuple[Ensemble, Inputs]]
    grid: LawGrid
    nodes: int

    def _model(self, which: Places) -> AccumulatedModel:
        """The maps of some of the points, a point as often as it is named."""
        chosen = [self.points[i] for i in which]
        names = [p.name for p in self.cell.preactivations]

        def along(name: str, parameter: str) -> Array:
            return np.array([getattr(ensemble[name], parameter) for ensemble, _ in chosen])

        fields = tuple(_Parameters.__dataclass_fields__)
        laws: Any = {n: _Parameters(*(along(n, field) for field in fields)) for n in names}
        drive: Any = _Drive(
            np.array([inputs.R for _, inputs in chosen]),
            np.array([inputs.correlation for _, inputs in chosen]),
        )
        ensemble, inputs = cast(Ensemble, laws), cast(Inputs, drive)
        return AccumulatedModel(self.cell, ensemble, inputs, self.grid, self.nodes)

    def gaps(self, driver: str, which: Places, values: Array) -> Array:
        """E[s^2] that follows from an E[s^2] of the state that drives, less that: (B,).

        Args:
            driver: the state whose second moment is fed back.
            which: the points, (B,).
            values: its second moments, (B,).
        """
        found = np.empty(len(values))
        for first in range(0, len(values), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            second: Mapping[str, Array] = {
                s.name: values[part] if s.name == driver else np.zeros_like(values[part])
                for s in self.cell.states
            }
            found[part] = self._model(which[part]).seconds(second)[driver] - values[part]
        return found

    def roots(self, driver: str) -> list[list[float]]:
        """Near all fixed points of each point, one driver feeding back."""
        count, width = len(self.points), len(_GRID)
        every, grid = np.tile(np.arange(count), width), np.repeat(_GRID, count)
        table = self.gaps(driver, every, grid).reshape(width, count).T
        which, left = np.nonzero(table[:, :-1] * table[:, 1:] < 0.0)
        ends = _GRID[left], _GRID[left + 1], table[which, left], table[which, left + 1]
        found = [_GRID[row == 0.0].tolist() for row in table]
        for i, v in zip(which, self._refined(driver, which, *ends), strict=True):
            found[i].append(float(v))
        return found

    def _refined(
        self, driver: str, which: Places, low: Array, high: Array, at_low: Array, at_high: Array
    ) -> Array:
        """Roots in brackets, by regula falsi; an end that stays twice counts half (Illinois)."""
        root, side = low, np.zeros(len(which))
        for _ in range(_STEPS):
            before, root = root, (low * at_high - high * at_low) / (at_high - at_low)
            if (np.abs(root - before) <= _ROUGH * root).all():
                break
            at_root = self.gaps(driver, which, root)
            above = at_root * at_high > 0.0
            at_low = np.where(above, np.where(side > 0.0, at_low / 2.0, at_low), at_root)
            at_high = np.where(above, at_root, np.where(side < 0.0, at_high / 2.0, at_high))
            low, high = np.where(above, low, root), np.where(above, root, high)
            side = np.where(above, 1.0, -1.0)
        return root
