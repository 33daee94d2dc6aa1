"""Runs of many points whose units move together, taken apart by point.

Eq. (tied-basis), Eq. (averaged-tangent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.devices import free_memory
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.kept_runs import KeptRuns
from rnnmft.solvers.sampled.readings import gradient_readings, late_readings
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.units.repetitions import Run, Samples, draw_repetitions

__all__ = ["JointRuns", "RunAsked", "joined", "points_together"]

Array = NDArray[np.float64]
# Numbers of units that a processor moves at once: fewer are no faster, for their directions do not
# stay near it, and what a step costs whatever is in it comes more often.
_AT_ONCE = 1 << 17
# Directions that weights keep before any is dropped. What goes with them is measured, and is far
# below the error of a map.
_DIRECTIONS = 64
# Bytes of runs that may go on: those of one batch, of a cell with several weights.
_KEPT = 1 << 28
# Points that share random numbers, of which each is drawn once: more would gain little.
_SHARING = 8


@dataclass(frozen=True)
class RunAsked:
    """A run that a point asks for.

    Attributes:
        sampling: its units.
        burn_in: steps, which are recorded where there is no horizon.
        horizon: steps of a perturbation that starts after them; 0 for a run of moments.
        first: number of the first repetition: those before are drawn already.
        windows: how many perturbations, one after another.
        pause: steps between two of them.
        apart: whether points have random numbers of their own.
    """

    sampling: Sampling
    burn_in: int
    horizon: int = 0
    first: int = 0
    windows: int = 1
    pause: int = 0
    apart: bool = False

    @property
    def steps(self) -> int:
        """Of its units."""
        return self.burn_in + self.windows * (self.horizon + self.pause)

    def steps_made(self, other: RunAsked) -> int:
        """How many of them units of another run have made: these are kept where they settled."""
        if (self.sampling, self.first, self.apart) != (other.sampling, other.first, other.apart):
            return 0
        if self.horizon:
            return self.burn_in if self.burn_in == other.burn_in else 0
        return other.burn_in if self.burn_in > other.burn_in and not other.horizon else 0


class JointRuns:
    """Some points of a parameter space: what one of their runs has begun, the next goes on with.

    Args:
        cell: of all points.
        points: the ensemble and inputs of each.
        tying: "tied" or "untied".
        start: {state: standard deviation at t = 0}.
        numbers: of the points, where each has random numbers of its own.
    """

    def __init__(
        self,
        cell: Cell,
        points: Sequence[tuple[Ensemble, Inputs]],
        tying: str,
        start: Mapping[str, float],
        numbers: Sequence[int] = (),
    ) -> None:
        self.count = len(points)
        self.setting = SampledSetting(
            cell,
            *points[0],
            tying,
            start,
            KeptRuns(_KEPT),
            points=tuple(points),
            numbers=tuple(numbers),
            directions=_DIRECTIONS,
        )

    def draw(self, asked: RunAsked) -> list[Samples]:
        """The run of every point."""
        setting, horizon = self.setting, asked.horizon

        def run(plan: Sampling, numbers: range) -> Mapping[str, Array]:
            # Another size of batches makes no other run of it.
            plan = replace(plan, memory=asked.sampling.memory)
            if horizon:
                found = setting.tangents(
                    plan,
                    numbers,
                    asked.burn_in,
                    horizon,
                    windows=asked.windows,
                    pause=asked.pause,
                )
            else:
                found = setting.moments(plan, numbers, asked.burn_in, 1)
            return {n: v.reshape(len(numbers), self.count, *v.shape[1:]) for n, v in found.items()}

        return self._drawn(run, asked)

    def _drawn(self, run: Run, asked: RunAsked) -> list[Samples]:
        size = self.count * self.setting.unit_bytes(asked.sampling, asked.steps, 1, asked.horizon)
        sampling = asked.sampling
        if sampling.memory is None and free_memory(sampling.device) is None:
            sampling = replace(sampling, memory=max(size * (_AT_ONCE // self.count), 1 << 20))
        drawn = draw_repetitions(
            run,
            sampling,
            size,
            gradient_readings if asked.horizon else late_readings,
            asked.first,
        )
        return [
            replace(drawn, values=_of(drawn.values, b), small=drawn.small and _of(drawn.small, b))
            for b in range(self.count)
        ]


def points_together(asked: RunAsked) -> int:
    """How many points are best drawn together."""
    return max(_SHARING, _AT_ONCE // asked.sampling.total)


def _of(values: Mapping[str, Array], point: int) -> dict[str, Array]:
    return {n: v[:, point] for n, v in values.items()}


def joined(known: Samples | None, more: Samples) -> Samples:
    """The repetitions of two runs that differ in nothing else."""
    if known is None:
        return more
    sampling = more.sampling.of(
        more.sampling.per_repetition, known.sampling.repetitions + more.sampling.repetitions
    )
    # What few units tell of the bias gets better with what it is compared to.
    small = more.small and known.small and _together(known.small, more.small)
    values = _together(known.values, more.values)
    return replace(more, values=values, small=small, sampling=sampling)


def _together(known: Mapping[str, Array], more: Mapping[str, Array]) -> dict[str, Array]:
    return {n: np.concatenate([known[n], v]) for n, v in more.items()}
