"""How experiments read: one page, a section a cell, figures drawn from the results alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft.experiments.drift_page import draw_drift, drift_sentences
from rnnmft.experiments.language_page import draw_models, model_sentences
from rnnmft.experiments.outcome import (
    diverged,
    listed,
    number,
    one_multiple,
    outcome,
    reached,
    sooner,
)
from rnnmft.experiments.reasons_page import reason_sentences
from rnnmft.experiments.recall_page import recall_sentences
from rnnmft.experiments.trainability import fits
from rnnmft.page.document import Section, render, render_page
from rnnmft.page.figure import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    Figure,
    draw_figure,
    label_decades,
)
from rnnmft.page.numbers import count
from rnnmft.parameters import TYINGS

__all__ = ["draw", "render_experiments", "sentences", "threshold_sentence", "title_of"]

_TEMPLATES = Path(__file__).parent / "templates"
#: Title and question of each experiment.
_ASKED = {
    "signal": (
        "Signal propagation",
        "How fast do networks forget how similar two inputs were, and where does it end?",
    ),
    "trainability": (
        "Trainability",
        "Do networks learn sequences as long as the predicted timescale says?",
    ),
    "dynamics": ("Training dynamics", "Do networks that start critical learn faster?"),
    "recall": ("Recall", "Which networks learn to remember one symbol for hundreds of steps?"),
    "drift": ("Drift", "How long does the theory of initialization follow networks that learn?"),
    "reasons": (
        "Reasons",
        "What is it that makes networks learn sooner or later than expected?",
    ),
    "language": (
        "Language models",
        "Does a minimalRNN model text as well as a GRU and an LSTM of as many parameters?",
    ),
}
#: Half of the last decimal of a growth.
_VISIBLE = 0.0005
# Eight pairs, no two alike: as many starts as the experiments have.
_COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, BLACK, GREY, BLUE)
_LINES = ("-", "--", "-.", ":", "-", "--", "-.", ":")


def render_experiments(content: Mapping[str, Any]) -> str:
    """The page of one experiment's results, as they are stored."""
    title, question = _ASKED[content["experiment"]]
    heading = render(_TEMPLATES, "heading.html", title=title, question=question)
    lead = render(
        _TEMPLATES,
        "lead.html",
        content=content,
        smoke=content["scale"] == "smoke",
        outcomes=list(_outcomes(content["parts"])),
        threads=count(content["provenance"]["threads"], "thread"),
    )
    sections = [
        Section(
            title_of(part),
            re.sub(r"[^a-z0-9]+", "-", title_of(part).lower()),
            render(_TEMPLATES, "part.html", figure=figure, sentences=list(sentences(part))),
        )
        for part in content["parts"]
        for figure in [draw(part)]
    ]
    window = f"{title}, scale {content['scale']}"
    return render_page(window, heading, lead, sections, "This page loads nothing from anywhere.")


def _outcomes(parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The verdict on every part; where timescales were fitted, on all of them together, too."""
    yield from ((title_of(part), outcome(part)) for part in parts)
    if len(parts) > 1 and all("fit" in part for part in parts):
        yield f"{listed([title_of(part) for part in parts])} together", one_multiple(fits(parts))


def title_of(part: Mapping[str, Any]) -> str:
    """What a part is about: a cell, with what tells it from others of it, or a text's symbols."""
    return part.get("title") or part.get("cell") or part["level"]


def draw(part: Mapping[str, Any]) -> Figure:
    """The figure of one cell's results, by what they hold."""
    kinds: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
        "rows": _propagation,
        "fit": _map,
        "to_80": _race,
        "looks": draw_drift,
        "models": draw_models,
    }
    return next(made for name, made in kinds.items() if name in part)(part)


def _map(part: Mapping[str, Any]) -> Figure:
    """Accuracy over the parameter and T, multiples of xi over it."""
    values, lengths = part["values"], part["lengths"]
    # Masked where no network was trained, since none learnt a shorter T.
    accuracy = np.ma.masked_invalid(np.array(part["accuracy"], float).mean(axis=2))

    def drawn(drawing: Any) -> None:
        from matplotlib.patheffects import withStroke

        axes = drawing.add_subplot()
        # No colour of the map is as light, and none is hatched.
        axes.patch.set(facecolor="white", edgecolor=GREY, hatch="///", linewidth=0)
        lows_and_highs = _edges(values), np.exp(_edges(np.log(lengths)))
        shown = axes.pcolormesh(*lows_and_highs, accuracy, cmap="cividis", vmin=0.1, vmax=1.0)
        drawing.colorbar(shown, label="test accuracy")
        for tying, line in zip(TYINGS, ("-", "--"), strict=True):
            xi = np.array([np.nan if x is None else x for x in part["xi"][tying]], dtype=float)
            multiple = float(part["fit"][tying]["multiple"])
            if np.isfinite(multiple):
                label = f"{multiple:.1f} xi, {tying}"
                # An outline, for where the map is as light as the line.
                outline = [withStroke(linewidth=3, foreground=BLACK)]
                style = {"color": "white", "label": label, "path_effects": outline}
                axes.plot(values, multiple * xi, line, **style)
        axes.set(
            yscale="log", xlabel=part["parameter"], ylabel="T", ylim=lows_and_highs[1][[0, -1]]
        )
        axes.set_yticks(lengths, [f"{steps}" for steps in lengths])
        axes.minorticks_off()
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", facecolor=BLACK, frameon=True, labelcolor="white")

    what = f"Accuracy of {part['cell']} networks over {part['parameter']} and T"
    caption = "White: the fitted multiple of the predicted timescale."
    if accuracy.mask.any():
        caption += " Hatched: not tried, since no network of the value learnt a shorter T."
    return draw_figure(drawn, what, caption)


