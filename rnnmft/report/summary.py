"""The numbers of both theories at a glance; what does not exist says why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import Status
from rnnmft.page.numbers import percent, plus_minus, significant
from rnnmft.parameters import TYINGS
from rnnmft.records import BOUND, STANDARD_ERROR, json_safe
from rnnmft.report.try_compute import try_compute

__all__ = ["SummaryNumber", "summary"]

# Growth rates within this of 0 are called critical, if their error allows it.
_CRITICAL = 1e-3
#: Units for the moments of one step beyond the first: more than a spectrum takes.
_UNITS = 32_000


@dataclass(frozen=True)
class _Reading:
    """One number of one theory: how it is written, its value, and whether a gap is taken of it.

    `error` is a standard error where the theory samples (`sampled`), and a bound otherwise.
    """

    latex: str
    says: str
    text: str
    value: float
    error: float = math.nan
    sampled: bool = False
    note: str = ""
    compared: bool = True

    @property
    def noise(self) -> float:
        """What chance may move it by."""
        return self.error if self.sampled else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the text on the page, the value, its error and what that is."""
        kind = STANDARD_ERROR if self.sampled else BOUND
        numbers = {"value": self.value, "error": self.error, "error_kind": kind}
        return json_safe({"text": self.text, **numbers, "note": self.note})


@dataclass
class SummaryNumber:
    """One number: its LaTeX name, what it says, its text (and a note) by theory, the difference."""

    latex: str
    says: str
    text: dict[str, str] = field(default_factory=dict)
    note: dict[str, str] = field(default_factory=dict)
    gap: str = ""
    values: dict[str, _Reading] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the number in every theory."""
        values = {tying: reading.to_dict() for tying, reading in self.values.items()}
        return {"latex": self.latex, "says": self.says, **values, "untied_is_off_by": self.gap}

    def take(self, tying: str, reading: _Reading) -> None:
        """One theory's value; the first theory says what the number means."""
        self.text[tying], self.note[tying] = reading.text, reading.note
        self.values[tying] = reading
        pair = [self.values.get(t) for t in TYINGS]
        if pair[0] is not None and pair[1] is not None:
            self.gap = _gap(pair[0], pair[1])


def summary(fields: Mapping[str, MeanField]) -> tuple[list[SummaryNumber], list[str]]:
    """The numbers that exist, and a sentence for each group that does not."""
    rows: dict[str, SummaryNumber] = {}
    missing: list[str] = []
    parts: dict[str, Callable[[MeanField], Iterator[_Reading]]] = {
        "The fixed point": _fixed_point,
        "The correlation of two runs": _correlation,
        "The timescales": _timescales,
        "The growth of gradients": _growth,
        "The Jacobian of one step": _jacobian,
    }
    for what, part in parts.items():
        for tying, mean_field in fields.items():
            found = try_compute(
                f"{what} ({tying})",
                lambda part=part, mean_field=mean_field: list(part(mean_field)),
                missing,
            )
            for reading in found or ():
                row = rows.setdefault(reading.latex, SummaryNumber(reading.latex, reading.says))
                row.take(tying, reading)
    return list(rows.values()), missing


def _gap(tied: _Reading, untied: _Reading) -> str:
    """The untied number in percent of the tied one, where the difference is more than noise."""
    if not (tied.compared and untied.compared and tied.value):
        return ""
    difference = (untied.value - tied.value) / abs(tied.value)
    noise = math.hypot(tied.noise, untied.noise) / abs(tied.value)
    if not math.isfinite(difference):
        return ""
    return percent(difference, 1) if abs(difference) > 3 * noise else "within its error"


def _reading(
    latex: str, says: str, value: float, error: float, sampled: bool, *, unit: str = ""
) -> _Reading:
    text = plus_minus(value, error) if sampled else significant(value)
    return _Reading(latex, says, text + unit, value, error, sampled)


