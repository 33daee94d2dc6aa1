"""The page of a report: verdict, numbers at a glance, figures, derivation, setting, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.mathml import mathml
from rnnmft.page.numbers import significant
from rnnmft.report.typeset import equation
from rnnmft.validation import html as of_validation

if TYPE_CHECKING:
    from markupsafe import Markup

    from rnnmft.report.assemble import Report
    from rnnmft.theory.steps import StepsRecord

__all__ = ["render_report"]

_TEMPLATES = Path(__file__).parent / "templates"
# A step with more equations than this folds all but its result away.
_MANY = 6


def render_report(report: Report) -> str:
    """The whole page."""
    from markupsafe import Markup

    validation = report.validation
    lead = render(
        _TEMPLATES,
        "lead.html",
        verdict=of_validation.verdict_html(validation),
        numbers=report.numbers,
        fixed_points=_fixed_points(report),
        missing=report.missing,
    )
    figures = [*of_validation.comparison_figures(validation), *report.figures]
    sections = [
        Section("Claims", "claims", of_validation.claims_html(validation)),
        Section("Figures", "figures", render(_TEMPLATES, "figures.html", figures=figures)),
    ]
    if validation.gaps:
        sections.append(Section("What tying does", "gap", of_validation.gaps_html(validation)))
    if report.derivation is not None:
        sections.append(Section("Derivation", "derivation", _derivation(report.derivation)))
    sections.append(Section("Setting", "setting", of_validation.setting_html(validation)))
    sections.append(
        Section("How to run it again", "provenance", of_validation.provenance_html(validation))
    )
    heading = render(
        _TEMPLATES,
        "heading.html",
        cell=report.cell,
        equations=Markup(mathml(report.cell.latex())),  # an XML tree, serialised
    )
    title = f"{report.cell.name}: mean-field theory"
    return render_page(title, heading, lead, sections, of_validation.foot(validation))


def _fixed_points(report: Report) -> list[dict[str, Any]]:
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


def _derivation(derivation: StepsRecord) -> Markup:
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
    return render(_TEMPLATES, "derivation.html", steps=steps)