def _edges(centres: Any) -> Any:
    """Borders of the cells of a map: halfway between centres, and as far beyond the last.

    >>> _edges([0.0, 1.0, 3.0])
    array([-0.5,  0.5,  2. ,  4. ])
    """
    at = np.asarray(centres, dtype=float)
    between = (at[1:] + at[:-1]) / 2
    return np.array([2 * at[0] - between[0], *between, 2 * at[-1] - between[-1]])


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
        label_decades(axes.xaxis)
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
    if "looks" in part:
        yield from drift_sentences(part)
    if "reference" in part:
        yield from recall_sentences(part)
        return
    if "models" in part:
        yield from model_sentences(part)
    if "fit" in part:
        yield from _map_sentences(part)
    for name, steps in part.get("to_80", {}).items():
        yield f"{name}: accuracy .8 {reached(steps)}."
    yield from sooner(part)
    yield from reason_sentences(part)
    for row in part.get("rows", ()):
        ends = ", ".join(
            f"{tying} {number(row[tying]['fixed_point']['value'])}, "
            f"{number(row[tying]['rms'])} away (rms over time)"
            for tying in TYINGS
        )
        at = f"{part['parameter']} = {row['value']:g}"
        last = len(row["measured"])
        yield (
            f"{at}: networks {number(row['measured'][-1])} at step {last}; "
            f"fixed points and distances of the theories: {ends}."
        )
    gone, networks = diverged(part)
    if gone:
        yield (
            f"{gone} of {networks} networks diverged: a gradient was not finite, and their "
            "accuracy is that of what was left."
        )


def _map_sentences(part: Mapping[str, Any]) -> Iterator[str]:
    """The fitted multiples, their difference, and whether gradients grow."""
    for tying in TYINGS:
        fit = part["fit"][tying]
        if not fit["within"]:
            yield f"{tying}: T* lies outside of the lengths tried in all networks."
            continue
        others = " (the others lie outside of the lengths tried)"
        trend = (
            f"; rank correlation {number(fit['rank'])}, 95 % interval "
            f"{' to '.join(map(number, fit['rank_interval']))}"
        )
        yield (
            f"{tying}: T* is {number(fit['multiple'])} xi, times or over "
            f"{number(fit['scatter'])}, in {fit['within']} of {fit['networks']} networks"
            f"{others if fit['within'] < fit['networks'] else ''}"
            f"{trend if np.isfinite(float(fit['rank'])) else ''}."
        )
    difference, *interval = part.get("tied_less_untied_scatter", (np.nan,))
    if np.isfinite(float(difference)):
        yield (
            f"spread of log(T* / xi), tied less untied: {number(difference)}, 95 % interval "
            f"{' to '.join(map(number, interval))}."
            if any((difference, *interval))
            else "both theories have the same timescale, and the same spread."
        )
    yield from threshold_sentence(part)
    if "growth" in part:
        growths = zip(part["values"], part["growth"], strict=True)
        told = ", ".join(f"{_growth(*growth)} ({value:g})" for value, growth in growths)
        yield f"growth of gradients a step, tied, by {part['parameter']}: {told}."


def threshold_sentence(part: Mapping[str, Any]) -> Iterator[str]:
    """What must be left of the first input, beside the multiple of xi; nothing if none is known."""
    fit = part.get("threshold")
    if fit is not None:
        difference, *interval = fit["less_multiple"]
        spread = (
            f"; spread of the logarithm less that of T* / xi, tied: {number(difference)}, "
            f"95 % interval {' to '.join(map(number, interval))}"
        )
        yield (
            f"T* is where {number(fit['threshold'])} of the first input is left, times or over "
            f"{number(fit['scatter'])}{spread if np.isfinite(float(difference)) else ''}."
        )


def _growth(value: float, error: float) -> str:
    """Three decimals, and the error where it can be seen in them.

    >>> _growth(-1.5676, 1e-11), _growth(-0.098, 0.0011)
    ('-1.568', '-0.098 +- 0.001')
    """
    return f"{value:.3f}" + (f" +- {error:.3f}" if error >= _VISIBLE else "")
