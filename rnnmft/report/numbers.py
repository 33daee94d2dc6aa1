"""The numbers of a report, without its page: one JSON-safe dictionary, section by section."""

from __future__ import annotations

from typing import Any

import sympy as sp

from rnnmft.page.figure import Figure
from rnnmft.records import json_safe
from rnnmft.report.record import ReportRecord
from rnnmft.report.singular_values import Spectra
from rnnmft.theory.steps import StepsRecord

__all__ = ["report_numbers"]


def report_numbers(report: ReportRecord) -> dict[str, Any]:
    """Every number of the page: those of its tables by name, those of its figures by series.

    Numbers of figures are as they are drawn; a value in a table also has its error and what kind of
    error that is.
    """
    return {
        "cell": {"name": report.cell.name, "latex": report.cell.latex()},
        "ensemble": report.ensemble.to_dict(),
        "inputs": report.inputs.to_dict(),
        "notice": report.notice,
        "at_a_glance": [number.to_dict() for number in report.numbers],
        "fixed_points": json_safe(report.fixed_points),
        "validation": {**report.validation.to_dict(), "figures": _figures(report.compared)},
        "gradients": _gradients(report),
        "memory": _memory(report),
        "singular_values": _spectra(report.spectra),
        "eigenvalues": _figures([report.cloud] if report.cloud is not None else []),
        "phases": _figures(report.phases),
        "derivations": {t: _equations(steps) for t, steps in report.derivations.items()},
        "missing": list(report.missing),
    }


def _figures(figures: list[Figure]) -> list[dict[str, Any]]:
    return [{"shows": f.alt, "series": [_series(one) for one in f.series]} for f in figures]


def _series(one: Any) -> dict[str, Any]:
    """A series without what it looks like, and without what it does not have."""
    found = json_safe(one)
    return {name: value for name, value in found.items() if value and name != "colour"}


def _gradients(report: ReportRecord) -> dict[str, Any] | None:
    found = report.gradients
    if found is None:
        return None
    growth = [
        {
            "tying": row.tying,
            "limit": row.limit.to_dict(),
            "between": json_safe(row.between),
            "networks_between": json_safe(row.measured),
        }
        for row in found.growth
    ]
    means = {tying: mean.to_dict() for tying, mean in found.means.items()}
    window = {"window": list(found.window), "growth": growth, "lesson": found.lesson}
    return {"m_1": means, **window, "figures": _figures([found.figure])}


def _memory(report: ReportRecord) -> dict[str, Any] | None:
    found = report.memory
    if found is None:
        return None
    return {"autocorrelation": json_safe(found.found), "figures": _figures(found.figures)}


def _spectra(found: Spectra | None) -> dict[str, Any] | None:
    if found is None:
        return None
    moments = [
        {"T": row.horizon, "k": row.order, **json_safe(row.numbers)} for row in found.moments
    ]
    return {"moments": moments, "figures": _figures(found.figures), "missing": found.missing}


def _equations(derivation: StepsRecord) -> list[dict[str, Any]]:
    return [
        {"step": step.name, "equations": [sp.latex(e) for e in step.equations if e is not None]}
        for step in derivation.steps
    ]
