"""The page of a diagnosis: verdict and advice, one section a layer, and how it was found."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.diagnosis.figures import gradient_figure, scale_figure
from rnnmft.diagnosis.record import DiagnosisRecord, LayerDiagnosis
from rnnmft.diagnosis.text import apart_sentence, fate, memory_sentence, phase_sentence, seen
from rnnmft.errors import RnnmftError
from rnnmft.page.document import Section, render, render_page
from rnnmft.page.numbers import count, plus_minus, significant

if TYPE_CHECKING:
    from rnnmft.page.figure import Figure

__all__ = ["render_diagnosis"]

_TEMPLATES = Path(__file__).parent / "templates"


def render_diagnosis(found: DiagnosisRecord) -> str:
    """The whole page."""
    heading = render(_TEMPLATES, "heading.html", found=found)
    lead = render(
        _TEMPLATES,
        "lead.html",
        found=found,
        headline=_headline(found),
        worst=_worst(found),
    )
    sections = [
        Section(
            # The path of a part is written as it is.
            re.sub("^layer ", "Layer ", layer.layer),
            f"layer-{k}",
            _layer(layer, draw_scale=k == 0),
        )
        for k, layer in enumerate(found.layers)
    ]
    sections.append(Section("How it was found", "method", render(_TEMPLATES, "method.html")))
    title = f"{found.module}: diagnosis over {found.length} steps"
    return render_page(title, heading, lead, sections, "This page loads nothing from anywhere.")


def _headline(found: DiagnosisRecord) -> str:
    if found.healthy:
        return f"Gradients live through {found.length} steps."
    kinds = ("vanishing", "exploding") if found.verdict == "unhealthy" else ("borderline",)
    sick = [layer for layer in found.layers if layer.verdict in kinds]
    words = dict.fromkeys(fate(layer).removeprefix("gradients ") for layer in sick)
    where = "" if len(found.layers) == 1 else f" in {len(sick)} of {len(found.layers)} layers"
    return f"Gradients {' and '.join(words)} over {found.length} steps{where}."


def _worst(found: DiagnosisRecord) -> str:
    """The layer that is farthest from health, in numbers."""
    layer = max(found.layers, key=lambda each: abs(each.log10_mean))
    measured, error = layer.measured.at(found.length)
    predicted = ""
    if layer.is_predicted:
        predicted = f", {significant(layer.predicted.at(found.length)[0], 4)} predicted"
    return (
        f"log10 m_1({found.length}) = {plus_minus(measured, error)} measured in {layer.layer}"
        f"{predicted}; at most {found.threshold:g} in size is healthy."
    )


def _layer(layer: LayerDiagnosis, draw_scale: bool) -> Any:
    figures: list[Figure] = [gradient_figure(layer)]
    reasons = [f"Ended by the time budget: {what}." for what in layer.ended]
    reasons += [*layer.tied.missing, *layer.untied.missing]
    if draw_scale:
        try:
            figures.append(scale_figure(layer))
        except RnnmftError as error:
            reasons.append(str(error))
    return render(
        _TEMPLATES,
        "layer.html",
        layer=layer,
        sizes=f"{count(layer.input_width, 'input')}, {count(layer.width, 'unit')}",
        means=_means(layer),
        means_name=rf"\log_{{10}} m_1({layer.length})",
        one_step=significant(10.0 ** float(layer.measured.log10[0]), 4),
        isometry=significant(layer.isometry[0], 3),
        isometry_predicted=significant(layer.isometry[2], 3),
        phase=_sentence(phase_sentence(layer)),
        memory=memory_sentence(layer),
        seen=seen(layer.inputs),
        gates=[_gate(g) for g in layer.gates],
        apart=apart_sentence(layer) if layer.apart else "",
        remarks=layer.warnings,
        reasons=list(dict.fromkeys(map(_sentence, reasons))),
        figures=figures,
    )


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _means(layer: LayerDiagnosis) -> list[dict[str, str]]:
    """log10 m_1(T) by every route."""
    rows = []
    for name, says, series in (
        ("measured", "automatic differentiation of the module", layer.measured),
        ("predicted", "through the matrices that it has", layer.predicted),
    ):
        if series is layer.predicted and not layer.is_predicted:
            continue
        mean = plus_minus(*series.at(layer.length))
        growth = significant(series.slope * math.log(10), 3)
        rows.append({"name": name, "says": says, "mean": mean, "growth": growth})
    for answer in (layer.tied, layer.untied):
        rows.append(
            {
                "name": "infinite width",
                "says": f"{answer.tying} weights",
                "mean": "none" if answer.log10_mean is None else significant(answer.log10_mean, 4),
                "growth": "none" if answer.growth is None else significant(answer.growth, 3),
            }
        )
    return rows


def _gate(gate: Any) -> dict[str, Any]:
    values = (gate.sigma_w, gate.sigma_v, gate.mu_b, gate.sigma_b)
    kind = "no recurrent matrix" if gate.spread is None else gate.weights
    return {
        "name": gate.name,
        "cells": [f"{value:.4f}".replace("-", "\N{MINUS SIGN}") for value in values],
        "weights": kind,
        "orthogonality": "" if gate.orthogonality is None else f"{gate.orthogonality:.3f}",
    }
