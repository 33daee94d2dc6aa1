"""The page of a report: verdict, both theories at a glance, figures, derivations, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.mathml import mathml
from rnnmft.page.numbers import significant
from rnnmft.parameters import TYINGS
from rnnmft.report.networks import WIDTH
from rnnmft.report.record import ReportRecord
from rnnmft.report.typeset import equation
from rnnmft.validation import html as of_validation

if TYPE_CHECKING:
    from markupsafe import Markup

    from rnnmft.page.figure import Figure
    from rnnmft.report.gradients import Gradients
    from rnnmft.report.memory import Memory
    from rnnmft.report.singular_values import Spectra
    from rnnmft.theory.steps import StepsRecord

__all__ = ["derivations_html", "memory_html", "render_report", "spectra_html"]

_TEMPLATES = Path(__file__).parent / "templates"
# A step with more equations than this folds all but its result away.
_MANY = 6


def render_report(report: ReportRecord) -> str:
    """The whole page."""
    from markupsafe import Markup

    validation = report.validation
    lead = render(
        _TEMPLATES,
        "lead.html",
        verdict=of_validation.verdict_html(validation),
        numbers=report.numbers,
        tyings=[t for t in TYINGS if any(t in n.text for n in report.numbers)],
        fixed_points=_fixed_points(report),
        missing=report.missing,
        notice=report.notice,
    )
    heading = render(
        _TEMPLATES,
        "heading.html",
        cell=report.cell,
        equations=Markup(mathml(report.cell.latex())),  # an XML tree, serialised
    )
    title = f"{report.cell.name}: mean-field theory"
    foot = of_validation.foot(validation)
    return render_page(title, heading, lead, list(_sections(report)), foot, report.reload)


def _sections(report: ReportRecord) -> Iterator[Section]:
    """What exists, in the order in which a reader asks."""
    validation = report.validation
    if report.compared:
        yield Section("Theory and networks", "evolution", _figures(report.compared))
    if report.gradients is not None or report.memory is not None:
        yield Section(
            "Gradients and memory", "gradients", memory_html(report.memory, report.gradients)
        )
    if report.spectra is not None:
        yield Section("Singular values", "spectra", spectra_html(report.spectra))
    if report.cloud is not None:
        yield Section("Eigenvalues", "eigenvalues", _figures([report.cloud]))
    if report.phases:
        yield Section("Phases", "phases", render(_TEMPLATES, "phases.html", figures=report.phases))
    yield Section("Claims", "claims", of_validation.claims_html(validation))
    if validation.gaps:
        yield Section("What tying does", "gap", of_validation.gaps_html(validation))
    if report.derivations:
        yield Section("Derivation", "derivation", derivations_html(report.derivations))
    yield Section("Setting", "setting", of_validation.setting_html(validation))
    yield Section("How to run it again", "provenance", of_validation.provenance_html(validation))


def _figures(figures: Sequence[Figure]) -> Markup:
    return render(_TEMPLATES, "figures.html", figures=figures)


def memory_html(memory: Memory | None, gradients: Gradients | None = None) -> Markup:
    """How long states and gradients last, what there is of it."""
    return render(_TEMPLATES, "gradients.html", gradients=gradients, memory=memory)


def spectra_html(spectra: Spectra) -> Markup:
    """Densities of singular values, and their moments."""
    return render(
        _TEMPLATES,
        "spectra.html",
        figures=spectra.figures,
        moments=spectra.moments,
        tyings=list(spectra.moments[0].networks),
        missing=spectra.missing,
        width=WIDTH,
    )


def _fixed_points(report: ReportRecord) -> list[dict[str, Any]]:
    """Shown only where there is a choice."""
    if len(report.fixed_points) < 2:
        return []
    return [
        {
            "moments": ", ".join(
                f"E[{s}^2] = {significant(v)}" for s, v in at.second_moment.items()
            ),
            "variances": ", ".join(
                f"q_{p} = {significant(v)}" for p, v in at.preactivation_variance.items()
            ),
            "kind": "stable" if at.stable else "unstable",
        }
        for at in report.fixed_points
    ]


def derivations_html(derivations: dict[str, StepsRecord]) -> Markup:
    """The first theory's steps open, the others folded."""
    found = [(tying, _steps(derivation)) for tying, derivation in derivations.items()]
    return render(_TEMPLATES, "derivation.html", derivations=found)


def _steps(derivation: StepsRecord) -> list[dict[str, Any]]:
    from markupsafe import Markup

    steps = []
    for step in derivation.steps:
        after = step.after if isinstance(step.after, (list, tuple)) else [step.after]
        shown = [Markup(equation(e)) for e in after if e is not None]
        folded = shown[:-1] if len(shown) > _MANY else []
        steps.append(
            {
                "name": step.name,
                "reason": step.reason,
                "assumption": step.assumption,
                "citation": step.citation,
                "folded": folded,
                "equations": shown[len(folded) :],
            }
        )
    return steps
