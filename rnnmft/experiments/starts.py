"""Networks from several starts, side by side: ensembles first, then what people use, seed by seed.

Races, recall and what is trained again are all this: one cell, one task, some starts of it, as many
networks of each, the same batches for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rnnmft.experiments.baselines import Baseline
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.store import kept_run
from rnnmft.experiments.tasks import ImageThenNoise, Pixels, generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train
from rnnmft.language import Cell, Ensemble

__all__ = ["Asked", "Progress", "Starts", "run_starts", "steps_to"]

#: Called as progress(done, total).
Progress = Callable[[float, float], None]
#: What a generator is for.
_START = 11


@dataclass(frozen=True)
class Starts:
    """What networks of one cell start from, and what they learn.

    Attributes:
        cell: of all.
        ensembles: by the start's name; their networks are the same whatever follows them.
        task: what they do, for T steps.
        digits: with what.
        course: how; its seed is that of all draws.
        seeds: networks a start.
        width: N.
        baselines: of `rnnmft.experiments.baselines`, by the start's name.
        change: what is done to the networks when they are drawn.
        said: what the result says of them besides.
    """

    cell: Cell
    ensembles: Mapping[str, Ensemble]
    task: Pixels | ImageThenNoise
    digits: Digits
    course: Course
    seeds: int
    width: int
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    change: Callable[[Trainees], None] | None = None
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of the starts, in the order of their networks."""
        return [*self.ensembles, *self.baselines]

    def draw(self, device: str = "cpu") -> Trainees:
        """`seeds` networks of each start, one start after the other."""
        laws = [*self.ensembles.values(), *[self.cell.ensemble()] * len(self.baselines)]
        trainees = Trainees(
            self.cell,
            [law for law in laws for _ in range(self.seeds)],
            width=self.width,
            features=self.task.features(self.digits.images.shape[1]),
            classes=int(self.digits.labels.max()) + 1,
            seed=self.course.seed,
            device=device,
        )
        for k, overwrite in enumerate(self.baselines.values(), start=len(self.ensembles)):
            for network in range(self.seeds):
                own = generator(self.course.seed, k, network, _START)
                overwrite(trainees, k * self.seeds + network, self.task.steps, own)
        if self.change is not None:
            self.change(trainees)
        return trainees

    def train(self, checkpoint: Path, device: str, progress: Progress | None) -> dict[str, Any]:
        """What the networks learn.

        Returns:
            "steps" at which they are tested; by start "accuracy" (steps, seeds), "diverged" (seeds)
            as in `Training`, and "to_80" (seeds): the steps to an accuracy of .8.
        """
        trainees = self.draw(device)
        setting = {"checkpoint": checkpoint, "progress": progress}
        seen = train(trainees, self.task, self.digits, self.course, **setting)
        table = np.array(seen.accuracy).reshape(len(seen.steps), len(self.names), -1)
        diverged = np.array(seen.diverged).reshape(len(self.names), -1)
        of = list(enumerate(self.names))
        return {
            "steps": seen.steps,
            "accuracy": {n: table[:, i].tolist() for i, n in of},
            "diverged": {n: diverged[i].tolist() for i, n in of},
            "to_80": {n: steps_to(0.8, seen.steps, table[:, i]) for i, n in of},
        }


class Asked(Protocol):
    """An experiment whose networks start side by side."""

    @property
    def name(self) -> str:
        """Of its files."""
        ...

    def starts(self, digits: Digits, folder: Path) -> Starts:
        """What is trained; what takes long to find is kept in the folder."""
        ...


def run_starts(
    asked: Asked,
    digits: Digits,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train from all starts at once; the result is kept in the folder.

    Args:
        asked: what.
        digits: to learn from.
        folder: of results and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of Adam.

    Returns:
        What `Starts.train` returns, beside the setting.
    """

    def trained(checkpoint: Path) -> dict[str, Any]:
        starts = asked.starts(digits, folder)
        setting = {
            "cell": starts.cell.name,
            "length": starts.task.steps,
            "width": starts.width,
            "digits": digits.source,
        }
        return {**setting, **starts.said, **starts.train(checkpoint, device, progress)}

    return kept_run(folder / f"{asked.name}.json", trained)


def steps_to(accuracy: float, steps: list[int], table: Any) -> list[float]:
    """For each seed the first step at which its accuracy is reached; inf where it never is.

    >>> steps_to(0.8, [10, 20], np.array([[0.1, 0.9], [0.7, 0.9]]))
    [inf, 10]
    """
    found: list[float] = []
    for column in np.asarray(table).T:
        reached = np.flatnonzero(column >= accuracy)
        found.append(steps[int(reached[0])] if len(reached) else math.inf)
    return found
