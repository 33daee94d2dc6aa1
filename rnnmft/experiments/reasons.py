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

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from rnnmft import cells
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.dynamics import schemes
from rnnmft.experiments.spread import Spread, directions, same_but_spread
from rnnmft.experiments.starts import Progress, Starts
from rnnmft.experiments.sweep import Sweep, sweeps
from rnnmft.experiments.tasks import ImageThenNoise, Pixels
from rnnmft.experiments.trainability import trainability
from rnnmft.experiments.training import Course

__all__ = [
    "Again",
    "Spreads",
    "again",
    "collective",
    "run_collective",
    "spreads",
]


@dataclass(frozen=True)
class Spreads:
    """A race of vanilla networks.

    Attributes:
        scale: of the first start: "critical" or "off".
        spread: what they start from.
        steps: T, the pieces of an image.
        seeds: networks a start.
        width: N.
        course: how they train.
    """

    scale: str
    spread: tuple[Spread, ...]
    steps: int
    seeds: int
    width: int
    course: Course

    @property
    def name(self) -> str:
        """Of its files."""
        return f"vanilla-{self.scale}"

    def starts(self, digits: Digits, folder: Path) -> Starts:
        """The critical Gaussian networks, each with every spread of its singular values."""
        cell = cells.vanilla()
        critical = schemes(cell)["gaussian critical"]
        laws = {one.name: one.ensemble(cell, critical) for one in self.spread}
        surviving = {n: directions(cell, e, self.steps) for n, e in laws.items()}
        return Starts(
            cell,
            dict.fromkeys(laws, critical),
            Pixels(self.steps),
            digits,
            self.course,
            self.seeds,
            self.width,
            change=lambda drawn: same_but_spread(drawn, self.spread, self.course.seed),
            said={
                "title": f"vanilla, {self.scale}",
                "ensembles": {n: e.to_dict() for n, e in laws.items()},
                "directions": {n: [float(q), float(q.error)] for n, q in surviving.items()},
            },
        )


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

    def starts(self, digits: Digits, folder: Path) -> Starts:
        """Networks of every value."""
        sweep, (steps,) = self.sweep, self.sweep.lengths
        return Starts(
            sweep.made(),
            {f"{sweep.parameter} = {value:g}": sweep.ensemble(value) for value in sweep.values},
            ImageThenNoise(steps),
            digits,
            sweep.course,
            sweep.seeds,
            sweep.width,
            said={
                "title": f"{sweep.cell}, T = {steps}, {sweep.width} units",
                "values": list(sweep.values),
                "tried": self.tried,
            },
        )


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