def _fixed_point(mean_field: MeanField) -> Iterator[_Reading]:
    at = mean_field.fixed_point()
    sampled = at.units is not None
    for state in mean_field.cell.states:
        error = at.errors.get("second_moment", {}).get(state.name, at.error)
        latex = rf"\mathbb{{E}}[{sp.latex(state)}^2]"
        says = "stationary second moment"
        yield _reading(latex, says, at.second_moment[state.name], error, sampled)
    for e in mean_field.cell.preactivations:
        error = at.errors.get("preactivation_variance", {}).get(e.name, at.error)
        latex, value = f"q^*_{{{sp.latex(e)}}}", at.preactivation_variance[e.name]
        yield _reading(latex, "variance of the preactivation", value, error, sampled)


def _correlation(mean_field: MeanField) -> Iterator[_Reading]:
    at = mean_field.correlation_fixed_point()
    sampled = at.units is not None
    for state in mean_field.cell.states:
        error = at.errors.get("correlation", {}).get(state.name, at.error)
        latex, says = f"c^*_{{{sp.latex(state)}}}", "correlation of two runs"
        yield _reading(latex, says, at.correlation[state.name], error, sampled)


def _timescales(mean_field: MeanField) -> Iterator[_Reading]:
    times = mean_field.timescales()
    sampled = mean_field.is_sampled
    for name, says in (("xi_q", "memory of the variance"), ("xi_c", "memory of the input")):
        value, error = getattr(times, name), times.error[name]
        latex = rf"\xi_{name[-1]}"
        if math.isnan(value):
            note = "a zero state has no correlation"
            yield _Reading(latex, says, "undefined", value, note=note, compared=False)
        elif sampled and not error < value:
            yield _unresolved(latex, says, value)
        elif math.isinf(value):
            note = "no decay: the slope of the map is 1 or more"
            yield _Reading(latex, says, "∞", value, note=note, compared=False)
        else:
            yield _reading(latex, says, value, error, sampled, unit=" steps")


def _unresolved(latex: str, says: str, bound: float) -> _Reading:
    """A decay that is over before it stands out of the sampling noise has a bound only."""
    text = f"< {significant(bound, 2)} steps" if math.isfinite(bound) else "not resolved"
    note = "the decay is lost in the sampling error"
    return _Reading(latex, says, text, bound, sampled=True, note=note, compared=False)


def _growth(mean_field: MeanField) -> Iterator[_Reading]:
    growth = mean_field.gradient_growth()
    rate, error = float(growth), float(growth.error)
    sampled = growth.error_kind != "bound"
    exact = "0" if abs(rate) <= error else significant(rate)  # 0 within its bound
    text = plus_minus(rate, error) if sampled else exact
    note = "" if growth.status is Status.OK else "not settled"
    if abs(rate) <= max(_CRITICAL, 2 * error * sampled):
        says = "growth of gradients per step; 0 is critical"
    else:
        kind = "chaos: gradients grow" if rate > 0 else "order: gradients vanish"
        says = f"{kind}, a factor of 2 in {significant(math.log(2) / abs(rate), 2)} steps"
    # A rate may be 0: a difference in percent of it says nothing.
    latex = r"\log \chi_1"
    yield _Reading(latex, says, text, rate, error, sampled, note=note, compared=False)


def _jacobian(mean_field: MeanField) -> Iterator[_Reading]:
    one = mean_field.jacobian_means(1)
    sampled = one.error_kind != "bound"
    says = "mean squared singular value of one step"
    yield _reading("m_1", says, float(one[0]), float(one.error[0]), sampled)
    law = mean_field.jacobian(1, units=_UNITS)
    found = law.moments(2)
    value = float(found[1] - found[0] ** 2)
    error = float(found.error[1] + 2 * abs(found[0]) * found.error[0])
    says = "its variance; 0 with mean 1 is isometry"
    yield _reading("m_2 - m_1^2", says, value, error, found.error_kind != "bound")
