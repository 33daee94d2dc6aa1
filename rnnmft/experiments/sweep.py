"""Sweeps: which networks a trainability map trains, and for how long.

Source: [chen2018].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnmft import cells
from rnnmft.experiments.training import Course
from rnnmft.language import Cell, Ensemble

__all__ = ["Sweep", "sweeps"]

Laws = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Sweep:
    """One map.

    Attributes:
        cell: its name in the zoo.
        varied: the preactivations and the parameter that vary together.
        values: of it.
        fixed: the other laws, by preactivation.
        lengths: T, increasing.
        seeds: networks a value.
        width: N.
        course: how they train.
    """

    cell: str
    varied: tuple[tuple[str, ...], str]
    values: tuple[float, ...]
    fixed: Laws
    lengths: tuple[int, ...]
    seeds: int
    width: int
    course: Course

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()

    @property
    def parameter(self) -> str:
        """What varies, as it is printed."""
        names, parameter = self.varied
        return f"{'+'.join(names)}.{parameter}"

    def ensemble(self, value: float) -> Ensemble:
        """Its law at one value."""
        names, parameter = self.varied
        laws: dict[str, Any] = {n: dict(law) for n, law in self.fixed.items()}
        for name in names:
            laws.setdefault(name, {})[parameter] = value
        return self.made().ensemble(**laws)


#: From deep in the ordered phase into chaos, and from gates that forget to gates that keep.
_SIGMA_W = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 2.0)
_MU_B = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
#: What varies, over what, the rest: the maps of the paper for vanilla and minimalRNN; for the other
#: two the bias of the gate that keeps the state.
_MAPS: dict[str, tuple[tuple[tuple[str, ...], str], tuple[float, ...], Laws]] = {
    "vanilla": ((("e",), "sigma_w"), _SIGMA_W, {"e": {"sigma_v": 0.3}}),
    "minimal": ((("e",), "mu_b"), (*_MU_B, 6.0), {"e": {"sigma_w": 4.0}}),
    "gru": ((("z",), "mu_b"), _MU_B, {}),
    "lstm": ((("f",), "mu_b"), _MU_B, {}),
}
#: By scale: cells, lengths, seeds, width, steps of Adam. Smoke only shows that everything runs.
_SCALES: dict[str, tuple[tuple[str, ...], tuple[int, ...], int, int, int]] = {
    "smoke": (("minimal",), (5, 10), 1, 32, 40),
    "small": (tuple(_MAPS), (5, 10, 20, 40, 80, 160, 320), 4, 64, 400),
    "full": (tuple(_MAPS), (10, 22, 46, 100, 215, 464, 1000), 4, 128, 4000),
}


def sweeps(scale: str) -> list[Sweep]:
    """The maps at a scale: "smoke", "small" or "full"."""
    names, lengths, seeds, width, iterations = _SCALES[scale]
    course = Course(iterations, every=max(1, iterations // 4))
    found = []
    for name in names:
        varied, values, fixed = _MAPS[name]
        some = values[:4:3] if scale == "smoke" else values
        found.append(Sweep(name, varied, some, fixed, lengths, seeds, width, course))
    return found
