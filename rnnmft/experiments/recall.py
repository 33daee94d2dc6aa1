"""Recall: a symbol in the first step, named after T - 1 steps, from several starts.

A network sees one of eight patterns, N(0, 1) in every feature and the same for all, then blanks,
or noise of the same law, and has to say at step T which pattern it was. Gated cells start from
critical ensembles and from what people use; all else is alike: readout, batches, optimizer.

Eq. (tied-critical).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft import cells
from rnnmft.experiments.baselines import BASELINES
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.starts import Starts
from rnnmft.experiments.store import kept
from rnnmft.experiments.tasks import ImageThenNoise
from rnnmft.experiments.training import Course
from rnnmft.initialization.critical import critical
from rnnmft.language import Cell, Ensemble, Inputs

__all__ = ["CRITICAL", "Recall", "recalls", "symbols"]

#: Names of the critical starts, by tying.
CRITICAL: Mapping[str, str] = {"tied": "critical, tied", "untied": "critical, untied (published)"}
#: Chance is one eighth; the test set makes one standard error of an accuracy .044 at most.
_SYMBOLS, _TRAINING, _TESTS = 8, 4096, 128
#: Sequences a step of Adam: two of every symbol.
_BATCH = 16
#: Steps of Adam between two looks at the test set: the resolution of steps to .8.
_EVERY = 25
#: Units of the tied theory, and independent parts: its growth is then right to some .01 a step.
_UNITS, _REPETITIONS = 1 << 13, 8


@dataclass(frozen=True)
class Recall:
    """One cell and length, all starts side by side.

    Attributes:
        cell: its name in the zoo.
        steps: T; also the horizon of critical ensembles and of chrono biases.
        seeds: networks a start.
        width: N, and the features of an input.
        course: how they train.
        noise: standard deviation of what follows the symbol; 0: blanks.
    """

    cell: str
    steps: int
    seeds: int
    width: int
    course: Course
    noise: float

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.cell}-{self.steps}-{'noise' if self.noise else 'blanks'}"

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()

    def starts(self, digits: Digits, folder: Path) -> Starts:
        """Both critical ensembles, and what people use; `digits` are symbols."""
        ensembles = critical_starts(self, folder)
        said = {
            "title": f"{self.cell}, T = {self.steps}, {'noise' if self.noise else 'blanks'}",
            "seeds": self.seeds,
            "seed": self.course.seed,
            "noise": self.noise,
            "ensembles": {n: e.to_dict() for n, e in ensembles.items()},
            "reference": CRITICAL["tied"],
        }
        task = ImageThenNoise(self.steps, self.noise)
        size = self.seeds, self.width
        return Starts(
            self.made(), ensembles, task, digits, self.course, *size, BASELINES, said=said
        )


_BOTH = ("lstm", "gru")
#: Cells, T, the standard deviation of what follows the symbol, and steps of Adam.
_Task = tuple[tuple[str, ...], int, float, int]
#: By scale: tasks, seeds, width. Smoke only shows that everything runs.
_SCALES: dict[str, tuple[tuple[_Task, ...], int, int]] = {
    "smoke": (((("gru",), 10, 0.0, 20),), 1, 16),
    "small": (
        (
            (_BOTH, 100, 0.0, 300),
            (_BOTH, 100, 1.0, 400),
            (_BOTH, 200, 0.0, 300),
            # As long as two cores allow: the cell of the claims, for fewer steps.
            (("lstm",), 500, 0.0, 100),
        ),
        5,
        64,
    ),
    "full": (
        tuple((_BOTH, steps, noise, 5000) for noise in (0.0, 1.0) for steps in (100, 200, 500)),
        8,
        128,
    ),
}


def recalls(scale: str) -> list[Recall]:
    """What is run at a scale: "smoke", "small" or "full"."""
    tasks, seeds, width = _SCALES[scale]
    return [
        Recall(name, steps, seeds, width, Course(iterations, batch=_BATCH, every=_EVERY), noise)
        for names, steps, noise, iterations in tasks
        for name in names
    ]


def symbols(features: int, seed: int, shuffled: bool = False) -> Digits:
    """Patterns and their numbers, as a set of images: the training code is that of digits.

    Args:
        features: of a pattern.
        seed: of patterns and draws.
        shuffled: whether numbers are drawn anew, so that nothing can be learnt: a control.
    """
    rng = np.random.default_rng([seed, features])
    patterns = rng.standard_normal((_SYMBOLS, features))
    patterns = (patterns / patterns.std()).astype(np.float32)
    labels, test_labels = (rng.integers(_SYMBOLS, size=n) for n in (_TRAINING, _TESTS))
    images, test_images = patterns[labels], patterns[test_labels]
    if shuffled:
        labels, test_labels = rng.permutation(labels), rng.permutation(test_labels)
    return Digits(images, labels, test_images, test_labels, f"{_SYMBOLS} symbols")


def critical_starts(asked: Recall, folder: Path) -> dict[str, Ensemble]:
    """The critical ensembles by name; kept in the folder, since the tied one takes a minute."""
    path = folder / f"{asked.cell}-{asked.steps}-critical.json"
    size: dict[str, Any] = {"particles": _UNITS, "repetitions": _REPETITIONS, "device": "cpu"}

    def found(tying: str) -> Ensemble:
        return critical(asked.made(), Inputs(), tying=tying, horizon=asked.steps, **size).ensemble

    known = kept(path, lambda: {name: found(t).to_dict() for t, name in CRITICAL.items()})
    return {name: _ensemble(asked.made(), laws) for name, laws in known.items()}


def _ensemble(cell: Cell, laws: Mapping[str, Mapping[str, Any]]) -> Ensemble:
    """As `Ensemble.to_dict` wrote it."""
    numbers = {n: {k: v for k, v in law.items() if k != "weights"} for n, law in laws.items()}
    return cell.ensemble(**numbers)
