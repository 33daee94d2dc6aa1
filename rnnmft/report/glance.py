"""The numbers of a theory at a glance, each with what it says; what does not exist says why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import RnnmftError
from rnnmft.page.numbers import significant

__all__ = ["Glance", "glance"]


@dataclass(frozen=True)
class Glance:
    """One number: its LaTeX name, its value as text, what it says."""

    latex: str
    value: str
    says: str


def glance(field: MeanField) -> tuple[list[Glance], list[str]]:
    """The numbers that exist, and a sentence for each group that does not."""
    found: list[Glance] = []
    missing: dict[str, None] = {}
    for part in (_fixed_point, _correlation, _timescales, _growth, _jacobian):
        try:
            found += part(field)
        except RnnmftError as error:
            missing[str(error)] = None
    return found, list(missing)


def _fixed_point(field: MeanField) -> Iterator[Glance]:
    at = field.fixed_point()
    for state in (s.name for s in field.cell.states):
        value = at.second_moment[state]
        yield Glance(rf"\mathbb{{E}}[{state}^2]", significant(value), "stationary second moment")
    for name, value in at.preactivation_variance.items():
        yield Glance(rf"q^*_{{{name}}}", significant(value), "variance of the preactivation")


def _correlation(field: MeanField) -> Iterator[Glance]:
    correlation = field.correlation_fixed_point().correlation
    for state in (s.name for s in field.cell.states):
        yield Glance(f"c^*_{{{state}}}", significant(correlation[state]), "correlation of two runs")


def _timescales(field: MeanField) -> Iterator[Glance]:
    times = field.timescales()
    yield Glance(r"\xi_q", f"{significant(times.xi_q, 3)} steps", "memory of the variance")
    yield Glance(r"\xi_c", f"{significant(times.xi_c, 3)} steps", "memory of the input")


def _growth(field: MeanField) -> Iterator[Glance]:
    growth = float(field.gradient_growth())
    chi = math.exp(growth)
    says = "chaos: gradients grow" if chi > 1 else "order: gradients vanish"
    yield Glance(r"\chi_1", significant(chi), says if abs(growth) > 1e-3 else "critical")
    if abs(growth) > 1e-3:
        steps = significant(math.log(2) / abs(growth), 2)
        yield Glance(r"\log \chi_1", significant(growth, 3), f"a factor of 2 in {steps} steps")


def _jacobian(field: MeanField) -> Iterator[Glance]:
    law = field.jacobian(1)
    yield Glance("m_1", significant(float(law.mean)), "mean of J Jᵀ, one step")
    yield Glance("m_2 - m_1^2", significant(float(law.variance)), "its variance; 0 is isometry")
