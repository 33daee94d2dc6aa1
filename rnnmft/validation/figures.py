"""Figures of a validation: moments over time, their deviations, the extrapolation in 1/N."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.page.figure import BLACK, BLUE, GREEN, GREY, PURPLE, Figure, draw_figure
from rnnmft.page.numbers import significant
from rnnmft.page.tyings import NETWORKS, THEORY
from rnnmft.validation.record import Claim, ValidationRecord

__all__ = ["comparison_figures"]

Array = NDArray[np.float64]

_SERIES = {
    "second_moment": (r"E[{s}^2]", "second moment"),
    "correlation": (r"c_{{{s}}}", "correlation"),
}


def comparison_figures(report: ValidationRecord) -> list[Figure]:
    """One figure for each state's second moment and correlation, and one of the extrapolation."""
    figures = [
        _over_time(report, quantity, state)
        for quantity in _SERIES
        for state in (s.name for s in report.cell.states)
        if any(state in found[quantity] for found in report.evolution.values())
    ]
    return [*figures, _extrapolation(report)] if report.claims else figures


def _over_time(report: ValidationRecord, quantity: str, state: str) -> Figure:
    symbol, words = _SERIES[quantity]
    symbol = symbol.format(s=state)
    reference_tying = report.main if report.main in report.theory else next(iter(report.theory))
    reference = np.asarray(getattr(report.theory[reference_tying], quantity)[state])
    steps = np.arange(1, report.steps + 1)
    scale = np.ones_like(reference)
    if quantity == "second_moment":
        scale = np.where(reference > 0, reference, 1.0)

    def draw(drawing: Any) -> None:
        top, below = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1.7))
        for tying, trajectory in report.theory.items():
            values = np.asarray(getattr(trajectory, quantity)[state])
            top.plot(steps, values, label=f"{tying} theory", **THEORY[tying])
        below.axhline(0, linewidth=1.4, **THEORY[reference_tying])
        for tying, found in report.evolution.items():
            if state not in found[quantity]:
                continue
            limit = found[quantity][state].limit
            style = {"linestyle": "none", "markerfacecolor": "white", "elinewidth": 1.1}
            style |= NETWORKS[tying]
            top.errorbar(steps, limit.value, limit.error, label=f"{tying} networks", **style)
            deviation, error = (limit.value - reference) / scale, limit.error / scale
            name = f"{tying} networks"
            below.errorbar(steps, 100 * deviation, 100 * error, label=name, **style)
        top.set_ylabel(f"${symbol}$")
        top.margins(y=0.1)
        # Above the plot, where no data can be.
        top.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.5)
        unit = "%" if quantity == "second_moment" else "hundredths"
        below.set_ylabel(f"difference\n({unit})")
        below.set_xlabel("step")

    last = [
        f"{tying} networks end at {significant(float(found[quantity][state].limit.value[-1]), 3)}"
        for tying, found in report.evolution.items()
        if state in found[quantity]
    ]
    alt = (
        f"The {words} of {state} over {report.steps} steps. The {reference_tying} theory ends at "
        f"{significant(float(reference[-1]), 3)}, {', '.join(last)}."
    )
    caption = (
        f"The {words} of {state} over time; networks extrapolated to infinite width, "
        f"bars one standard error. Below, their difference from the {reference_tying} theory."
    )
    return draw_figure(draw, alt, caption)


def _extrapolation(report: ValidationRecord) -> Figure:
    """Deviations at each width, in percent, over 1/N with the fitted line."""
    tying = report.main
    mine = [c for c in report.claims if c.target.tying == tying]
    kinds = ("second_moment", "jacobian", "effective_dimension", "correlation")
    ordered = [c for kind in kinds for c in mine if c.target.quantity == kind]
    chosen = ordered[:4] or list(report.claims[:4])
    styles = list(zip((BLACK, BLUE, GREEN, PURPLE), "osD^", strict=True))

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for i, (claim, (colour, marker)) in enumerate(zip(chosen, styles, strict=False)):
            _draw_fit(axes, claim, colour, marker, aside=(i - (len(chosen) - 1) / 2) * 0.014)
        axes.axhline(0, color=GREY, linewidth=0.9, zorder=0)
        widths = report.design[tying].widths
        axes.set_xticks([0, *(1 / n for n in widths)], ["∞", *map(str, widths)])
        axes.set_xlabel("width N (evenly in 1/N)")
        axes.set_ylabel("networks $-$ theory (%)")
        axes.legend()

    names = ", ".join(c.name for c in chosen)
    alt = (
        f"Deviation of {tying} networks from the {tying} theory over 1/N for {names}: straight "
        "lines that meet zero at infinite width within their errors."
        if not report.rejected
        else f"Deviation of {tying} networks from the {tying} theory over 1/N for {names}."
    )
    caption = (
        f"How {tying} networks approach their limit: the deviation from the theory at each "
        "width and the fit a + b/N, averaged over the steps where there are several."
    )
    return draw_figure(draw, alt, caption)


def _plain(latex: str) -> str:
    """The LaTeX with the letters that the figures' font has."""
    return latex.replace(r"\mathbb{E}", "E")


def _draw_fit(axes: Any, claim: Claim, colour: str, marker: str, aside: float) -> None:
    """One claim; `aside` moves its points a little along the axis, so that bars do not hide."""
    prediction, level = claim.target.prediction, claim.level
    predicted = float((prediction.value / prediction.scale).mean())
    x = 1 / np.array(level.design.widths)
    line = np.array([0.0, x.max() * 1.05])
    aside *= x.max()
    fitted = level.limit.value - predicted + level.slope.value * line
    axes.plot(line, 100 * fitted, "-", color=colour, linewidth=1.2)
    bars = {"color": colour, "capsize": 2.5, "linewidth": 1.1}
    deviation = 100 * (level.means - predicted)
    axes.errorbar(
        x + aside,
        deviation,
        100 * level.sems,
        fmt=marker,
        label=f"${_plain(claim.target.latex)}$",
        **bars,
    )
    axes.errorbar(
        [aside], [100 * (level.limit.value - predicted)], [100 * level.limit.error], fmt=marker,
        markerfacecolor="white", clip_on=False, **bars,
    )  # fmt: skip
