"""Runs of sampled units: which averages are recorded along the way, per repetition.

Each run draws the repetitions that it is asked for and returns arrays whose first axis counts them,
named "kind/name".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.analysis.units.averaged_tangent import AveragedTangent
from rnnmft.analysis.units.particles import UnitProcess, recurrent_groups, trajectories_coincide
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.sampling import Sampling

__all__ = ["SampledSetting"]

Array = NDArray[np.float64]
Tensor = torch.Tensor


@dataclass(frozen=True)
class SampledSetting:
    """A cell at an ensemble, tied or untied, and the runs that measure it."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    start: Mapping[str, float] = field(default_factory=dict)

    def process(
        self, sampling: Sampling, repetitions: Iterable[int], trajectories: int
    ) -> UnitProcess:
        """Units at t = 0."""
        return UnitProcess(
            self.cell,
            self.ensemble,
            self.inputs,
            self.tying,
            sampling,
            trajectories,
            list(repetitions),
            self.start,
        )

    @property
    def coincides(self) -> bool:
        """Whether two trajectories cannot differ."""
        return trajectories_coincide(self.cell, self.ensemble, self.inputs, self.start or {})

    @property
    def differs_from_start(self) -> bool:
        """Whether two trajectories differ by their start alone: nothing drives them apart later."""
        alike = trajectories_coincide(self.cell, self.ensemble, self.inputs, {})
        return alike and not self.coincides

    def unit_bytes(
        self, sampling: Sampling, steps: int, trajectories: int, tangent: int = 0
    ) -> int:
        """Memory that a unit needs in a run of so many steps, the last `tangent` with tangents."""
        groups = recurrent_groups(self.cell)
        recurrent = [names for y, names in groups.items() if y != 0]
        columns = (sum(map(len, recurrent)) + len(recurrent)) * (self.tying == "tied")
        kept = steps * trajectories * columns + tangent * columns
        lags = 1 if isinstance(self.inputs.temporal, str) else len(self.inputs.temporal)
        kept += lags * trajectories * (len(self.cell.preactivations) + 1)
        size = len(self.cell.states) + len(self.cell.preactivations) + 2
        working = 6 * size * trajectories + 48 + (tangent > 0) * 2 * size**2
        return (kept + working) * (8 if sampling.dtype == "float64" else 4)

    # --- runs ----------------------------------------------------------------------------------

    def moments(
        self,
        sampling: Sampling,
        repetitions: Iterable[int],
        steps: int,
        trajectories: int,
        burn_in: int = 0,
    ) -> dict[str, Array]:
        """second/state, pre/name: (R, steps, P, P); mean/state, prescribed/name: (R, steps).

        Two trajectories start as `start` says, or equal, from the state that one reaches in
        `burn_in` steps. check/directions and check/defect, (R, 1), say what became of the bases.
        """
        process = self.process(sampling, repetitions, 1 if burn_in else trajectories)
        for _ in range(burn_in):
            process.step()
        if burn_in and trajectories == 2:
            process.split()
        found: dict[str, list[Tensor]] = {}
        for _ in range(steps):
            process.step()
            for name, value in process.second_moments().items():
                found.setdefault(f"second/{name}", []).append(value)
                mean = process.states[name][:, 0].mean(1)
                found.setdefault(f"mean/{name}", []).append(mean)
            for name, value in process.preactivation_moments().items():
                found.setdefault(f"pre/{name}", []).append(value)
                found.setdefault(f"prescribed/{name}", []).append(process.prescribed[name][:, 0])
        checks = {"directions": float(process.directions), "defect": process.defect}
        for name, number in checks.items():
            found[f"check/{name}"] = [process.like.new_full((process.shape[0],), number)]
        return _stacked(found)

    def tangents(
        self, sampling: Sampling, repetitions: Iterable[int], burn_in: int, horizon: int
    ) -> dict[str, Array]:
        """m_1: (R, horizon), the Jacobian starting after burn_in steps."""
        process = self.process(sampling, repetitions, 1)
        for _ in range(burn_in):
            process.step()
        tangent = AveragedTangent(process)
        squares = []
        for _ in range(horizon):
            process.step()
            tangent.step()
            squares.append(tangent.mean_square())
        return _stacked({"m_1": squares})

    def autocorrelations(
        self, sampling: Sampling, repetitions: Iterable[int], burn_in: int, lags: int
    ) -> dict[str, Array]:
        """lag/name: (R, lags + 1), E[v^t v^{t - tau}] at t = burn_in + lags + 1."""
        process = self.process(sampling, repetitions, 1)
        history: list[dict[str, Tensor]] = []
        for _ in range(burn_in + lags + 1):
            process.step()
            if process.time > burn_in:
                history.append(self._fluctuations(process))
        found: dict[str, list[Tensor]] = {}
        for name, last in history[-1].items():
            products = [(last * past[name]).mean(1) for past in reversed(history)]
            found[f"lag/{name}"] = products
        return _stacked(found)

    def _fluctuations(self, process: UnitProcess) -> dict[str, Tensor]:
        """States, and preactivations about mu_b, of the first trajectory."""
        values = {name: value[:, 0] for name, value in process.states.items()}
        values |= {
            p.name: process.e[p.name][:, 0] - self.ensemble[p.name].mu_b
            for p in self.cell.preactivations
        }
        return values


def _stacked(found: Mapping[str, list[Tensor]]) -> dict[str, Array]:
    return {n: torch.stack(rows, 1).double().cpu().numpy() for n, rows in found.items()}
