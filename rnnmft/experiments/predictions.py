"""What theory says of the networks of a trainability map, before they are trained.

xi_c, the growth of gradients, and how much of the first input is left: the correlation of two
networks' states whose inputs agree in the first step alone, so that what they share is what both
know of it. For long times it falls by exp(-1 / xi_c) a step; when it begins to is another matter.

Eq. (xi), (growth), (data-gram).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ConvergenceError
from rnnmft.experiments.store import kept
from rnnmft.experiments.sweep import Sweep
from rnnmft.language import Inputs

__all__ = ["predicted_growth", "predicted_left", "predicted_xi"]

#: Steps over which the correlation is followed; sampled units, and independent parts of them.
_STEPS, _UNITS, _REPETITIONS = 80, 1 << 14, 4
#: What is left is read where it is last above this: four standard errors of so many units.
_SEEN = 0.03


def predicted_xi(sweep: Sweep, tying: str, folder: Path) -> list[float | None]:
    """xi_c at every value, two sequences of independent noise; None where there is no answer."""

    def xi_at(value: float) -> float | None:
        try:
            xi = _theory(sweep, value, tying).timescales().xi_c
        except ConvergenceError:
            return None
        return float(xi) if math.isfinite(float(xi)) else None

    path = folder / f"{sweep.cell}-xi-{tying}.json"
    return kept(path, lambda: [xi_at(value) for value in sweep.values])


def predicted_growth(sweep: Sweep, folder: Path) -> list[tuple[float, float]]:
    """The tied growth of gradients a step at every value, with its error. Eq. (growth)."""

    def growth_at(value: float) -> tuple[float, float]:
        growth = _theory(sweep, value, "tied").gradient_growth()
        return float(growth), float(growth.error)

    path = folder / f"{sweep.cell}-growth.json"
    return kept(path, lambda: [growth_at(value) for value in sweep.values])


def predicted_left(sweep: Sweep, folder: Path) -> list[tuple[int, float]]:
    """A step and what is left of the first input then, tied, at every value.

    Later ones follow by xi_c: left(T) = left(t) exp(-(T - t) / xi_c).
    """
    overlap = np.zeros((_STEPS, _STEPS))
    overlap[0, 0] = 1.0
    inputs = Inputs.from_gram(np.eye(_STEPS), overlap)

    def left_at(value: float) -> tuple[int, float]:
        theory = MeanField(
            sweep.made(),
            sweep.ensemble(value),
            inputs,
            "tied",
            particles=_UNITS,
            repetitions=_REPETITIONS,
            device="cpu",
        )
        # Of the state that the readout sees, the last.
        *_, correlation = theory.evolve(_STEPS).correlation.values()
        last = int(np.flatnonzero(np.asarray(correlation) > _SEEN)[-1])
        return last + 1, float(correlation[last])

    path = folder / f"{sweep.cell}-left.json"
    return kept(path, lambda: [left_at(value) for value in sweep.values])


def _theory(sweep: Sweep, value: float, tying: str) -> MeanField:
    inputs = Inputs(R=1.0, correlation=0.0)
    return MeanField(sweep.made(), sweep.ensemble(value), inputs, tying)
