"""Runs of sampled units: which averages are recorded along the way, per repetition.

Each run draws the repetitions that it is asked for and returns arrays whose first axis counts them,
named "kind/name".

Eq. (second-moment), Eq. (memory).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.kept_runs import KeptRuns
from rnnmft.units.averaged_tangent import AveragedTangent, numbers_a_unit
from rnnmft.units.forgotten_covariance import witnesses_of
from rnnmft.units.particles import UnitProcess, recurrent_groups, trajectories_coincide
from rnnmft.units.recent_span import KEPT

__all__ = ["SampledSetting"]

Array = NDArray[np.float64]
Tensor = torch.Tensor
# Repetitions have numbers below this (`repetitions`): those of other points come after.
_REPETITIONS_APART = 1 << 24


@dataclass
class SampledSetting:
    """A cell at an ensemble, tied or untied, and the runs that measure it.

    With `points`, ensembles and inputs of which this is the first, the first axis of what a run
    returns counts the rows of all of them (`units.points`); with `numbers`, one for each of them,
    they share no random numbers. `directions`: how many weights keep before any is dropped
    (`units.recent_span`).
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    start: Mapping[str, float] = field(default_factory=dict)
    kept: KeptRuns = field(default_factory=KeptRuns, compare=False, repr=False)
    points: Sequence[tuple[Ensemble, Inputs]] = ()
    numbers: Sequence[int] = ()
    directions: int = KEPT

    def process(
        self, sampling: Sampling, repetitions: Iterable[int], trajectories: int
    ) -> UnitProcess:
        """Units at t = 0."""
        chosen = [r + first for r in repetitions for first in self._first_repetitions]
        return UnitProcess(
            self.cell,
            self.ensemble,
            self.inputs,
            self.tying,
            sampling,
            trajectories,
            chosen,
            self.start,
            self.points,
            self.directions,
            apart=bool(self.numbers),
        )

    @property
    def _first_repetitions(self) -> list[int]:
        """Of every point that has random numbers of its own."""
        return [(1 + number) * _REPETITIONS_APART for number in self.numbers] or [0]

    @property
    def coincides(self) -> bool:
        """Whether two trajectories cannot differ."""
        return trajectories_coincide(self.cell, self.ensemble, self.inputs, self.start or {})

    def unit_bytes(
        self,
        sampling: Sampling,
        steps: int,
        trajectories: int,
        tangent: int = 0,
        sides: tuple[int, int] = (0, 0),
    ) -> int:
        """Memory that a unit needs in a run of so many steps, the last `tangent` with tangents."""
        groups = recurrent_groups(self.cell)
        recurrent = [names for y, names in groups.items() if y != 0]
        columns = (sum(map(len, recurrent)) + len(recurrent)) * (self.tying == "tied")
        kept = min(steps * trajectories, self.directions + trajectories) * columns
        kept += witnesses_of(steps) * trajectories * len(recurrent) * (self.tying == "tied")
        kept += self._signal_numbers(trajectories) * (len(self.cell.preactivations) + 1)
        size = len(self.cell.states) + len(self.cell.preactivations) + 2
        working = 6 * size * trajectories + 48
        if tangent:
            working += numbers_a_unit(self.cell, tangent, sides, self.tying == "tied")
        return (kept + working) * (8 if sampling.dtype == "float64" else 4)

    def _signal_numbers(self, trajectories: int) -> int:
        """Numbers a unit that an input signal keeps."""
        if self.inputs.data is not None:
            return self.inputs.data.paths.shape[2]
        temporal = self.inputs.temporal
        return trajectories * (1 if isinstance(temporal, str) else len(temporal))

    # --- runs ----------------------------------------------------------------------------------

    def moments(
        self,
        sampling: Sampling,
        repetitions: Iterable[int],
        steps: int,
        trajectories: int,
    ) -> dict[str, Array]:
        """second/state, pre/name: (R, steps, P, P); mean/, prescribed/ and average/: (R, steps).

        check/.. say what became of the bases.
        """
        which = self._which(sampling, repetitions, trajectories)
        process, found = self.kept.resume(
            which, steps, lambda: self.process(sampling, which[1], trajectories), recorded=True
        )
        for _ in range(process.time, steps):
            process.step()
            for name, value in process.second_moments().items():
                found.setdefault(f"second/{name}", []).append(value)
                mean = process.states[name][:, 0].mean(1)
                found.setdefault(f"mean/{name}", []).append(mean)
            for m, value in process.averages.items():
                found.setdefault(f"average/{m.name}", []).append(value.mean((1, 2)))
            for name, value in process.preactivation_moments().items():
                found.setdefault(f"pre/{name}", []).append(value)
                found.setdefault(f"prescribed/{name}", []).append(process.prescribed[name][:, 0])
        self.kept.keep(which, process, found, ended=True)
        return _stacked(found | _checks(process))

    def stepped(
        self, sampling: Sampling, repetitions: Iterable[int], steps: int, trajectories: int
    ) -> UnitProcess:
        """Units after so many steps, free to go on; kept for runs of more steps."""
        which = self._which(sampling, repetitions, trajectories)
        process, _ = self.kept.resume(
            which, steps, lambda: self.process(sampling, which[1], trajectories), recorded=False
        )
        if process.time < steps:
            for _ in range(process.time, steps):
                process.step()
            self.kept.keep(which, process)
        return process

    def _which(
        self, sampling: Sampling, repetitions: Iterable[int], trajectories: int
    ) -> tuple[Sampling, tuple[int, ...], int, tuple[tuple[str, float], ...]]:
        """The units of a run, as they are kept."""
        return sampling, tuple(repetitions), trajectories, tuple(self.start.items())

    def tangents(
        self,
        sampling: Sampling,
        repetitions: Iterable[int],
        burn_in: int,
        horizon: int,
        trajectories: int = 1,
        windows: int = 1,
        pause: int = 0,
    ) -> dict[str, Array]:
        """The growth of perturbations that start after burn_in steps.

        Args:
            sampling: the units.
            repetitions: which of them.
            burn_in: steps from the start.
            horizon: steps of the perturbation.
            trajectories: 2 for a perturbation of the cross moments of two trajectories, whose
                growth rate is log chi(c*) = -1 / xi_c.
            windows: how many perturbations, one after another.
            pause: steps between the end of one and the start of the next.

        Returns:
            m_1, log_m_1: (R, horizon), of the T-step Jacobian, T = 1, .., horizon (of two
            trajectories: E[ds_a ds_b], and the logarithm of its size); log_sums: (R, horizon // 2),
            the logarithms of the drive's kernel summed over the times of one sum, where the
            weights are tied and not zero (`AveragedTangent.log_kernel_sums`). Of several windows
            (R, windows, ..).
        """
        which = (*self._which(sampling, repetitions, trajectories), burn_in)
        tangent, recorded = self.kept.take_tangent(which, horizon) or (None, {})
        if tangent is None or windows > 1:
            process = self.stepped(sampling, which[1], burn_in, trajectories)
            tangent, recorded = AveragedTangent(process, (0, trajectories - 1)), {}
        process, each = tangent.process, [_perturbed(tangent, recorded, horizon)]
        if windows == 1:
            self.kept.keep_tangent(which, tangent, recorded)
        for _ in range(1, windows):
            for _ in range(pause):
                process.step()
            tangent = AveragedTangent(process, tangent.sides)
            each.append(_perturbed(tangent, {}, horizon))
        found = {n: np.stack([part[n] for part in each], 1) for n in each[0]}
        if windows == 1:
            found = {n: v[:, 0] for n, v in found.items()}
        return found | _stacked(_checks(process))

    def blocks(
        self, sampling: Sampling, repetitions: Iterable[int], burn_in: int, horizon: int
    ) -> dict[str, Array]:
        """block: (R, horizon, m, m), E[|ds_a^T|^2] of state a where state b alone was perturbed.

        A perturbation of each state, after burn_in steps of the same process.
        """
        process = self.process(sampling, repetitions, 1)
        for _ in range(burn_in):
            process.step()
        tangents = [AveragedTangent(process, perturbed=[b]) for b in range(len(self.cell.states))]
        found: list[Tensor] = []
        for _ in range(horizon):
            process.step()
            for tangent in tangents:
                tangent.step()
            found.append(torch.stack([t.state_mean_squares() for t in tangents], 2))
        return _stacked({"block": found} | _checks(process))

    def autocorrelations(
        self, sampling: Sampling, repetitions: Iterable[int], burn_in: int, lags: int
    ) -> dict[str, Array]:
        """lag/name: (R, lags + 1), E[v^t v^{t - tau}] at t = burn_in + lags + 1.

        Averaged over both trajectories where these have laws of their own.
        """
        process = self.process(sampling, repetitions, 1 if self.inputs.data is None else 2)
        history: list[dict[str, Tensor]] = []
        for _ in range(burn_in + lags + 1):
            process.step()
            if process.time > burn_in:
                history.append(self._fluctuations(process))
        found: dict[str, list[Tensor]] = {}
        for name, last in history[-1].items():
            products = [(last * past[name]).mean((1, 2)) for past in reversed(history)]
            found[f"lag/{name}"] = products
        return _stacked(found | _checks(process))

    def _fluctuations(self, process: UnitProcess) -> dict[str, Tensor]:
        """States, and preactivations about mu_b, (R, P, M)."""
        values = dict(process.states)
        values |= {
            p.name: process.e[p.name] - self.ensemble[p.name].mu_b for p in self.cell.preactivations
        }
        return values


