"""Many points of a parameter space by sampled units, each to its own tolerance.

Every point asks for one run after another (`point_search`). Points that ask for the same run move
together, with the same random numbers (`joint_runs`).

Runs of other points know nothing of each other: on a processor they go on side by side, in as many
threads as torch may use. Which points move together does not depend on how many these are.

Eq. (tied-kernel), Eq. (averaged-tangent).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.devices import choose_device
from rnnmft.numerics.side_by_side import side_by_side
from rnnmft.sampling import SETTLE_WITHIN, Sampling
from rnnmft.solvers.sampled.joint_runs import JointRuns, RunAsked, points_together
from rnnmft.solvers.sampled.point_found import PointFound
from rnnmft.solvers.sampled.point_search import PointSearch
from rnnmft.solvers.sampled.runs import SampledSetting

__all__ = ["SampledMap"]


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
        settle_within: steps after which a point that has not settled is left.
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
        settle_within: int = SETTLE_WITHIN,
    ) -> None:
        self.cell, self.points, self.tying = cell, points, tying
        self.start, self.device, self.with_growth = start or {}, sampling.device, with_growth
        self._search = partial(
            PointSearch,
            tolerance=tolerance,
            sampling=sampling,
            with_growth=with_growth,
            settle_within=settle_within,
        )
        self._searches: dict[int, PointSearch] = {}

    def completed(
        self, which: Sequence[int] | None = None, *, averaged: bool = False
    ) -> Iterator[list[tuple[int, PointFound]]]:
        """The numbers of points and what was found there, as runs complete them.

        Args:
            which: of the points; all when None.
            averaged: whether they are to make a surface, so that noise counts in part.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        waiting: dict[RunAsked, list[int]] = defaultdict(list)
        for i in range(len(self.points)) if which is None else which:
            setting = SampledSetting(self.cell, *self.points[i], self.tying, self.start)
            self._searches[i] = self._search(setting, is_averaged=averaged)
            waiting[self._searches[i].asked].append(i)
        while waiting:
            batches = _taken(waiting)
            runs = [partial(self._run, *batch) for batch in batches]
            for k, _ in side_by_side(runs, choose_device(self.device)):
                answers = ((i, self._searches[i].answer) for i in batches[k][1])
                ended = [(i, answer) for i, answer in answers if answer is not None]
                if ended:
                    yield ended
            for i in (i for _, chosen in batches for i in chosen):
                if self._searches[i].answer is None:
                    waiting[self._searches[i].asked].append(i)

    def _run(self, asked: RunAsked, chosen: list[int]) -> None:
        """Let points move together, and go on with those that ask for what follows this run."""
        points = [self.points[i] for i in chosen]
        numbers = chosen if asked.apart else ()
        together = JointRuns(self.cell, points, self.tying, self.start, numbers)
        receiving = set(chosen)
        while receiving:
            for i, drawn in zip(chosen, together.draw(asked), strict=True):
                if i in receiving:
                    self._searches[i].send(drawn)
            following: dict[RunAsked, set[int]] = defaultdict(set)
            for i in receiving:
                if self._searches[i].answer is None:
                    following[self._searches[i].asked].add(i)
            # Some more steps of all may cost less than all steps of those that ask for them.
            spared = {
                a: len(those) * a.steps - len(chosen) * (a.steps - a.steps_made(asked))
                for a, those in following.items()
            }
            asked = max(spared, key=lambda a: spared[a], default=asked)
            receiving = following[asked] if spared.get(asked, -1) >= 0 else set()


def _taken(waiting: dict[RunAsked, list[int]]) -> list[tuple[RunAsked, list[int]]]:
    """Runs, and points that wait for each, which are taken off the list."""
    found: list[tuple[RunAsked, list[int]]] = []
    for asked, those in list(waiting.items()):
        most = points_together(asked)
        full = len(those) // most * most
        those.sort()
        found += [(asked, those[k : k + most]) for k in range(0, full, most)]
        waiting[asked] = those[full:]
        if not waiting[asked]:
            del waiting[asked]
    if found:
        return found
    # Where no run is full the shortest are drawn: more points may come to ask for the longer ones.
    unsettled = [asked.burn_in for asked in waiting if not asked.horizon]
    settled = min(unsettled, default=max(asked.burn_in for asked in waiting))
    for burn_in in sorted({asked.burn_in for asked in waiting if asked.burn_in <= settled}):
        alike = [asked for asked in waiting if asked.burn_in == burn_in]
        shortest = min(asked.horizon for asked in alike)
        found += [(run, waiting.pop(run)) for run in alike if run.horizon == shortest]
    return found
