"""Learning dynamics: accuracy against steps from several initializations.

{orthogonal, gaussian} x {critical, off} as published, the critical ensemble of tied weights, and
what people use. Images of digits are read in T pieces.

Source: [chen2018].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmft import cells
from rnnmft.experiments.baselines import baselines_of
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.starts import Starts
from rnnmft.experiments.tasks import Pixels
from rnnmft.experiments.training import Course
from rnnmft.initialization.critical import critical
from rnnmft.language import Cell, Ensemble, Inputs

__all__ = ["Race", "races", "schemes"]

#: An off-critical network has so much of the critical sigma_w, or a gate without bias.
_OFF = 0.5


@dataclass(frozen=True)
class Race:
    """Initializations of one cell that learn side by side.

    Attributes:
        cell: its name in the zoo.
        steps: T, the pieces of an image.
        seeds: networks a scheme.
        width: N.
        course: how they train.
    """

    cell: str
    steps: int
    seeds: int
    width: int
    course: Course

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.cell}-{self.steps}"

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()

    def starts(self, digits: Digits, folder: Path) -> Starts:
        """The schemes, and what people use."""
        cell = self.made()
        ensembles = schemes(cell)
        return Starts(
            cell,
            ensembles,
            Pixels(self.steps),
            digits,
            self.course,
            self.seeds,
            self.width,
            baselines_of(cell),
            said={
                "title": f"{self.cell}, T = {self.steps}",
                "ensembles": {n: e.to_dict() for n, e in ensembles.items()},
            },
        )


#: At the test set while a race runs: steps to an accuracy are known to a hundredth of the race.
_LOOKS = 96
#: Cells, T, and steps of Adam.
_Lengths = tuple[tuple[str, ...], int, int]
#: By scale: lengths, seeds, width. At scale small the long race is that of the cell with fewer
#: starts, and half as many steps of four times the work each: what two cores do in 40 minutes.
_SCALES: dict[str, tuple[tuple[_Lengths, ...], int, int]] = {
    "smoke": (((("vanilla",), 16, 20),), 1, 16),
    "small": (((("vanilla", "minimal"), 196, 4800), (("vanilla",), 784, 2400)), 3, 64),
    "full": (((("vanilla", "minimal", "gru", "lstm"), 784, 20000),), 4, 256),
}


def races(scale: str) -> list[Race]:
    """The races at a scale: "smoke", "small" or "full"."""
    lengths, seeds, width = _SCALES[scale]
    return [
        Race(name, steps, seeds, width, Course(iterations, every=max(1, iterations // _LOOKS)))
        for names, steps, iterations in lengths
        for name in names
    ]


def schemes(cell: Cell) -> dict[str, Ensemble]:
    """Ensembles by name: the four published schemes, and the critical one of tied weights."""
    inputs, found = Inputs(), {}
    for weights in ("orthogonal", "gaussian"):
        at = critical(cell, inputs, weights=weights, tying="untied").ensemble
        found[f"{weights} critical"] = at
        found[f"{weights} off"] = _off(cell, at)
    found["orthogonal tied critical"] = critical(cell, inputs, weights="orthogonal").ensemble
    return found


def _off(cell: Cell, at: Ensemble) -> Ensemble:
    """Gates that keep nothing in particular where there are some; else half of sigma_w."""
    laws: dict[str, Any] = {}
    for p in cell.preactivations:
        law = at[p.name]
        gated = law.mu_b != 0.0
        laws[p.name] = {
            "sigma_w": law.sigma_w if gated else _OFF * law.sigma_w,
            "sigma_v": law.sigma_v,
            "mu_b": 0.0,
            "sigma_b": law.sigma_b,
        }
    kinds = {p.name: at[p.name].weights for p in cell.preactivations if p.is_recurrent}
    return cell.ensemble(weights=kinds, **laws)
