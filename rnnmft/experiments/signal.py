"""Signal propagation: the correlation of two trajectories over time, theory against networks.

Two networks' inputs are independent noise, their starts differ by their correlation: how fast is it
forgotten, and where does it end? Measured over finite networks with tied weights, beside the
theories of tied and of untied weights.

Source: [chen2018]. Eq. (second-moment), Eq. (xi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.experiments.store import kept
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import TYINGS
from rnnmft.simulation import simulate

__all__ = ["Propagation", "propagations", "run_propagation"]

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Propagation:
    """One cell at several values of a parameter.

    Attributes:
        cell: its name in the zoo.
        varied: the preactivations and the parameter that vary together.
        values: of it.
        sigma_w: of every recurrent matrix where it does not vary.
        correlation: of the inputs.
        steps: from the zero state.
        width, networks: what is simulated.
    """

    cell: str
    varied: tuple[tuple[str, ...], str]
    values: tuple[float, ...]
    sigma_w: float
    correlation: float
    steps: int
    width: int
    networks: int

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()

    def ensemble(self, value: float) -> Ensemble:
        """Its law at one value."""
        names, parameter = self.varied
        cell = self.made()
        laws: dict[str, Any] = {
            p.name: {"sigma_w": self.sigma_w} for p in cell.preactivations if p.is_recurrent
        }
        for name in names:
            laws.setdefault(name, {})[parameter] = value
        return cell.ensemble(**laws)


_VARIED: dict[str, tuple[tuple[tuple[str, ...], str], tuple[float, ...], float]] = {
    "vanilla": ((("e",), "sigma_w"), (0.5, 1.0, 1.5, 2.0), 1.0),
    "minimal": ((("e",), "mu_b"), (-1.0, 1.0, 2.0, 3.0), 4.0),
    "gru": ((("z",), "mu_b"), (-1.0, 0.0, 1.0, 2.0), 2.0),
    "lstm": ((("f",), "mu_b"), (-1.0, 0.0, 1.0, 2.0), 2.0),
}
#: By scale: cells, values of each, steps, width, networks.
_SCALES: dict[str, tuple[tuple[str, ...], int, int, int, int]] = {
    "smoke": (("vanilla", "minimal"), 2, 10, 64, 8),
    "small": (tuple(_VARIED), 4, 40, 512, 24),
    "full": (tuple(_VARIED), 4, 100, 2048, 64),
}


def propagations(scale: str) -> list[Propagation]:
    """The cells at a scale: "smoke", "small" or "full"."""
    names, count, steps, width, networks = _SCALES[scale]
    found = []
    for name in names:
        varied, values, sigma_w = _VARIED[name]
        some = values[:count]
        found.append(Propagation(name, varied, some, sigma_w, 0.5, steps, width, networks))
    return found


def run_propagation(
    asked: Propagation, folder: Path, *, device: str = "cpu", progress: Progress | None = None
) -> dict[str, Any]:
    """Correlations over time by value: networks with errors, and both theories.

    Args:
        asked: what is simulated.
        folder: of results by value; what is there is not done again.
        device: where networks run.
        progress: called as progress(done, total), in values.
    """
    rows = []
    for k, value in enumerate(asked.values):
        path = folder / f"{asked.cell}-{value:g}.json"
        rows.append(kept(path, lambda value=value: _row(asked, value, device)))
        if progress is not None:
            progress(k + 1, len(asked.values))
    names, parameter = asked.varied
    return {
        "cell": asked.cell,
        "parameter": f"{' '.join(names)}.{parameter}",
        "width": asked.width,
        "networks": asked.networks,
        "rows": rows,
    }


def _row(asked: Propagation, value: float, device: str) -> dict[str, Any]:
    cell, ensemble = asked.made(), asked.ensemble(value)
    inputs = Inputs(R=1.0, correlation=asked.correlation)
    run = simulate(
        cell,
        ensemble,
        inputs,
        width=asked.width,
        networks=asked.networks,
        steps=asked.steps,
        device=device,
    )
    state = cell.states[-1].name
    measured = run.correlation[state]
    row: dict[str, Any] = {"value": value, "measured": measured.mean, "sem": measured.sem}
    for tying in TYINGS:
        field = MeanField(cell, ensemble, inputs, tying)
        at = field.correlation_fixed_point()
        row[tying] = {
            "correlation": field.evolve(asked.steps).correlation[state],
            "fixed_point": at.quantity("correlation", state),
            "xi": field.timescales().quantity("xi_c"),
        }
        gap = np.asarray(row[tying]["correlation"]) - np.asarray(measured.mean)
        row[tying]["rms"] = float(np.sqrt(np.nanmean(gap[1:] ** 2)))
    return row
