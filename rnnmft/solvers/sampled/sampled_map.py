"""Many points of a parameter space by sampled units, each to its own tolerance.

Every point asks for one run after another as it would alone: moments until they have settled
(`stationary`), then perturbations, over more steps or with more units, until the growth rate is
known well enough (`growth_search`). Points that ask for the same run move together (`joint_runs`).
All share their random numbers: differences of neighbours are far less noisy than each of them.

Eq. (tied-kernel), Eq. (averaged-tangent), Eq. (growth-bracket).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.growth_search import Effort, GrowthFound, growth_runs
from rnnmft.solvers.sampled.joint_runs import JointRuns, RunAsked, joined
from rnnmft.solvers.sampled.readings import READ, second_moments
from rnnmft.solvers.sampled.relaxation import Rate, slowest_rate, timescale
from rnnmft.solvers.sampled.stationary import Settled, verdict
from rnnmft.units.recent_span import directions_of
from rnnmft.units.repetitions import Samples

__all__ = ["PointFound", "SampledMap"]

Array = NDArray[np.float64]
# Steps of the first run, doubled up to the last: quarters of 8 and more are compared.
_FIRST_STEPS, _LAST_STEPS = 32, 2048
# Of the first run of a perturbation; of one whose state was slow to settle; of the last.
_SHORT, _USUAL, _LONGEST = 16, 32, 256
# Units to begin with; one repetition more is worth more than a larger one, for the spread is known
# better. Runs that take long have fewer: units times steps times directions, as in `Sampling`.
_UNITS, _REPETITIONS, _WORK = 1 << 14, 16, 1e8
# Numbers of units that move together: arrays of half a megabyte, several of which a processor keeps
# near itself.
_TOGETHER = 1 << 17


@dataclass(frozen=True)
class PointFound:
    """What became of one point: values, their errors and a status by quantity.

    Those of `phase_diagram` that one trajectory tells: second_moment, preactivation_variance,
    gradient_growth, chi_1, xi_q.
    """

    values: Mapping[str, tuple[Array, Array, Status]]
    units: int = 0

    @classmethod
    def failed(cls, status: Status) -> PointFound:
        """A point without numbers."""
        nothing = np.array([math.nan])
        return cls(defaultdict(lambda: (nothing, nothing, status)))


#: A point asks for runs and ends with its numbers.
_Asking = Generator[RunAsked, Samples, PointFound]


class SampledMap:
    """Stationary moments and growth rates of many points.

    Args:
        cell: of all points.
        points: the ensemble and inputs of each.
        tying: "tied" or "untied".
        tolerance: standard error of a growth rate, per step, that each point shall have.
        sampling: seed, device, precision, and the most units that a point may take.
        start: {state: standard deviation at t = 0}.
        with_growth: whether growth rates are wanted, beside moments.
    """

    def __init__(
        self,
        cell: Cell,
        points: Sequence[tuple[Ensemble, Inputs]],
        tying: str,
        tolerance: float,
        sampling: Sampling,
        start: Mapping[str, float] | None = None,
        with_growth: bool = True,
    ) -> None:
        self.cell, self.points, self.tying = cell, points, tying
        self.start, self.with_growth = start or {}, with_growth
        self.sampling = replace(sampling, tolerance=tolerance, work=None)
        self.plan = replace(
            sampling, units=_UNITS, repetitions=_REPETITIONS, tolerance=None, work=_WORK
        )

    def completed(self) -> Iterator[list[tuple[int, PointFound]]]:
        """The numbers and the places of points, as runs complete them.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        asking = {i: self._asking(point) for i, point in enumerate(self.points)}
        waiting: dict[RunAsked, list[int]] = defaultdict(list)
        for i, task in asking.items():
            waiting[next(task)].append(i)
        while waiting:
            asked, chosen = self._next(waiting)
            together = JointRuns(
                self.cell, [self.points[i] for i in chosen], self.tying, self.start
            )
            while True:
                completed, wanted = [], defaultdict(list)
                for i, drawn in zip(chosen, together.draw(asked), strict=True):
                    try:
                        wanted[asking[i].send(drawn)].append(i)
                    except StopIteration as end:
                        completed.append((i, end.value))
                if completed:
                    yield completed
                if list(wanted.values()) != [chosen]:
                    break
                # All ask for the same again: it goes on where this run ended.
                (asked,) = wanted
            for again, those in wanted.items():
                waiting[again] += those

    def _next(self, waiting: dict[RunAsked, list[int]]) -> tuple[RunAsked, list[int]]:
        """A run, and points that wait for it, which are taken off the list."""
        full = [a for a, those in waiting.items() if len(those) >= self._most(a)]
        asked = (full or list(waiting))[-1]
        those = sorted(waiting.pop(asked))
        most = self._most(asked)
        if those[most:]:
            waiting[asked] = those[most:]
        return asked, those[:most]

    def _most(self, asked: RunAsked) -> int:
        return max(1, _TOGETHER // asked.sampling.total)

    # --- what a point asks for -----------------------------------------------------------------

    def _asking(self, point: tuple[Ensemble, Inputs]) -> _Asking:
        setting = JointRuns(self.cell, [point], self.tying, self.start).setting
        steps = _FIRST_STEPS
        try:
            while True:
                plan = replace(self.plan.for_steps(steps, directions_of(steps)), work=None)
                drawn = yield RunAsked(plan, steps)
                at = verdict(drawn, setting, 1, steps, _LAST_STEPS)
                if at is not None:
                    break
                steps *= 2
        except ConvergenceError as failure:
            return PointFound.failed(failure.status)
        moments = at.late(second_moments)
        # Whether the zero state is stable its growth tells.
        if not self.with_growth and any(float(v) > 0 for v, _ in moments.values()):
            return PointFound(_moments(at), plan.total)
        effort = Effort(
            _SHORT if steps == _FIRST_STEPS else _USUAL, _LONGEST, most_units=plan.per_repetition
        )
        search = growth_runs(self.sampling, plan, effort, tied=self.tying == "tied")
        known: dict[tuple[int, int], Samples] = {}
        wanted, horizon = next(search)
        while True:
            key = wanted.per_repetition, horizon
            have = known[key].sampling.repetitions if key in known else 0
            more = wanted.of(wanted.per_repetition, wanted.repetitions - have)
            drawn = yield RunAsked(more, steps, horizon, have)
            known = {key: joined(known.get(key), drawn)}
            try:
                wanted, horizon = search.send(known[key])
            except StopIteration as end:
                return _answer(at, end.value)


def _answer(at: Settled, growth: GrowthFound) -> PointFound:
    """The numbers of a point, as `SampledUnits` gives them."""
    found = dict(_moments(at))
    rate, error = growth.limit.value, growth.limit.error
    status = growth.status if at.status is Status.OK else at.status
    chi = math.exp(rate)
    found["gradient_growth"] = np.array([rate]), np.array([error]), status
    found["chi_1"] = np.array([chi]), np.array([chi * error]), status
    if not found["second_moment"][0].any():
        xi = timescale(Rate(-rate, error, True))
        found["xi_q"] = np.array([xi[0]]), np.array([xi[1]]), status
        if rate > 0.0:
            for name in ("second_moment", "preactivation_variance"):
                found[name] = *found[name][:2], Status.UNSTABLE
    return PointFound(found, growth.units)


def _moments(at: Settled) -> dict[str, tuple[Array, Array, Status]]:
    """What needs no perturbation."""
    found: dict[str, tuple[Array, Array, Status]] = {}
    for name in ("second_moment", "preactivation_variance"):
        pairs = at.late(READ[name])
        values, errors = (np.array([float(pair[k]) for pair in pairs.values()]) for k in (0, 1))
        if name == "second_moment":
            errors = np.hypot(errors, [at.remaining[n] for n in pairs])
        found[name] = values, errors, at.status
    approach = slowest_rate(second_moments(at.samples.values), at.steps // 4)
    value, error = timescale(approach)
    found["xi_q"] = np.array([value]), np.array([error]), at.status
    return found
