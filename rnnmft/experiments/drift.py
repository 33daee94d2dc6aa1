"""Drift: how the statistics of networks move while they learn, and how long theory follows.

Networks learn recall from the tied critical start and from PyTorch's default. At some steps of Adam
the second moments of their weights, q, m_1(T) and the largest singular value of the T-step Jacobian
are measured, beside theory fed with the moments of that step.

Eq. (ensemble), Eq. (jacobian-product).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmft import cells
from rnnmft.experiments.baselines import default
from rnnmft.experiments.measurement import (
    Horizon,
    current_ensemble,
    input_scale,
    measured,
    predicted,
    redrawn,
)
from rnnmft.experiments.recall import symbols
from rnnmft.experiments.store import load, save
from rnnmft.experiments.tasks import ImageThenNoise, generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train
from rnnmft.initialization.critical import critical
from rnnmft.language import Cell, Inputs

__all__ = ["Drift", "drifts", "run_drift"]

Progress = Callable[[float, float], None]
#: The starts by name; `default` overwrites what the ensemble of the cell drew.
_STARTS = ("critical, tied", "PyTorch's default")
#: What a generator is for.
_START = 13
#: Sequences a network over which m_1 is averaged, and redrawn networks for every one that learns.
_INPUTS, _COPIES = 8, 3
#: Units of the tied theory that finds the critical start.
_UNITS, _REPETITIONS = 1 << 13, 8


@dataclass(frozen=True)
class Drift:
    """One cell.

    Attributes:
        cell: its name in the zoo.
        steps: T of the task; Jacobians start after as many of noise.
        horizon: of Jacobians. In networks of 64 units the largest of 30 steps scatter by factors.
        seeds: networks a start.
        width: N, and the features of an input.
        course: how they train; `every` is the distance of two looks.
    """

    cell: str
    steps: int
    horizon: int
    seeds: int
    width: int
    course: Course

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()


#: By scale: cells, T, horizon, seeds, width, steps of Adam.
_SCALES: dict[str, tuple[tuple[str, ...], int, int, int, int, int]] = {
    "smoke": (("vanilla",), 5, 5, 2, 16, 10),
    "small": (("vanilla", "minimal", "gru", "lstm"), 30, 10, 6, 64, 400),
    "full": (("vanilla", "minimal", "gru", "lstm"), 100, 40, 8, 256, 8000),
}


def drifts(scale: str) -> list[Drift]:
    """What is run at a scale: "smoke", "small" or "full"."""
    names, steps, horizon, seeds, width, iterations = _SCALES[scale]
    course = Course(iterations, batch=16, every=max(1, iterations // 4))
    return [Drift(name, steps, horizon, seeds, width, course) for name in names]


def run_drift(
    asked: Drift, folder: Path, *, device: str = "cpu", progress: Progress | None = None
) -> dict[str, Any]:
    """Train from both starts and look; results by start and step are kept in the folder.

    Args:
        asked: which.
        folder: of results and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of Adam of both starts.
    """
    total, looks = len(_STARTS) * float(asked.course.iterations), {}
    for k, start in enumerate(_STARTS):
        before = k * asked.course.iterations

        def advance(now: float, whole: float, before: int = before) -> None:
            if progress is not None:
                progress(before + now, total)

        looks[start] = _looked(asked, start, folder, device, advance)
    return {
        "cell": asked.cell,
        "length": asked.steps,
        "horizon": asked.horizon,
        "iterations": asked.course.iterations,
        "width": asked.width,
        "seeds": asked.seeds,
        "seed": asked.course.seed,
        "looks": looks,
    }


def _looked(
    asked: Drift, start: str, folder: Path, device: str, progress: Progress
) -> list[dict[str, Any]]:
    """What was seen at every look of one start, the first before training."""
    stem = f"{asked.cell}-{_STARTS.index(start)}"
    known = load(folder / f"{stem}.json")
    if known is not None:
        return known
    trainees = _drawn(asked, start, device)
    digits, task = symbols(asked.width, asked.course.seed), ImageThenNoise(asked.steps)
    seen: dict[int, dict[str, Any]] = {}

    def watch(step: int, trainees: Trainees) -> None:
        path = folder / f"{stem}-{step}.json"
        found = load(path)
        if found is None:
            found = _look(asked, step, trainees)
            save(path, found)
        seen[step] = found

    watch(0, trainees)
    kept = folder / f"{stem}.npz"
    course = asked.course
    training = train(
        trainees, task, digits, course, checkpoint=kept, progress=progress, watch=watch
    )
    for step in training.steps:
        # Of a run that went on, the looks before it are in the folder.
        seen.setdefault(step, load(folder / f"{stem}-{step}.json"))
    accuracy = {0: None} | dict(zip(training.steps, training.accuracy, strict=True))
    found = [seen[step] | {"accuracy": accuracy[step]} for step in sorted(seen)]
    save(folder / f"{stem}.json", found)
    for path in (kept, *(folder / f"{stem}-{step}.json" for step in seen)):
        path.unlink(missing_ok=True)
    return found


def _drawn(asked: Drift, start: str, device: str) -> Trainees:
    cell, ensemble = asked.made(), asked.made().ensemble()
    if start == _STARTS[0]:
        sampling: dict[str, Any] = {"particles": _UNITS, "repetitions": _REPETITIONS}
        ensemble = critical(cell, Inputs(), horizon=asked.steps, device="cpu", **sampling).ensemble
    trainees = Trainees(
        cell,
        [ensemble] * asked.seeds,
        width=asked.width,
        features=asked.width,
        classes=int(symbols(asked.width, 0).labels.max()) + 1,
        seed=asked.course.seed,
        device=device,
    )
    if start != _STARTS[0]:
        for seed in range(asked.seeds):
            own = generator(asked.course.seed, seed, _START)
            default(trainees, seed, asked.steps, own)
    return trainees


def _look(asked: Drift, step: int, trainees: Trainees) -> dict[str, Any]:
    """The moments of the weights, what the networks do, and what follows from the moments."""
    at, ensemble = Horizon(asked.steps, asked.horizon, _INPUTS), current_ensemble(trainees)
    fresh = redrawn(trainees, ensemble, _COPIES, asked.course.seed + 1 + step)
    return {
        "step": step,
        "ensemble": ensemble.to_dict(),
        "trained": measured(trainees, at, asked.course.seed),
        "redrawn": measured(fresh, at, asked.course.seed),
        "theory": predicted(asked.made(), ensemble, input_scale(trainees), at),
    }
