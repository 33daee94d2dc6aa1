"""What a report shows: one cell's theory, its claims, figures and equations; no page."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.page.figure import Figure
from rnnmft.report.gradients import Gradients
from rnnmft.report.memory import Memory
from rnnmft.report.singular_values import Spectra
from rnnmft.report.summary import SummaryNumber
from rnnmft.solvers.results import FixedPoint
from rnnmft.theory.steps import StepsRecord
from rnnmft.validation import ValidationReport

__all__ = ["ReportRecord"]


@dataclass(frozen=True, eq=False)
class ReportRecord:
    """The content of a page.

    Attributes:
        cell, ensemble, inputs: the setting.
        validation: theory against networks.
        compared: its figures.
        numbers: of both theories, at a glance.
        fixed_points: all of the untied theory.
        gradients, memory, spectra: each against networks, or None.
        phases: correlation map and phase diagram, where they exist.
        derivations: the equations by tying.
        cloud: the eigenvalues of the Jacobian, of the first theory, or None.
        missing: what is not on the page, and why.
        notice: what of the page is not final, in one sentence; empty where all of it is.
        reload: seconds after which the page reads itself again; 0 for never.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    validation: ValidationReport
    compared: list[Figure]
    numbers: list[SummaryNumber]
    fixed_points: list[FixedPoint]
    gradients: Gradients | None
    memory: Memory | None
    spectra: Spectra | None
    phases: list[Figure]
    derivations: dict[str, StepsRecord]
    missing: list[str] = field(default_factory=list)
    cloud: Figure | None = None
    notice: str = ""
    reload: int = 0
