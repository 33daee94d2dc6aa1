"""Singular values of J over T steps: theory's density over networks, and moments with z-scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.page.figure import BLACK, Figure, draw_figure, label_decades
from rnnmft.page.numbers import count, plus_minus, significant
from rnnmft.page.tyings import NETWORKS
from rnnmft.records import BOUND, STANDARD_ERROR, Quantity
from rnnmft.report.budget import Budget
from rnnmft.report.densities import FEWEST, Axis, DensityCurve, TooSlowError, density_of
from rnnmft.report.networks import WIDTH, Networks
from rnnmft.report.try_compute import try_compute
from rnnmft.simulation import Estimate
from rnnmft.spectra.law import JacobianLaw

__all__ = ["MomentRow", "Spectra", "resolved_from", "solve_spectra"]

Array = NDArray[np.float64]
# Moments that are listed: mean, spread and skewness.
_HIGHEST = 3
# Of histograms: a choice; 16 networks of 256 units leave 85 numbers a bin.
_BINS = 48
# Units behind a density: two repetitions of many units each, fewer for a larger equation.
_DENSITY_REPETITIONS, _DENSITY_UNITS, _DENSITY_WORK = 2, (512, 8_192), 7e4
# Units behind moments; a unit's work is about the cube of the size of its equation.
_FEWEST, _MOST, _WORK = 256, 50_000, 3e7
# A theory's peak that is so many times taller than a histogram would leave nothing else to see.
_CUT = 2.0
# What each horizon but the last may take of the time that is left, for both theories.
_SHARE = 0.75
# A point's time grows like this power of the horizon: of its matrices, that of solving them.
_GROWTH = 3.0


@dataclass(frozen=True)
class MomentRow:
    """m_k of the T-step Jacobian: theory, networks and z-score by tying, as text.

    `numbers[tying]` holds (value, error) of networks and, where there is one, of the theory, with
    the kind of its error, and z.
    """

    horizon: int
    order: int
    theory: dict[str, str]
    networks: dict[str, str]
    z: dict[str, str]
    numbers: dict[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Spectra:
    """One figure a horizon, the moments, and what is missing and why.

    `samples[T]`: the singular values of tied networks, (networks, values).
    """

    figures: list[Figure]
    moments: list[MomentRow]
    missing: list[str]
    samples: dict[int, Array] = field(default_factory=dict, repr=False)


def solve_spectra(
    fields: Mapping[str, MeanField],
    networks: Networks,
    seconds: float,
    progress: Callable[[float, float], object] | None = None,
) -> Spectra:
    """The moments of every horizon; then densities, each with its share of the seconds."""
    missing: list[str] = []
    moments = [row for T in networks.horizons for row in _moments(fields, networks, T, missing)]
    figures: list[Figure] = []
    budget = Budget(seconds)
    pace: dict[str, tuple[int, float]] = {}
    for i, horizon in enumerate(networks.horizons, 1):
        part = budget.part(_SHARE if i < len(networks.horizons) else 1.0)
        figure = _densities(fields, networks, horizon, part, pace, missing)
        figures += [] if figure is None else [figure]
        if progress is not None:
            progress(i, len(networks.horizons))
    measured = networks.runs["tied"].jacobian
    samples = {T: np.asarray(measured[T].singular_values, dtype=float) for T in networks.horizons}
    return Spectra(figures, moments, missing, samples)


def resolved_from(singular_values: Array) -> float:
    """Below this, singular values of networks in single precision are its rounding.

    Products of matrices round by an eps of their largest singular value, and less than a tenth of
    that reaches a single one.
    """
    return float(np.finfo(np.float32).eps * singular_values.max(initial=0.0))


# --- moments -----------------------------------------------------------------------------------


def _moments(
    fields: Mapping[str, MeanField], networks: Networks, horizon: int, missing: list[str]
) -> list[MomentRow]:
    rows = [MomentRow(horizon, k + 1, {}, {}, {}, {}) for k in range(_HIGHEST)]
    for tying, mean_field in fields.items():
        measured = networks.runs[tying].jacobian[horizon].moments
        predicted = try_compute(
            f"The moments of the {tying} theory at T = {horizon}",
            lambda field=mean_field: _predicted(field, horizon, networks.steps),
            missing,
        )
        for k, row in enumerate(rows):
            found = float(measured.mean[k]), float(measured.sem[k])
            row.networks[tying] = plus_minus(*found)
            row.numbers[tying] = {"networks": found}
            if predicted is not None:
                row.theory[tying], z = _tested(predicted[k], measured, k)
                row.z[tying] = significant(z, 2) if math.isfinite(z) else "none"
                kind = STANDARD_ERROR if predicted[k][2] else BOUND
                row.numbers[tying] |= {"theory": predicted[k][:2], "error_kind": kind, "z": z}
    return rows


def _predicted(
    mean_field: MeanField, horizon: int, burn_in: int
) -> list[tuple[float, float, bool]]:
    """Value, error and whether sampled, of m_1, m_2, ..; m_1 from the solver that knows it best."""
    size = len(mean_field.cell.states) + len(mean_field.cell.preactivations) * horizon
    units = int(np.clip(_WORK / size**3, _FEWEST, _MOST))
    law = mean_field.jacobian(horizon, burn_in=burn_in, units=units)
    found = [law.moments(1), law.moments(_HIGHEST)]
    return [_one(found[k > 0], k) for k in range(_HIGHEST)]


def _one(found: Quantity, k: int) -> tuple[float, float, bool]:
    return float(found.value[k]), float(found.error[k]), found.error_kind != "bound"


def _tested(predicted: tuple[float, float, bool], measured: Estimate, k: int) -> tuple[str, float]:
    value, error, sampled = predicted
    text = plus_minus(value, error) if sampled else significant(value, 5)
    spread = math.hypot(float(measured.sem[k]), error)
    difference = float(measured.mean[k]) - value
    usable = math.isfinite(difference) and 0 < spread < math.inf
    return text, difference / spread if usable else math.nan


# --- densities ---------------------------------------------------------------------------------


def _densities(
    fields: Mapping[str, MeanField],
    networks: Networks,
    horizon: int,
    budget: Budget,
    pace: dict[str, tuple[int, float]],
    missing: list[str],
) -> Figure | None:
    """Histograms, with the densities for which there is time.

    `pace` notes by tying the last horizon and its seconds a point, infinite where it was too slow.
    """
    values = {
        t: np.asarray(run.jacobian[horizon].singular_values, dtype=float)
        for t, run in networks.runs.items()
    }
    try:
        axis = _axis(values, horizon)
    except ValueError as error:
        missing.append(f"The singular values at T = {horizon} are not shown: {error}")
        return None
    curves: dict[str, DensityCurve] = {}
    # The untied equation keeps fewer unknowns: what it leaves of its time goes to the tied one.
    for i, tying in enumerate(sorted(fields, key=("untied", "tied").index)):
        part = budget.part(1 / (len(fields) - i))

        def density(tying: str = tying, part: Budget = part) -> DensityCurve:
            before, each = pace.get(tying, (horizon, 0.0))
            if not part.affords(FEWEST * each * (horizon / before) ** _GROWTH):
                raise TooSlowError("Fewer steps already took too long.")
            try:
                found = density_of(_law(fields[tying], horizon, networks.steps), axis, part)
            except TooSlowError:
                pace[tying] = horizon, math.inf
                raise
            pace[tying] = horizon, found.seconds
            return found

        curve = try_compute(f"The density of the {tying} theory at T = {horizon}", density, missing)
        if curve is not None:
            curves[tying] = curve
    return _figure(values, curves, axis, horizon)


def _law(mean_field: MeanField, horizon: int, burn_in: int) -> JacobianLaw:
    size = len(mean_field.cell.states) + len(mean_field.cell.preactivations) * horizon
    units = int(np.clip(_DENSITY_WORK / size**2, *_DENSITY_UNITS))
    few = MeanField(
        mean_field.cell,
        mean_field.ensemble,
        mean_field.inputs,
        mean_field.tying,
        seed=mean_field.sampling.seed,
        repetitions=_DENSITY_REPETITIONS,
        start=mean_field.start,
    )
    return few.jacobian(horizon, burn_in=burn_in, units=units)


def _axis(values: Mapping[str, Array], horizon: int) -> Axis:
    """What holds nearly all singular values of both kinds of network."""
    every = np.concatenate([v.ravel() for v in values.values()])
    every = every[np.isfinite(every) & (every > 0)]
    if not every.size:
        raise ValueError("all of them are 0, or too large.")
    high = 1.08 * float(np.quantile(every, 0.9995))
    if horizon == 1:
        return Axis(0.0, high, False, every)
    return Axis(max(float(np.quantile(every, 0.03)), 1e-6 * high), 1.5 * high, True, every)


def _figure(
    values: Mapping[str, Array], curves: Mapping[str, DensityCurve], axis: Axis, horizon: int
) -> Figure:
    edges = axis.edges(_BINS)

    def draw(drawing: Any) -> None:
        panels = np.atleast_1d(drawing.subplots(len(values), 1, sharex=True, sharey=True))
        for panel, (tying, sample) in zip(panels, values.items(), strict=True):
            _draw_panel(panel, tying, sample, curves.get(tying), axis, edges)
        if axis.logarithmic:
            label_decades(panels[-1].xaxis)
        if cut:
            panels[0].set_ylim(0, 1.25 * tallest)
        panels[-1].set_xlabel(f"singular value of the {horizon}-step Jacobian")
        drawing.supylabel("density" if not axis.logarithmic else "density per decade", fontsize=10)

    tallest = max(float(_histogram(v, axis, edges).max()) for v in values.values())
    peak = max((float(c.value.max()) for c in curves.values()), default=0.0)
    # A bin averages over what a theory resolves.
    cut = peak > _CUT * tallest
    steps = count(horizon, "step")
    drawn = " and ".join(t for t in values if t in curves) or "none"
    alt = (
        f"Histograms of the singular values over {steps}, networks from top to bottom: "
        f"{', '.join(values)}; theory is drawn for {drawn}."
    )
    caption = (
        f"T = {horizon}. Filled: average over {count(len(values['tied']), 'network')} of width "
        f"{WIDTH}; thin steps: one of them."
    )
    if curves:
        caption += " Black: the density in theory."
    if cut:
        caption += f" Its peak, {significant(peak, 2)}, is narrower than a bin, and cut off."
    return draw_figure(draw, alt, caption)


def _draw_panel(
    panel: Any, tying: str, sample: Array, curve: DensityCurve | None, axis: Axis, edges: Array
) -> None:
    colour = NETWORKS[tying]["color"]
    average, one = _histogram(sample, axis, edges), _histogram(sample[:1], axis, edges)
    panel.stairs(average, edges, fill=True, color=colour, alpha=0.28, label=f"{tying} networks")
    panel.stairs(one, edges, color=colour, linewidth=0.8, label="one of them")
    if curve is not None:
        panel.plot(curve.singular_values, curve.value, color=BLACK, linewidth=1.6, label="theory")
    if axis.logarithmic:
        panel.set_xscale("log")
    panel.set_xlim(edges[0], edges[-1])
    panel.set_title(tying, color=colour)


def _histogram(sample: Array, axis: Axis, edges: Array) -> Array:
    """The density over the axis, of all singular values, also those outside its range."""
    finite = sample[np.isfinite(sample).all(axis=1)]
    counts, _ = np.histogram(finite, edges)
    widths = np.diff(np.log10(edges)) if axis.logarithmic else np.diff(edges)
    return counts / max(finite.size, 1) / widths
