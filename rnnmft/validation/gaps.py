"""What tying does: the untied theory against the tied one, and against tied networks.

Neither is an error of a finite network: both gaps are there at any width. They are estimates, not
claims, each with its standard error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnmft.parameters import TYINGS
from rnnmft.simulation import Simulation
from rnnmft.validation.extrapolation import WidthDesign, with_level
from rnnmft.validation.plan import Plan
from rnnmft.validation.record import Gap
from rnnmft.validation.target import Target, stationary_window
from rnnmft.validation.verdicts import Prediction

__all__ = ["measured_gaps"]

Array = NDArray[np.float64]


def measured_gaps(plan: Plan, runs: Mapping[str, list[Simulation]]) -> list[Gap]:
    """One for each number of the untied theory that tied networks can be compared with."""
    if "tied" not in runs:
        return []
    compared = {t: plan.claims.get(t, []) + plan.shown.get(t, []) for t in TYINGS}
    tied = {t.name: t.prediction for t in compared["tied"]}
    return [
        found
        for target in compared["untied"]
        if (found := _gap(target, tied.get(target.name), plan.design["tied"], runs["tied"]))
    ]


def _gap(
    target: Target, tied: Prediction | None, design: WidthDesign, runs: list[Simulation]
) -> Gap | None:
    samples = [target.measured(run) for run in runs]
    if not all(np.isfinite(s).all() for s in samples):
        return None
    untied = target.prediction
    window = _stationary(target)
    predicted, scale = untied.value[window], untied.scale[window]
    fitted, level = with_level(design, [s[:, *window] for s in samples], scale)
    last = (..., -1) if predicted.ndim else ()
    between, between_error = (None, None) if tied is None else _between(untied, tied, window)
    return Gap(
        name=target.name,
        latex=target.latex,
        theory=float(predicted[last]),
        networks=float(fitted.limit.value[last]),
        error=float(fitted.limit.error[last]),
        gap=float(level.limit.value - (predicted / scale).mean()),
        gap_error=float(np.hypot(level.limit.error, _own_error(untied, untied.scale, window))),
        tied_theory=None if tied is None else float(tied.value[window][last]),
        theory_gap=between,
        theory_gap_error=between_error,
        theory_error=float(untied.error[window][last]),
        tied_theory_error=None if tied is None else float(tied.error[window][last]),
    )


def _stationary(target: Target) -> tuple[slice, ...]:
    """The elements of a claim that are averaged: the last steps, or all lags."""
    if not target.prediction.value.ndim:
        return ()
    if target.quantity == "autocovariance":
        return (slice(None),)
    return (stationary_window(len(target.prediction.value)),)


def _own_error(prediction: Prediction, scale: Array, window: tuple[slice, ...]) -> float:
    return float((prediction.error[window] / scale[window]).mean())


def _between(
    untied: Prediction, tied: Prediction, window: tuple[slice, ...]
) -> tuple[float, float]:
    """Tied minus untied theory relative to the untied scale, and the error of both."""
    difference = (tied.value - untied.value)[window] / untied.scale[window]
    own, theirs = (_own_error(p, untied.scale, window) for p in (untied, tied))
    return float(difference.mean()), float(np.hypot(own, theirs))
