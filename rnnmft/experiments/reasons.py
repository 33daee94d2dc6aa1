"""Reasons: comparisons in which one thing differs, where the other experiments leave one open.

spread: the vanilla race once more, from weights that differ in the spread of their singular values
alone, at the critical sigma_w and at half of it.
again: one length of a trainability map at which networks of some values learn little or nothing,
with several times as many steps of Adam, or with twice as many units.
collective: a map of the LSTM over sigma_w, which moves the memory that networks have by their
connections, the tied xi_c, and leaves that of their gates, the untied one, as it is.

Eq. (lyapunov-memoryless), (xi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from rnnmft import cells
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.dynamics import schemes
from rnnmft.experiments.spread import Spread, directions, same_but_spread
from rnnmft.experiments.starts import drawn_from, train_starts
from rnnmft.experiments.store import kept_run
from rnnmft.experiments.sweep import Sweep, sweeps
from rnnmft.experiments.tasks import ImageThenNoise, Pixels
from rnnmft.experiments.trainability import trainability
from rnnmft.experiments.training import Course

__all__ = [
    "Again",
    "Spreads",
    "again",
    "collective",
    "run_again",
    "run_collective",
    "run_spreads",
    "spreads",
]

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Spreads:
    """A race of vanilla networks.

    Attributes:
        name: of its files.
        starts: what they start from.
        steps: T, the pieces of an image.
        seeds: networks a start.
        width: N.
        course: how they train.
    """

    name: str
    starts: tuple[Spread, ...]
    steps: int
    seeds: int
    width: int
    course: Course


@dataclass(frozen=True)
class Again:
    """One length of some values of a map.

    Attributes:
        sweep: the map, of these values and this length alone, with more steps or more units.
        tried: the steps of the map itself.
    """

    sweep: Sweep
    tried: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.sweep.cell}-{self.sweep.lengths[0]}-{self.sweep.width}"


#: Orthogonal, Gaussian, and between.
_VARIANCES = (Fraction(1), Fraction(1, 4), Fraction(0))
#: As the off-critical scheme of the races has it.
_OFF = Fraction(1, 2)
#: By scale: T, seeds, width, steps of Adam at the critical sigma_w, and off it.
_SPREADS = {
    "smoke": (16, 1, 16, 20, 20),
    "small": (196, 4, 64, 2400, 4800),
    "full": (784, 4, 256, 20000, 20000),
}
#: A cell, values, the length, steps of Adam and units as multiples of the map's.
_Asked = tuple[str, tuple[float, ...], int, int, int]
#: By scale. GRU: the control, whose T* follows xi.
_AGAIN: dict[str, tuple[_Asked, ...]] = {
    "smoke": (("minimal", (-1.0,), 10, 2, 1),),
    "small": (
        ("lstm", (3.0, 5.0), 160, 3, 1),
        ("gru", (3.0, 4.0), 160, 3, 1),
        ("lstm", (3.0,), 80, 1, 2),
        ("gru", (3.0,), 80, 1, 2),
        ("lstm", (3.0,), 160, 1, 2),
    ),
    "full": (
        ("lstm", (3.0, 4.0, 5.0), 464, 5, 1),
        ("gru", (3.0, 4.0, 5.0), 464, 5, 1),
        ("lstm", (3.0, 4.0, 5.0), 464, 1, 2),
        ("gru", (3.0, 4.0, 5.0), 464, 1, 2),
    ),
}
#: Of every gate of an LSTM, at a forget bias: values, the bias, and by scale lengths. Not at
#: scale smoke: the tied xi_c of an LSTM takes minutes.
_SIGMA_W, _BIAS = (0.5, 1.0), 3.0
_LENGTHS = {"small": (20, 40, 80, 160), "full": (22, 46, 100, 215, 464)}
#: Networks a value: the effect is whether they learn at all.
_SEEDS = 3
#: Looks at the test set while a race runs, and in as many steps as a map takes.
_LOOKS, _LOOKS_OF_A_MAP = 48, 16


def spreads(scale: str) -> list[Spreads]:
    """The races at a scale: "smoke", "small" or "full"."""
    steps, seeds, width, *iterations = _SPREADS[scale]
    critical = tuple(Spread(Fraction(1), a) for a in _VARIANCES)
    off = tuple(Spread(_OFF, a) for a in (_VARIANCES[0], _VARIANCES[-1]))
    return [
        Spreads(name, starts, steps, seeds, width, Course(n, every=max(1, n // _LOOKS)))
        for name, starts, n in zip(("critical", "off"), (critical, off), iterations, strict=True)
    ]


def again(scale: str) -> list[Again]:
    """What is trained again at a scale."""
    maps = {sweep.cell: sweep for sweep in sweeps(scale)}
    found = []
    for cell, values, length, times, wider in _AGAIN[scale]:
        sweep, iterations = maps[cell], maps[cell].course.iterations
        every = iterations // _LOOKS_OF_A_MAP
        asked = replace(
            sweep,
            values=values,
            lengths=(length,),
            seeds=_SEEDS,
            width=wider * sweep.width,
            course=replace(sweep.course, iterations=times * iterations, every=every),
        )
        found.append(Again(asked, iterations))
    return found


def collective(scale: str) -> list[Sweep]:
    """The map over sigma_w at a scale, if it has one."""
    if scale not in _LENGTHS:
        return []
    (like,) = (sweep for sweep in sweeps(scale) if sweep.cell == "lstm")
    gates = tuple(p.name for p in like.made().preactivations)
    return [
        replace(
            like,
            varied=(gates, "sigma_w"),
            values=_SIGMA_W,
            fixed={"f": {"mu_b": _BIAS}},
            lengths=_LENGTHS[scale],
            seeds=_SEEDS,
        )
    ]


def run_collective(
    sweep: Sweep,
    digits: Digits,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The map, T by T, as `trainability` makes it."""
    found = trainability(sweep, digits, folder / "collective", device=device, progress=progress)
    return {"title": f"{sweep.cell} over {sweep.parameter}", **found}


