"""Trainability maps: which lengths a network learns, against the timescales of the theory.

Networks at many values of one parameter, several seeds each, learn to tell digits from an image in
the first step, after T - 1 steps of noise. All networks of one T train together. A value none of
whose networks learns one T is not tried at longer ones: T* is known.

Source: [chen2018]. Eq. (xi).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft.experiments.boundary import (
    THRESHOLD,
    fit_boundary,
    fit_threshold,
    of_part,
    scatter_difference,
)
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.predictions import predicted_growth, predicted_left, predicted_xi
from rnnmft.experiments.starts import Progress, Starts
from rnnmft.experiments.store import kept_run
from rnnmft.experiments.sweep import Sweep
from rnnmft.experiments.tasks import ImageThenNoise
from rnnmft.parameters import TYINGS

__all__ = ["fits", "trainability"]


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
        diverged[T][value][seed] as in `Training`, predicted xi by tying, growth of gradients, what
        is left of the first input, the fits, the setting.
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
        "parameter": sweep.parameter,
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
        "left": predicted_left(sweep, folder),
    }
    return {**found, **fits([found])}


def fits(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One multiple of xi, or one threshold of what is left, for the networks of all maps."""
    pairs = [of_part(part) for part in parts]
    longest = np.concatenate([of for of, _ in pairs])
    xi = {tying: np.concatenate([of[tying] for _, of in pairs]) for tying in TYINGS}
    left = np.concatenate([np.array(part["left"], float) for part in parts])
    threshold = fit_threshold(longest, xi["tied"], left)
    return {
        "fit": {tying: fit_boundary(longest, xi[tying]).to_dict() for tying in TYINGS},
        "tied_less_untied_scatter": scatter_difference(longest, xi["tied"], xi["untied"]),
        "threshold": None if threshold is None else threshold.to_dict(),
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
    accuracy: list[Any] = [[None] * sweep.seeds for _ in sweep.values]
    diverged: list[Any] = [[0] * sweep.seeds for _ in sweep.values]
    if not tried:
        return {"accuracy": accuracy, "diverged": diverged}
    by_value = {str(v): sweep.ensemble(sweep.values[v]) for v in tried}
    size = sweep.seeds, sweep.width
    starts = Starts(sweep.made(), by_value, ImageThenNoise(steps), digits, sweep.course, *size)

    def compute(checkpoint: Path) -> dict[str, list[Any]]:
        seen = starts.train(checkpoint, device, progress)
        for v in tried:
            accuracy[v], diverged[v] = seen["accuracy"][str(v)][-1], seen["diverged"][str(v)]
        return {"accuracy": accuracy, "diverged": diverged}

    return kept_run(folder / f"{sweep.cell}-{steps}.json", compute)
