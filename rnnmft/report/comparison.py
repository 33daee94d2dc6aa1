"""Two cells, or one cell in two ensembles, side by side: numbers, gradients, memory, spectra."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.figure import BLUE, RED, Figure, draw_figure, label_decades
from rnnmft.page.mathml import mathml
from rnnmft.page.numbers import count, percent, significant
from rnnmft.parameters import TYINGS
from rnnmft.report.assemble import Report, write_whole
from rnnmft.report.numbers import report_numbers
from rnnmft.report.singular_values import resolved_from
from rnnmft.validation import html as of_validation

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["ReportComparison"]

_TEMPLATES = Path(__file__).parent / "templates"
#: How the two look in every figure.
_STYLES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": RED, "linestyle": "--", "marker": "s"},
)


@dataclass(frozen=True)
class ReportComparison:
    """Two reports beside each other; where their numbers differ is said of the tied theory first.

    Attributes:
        names: of the two, on the page.
        reports: the two.
    """

    names: tuple[str, str]
    reports: tuple[Report, Report]

    def to_html(self, path: str | Path) -> None:
        """Write one page that holds everything it shows."""
        write_whole(Path(path), _page(self))

    def to_json(self, path: str | Path) -> None:
        """Write every number of the page: those of each report, by its name."""
        pairs = zip(self.names, self.reports, strict=True)
        text = json.dumps(
            {name: report_numbers(r) for name, r in pairs}, ensure_ascii=False, allow_nan=False
        )
        write_whole(Path(path), text + "\n")


def _page(comparison: ReportComparison) -> str:
    from markupsafe import Markup

    columns = [
        {
            "name": name,
            "cell": report.cell.name,
            "equations": Markup(mathml(report.cell.latex())),  # an XML tree, serialised
            "outcome": report.validation.verdict(report.validation.main),
            "summary": report.validation.summary(),
            "setting": of_validation.setting_html(report.validation),
            "missing": report.missing,
        }
        for name, report in zip(comparison.names, comparison.reports, strict=True)
    ]
    tables = [(tying, _rows(comparison, tying)) for tying in TYINGS]
    notice = next((r.notice for r in comparison.reports if r.notice), "")
    shared = {"columns": columns, "names": comparison.names}
    lead = render(_TEMPLATES, "comparison_lead.html", notice=notice, tables=tables, **shared)
    heading = render(_TEMPLATES, "comparison_heading.html", **shared)
    sections = [
        Section(title, anchor, render(_TEMPLATES, "figures.html", figures=figures))
        for title, anchor, figures in (
            ("Gradients and memory", "gradients", _gradients_and_memory(comparison)),
            ("Singular values", "spectra", _spectra(comparison)),
            ("Phases", "phases", _phases(comparison)),
        )
        if figures
    ]
    setting: Markup = render(_TEMPLATES, "comparison_settings.html", **shared)
    sections.append(Section("Settings", "setting", setting))
    foot = of_validation.foot(comparison.reports[0].validation)
    return render_page(" and ".join(comparison.names), heading, lead, sections, foot)


def _rows(comparison: ReportComparison, tying: str) -> list[dict[str, Any]]:
    """A number a row: of both, and by how much the second differs where that is no noise."""
    found = [{n.latex: n for n in r.numbers if tying in n.values} for r in comparison.reports]
    rows = []
    for latex in _in_order(list(found[0]), list(found[1])):
        pair = [numbers.get(latex) for numbers in found]
        known = next(n for n in pair if n is not None)
        texts = ["none" if n is None else n.text[tying] for n in pair]
        says = known.says if known.latex != r"\log \chi_1" else "growth of gradients per step"
        gap = "" if None in pair else _gap(*(n.values[tying] for n in pair if n is not None))
        rows.append({"latex": latex, "says": says, "texts": texts, "gap": gap})
    return rows


def _in_order(first: list[str], second: list[str]) -> list[str]:
    """Both as each has them: what only the second has stands behind what it follows there.

    >>> _in_order(["Q", "q_e", "m_2"], ["Q", "q_r", "m_2", "m_3"])
    ['Q', 'q_r', 'q_e', 'm_2', 'm_3']
    """
    merged, place = list(first), 0
    for name in second:
        if name not in merged:
            merged.insert(place, name)
        place = merged.index(name) + 1
    return merged


def _gap(one: Any, other: Any) -> str:
    """The second in percent of the first."""
    if not (one.compared and other.compared and one.value):
        return ""
    difference = (other.value - one.value) / abs(one.value)
    noise = math.hypot(one.noise, other.noise) / abs(one.value)
    if not math.isfinite(difference):
        return ""
    return percent(difference, 1) if abs(difference) > 3 * noise else "within its error"


def _gradients_and_memory(comparison: ReportComparison) -> list[Figure]:
    pairs = list(zip(comparison.names, comparison.reports, _STYLES, strict=True))

    def gradients(axes: Any) -> None:
        for name, report, style in pairs:
            if report.gradients is not None:
                tying, mean = next(iter(report.gradients.means.items()))
                value = np.asarray(mean.value)
                at = np.arange(1, len(value) + 1)
                axes.plot(at[value > 0], value[value > 0], label=f"{name}, {tying}", **style)
        axes.set_yscale("log")
        label_decades(axes.yaxis)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("steps T back in time")
        axes.set_ylabel("$m_1(T)$, mean squared singular value")

    def memory(axes: Any) -> None:
        for name, report, style in pairs:
            if report.memory is not None:
                tying, found = next(iter(report.memory.found.items()))
                state = report.cell.states[0].name
                value = np.asarray(found.value[state])
                if value[0] > 0:
                    label = f"{name}: {state}, {tying}"
                    axes.plot(value / value[0], label=label, markevery=5, **style)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(r"lag $\tau$ in steps")
        axes.set_ylabel(r"$C(\tau) / C(0)$")

    figures = []
    both = " and ".join(comparison.names)
    if any(r.gradients is not None for r in comparison.reports):
        caption = "What T steps do to a squared gradient, in theory."
        figures.append(_figure(gradients, f"m_1(T) of {both}.", caption))
    if any(r.memory is not None for r in comparison.reports):
        caption = "How long the first state of each is remembered, in theory."
        figures.append(_figure(memory, f"The autocorrelation of {both}.", caption))
    return figures


def _phases(comparison: ReportComparison) -> list[Figure]:
    """The maps of both, each with its name."""
    return [
        replace(figure, caption=f"{name}. {figure.caption}")
        for name, report in zip(comparison.names, comparison.reports, strict=True)
        for figure in report.phases
        if figure.is_surface
    ]


def _spectra(comparison: ReportComparison) -> list[Figure]:
    """The singular values of the networks of both, for each horizon that both have."""
    kept = [r.spectra.samples if r.spectra is not None else {} for r in comparison.reports]
    return [_spectrum(comparison, kept, horizon) for horizon in sorted(set(kept[0]) & set(kept[1]))]


def _spectrum(comparison: ReportComparison, kept: Sequence[dict[int, Any]], horizon: int) -> Figure:
    values = [np.asarray(k[horizon]).ravel() for k in kept]
    values = [v[np.isfinite(v) & (v > 0)] for v in values]
    every = np.concatenate(values)
    low, high = np.quantile(every, (0.02, 0.9995)) if every.size else (0.1, 1.0)
    least = max((resolved_from(v) for v in values), default=0.0)
    # Of histograms: a choice, as in a report.
    edges = np.geomspace(max(low, least), 1.2 * high, 49)

    def draw(axes: Any) -> None:
        for name, value, style in zip(comparison.names, values, _STYLES, strict=True):
            heights = np.histogram(value, edges)[0] / max(value.size, 1)
            heights = heights / np.diff(np.log10(edges))
            look = {"color": style["color"], "linestyle": style["linestyle"]}
            axes.stairs(heights, edges, label=name, linewidth=1.5, **look)
        axes.set_xscale("log")
        axes.set_xlabel(f"singular value of the {horizon}-step Jacobian")
        axes.set_ylabel("density per decade")

    alt = f"Histograms of the singular values over {count(horizon, 'step')} of both, tied networks."
    caption = f"T = {horizon}: tied networks of each."
    if low < least:
        caption += f" Below {significant(least, 1)} are the roundings of single precision."
    return _figure(draw, alt, caption)


def _figure(draw: Callable[[Any], None], alt: str, caption: str) -> Figure:
    def drawn(drawing: Any) -> None:
        axes = drawing.subplots()
        draw(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0))

    return draw_figure(drawn, alt, caption)