def run_spreads(
    race: Spreads,
    digits: Digits,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train from all starts at once; the result is kept in the folder.

    Args:
        race: which.
        digits: to learn from.
        folder: of results and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of Adam.
    """
    path = folder / f"vanilla-{race.name}.json"
    return kept_run(path, lambda checkpoint: _raced(race, digits, device, checkpoint, progress))


def _raced(
    race: Spreads, digits: Digits, device: str, checkpoint: Path, progress: Progress | None
) -> dict[str, Any]:
    cell, task = cells.vanilla(), Pixels(race.steps)
    critical = schemes(cell)["gaussian critical"]
    names = [start.name for start in race.starts]
    trainees = drawn_from(
        cell,
        dict.fromkeys(names, critical),
        {},
        seeds=race.seeds,
        seed=race.course.seed,
        length=race.steps,
        width=race.width,
        features=task.features(digits.images.shape[1]),
        classes=10,
        device=device,
    )
    same_but_spread(trainees, race.starts, race.course.seed)
    ensembles = {start.name: start.ensemble(cell, critical) for start in race.starts}
    surviving = {n: directions(cell, e, race.steps) for n, e in ensembles.items()}
    return {
        "cell": cell.name,
        "title": f"vanilla, {race.name}",
        "length": race.steps,
        "width": race.width,
        "digits": digits.source,
        "ensembles": {n: e.to_dict() for n, e in ensembles.items()},
        "directions": {n: [float(q), float(q.error)] for n, q in surviving.items()},
        **train_starts(trainees, names, task, digits, race.course, checkpoint, progress),
    }


def run_again(
    asked: Again,
    digits: Digits,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train networks of all values at once; the result is kept in the folder.

    Args:
        asked: which.
        digits: to learn from.
        folder: of results and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of Adam.
    """
    path = folder / f"{asked.name}.json"
    return kept_run(path, lambda checkpoint: _again(asked, digits, device, checkpoint, progress))


def _again(
    asked: Again, digits: Digits, device: str, checkpoint: Path, progress: Progress | None
) -> dict[str, Any]:
    sweep, (steps,) = asked.sweep, asked.sweep.lengths
    parameter, task = sweep.parameter, ImageThenNoise(steps)
    by_name = {f"{parameter} = {value:g}": sweep.ensemble(value) for value in sweep.values}
    trainees = drawn_from(
        sweep.made(),
        by_name,
        {},
        seeds=sweep.seeds,
        seed=sweep.course.seed,
        length=steps,
        width=sweep.width,
        features=task.features(digits.images.shape[1]),
        classes=10,
        device=device,
    )
    return {
        "cell": sweep.cell,
        "title": f"{sweep.cell}, T = {steps}, {sweep.width} units",
        "length": steps,
        "width": sweep.width,
        "digits": digits.source,
        "values": list(sweep.values),
        "tried": asked.tried,
        **train_starts(trainees, list(by_name), task, digits, sweep.course, checkpoint, progress),
    }
