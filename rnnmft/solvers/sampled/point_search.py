"""One point of a map: which runs it asks for, and what it makes of them.

It asks as it would alone: for moments until they have settled (`stationary`), then for
perturbations, over more steps or with more units, until the growth rate is known well enough
(`growth_search`). Whoever draws the runs may draw those of many points together.

Eq. (tied-kernel), Eq. (growth-bracket).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace

import numpy as np

from rnnmft.errors import ConvergenceError, Status
from rnnmft.sampling import SETTLE_WITHIN, Sampling
from rnnmft.solvers.sampled.checks import decided_by_many
from rnnmft.solvers.sampled.growth_search import Effort, GrowthFound, growth_runs, limit_of
from rnnmft.solvers.sampled.joint_runs import RunAsked, joined
from rnnmft.solvers.sampled.point_found import PointFound, answer_of, moments_of, rates_of
from rnnmft.solvers.sampled.readings import second_moments
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.stationary import Settled, verdict
from rnnmft.units.repetitions import Samples, calibrated_error

__all__ = ["PointSearch"]


# Steps of the first run, doubled up to the last: quarters of 16 and more are compared. In those of
# 8 the noise of so few units hides a drift of a tenth.
_FIRST_STEPS = 64
# Steps of the first run of a perturbation; of one whose state was slow to settle, and of one where
# it took from so many steps on; of the last.
_SHORT, _USUAL, _LONG, _SLOW, _LONGEST = 16, 32, 64, 256, 256
# The part of an error that is noise where units are missing; below it steps are.
_NOISY = 0.5
# Times the units, at least and at most, that follow a run which was too noisy. Where there are as
# many repetitions as are known well a little more is drawn beside these; others begin again.
_LEAST, _MOST, _MOST_OF_FEW = 1.25, 4.0, 12.0
# Units of a repetition and repetitions, by the steps from which on they are enough: a slow state is
# averaged over more of them. One repetition more is worth more than a larger one, for the spread is
# known better; but next to criticality the rates of small ones are biased by more than 1 / M tells
# (of a GRU, by .007 with 512 units).
_UNITS = {128: (1 << 10, 8), 0: (1 << 10, 16)}
# Steps of all perturbations of a repetition, in terms of those that it took to settle: so many cost
# little beside these; up to so many, more of them are worth more than other units, which have to
# settle first. Where that took `_SLOW` steps or more, one perturbation starts as many steps after
# the other: in between little changes.
_FOLLOWING, _MOST_FOLLOWING = 0.25, 2
# More units than those of so many repetitions make these larger, up to so large: nothing else makes
# their bias smaller.
_REPETITIONS, _LARGE = 16, 1 << 12
# A state has settled once its moments in the repetitions differ by less than this part of them.
# Where they differ by more some may be on their way from one state to another, which are too few to
# be seen against the others.
_ALIKE = 0.25
# Of points that make a surface together: the part of their noise that is left of it, and the part
# of the tolerance that this and their brackets make.
_AVERAGED, _OF_SURFACE = 0.3, 0.8


class PointSearch:
    """The search at one point.

    Args:
        setting: the point.
        tolerance: standard error of the growth rate, per step.
        sampling: seed, device, precision, and the most units.
        with_growth: whether the growth rate is wanted, beside moments.
        settle_within: steps after which no longer run is asked for.
        is_averaged: whether the point is one of those that make a surface: its noise, of random
            numbers of its own, counts in part.

    Attributes:
        asked: the run that is wanted next.
        answer: what was found; None before the end.
    """

    def __init__(
        self,
        setting: SampledSetting,
        tolerance: float,
        sampling: Sampling,
        with_growth: bool,
        settle_within: int = SETTLE_WITHIN,
        *,
        is_averaged: bool = False,
    ) -> None:
        self.setting, self.tolerance, self.with_growth = setting, tolerance, with_growth
        self.settle_within, self._averaged = settle_within, _AVERAGED if is_averaged else 1.0
        self.sampling = sampling
        self.answer: PointFound | None = None
        self._at: Settled | None = None
        # The runs of perturbations of one burn-in, horizon and size of repetitions, and how many
        # perturbations each of these had.
        self._kind: tuple[int, int, int] | None = None
        self._known: Samples | None = None
        self._windows = 1
        self._asking = self._ask()
        self.asked = next(self._asking)

    @property
    def is_averaged(self) -> bool:
        """Whether the point is one of those that make a surface."""
        return self._averaged < 1.0

    def send(self, drawn: Samples) -> None:
        """Give the run that was asked for."""
        try:
            self.asked = self._asking.send(drawn)
        except StopIteration as end:
            self.answer = end.value

    def _ask(self) -> Generator[RunAsked, Samples, PointFound]:
        steps, plan = _FIRST_STEPS, self._plan(_FIRST_STEPS)
        try:
            while True:
                drawn = yield RunAsked(plan, steps, apart=self.is_averaged)
                at = verdict(drawn, self.setting, 1, steps, self.settle_within)
                if at is not None and _is_alike(at):
                    break
                if at is not None and steps >= self.settle_within:
                    at = replace(at, status=Status.NOT_CONVERGED)
                    break
                steps *= 2
                plan = self._plan(steps)
        except ConvergenceError as failure:
            nothing = PointFound.failed(failure.status)
            if failure.status is not Status.MAX_STEPS or not self.with_growth:
                return nothing
            # There is no moment to tell yet, but what perturbations do by then.
            growth = yield from self._grow(plan, steps, False)
            return PointFound({**nothing.values, **rates_of(growth, failure.status)}, growth.units)
        self._at = at
        moments = at.late(second_moments)
        # Whether the zero state is stable its growth tells.
        if not self.with_growth and any(float(v) > 0 for v, _ in moments.values()):
            return PointFound(moments_of(at), plan.total)
        growth = yield from self._grow(plan, steps, at.status is Status.OK)
        return answer_of(at, growth)

    def _plan(self, steps: int) -> Sampling:
        units = next(units for least, units in _UNITS.items() if steps >= least)
        return replace(self.sampling, tolerance=None, work=None).of(*units)

    def _grow(
        self, plan: Sampling, steps: int, is_settled: bool
    ) -> Generator[RunAsked, Samples, GrowthFound]:
        """Runs of perturbations after so many steps, until the error is small enough.

        One of a state that has not settled.
        """
        first = _SHORT if steps == _FIRST_STEPS else _USUAL if steps < _SLOW else _LONG
        first = _LONG if self.is_averaged else first
        each, repetitions = plan.per_repetition, plan.repetitions
        more = _MOST if repetitions >= _REPETITIONS else _MOST_OF_FEW
        effort = Effort(
            first, _LONGEST, first, each, noisy=_NOISY, least=_LEAST, more=more, deciding=_MOST
        )
        effort = replace(effort, averaged=self._averaged)
        fewest = 2 if first == _SHORT else 1
        times = max(fewest, int(_FOLLOWING * steps) // (first + _pause(steps, first)))
        allowed = self.tolerance * (_OF_SURFACE if self.is_averaged else 1.0)
        search = growth_runs(
            replace(self.sampling, tolerance=allowed, work=None),
            plan.of(plan.per_repetition, times * repetitions),
            effort,
            tied=self._tied,
        )
        wanted, horizon = next(search)
        while True:
            pause = _pause(steps, horizon)
            drawing, windows, worth = _divided(plan, wanted.total, steps, horizon + pause)
            wanted = wanted.of(wanted.per_repetition, math.ceil(worth / wanted.per_repetition))
            kind, have = (steps, drawing.per_repetition, horizon), 0
            if (kind, windows) == (self._kind, self._windows) and self._known is not None:
                have = self._known.sampling.repetitions
            more = drawing.of(drawing.per_repetition, drawing.repetitions - have)
            drawn = yield RunAsked(more, steps, horizon, have, windows, pause, self.is_averaged)
            self._kind, self._windows = kind, windows
            self._known = joined(self._known if have else None, drawn)
            found = self._found()
            error = found.limit.averaged(self._averaged).error
            enough = found.status is Status.OK and error <= allowed
            try:
                # A perturbation that follows another is a repetition more.
                wanted, horizon = search.send(replace(self._known, sampling=wanted))
            except StopIteration as end:
                return found if enough else end.value
            if enough or not is_settled:
                return found

    @property
    def _tied(self) -> bool:
        return self.setting.tying == "tied"

    def _found(self) -> GrowthFound:
        """What the runs so far tell."""
        assert self._known is not None  # there are some
        assert self._kind is not None
        horizon, units = self._kind[2], self._known.sampling.total * self._windows
        limit = limit_of(self._known, horizon, self._tied)
        many = decided_by_many(self._known.values, horizon)
        return GrowthFound(limit, Status.OK if many else Status.NOT_CONVERGED, horizon, units)


def _is_alike(at: Settled) -> bool:
    """Whether every moment is nearly the same in all repetitions, over the last quarter."""
    quarter = at.steps // 4
    for series in second_moments(at.samples.values).values():
        late = series[:, -quarter:].mean(1)
        if late.std(ddof=1) > _ALIKE * late.mean():
            return False
    return True


def _pause(steps: int, horizon: int) -> int:
    """Steps between perturbations, of a state that took so many to settle."""
    return max(int(_FOLLOWING * steps) - horizon, 0) if steps >= _SLOW else 0


def _divided(plan: Sampling, wanted: int, steps: int, period: int) -> tuple[Sampling, int, float]:
    """Repetitions, and how many perturbations each has, where so many units are wanted.

    One starts so many steps after the other. All numbers are round ones: points that ask for as
    many move together, at a fraction of what they cost one by one. What comes third is how many
    units could have been wanted for the same.
    """
    least, each, count = plan.repetitions, plan.per_repetition, plan.repetitions
    units = wanted
    most = max(1, _MOST_FOLLOWING * steps // period)
    if units > most * plan.total or (units > plan.total and least < _REPETITIONS):
        count = max(_REPETITIONS, least)
        known = calibrated_error(np.ones(()), count) / calibrated_error(np.ones(()), least)
        units = math.ceil(units * float(known) ** 2)
    windows = min(most, _round(units / (each * count)))
    count = max(count, _round(units / (each * windows)))
    if count > _REPETITIONS:
        each = min(_round(each * count / _REPETITIONS), _LARGE)
        count = max(_REPETITIONS, _round(units / (each * windows)))
    return plan.of(each, count), windows, wanted * max(1.0, each * count * windows / units)


def _round(number: float) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, ..

    >>> [_round(n) for n in (0.2, 2.5, 5, 9, 25)]
    [1, 3, 6, 12, 32]
    """
    power = 1 << max(0, math.ceil(math.log2(number)))
    return 3 * power // 4 if power > 2 and number <= 3 * power // 4 else power