def _perturbed(
    tangent: AveragedTangent, found: dict[str, list[Tensor]], horizon: int
) -> dict[str, Array]:
    """What `tangents` tells of a perturbation; `found` is what was recorded of its steps so far."""
    for _ in range(len(found.setdefault("m_1", [])), horizon):
        tangent.process.step()
        tangent.step()
        found["m_1"].append(tangent.mean_square())
        found.setdefault("log_m_1", []).append(tangent.log_mean_square())
        found.setdefault("check/effective", []).append(tangent.effective_units())
    sums = tangent.log_kernel_sums()
    return _stacked(found if sums is None else found | {"log_sums": list(sums.unbind(1))})


def _checks(process: UnitProcess) -> dict[str, list[Tensor]]:
    """What became of the bases: check/directions and check/defect, (R, 1), the gaps, (R, octaves).

    check/gap and check/square_gap are of the covariance that was lost with dropped directions.
    """
    numbers = {"directions": float(process.directions), "defect": process.defect}
    ones = process.like.new_ones(process.shape[0])
    gap, square = process.forgotten
    return {f"check/{name}": [number * ones] for name, number in numbers.items()} | {
        "check/gap": list(gap.unbind(1)),
        "check/square_gap": list(square.unbind(1)),
    }


def _stacked(found: Mapping[str, list[Tensor]]) -> dict[str, Array]:
    return {n: torch.stack(rows, 1).double().cpu().numpy() for n, rows in found.items()}
