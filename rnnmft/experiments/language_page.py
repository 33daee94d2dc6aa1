"""How a comparison of language models reads: curves, costs with intervals, sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnmft.experiments.outcome import mean_and_half, number
from rnnmft.page.figure import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Figure, draw_figure

__all__ = ["draw_models", "model_sentences"]

Part = Mapping[str, Any]
_COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE)
_LINES, _MARKERS = ("-", "--", ":"), ("o", "s", "^")


def draw_models(part: Part) -> Figure:
    """Bits against steps on the second part; below, bits on the third with intervals."""
    names = list(dict.fromkeys(m["cell"] for m in part["models"]))
    starts = list(dict.fromkeys(m["start"] for m in part["models"]))
    unit = part["level"].removesuffix("s")

    def drawn(drawing: Any) -> None:
        curves, costs = drawing.subplots(2, height_ratios=(3, 2))
        for row, model in enumerate(part["models"]):
            cell, start = names.index(model["cell"]), starts.index(model["start"])
            colour, valid = _COLOURS[cell], np.array(model["valid"], float)
            label = model["cell"] if start == 0 else None
            curves.plot(
                model["steps"], valid.mean(axis=1), _LINES[start], color=colour, label=label
            )
            low, high = valid.min(axis=1), valid.max(axis=1)
            curves.fill_between(model["steps"], low, high, color=colour, alpha=0.15)
            mean, half = mean_and_half(model["test"])
            error = half if np.isfinite(half) else 0.0
            costs.errorbar(mean, row, xerr=error, fmt=_MARKERS[start], color=colour, capsize=3)
        for start, line in zip(starts, _LINES, strict=False):
            curves.plot([], [], line, color=GREY, label=start)
        curves.set(xlabel="steps of Adam", ylabel=f"bits a {unit}, second part")
        curves.legend(ncols=2)
        rows = range(len(part["models"]))
        costs.set_yticks(rows, [f"{m['cell']}, {m['start']}" for m in part["models"]])
        costs.invert_yaxis()
        costs.set_xlabel(f"bits a {unit}, third part")

    what = f"Bits a {unit} of language models, against steps and at the end"
    caption = (
        "Above: means over seeds; bands: the lowest and highest of them. Below: networks as they "
        "were at their best on the second part; bars: 95 % intervals over seeds."
    )
    return draw_figure(drawn, what, caption, height=6.6)


def model_sentences(part: Part) -> Iterator[str]:
    """What was read, and what each model cost."""
    unit = part["level"].removesuffix("s")
    learnt, chosen, kept = part["sizes"]
    yield (
        f"text: {part['text']}; {learnt} {part['level']} to learn from, {chosen} to choose by, "
        f"{kept} to test on, of {part['symbols']} kinds; {100 * float(part['unknown']):.3g} % of "
        f"the last are unknown. Knowing nothing costs {number(part['uniform'])} bits a {unit}, "
        f"knowing how often each occurs {number(part['unigram'])}."
    )
    for model in part["models"]:
        yield f"{model['cell']}, {model['start']}: {_cost(model, part)}."


def _cost(model: Part, part: Part) -> str:
    unit = part["level"].removesuffix("s")
    mean, half = mean_and_half(model["test"])
    perplexity = f" (perplexity {number(2**mean)})" if part["level"] == "words" else ""
    edges = part["grid"][0], part["grid"][-1]
    edge = ", at the edge of the grid" if model["rate"] in edges and len(part["grid"]) > 1 else ""
    said = (
        f"{mean:.3f} ± {half:.3f} bits a {unit}{perplexity}, {np.mean(model['train']):.3f} on what "
        f"it learnt from; {model['width']} units, {model['parameters']} parameters, of them "
        f"{model['of_the_cell']} of the cell; rate {model['rate']:g}{edge}"
    )
    gone = sum(step > 0 for step in model["diverged"])
    return said + (f"; {gone} of {len(model['diverged'])} networks diverged" if gone else "")
