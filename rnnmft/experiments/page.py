"""How experiments read: one page, a section a cell, figures drawn from the results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.figure import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Figure, draw_figure
from rnnmft.parameters import TYINGS

__all__ = ["draw", "render_experiments", "sentences"]

_TEMPLATES = Path(__file__).parent / "templates"
_COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, BLACK, GREY)
_LINES = ("-", "--", "-.", ":", "-", "--", "-.")


def render_experiments(content: Mapping[str, Any]) -> str:
    """The page of one experiment's results, as they are stored."""
    title = f"{content['experiment']}, scale {content['scale']}"
    lead = render(_TEMPLATES, "lead.html", content=content)
    sections = [
        Section(
            part["cell"],
            part["cell"],
            render(_TEMPLATES, "part.html", figure=figure, sentences=list(sentences(part))),
        )
        for part in content["parts"]
        for figure in [draw(part)]
    ]
    return render_page(title, title, lead, sections, "This page loads nothing from anywhere.")


def draw(part: Mapping[str, Any]) -> Figure:
    """The figure of one cell's results, by what they hold."""
    kinds: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
        "rows": _propagation,
        "fit": _map,
        "to_80": _race,
    }
    return next(made for name, made in kinds.items() if name in part)(part)


def _map(part: Mapping[str, Any]) -> Figure:
    """Accuracy over the parameter and T, multiples of xi over it."""
    values, lengths = part["values"], part["lengths"]
    accuracy = np.array(part["accuracy"]).mean(axis=2)

    def drawn(drawing: Any) -> None:
        axes = drawing.add_subplot()
        shown = axes.pcolormesh(values, lengths, accuracy, cmap="cividis", vmin=0.1, vmax=1.0)
        drawing.colorbar(shown, label="test accuracy")
        for tying, line in zip(TYINGS, ("-", "--"), strict=True):
            xi = np.array([np.nan if x is None else x for x in part["xi"][tying]], dtype=float)
            multiple = float(part["fit"][tying]["multiple"])
            if np.isfinite(multiple):
                label = f"{multiple:.1f} xi, {tying}"
                axes.plot(values, multiple * xi, line, color="white", label=label)
        axes.set(yscale="log", xlabel=part["parameter"], ylabel="T", ylim=_ends(lengths))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", facecolor=BLACK, frameon=True, labelcolor="white")

    what = f"Accuracy of {part['cell']} networks over {part['parameter']} and T"
    return draw_figure(drawn, what, "White: the fitted multiple of the predicted timescale.")


def _ends(lengths: list[float]) -> tuple[float, float]:
    """Half a step beyond the first and last length."""
    first, last = (np.sqrt(b / a) for a, b in (lengths[:2], lengths[-2:]))
    return float(lengths[0] / first), float(lengths[-1] * last)


def _race(part: Mapping[str, Any]) -> Figure:
    def drawn(drawing: Any) -> None:
        axes = drawing.add_subplot()
        for k, (name, rows) in enumerate(part["accuracy"].items()):
            table = np.array(rows)
            style = {"color": _COLOURS[k], "linestyle": _LINES[k], "label": name}
            axes.plot(part["steps"], table.mean(axis=1), **style)
            low, high = table.min(axis=1), table.max(axis=1)
            axes.fill_between(part["steps"], low, high, color=_COLOURS[k], alpha=0.15)
        axes.set(xscale="log", xlabel="steps of Adam", ylabel="test accuracy", ylim=(0, 1))
        axes.legend()

    what = f"Accuracy of {part['cell']} networks against steps, T = {part['length']}"
    return draw_figure(drawn, what, "Bands: the lowest and highest of the seeds.")


def _propagation(part: Mapping[str, Any]) -> Figure:
    def drawn(drawing: Any) -> None:
        axes = drawing.add_subplot()
        for k, row in enumerate(part["rows"]):
            time = np.arange(1, len(row["measured"]) + 1)
            axes.errorbar(
                time,
                row["measured"],
                row["sem"],
                fmt="o",
                markersize=3,
                color=_COLOURS[k],
                label=f"{part['parameter']} = {row['value']:g}",
            )
            for tying, line in zip(TYINGS, ("-", "--"), strict=True):
                axes.plot(time, row[tying]["correlation"], line, color=_COLOURS[k])
        axes.set(xlabel="step", ylabel="correlation of two trajectories")
        axes.legend()

    what = f"Correlations of {part['cell']} networks over time"
    caption = "Points: networks. Solid: theory of tied weights; dashed: of untied weights."
    return draw_figure(drawn, what, caption)


def sentences(part: Mapping[str, Any]) -> Iterator[str]:
    """What came out, in sentences."""
    for tying in TYINGS if "fit" in part else ():
        fit = part["fit"][tying]
        yield (
            f"{tying}: T* is {_number(fit['multiple'])} xi, times or over "
            f"{_number(fit['scatter'])}, "
            f"in {fit['within']} of {fit['networks']} networks (the others lie outside of the "
            f"lengths tried); rank correlation {_number(fit['rank'])}, 95 % interval "
            f"{' to '.join(map(_number, fit['rank_interval']))}."
        )
    if "tied_less_untied_scatter" in part:
        difference, *interval = part["tied_less_untied_scatter"]
        yield (
            f"spread of log(T* / xi), tied less untied: {_number(difference)}, 95 % interval "
            f"{' to '.join(map(_number, interval))}."
        )
    for name, steps in part.get("to_80", {}).items():
        yield f"{name}: accuracy .8 after {', '.join(map(_number, steps))} steps."
    for row in part.get("rows", ()):
        ends = ", ".join(
            f"{t} {_number(row[t]['fixed_point']['value'])} (rms {_number(row[t]['rms'])})"
            for t in TYINGS
        )
        at = f"{part['parameter']} = {row['value']:g}"
        yield f"{at}: networks {_number(row['measured'][-1])}, {ends}."


def _number(value: Any) -> str:
    """Three digits; "never" for what was not reached."""
    number = float(value)
    return "never" if number == np.inf else "unknown" if np.isnan(number) else f"{number:.3g}"
