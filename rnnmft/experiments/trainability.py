"""Trainability maps: which lengths a network learns, against the timescales of the theory.

Networks at many values of one parameter, several seeds each, learn to tell digits from an image in
the first step, after T - 1 steps of noise. All networks of one T train together. A value none of
whose networks learns one T is not tried at longer ones: T* is known.

Source: [chen2018]. Eq. (xi).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ConvergenceError
from rnnmft.experiments.boundary import THRESHOLD, fit_boundary, of_part, scatter_difference
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.store import kept, load, save
from rnnmft.experiments.tasks import ImageThenNoise
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import TYINGS

__all__ = ["Sweep", "fits", "predicted_growth", "predicted_xi", "sweeps", "trainability"]

Progress = Callable[[float, float], None]
Laws = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Sweep:
    """One map.

    Attributes:
        cell: its name in the zoo.
        varied: the preactivation and the parameter that vary.
        values: of it.
        fixed: the other laws, by preactivation.
        lengths: T, increasing.
        seeds: networks a value.
        width: N.
        course: how they train.
    """

    cell: str
    varied: tuple[str, str]
    values: tuple[float, ...]
    fixed: Laws
    lengths: tuple[int, ...]
    seeds: int
    width: int
    course: Course

    def made(self) -> Cell:
        """The cell."""
        return getattr(cells, self.cell)()

    def ensemble(self, value: float) -> Ensemble:
        """Its law at one value."""
        name, parameter = self.varied
        laws: dict[str, Any] = {n: dict(law) for n, law in self.fixed.items()}
        laws.setdefault(name, {})[parameter] = value
        return self.made().ensemble(**laws)


#: From deep in the ordered phase into chaos, and from gates that forget to gates that keep.
_SIGMA_W = (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 2.0)
_MU_B = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
#: What varies, over what, the rest: the maps of the paper for vanilla and minimalRNN; for the other
#: two the bias of the gate that keeps the state.
_MAPS: dict[str, tuple[tuple[str, str], tuple[float, ...], Laws]] = {
    "vanilla": (("e", "sigma_w"), _SIGMA_W, {"e": {"sigma_v": 0.3}}),
    "minimal": (("e", "mu_b"), (*_MU_B, 6.0), {"e": {"sigma_w": 4.0}}),
    "gru": (("z", "mu_b"), _MU_B, {}),
    "lstm": (("f", "mu_b"), _MU_B, {}),
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


def trainability(
    sweep: Sweep,
    digits: Digits,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a map, T by T; each T is kept in the folder when it is done.

    Args:
        sweep: the map.
        digits: to learn from.
        folder: of finished parts and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of networks.

    Returns:
        accuracy[T][value][seed] at the end, None where no network of the value learnt a shorter T,
        diverged[T][value][seed] as in `Training`, predicted xi by tying, growth of gradients, the
        fits, the setting.
    """
    total, done = float(sum(sweep.lengths)), 0.0
    accuracy, diverged = [], []
    tried = list(range(len(sweep.values)))
    for steps in sweep.lengths:

        def advance(now: float, whole: float, steps: int = steps, done: float = done) -> None:
            if progress is not None:
                progress(done + steps * now / whole, total)

        trained = _trained(sweep, steps, tried, digits, folder, device, advance)
        accuracy.append(trained["accuracy"])
        diverged.append(trained["diverged"])
        tried = [v for v in tried if max(trained["accuracy"][v]) >= THRESHOLD]
        done += steps
    found = {
        "cell": sweep.cell,
        "parameter": ".".join(sweep.varied),
        "values": list(sweep.values),
        "lengths": list(sweep.lengths),
        "width": sweep.width,
        "seeds": sweep.seeds,
        "iterations": sweep.course.iterations,
        "digits": digits.source,
        "accuracy": accuracy,
        "diverged": diverged,
        "xi": {tying: predicted_xi(sweep, tying, folder) for tying in TYINGS},
        "growth": predicted_growth(sweep, folder),
    }
    return {**found, **fits([found])}


def fits(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One multiple of xi for the networks of all maps: the fit by tying, and their difference."""
    pairs = [of_part(part) for part in parts]
    longest = np.concatenate([of for of, _ in pairs])
    xi = {tying: np.concatenate([of[tying] for _, of in pairs]) for tying in TYINGS}
    return {
        "fit": {tying: fit_boundary(longest, xi[tying]).to_dict() for tying in TYINGS},
        "tied_less_untied_scatter": scatter_difference(longest, xi["tied"], xi["untied"]),
    }


def _trained(
    sweep: Sweep,
    steps: int,
    tried: Sequence[int],
    digits: Digits,
    folder: Path,
    device: str,
    progress: Progress,
) -> dict[str, list[Any]]:
    """Accuracy at the end, and who diverged when, by value and seed; None and 0 if not tried."""
    name = f"{sweep.cell}-{steps}"
    known = load(folder / f"{name}.json")
    if known is not None:
        return known
    accuracy: list[Any] = [[None] * sweep.seeds for _ in sweep.values]
    diverged: list[Any] = [[0] * sweep.seeds for _ in sweep.values]
    if not tried:
        return {"accuracy": accuracy, "diverged": diverged}
    ensembles = [sweep.ensemble(sweep.values[v]) for v in tried for _ in range(sweep.seeds)]
    task = ImageThenNoise(steps)
    trainees = Trainees(
        sweep.made(),
        ensembles,
        width=sweep.width,
        features=task.features(digits.images.shape[1]),
        classes=10,
        seed=sweep.course.seed,
        device=device,
    )
    checkpoint = folder / f"{name}.npz"
    seen = train(trainees, task, digits, sweep.course, checkpoint=checkpoint, progress=progress)
    for rows, ends in ((accuracy, seen.accuracy[-1]), (diverged, seen.diverged)):
        for value, own in zip(tried, np.reshape(ends, (len(tried), -1)).tolist(), strict=True):
            rows[value] = own
    found = {"accuracy": accuracy, "diverged": diverged}
    save(folder / f"{name}.json", found)
    checkpoint.unlink(missing_ok=True)
    return found


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


def _theory(sweep: Sweep, value: float, tying: str) -> MeanField:
    inputs = Inputs(R=1.0, correlation=0.0)
    return MeanField(sweep.made(), sweep.ensemble(value), inputs, tying)
