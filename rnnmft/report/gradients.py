"""How gradients grow or vanish over T steps: both theories, and networks that test them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import DerivationError, Status
from rnnmft.page.figure import Figure, draw_figure, label_decades
from rnnmft.page.numbers import count, plus_minus, significant
from rnnmft.page.tyings import NETWORKS, THEORY
from rnnmft.records import Quantity
from rnnmft.report.networks import WIDTH, Networks

__all__ = ["Gradients", "Growth", "solve_gradients"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """The growth of gradients in one theory, as text: per step, as a time, and over the window.

    `exponent` is the largest Lyapunov exponent; `limit` the rate as a number; `between` and
    `measured` (value, standard error) are those of the window, in theory and in networks, nan where
    there is none.
    """

    tying: str
    rate: str
    time: str
    window: str
    networks: str
    exponent: str
    limit: Quantity
    between: float
    measured: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Gradients:
    """m_1(T) by theory, T = 1, 2, .., its figure, and the growth rates.

    Attributes:
        means: {tying: m_1(T)}, each (longest horizon,).
        window: the horizons between which the growth of networks is read off.
        growth: one row a theory.
        figure: theory and networks.
        lesson: one sentence that says what the figure shows.
    """

    means: dict[str, Quantity]
    window: tuple[int, int]
    growth: list[Growth]
    figure: Figure
    lesson: str


def solve_gradients(fields: Mapping[str, MeanField], networks: Networks) -> Gradients:
    """Compute what the section shows.

    Raises:
        RnnmftError: neither theory has it.
    """
    horizon = max(networks.horizons)
    window = (sorted(networks.horizons)[-2:][0], horizon)
    means = {t: f.jacobian_means(horizon, burn_in=networks.steps) for t, f in fields.items()}
    if not all((np.asarray(m.value) > 0).any() for m in means.values()):
        raise DerivationError("No gradient flows through this cell: m_1 is 0.")
    rates = {t: f.gradient_growth() for t, f in fields.items()}
    rows = [_growth(t, rates[t], means[t], networks, window) for t in fields]
    return Gradients(means, window, rows, _figure(means, networks), _lesson(rates))


def _growth(
    tying: str, rate: Quantity, mean: Quantity, networks: Networks, window: tuple[int, int]
) -> Growth:
    value, error = float(rate), float(rate.error)
    text = plus_minus(value, error) if rate.error_kind != "bound" else significant(value)
    if rate.status is not Status.OK:
        text += " (not settled)"
    time = "never"
    if value and math.isfinite(value):
        verb = "doubles" if value > 0 else "halves"
        time = f"{verb} in {significant(math.log(2) / abs(value), 3)} steps"
    ends = np.asarray(mean.value)[[window[0] - 1, window[1] - 1]]
    between = _slope(ends, window) if _has_slope(ends, window) else math.nan
    measured = _networks_slope(networks, tying, window)
    known = [math.isfinite(v) for v in (between, measured[0])]
    theory = significant(between) if known[0] else "none"
    found = plus_minus(*measured) if known[1] else "none"
    largest = significant(value / 2)
    if rate.error_kind != "bound":
        largest = plus_minus(value / 2, error / 2)
    return Growth(tying, text, time, theory, found, largest, rate, between, measured)


def _has_slope(ends: Array, window: tuple[int, int]) -> bool:
    return window[0] < window[1] and bool(np.isfinite(ends).all() and (ends > 0).all())


def _slope(ends: Array, window: tuple[int, int]) -> float:
    return float(np.log(ends[1] / ends[0]) / (window[1] - window[0]))


def _networks_slope(networks: Networks, tying: str, window: tuple[int, int]) -> tuple[float, float]:
    """The slope of the logarithm of the mean over networks, with its jackknife error."""
    jacobian = networks.runs[tying].jacobian
    samples = np.stack([jacobian[T].moments.samples[:, 0] for T in window])
    if not _has_slope(samples, window):
        return math.nan, math.nan
    n = samples.shape[1]
    without = (samples.sum(axis=1, keepdims=True) - samples) / (n - 1)
    slopes = np.log(without[1] / without[0]) / (window[1] - window[0])
    error = math.sqrt((n - 1) * float(slopes.var()))
    return _slope(samples.mean(axis=1), window), error


def _lesson(rates: Mapping[str, Quantity]) -> str:
    """What a reader should take along."""
    values = {t: float(r) for t, r in rates.items()}
    if "tied" not in values or not all(map(math.isfinite, values.values())):
        return ""
    tied = values["tied"]
    verb = "grow" if tied > 0 else "vanish"
    text = (
        f"In a network that keeps its weights, squared gradients {verb} by "
        f"{abs(math.expm1(tied)):.2%} per step back in time."
    )
    if "untied" not in values:
        return text
    factor = 100 * abs(values["untied"] - tied) / math.log(10)
    apart = f"a factor of {significant(10**factor, 2)}" if factor < 3 else f"{factor:.0f} decades"
    if factor < 0.3:
        return f"{text} The untied closure agrees within {apart} over 100 steps."
    return f"{text} Over 100 steps the untied closure is off by {apart}."


def _figure(means: Mapping[str, Quantity], networks: Networks) -> Figure:
    longest, at = max(networks.horizons), list(networks.horizons)
    horizons = np.arange(1, longest + 1)

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for tying, mean in means.items():
            value, error = np.asarray(mean.value), np.asarray(mean.error)
            shown = value > 0
            style = THEORY[tying]
            axes.plot(horizons[shown], value[shown], label=f"{tying} theory", **style)
            if mean.error_kind != "bound":
                low = np.maximum(value - 2 * error, value / 10)
                axes.fill_between(
                    horizons, low, value + 2 * error, color=style["color"], alpha=0.15, linewidth=0
                )
        for tying, run in networks.runs.items():
            moments = [run.jacobian[T].moments for T in at]
            axes.errorbar(
                at,
                [m.mean[0] for m in moments],
                [m.sem[0] for m in moments],
                linestyle="none",
                markerfacecolor="white",
                label=f"{tying} networks",
                **NETWORKS[tying],
            )
        axes.set_yscale("log")
        label_decades(axes.yaxis)
        axes.set_xticks(at)
        axes.set_xlabel("steps T back in time")
        axes.set_ylabel("$m_1(T)$, mean squared singular value")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.5)

    ends = ", ".join(f"{significant(float(m[-1]), 3)} in the {t} theory" for t, m in means.items())
    alt = (
        "m_1(T), the mean squared singular value of the T-step Jacobian, on a logarithmic axis for "
        f"T from 1 to {longest}. At T = {longest} it is {ends}."
    )
    caption = (
        f"What T steps do to a squared gradient. Lines: theory, two standard errors shaded. "
        f"Symbols: mean and standard error of {count(networks.count, 'network')} of width {WIDTH}, "
        "not extrapolated."
    )
    return draw_figure(draw, alt, caption)
