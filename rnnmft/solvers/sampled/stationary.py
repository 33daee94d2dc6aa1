"""Runs prolonged until they are stationary, and what their last quarter says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Cell
from rnnmft.sampling import FEWEST
from rnnmft.solvers.sampled.checks import check
from rnnmft.solvers.sampled.readings import cross_moments, second_moments
from rnnmft.solvers.sampled.relaxation import Settling, alternation, settling
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.theory.linearised_unit import never_forgets
from rnnmft.units.recent_span import directions_of
from rnnmft.units.repetitions import Samples, estimate

__all__ = ["FIRST_STEPS", "HUGE", "Settled", "settle", "verdict"]

Array = NDArray[np.float64]
#: Arrays by "kind/name" in, series by name out.
Series = Callable[[Mapping[str, Array]], Mapping[str, Array]]
#: A run of so many steps; how many directions it is expected to see, where that is known.
Draw = Callable[[int, int | None], Samples]

#: Steps of a run, doubled: quarters of 16 and more are compared.
FIRST_STEPS = 64
# Eight memories of a state that lasts for a thousand steps, and e^-6 of what it came from.
_MOST_STEPS = 8192
# Units times steps times directions that the longest run may take, with the fewest units: some 20
# seconds of one core. A run that adds a direction at every step takes 6e9 with the most steps.
_MOST_WORK = 9e9
# Changes that shrink by less than this from quarter to quarter of a run have no end in sight.
_ENDLESS = 0.75
# An alternation that loses less than this from quarter to quarter lasts, in a run of so many steps:
# by then one that a mode of 600 steps makes has lost as much.
_LASTING, _LONG_ENOUGH = 0.9, 256
#: A moment this large is on its way to infinity.
HUGE = 1e100
# Errors by which the moments of two runs to one state differ, at most.
_SAME = 4.0


@dataclass(frozen=True)
class Settled:
    """A run that has become stationary (or reached its largest number of steps)."""

    samples: Samples
    steps: int
    status: Status
    remaining: Mapping[str, float]
    setting: SampledSetting

    def late(self, read: Series) -> dict[str, tuple[Array, Array]]:
        """Averages of series (R, steps) over the last quarter of the run, with their errors."""
        quarter = self.steps // 4

        def averaged(values: Mapping[str, Array]) -> dict[str, Array]:
            return {n: v[:, -quarter:].mean(1) for n, v in read(values).items()}

        return estimate(self.samples, averaged)

    def is_like(self, other: Settled) -> bool:
        """Whether every second moment is the other's, within their errors and what remains."""
        ours, theirs = self.late(second_moments), other.late(second_moments)
        for name, (value, error) in ours.items():
            second, more = theirs[name]
            left = self.remaining[name] + other.remaining[name]
            if abs(float(value - second)) > _SAME * float(np.hypot(error, more)) + left:
                return False
        return True


def settle(draw: Draw, setting: SampledSetting, trajectories: int, steps: int) -> Settled:
    """Prolong a run until the moments have settled.

    Args:
        draw: makes the runs, of the setting and so many trajectories.
        setting: what is run.
        trajectories: of two the cross moments settle as well.
        steps: to begin with.

    Raises:
        ConvergenceError: they grow without bound (DIVERGES), or so slowly to their limit that
            the longest run cannot tell (MAX_STEPS), or come to alternate between two values
            (NO_FIXED_POINT).
    """
    directions = None
    while True:
        drawn = draw(steps, directions)
        found = verdict(drawn, setting, trajectories, steps)
        if found is not None:
            return found
        # A process that comes to rest shows its weights few directions: it can go on for long.
        directions = 2 * int(drawn.values["check/directions"].max())
        steps *= 2


def verdict(
    drawn: Samples,
    setting: SampledSetting,
    trajectories: int,
    steps: int,
    most_steps: int = _MOST_STEPS,
) -> Settled | None:
    """What a run of so many steps has come to; None where it shall go on.

    Args:
        drawn: the run.
        setting: what was run.
        trajectories: of two the cross moments settle as well.
        steps: of the run.
        most_steps: after so many it does not go on.

    Raises:
        ConvergenceError: as in `settle`.
    """
    series = second = second_moments(drawn.values)
    if any(not (v < HUGE).all() for v in second.values()):
        raise ConvergenceError(Status.DIVERGES)
    if trajectories == 2:
        series = second | {f"cross/{n}": v for n, v in cross_moments(drawn.values).items()}
    found = {n: settling(v) for n, v in series.items()}
    remaining = {n: s.remaining for n, s in found.items()}
    if all(s.settled for s in found.values()):
        swing = max(alternation(v) for v in second.values())
        if swing == 0.0:
            return Settled(drawn, steps, check(drawn), remaining, setting)
        if swing > _LASTING and steps >= _LONG_ENOUGH:
            raise ConvergenceError(Status.NO_FIXED_POINT, "Moments alternate between two values.")
    directions = 2 * int(drawn.values["check/directions"].max())
    work = FEWEST * 2.0 * steps * min(directions, directions_of(2 * steps))
    if steps < most_steps and work <= _MOST_WORK:
        return None
    endless = [s for s in map(found.get, second) if s and not s.settled and s.ratio >= _ENDLESS]
    if endless:
        raise _endless(endless, setting.cell, steps)
    return Settled(drawn, steps, Status.MAX_STEPS, remaining, setting)


def _endless(moments: Sequence[Settling], cell: Cell, steps: int) -> ConvergenceError:
    """Growth without bound, where it speeds up or no unit forgets; else nobody can tell yet."""
    slowing = all(moment.slowing for moment in moments)
    if not slowing and (any(moment.speeding for moment in moments) or never_forgets(cell)):
        return ConvergenceError(Status.DIVERGES, f"Still growing after {steps} steps.")
    where = "slower, towards a limit far off" if slowing else "no slower: memory may be longer"
    return ConvergenceError(Status.MAX_STEPS, f"Still growing after {steps} steps, but {where}.")
