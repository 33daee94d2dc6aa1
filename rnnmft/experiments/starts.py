"""Networks from all starts, side by side: ensembles first, then what people use, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft.experiments.baselines import Baseline
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.tasks import ImageThenNoise, Pixels, generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train
from rnnmft.language import Cell, Ensemble

__all__ = ["drawn_from", "steps_to", "train_starts"]

#: What a generator is for.
_START = 11


def drawn_from(
    cell: Cell,
    ensembles: Mapping[str, Ensemble],
    baselines: Mapping[str, Baseline],
    *,
    seeds: int,
    seed: int,
    length: int,
    width: int,
    features: int,
    classes: int,
    device: str = "cpu",
) -> Trainees:
    """`seeds` networks of each start; those of an ensemble are the same whatever follows them.

    Args:
        cell: of all.
        ensembles: by the start's name.
        baselines: of `rnnmft.experiments.baselines`, by the start's name.
        seeds: networks a start.
        seed: of all draws.
        length: T, which chrono biases are made for.
        width: N.
        features: of an input.
        classes: of an output.
        device: where they train.
    """
    laws = [*ensembles.values(), *[cell.ensemble()] * len(baselines)]
    trainees = Trainees(
        cell,
        [law for law in laws for _ in range(seeds)],
        width=width,
        features=features,
        classes=classes,
        seed=seed,
        device=device,
    )
    for k, overwrite in enumerate(baselines.values(), start=len(ensembles)):
        for network in range(seeds):
            own = generator(seed, k, network, _START)
            overwrite(trainees, k * seeds + network, length, own)
    return trainees


def train_starts(
    trainees: Trainees,
    names: Sequence[str],
    task: Pixels | ImageThenNoise,
    digits: Digits,
    course: Course,
    checkpoint: Path,
    progress: Callable[[float, float], None] | None,
) -> dict[str, Any]:
    """What networks learn from each start: as many of them, one start after the other.

    Returns:
        "steps" at which they are tested; by start "accuracy" (steps, seeds), "diverged" (seeds) as
        in `Training`, and "to_80" (seeds): the steps to an accuracy of .8.
    """
    seen = train(trainees, task, digits, course, checkpoint=checkpoint, progress=progress)
    table = np.array(seen.accuracy).reshape(len(seen.steps), len(names), -1)
    diverged = np.array(seen.diverged).reshape(len(names), -1)
    return {
        "steps": seen.steps,
        "accuracy": {n: table[:, i].tolist() for i, n in enumerate(names)},
        "diverged": {n: diverged[i].tolist() for i, n in enumerate(names)},
        "to_80": {n: steps_to(0.8, seen.steps, table[:, i]) for i, n in enumerate(names)},
    }


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
