"""A diagnosis in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnmft.diagnosis.statistics import GateStatistics
    from rnnmft.language import Inputs

from rnnmft.diagnosis.record import STATES, DiagnosisRecord, LayerDiagnosis
from rnnmft.diagnosis.remarks import shown
from rnnmft.page.numbers import rounded

__all__ = ["apart_sentence", "describe", "fate", "memory_sentence", "phase_sentence", "seen"]

_FATES = {
    "healthy": "gradients live",
    "borderline": "gradients are borderline",
    "vanishing": "gradients vanish",
    "exploding": "gradients explode",
}


def describe(found: DiagnosisRecord) -> str:
    """The whole of it, some 10 lines a layer."""
    state = STATES[found.verdict]
    lines = [f"{found.module} over {found.length} steps: {state}", f"Run on {found.source}."]
    for layer in found.layers:
        lines += ["", *_layer(layer)]
    if found.advice:
        lines += ["", "Advice"]
        lines += [f"  {', '.join(a.layers)}: {a.sentence}" for a in found.advice]
    if found.unread:
        lines += ["", *(f"not looked at: {what}" for what in found.unread)]
    return "\n".join(lines)


def _layer(layer: LayerDiagnosis) -> Iterator[str]:
    size = f"{layer.input_width} -> {layer.width}"
    yield f"{layer.layer} ({layer.cell.name}, {size}): {fate(layer)}"
    yield f"  log10 m_1({layer.length}): {_means(layer)}"
    if layer.apart:
        yield f"  {apart_sentence(layer)}"
    yield f"  {phase_sentence(layer)}"
    yield f"  {memory_sentence(layer)}"
    measured, _, predicted, _ = layer.isometry
    also = f", {predicted:.3g} predicted" if math.isfinite(predicted) else ""
    yield (
        f"  one step: m_1 = {10 ** layer.measured.log10[0]:.4g}, variance of the squared singular "
        f"values {measured:.3g} measured{also} (isometry: 1 and 0)"
    )
    yield f"  it sees {seen(layer.inputs)}"
    yield from (f"  {row}" for row in _table(layer.gates))
    for reason in dict.fromkeys((*layer.tied.missing, *layer.untied.missing)):
        yield f"  not known: {reason}"
    yield from (f"  ended by the time budget: {what}" for what in layer.ended)
    yield from (f"  beware: {remark}" for remark in layer.warnings)


def fate(layer: LayerDiagnosis) -> str:
    """What becomes of gradients."""
    return _FATES[layer.verdict]


def _means(layer: LayerDiagnosis) -> str:
    text = f"{shown(*layer.measured.at(layer.length))} measured"
    if len(layer.measured.log10) < layer.length:
        text += f" (over {len(layer.measured.log10)} steps, continued)"
    if layer.is_predicted:
        predicted = shown(*layer.predicted.at(layer.length))
        text += f", {predicted} predicted through its own matrices"
    for answer in (layer.tied, layer.untied):
        if answer.log10_mean is not None:
            found = shown(answer.log10_mean, answer.log10_error or 0.0)
            text += f", {found} at infinite width ({answer.tying})"
    return text


def apart_sentence(layer: LayerDiagnosis) -> str:
    """What reaches one state from another, over all of the length."""
    parts = [f"{name} {shown(*s.at(layer.length))}" for name, s in layer.apart.items()]
    return f"apart, d(to) / d(from) as from -> to: {', '.join(parts)}"


def phase_sentence(layer: LayerDiagnosis) -> str:
    """Where the layer sits: phase, growth, and how fast gradients change."""
    if layer.tied.growth is None:
        why = "its time was over" if layer.tied.cut else "the theory has no stationary state"
        return f"unknown phase: {why}"
    untied = layer.untied.growth
    beside = "" if untied is None else f", {untied:+.3f} untied"
    return (
        f"{layer.phase} phase: log m_1 grows by {layer.tied.growth:+.3f} a step{beside} (0 is "
        f"critical){_pace(layer)}"
    )


def _pace(layer: LayerDiagnosis) -> str:
    if not math.isfinite(layer.log10_mean) or layer.log10_mean == 0.0:
        return ""
    change = "loses" if layer.log10_mean < 0 else "gains"
    return f"; a gradient {change} a factor of 10 in {rounded(layer.steps_per_decade)} steps"


def memory_sentence(layer: LayerDiagnosis) -> str:
    """The timescales of the untied theory."""
    times = layer.untied
    if times.xi_q is None or times.xi_c is None:
        return "memory: its timescales are not known"
    return (
        f"memory: xi_q = {rounded(times.xi_q)} steps for the variance of the states, xi_c = "
        f"{rounded(times.xi_c)} for a difference of inputs (untied)"
    )


def seen(inputs: Inputs) -> str:
    """The input in words."""
    if isinstance(inputs.temporal, str):
        return f"{inputs.temporal} inputs with R = {rounded(inputs.R)}"
    lags = ", ".join(f"{k:.2f}" for k in inputs.temporal[1:4])
    return f"inputs with R = {rounded(inputs.R)}, correlated in time: {lags}, .. at lags 1, 2, 3"


def _table(gates: tuple[GateStatistics, ...]) -> Iterator[str]:
    yield f"{'gate':10s} {'sigma_w':>8s} {'sigma_v':>8s} {'mu_b':>8s} {'sigma_b':>8s}  W"
    for g in gates:
        kind = "none" if g.spread is None else f"{g.weights}, |W'W/s^2 - 1| = {_size(g):.2g}"
        yield (
            f"{g.name:10s} {g.sigma_w:8.4f} {g.sigma_v:8.4f} {g.mu_b:8.4f} {g.sigma_b:8.4f}  {kind}"
        )


def _size(gate: GateStatistics) -> float:
    return math.nan if gate.orthogonality is None else gate.orthogonality
