"""What is uncertain about a layer's numbers, in sentences: each is printed after "beware"."""

from __future__ import annotations

import math
from collections.abc import Iterator

import sympy as sp

from rnnmft.diagnosis.record import LayerDiagnosis
from rnnmft.errors import RnnmftError
from rnnmft.language import Cell
from rnnmft.theory.jacobian import jacobian_theory

__all__ = ["disagreement", "remarks", "shown"]

# Differences of log10 m_1(T) that are announced: always, and where they are more than chance.
_ALWAYS, _SIGNIFICANT = 0.5, 0.2
# More than chance: one layer in four hundred is more standard errors off.
_STANDARD_ERRORS = 3.0
# An input of fewer features is no sum of many.
_FEATURES = 16
# An error of log10 m_1(T) above this fraction of the threshold leaves little to say.
_LARGE = 0.5


def remarks(layer: LayerDiagnosis) -> Iterator[str]:
    """Every sentence, what was measured first."""
    yield from _of_the_run(layer)
    found = disagreement(layer)
    if found is not None:
        yield found
    yield from _at_infinite_width(layer)
    if _jumps(layer.cell):
        yield (
            "its step jumps: there a derivative is infinite, m_1 has no value at infinite width, "
            "and what was measured by automatic differentiation passes the jumps over"
        )
    if layer.cell.averages:
        yield (
            "its averages over units add a part of low rank to the Jacobian, which infinite width "
            "leaves out: over many steps this part may carry m_1"
        )
    for gate in layer.gates:
        yield from gate.remarks
    yield from _of_the_input(layer)


def disagreement(layer: LayerDiagnosis) -> str | None:
    """The sentence that measured and predicted differ, with both numbers; None where they agree.

    Or that there is no prediction, where its error says so.
    """
    measured, predicted = layer.measured.at(layer.length), layer.predicted.at(layer.length)
    if len(layer.predicted.log10) and not layer.is_predicted and math.isfinite(measured[0]):
        mixes = any(gate.spread is not None for gate in layer.gates)
        why = "what its units do depends on W" if mixes else "few of its units carry m_1, by chance"
        return (
            f"nothing is predicted through its own matrices: {why}, so much that "
            f"log10 m_1({layer.length}) would be {shown(*predicted)} ({shown(*measured)} is "
            "measured), and the theory's other numbers and advice need not hold for it"
        )
    followed = layer.length <= len(layer.measured.log10)
    if not len(layer.predicted.log10) or not _differ(*measured, *predicted, followed):
        return None
    return (
        f"measured and predicted disagree: log10 m_1({layer.length}) is {shown(*measured)} "
        f"measured and {shown(*predicted)} predicted through its own matrices, so the theory's "
        "other numbers and advice need not hold for it"
    )


def _differ(one: float, error: float, other: float, noise: float, always: bool = True) -> bool:
    """Whether two values of log10 m_1 differ by more than is let pass in silence.

    Where both were `always` followed to the end a large difference is said whatever its error.
    """
    if one == other:
        return False
    if not (math.isfinite(one) and math.isfinite(other)):
        return True
    size = abs(one - other)
    return (always and size > _ALWAYS) or size > max(
        _SIGNIFICANT, _STANDARD_ERRORS * math.hypot(error, noise)
    )


def _at_infinite_width(layer: LayerDiagnosis) -> Iterator[str]:
    value, noise = layer.tied.log10_mean, layer.tied.log10_error or 0.0
    measured, error = layer.measured.at(layer.length)
    if value is None or measured == value:
        return
    if not math.isfinite(noise) and math.isfinite(value):
        yield (
            f"infinite width (tied) gives log10 m_1({layer.length}) = {value:.4g} by a few of the "
            "units that were sampled, so that its error is not known: take more particles"
        )
        return
    chance = _STANDARD_ERRORS * math.hypot(error, noise)
    finite = math.isfinite(measured) and math.isfinite(value)
    if not finite or abs(measured - value) > max(_ALWAYS, chance):
        yield (
            f"infinite width (tied) gives log10 m_1({layer.length}) = {value:.4g} and this network "
            f"has {shown(measured, error)}: over so many steps its {layer.width} units are not many"
        )


def _jumps(cell: Cell) -> bool:
    """Whether a derivative of its step holds a Dirac delta of weight other than 0."""
    try:
        blocks = jacobian_theory(cell).blocks
    except RnnmftError:  # no theory, of which the layer says why
        return False
    return any(entry.has(sp.DiracDelta) for block in blocks for entry in block)


def _of_the_run(layer: LayerDiagnosis) -> Iterator[str]:
    steps = len(layer.measured.log10)
    value, error = layer.measured.at(layer.length)
    if steps < layer.length:
        off = layer.measured.slope_error
        known = f"+- {off:.1g}" if math.isfinite(off) else "(of unknown error)"
        yield (
            f"gradients were followed over {steps} of {layer.length} steps, and on from there at "
            f"{layer.measured.slope:+.3g} {known} of log10 m_1 a step"
        )
    if layer.drift > 0.0 or math.isnan(layer.drift):
        by = "" if math.isnan(layer.drift) else f" (the second moment of one by {layer.drift:.0%})"
        yield f"after the burn-in of {layer.burn_in} steps the states had not settled yet{by}"
    near = abs(value) < layer.threshold + _STANDARD_ERRORS * error
    if math.isfinite(value) and not math.isfinite(error):
        yield f"the error of log10 m_1({layer.length}) is not known: take more sequences or steps"
    elif math.isfinite(value) and near and error > _LARGE * layer.threshold:
        yield (
            f"log10 m_1({layer.length}) is known to +- {error:.2g} only: a few sequences carry the "
            "mean; more sequences= make it surer"
        )


def _of_the_input(layer: LayerDiagnosis) -> Iterator[str]:
    driven = [p.name for p in layer.cell.preactivations if p.has_input]
    driven = [g.sigma_v for g in layer.gates if g.name in driven]
    if driven and not any(driven) and layer.cell.input is None:
        yield "every V is 0: what the layer is given does not reach its states"
    elif layer.input_width < _FEATURES and layer.inputs.R > 0.0 and any(driven):
        yield (
            f"its input has {layer.input_width} features: the sums V x are not those of many "
            "independent numbers, which infinite width takes them for"
        )
    if layer.dead:
        yield "all that it hands on is 0"


def shown(value: float, error: float) -> str:
    """A value of log10 m_1 and its error; as many digits as one has use for."""
    if not math.isfinite(value):
        return f"{value}"
    digits = 2 if abs(value) < 1e4 else 0
    known = "?" if not math.isfinite(error) else f"{error:.{digits}f}"
    return f"{value:.{digits}f} +- {known}"
