"""How a validation reads on a page: verdict, claims, the gap of tied networks, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.numbers import count, law_in_words, percent_error, plus_minus, significant
from rnnmft.validation.figures import comparison_figures
from rnnmft.validation.record import Claim, Comparison, ValidationRecord

if TYPE_CHECKING:
    from markupsafe import Markup


__all__ = [
    "claims_html",
    "figures_html",
    "gaps_html",
    "provenance_html",
    "render_validation",
    "setting_html",
    "verdict_html",
]

_TEMPLATES = Path(__file__).parent / "templates"
_HEADLINES = {
    "accepted": "The {t} theory agrees with simulated {t} networks.",
    "rejected": "The {t} theory disagrees with simulated {t} networks.",
    "inconclusive": "Nothing disagrees with the {t} theory, but the test is too small to be sure.",
    "untested": "The theory could not be tested.",
}
_WORDS = {"accepted": "✓ holds", "rejected": "✗ rejected", "inconclusive": "? open"}


def render_validation(report: ValidationRecord) -> str:
    """A page of its own."""
    sections = [
        Section("Claims", "claims", claims_html(report)),
        Section("Theory and networks", "evolution", figures_html(report)),
    ]
    if report.gaps:
        sections.append(Section("What tying does", "gap", gaps_html(report)))
    sections.append(Section("Setting", "setting", setting_html(report)))
    sections.append(Section("How to run it again", "provenance", provenance_html(report)))
    heading = render(_TEMPLATES, "heading.html", cell=report.cell)
    return render_page(
        f"{report.cell.name}: validation", heading, verdict_html(report), sections, foot(report)
    )


def foot(report: ValidationRecord) -> str:
    """The page's last line."""
    made = report.provenance
    return f"rnnmft {made.versions['rnnmft']}, {made.date}. This page loads nothing from anywhere."


def verdict_html(report: ValidationRecord) -> Markup:
    """The main theory's verdict in a box; beside it the other theory, and the largest gap."""
    main = report.main
    others = [t for t in report.tyings if t != main and report.verdict(t) != "untested"]
    return render(
        _TEMPLATES,
        "verdict.html",
        outcome=report.verdict(main),
        headline=_HEADLINES[report.verdict(main)].format(t=main),
        detail=_detail(report),
        beside=[_beside(report, tying) for tying in others],
        gap=_largest_gap(report),
    )


def _beside(report: ValidationRecord, tying: str) -> str:
    """What became of a theory whose verdict is not the main one."""
    headline = _HEADLINES[report.verdict(tying)].format(t=tying)
    if tying == "untied":
        headline += " (An untied network draws fresh weights at every step: no real one does.)"
    return headline


def _detail(report: ValidationRecord) -> str:
    if not report.claims:
        return " ".join(f"{u.name}: {u.reason}" for u in report.untested)
    seen = sum(c.verdict.control_rejected for c in report.claims)
    total = count(len(report.claims), "claim")
    rate = significant(report.false_alarm_rate, 1)
    return (
        f"{report.summary()} Predictions moved by {report.control:.0%} would have been rejected in "
        f"{seen} of {total}. The probability that a correct theory is rejected anywhere is {rate}."
    )


def _largest_gap(report: ValidationRecord) -> str:
    """The quantity in which tied networks are surest to differ from the untied theory."""
    if not report.gaps:
        return ""
    found = [g for g in report.gaps if abs(g.gap) > 5 * g.gap_error]
    if not found:
        return "Tied networks, as real ones are, do not differ measurably from the untied theory."
    most = max(found, key=lambda g: abs(g.gap))
    text = (
        "Tied networks, as real ones are, differ from the untied theory at any width: by "
        f"{percent_error(most.gap, most.gap_error)} in {most.name}"
    )
    if most.theory_gap is None or most.theory_gap_error is None:
        return f"{text}."
    between = percent_error(most.theory_gap, most.theory_gap_error)
    return f"{text}, where the tied theory differs from it by {between}."


def claims_html(report: ValidationRecord) -> Markup:
    """Every claim with its numbers and verdict; beside them what is shown and not tested."""
    tyings = dict.fromkeys(c.target.tying for c in report.claims)
    groups = [
        (
            tying,
            [_claim_row(c) for c in report.claims if c.target.tying == tying],
            [_shown_row(c) for c in report.shown if c.target.tying == tying],
        )
        for tying in tyings
    ]
    return render(
        _TEMPLATES,
        "claims.html",
        groups=groups,
        design=report.design,
        networks={t: _networks(report, t) for t in report.design},
        control=f"{report.control * 100:g} %",
        false_alarm_rate=significant(report.false_alarm_rate, 1),
        threshold=significant(report.false_alarm_rate / max(len(report.claims), 1), 2),
        untested=report.untested,
        sized=bool(report.pilot),
        dimension=any(c.target.quantity == "effective_dimension" for c in report.claims),
        shown=bool(report.shown),
    )


def _networks(report: ValidationRecord, tying: str) -> str:
    numbers = report.design[tying].networks
    if len(set(numbers)) == 1:
        return f"{count(numbers[0], 'network')} each"
    return f"{', '.join(f'{n:,}' for n in numbers)} networks"


def _shown_row(found: Comparison) -> dict[str, Any]:
    """What was predicted and measured; of many steps or lags the last."""
    prediction, limit, slope = found.target.prediction, found.fitted.limit, found.level.slope
    last = (..., -1) if prediction.value.ndim else ()
    theory, own = float(prediction.value[last]), float(prediction.error[last])
    return {
        "latex": found.target.latex,
        "note": f"at {prediction.labels[-1]}" if prediction.labels else "",
        "theory": plus_minus(theory, own) if prediction.sampled else significant(theory, 5),
        "measured": plus_minus(float(limit.value[last]), float(limit.error[last])),
        "deviation": percent_error(found.deviation, found.deviation_error),
        "slope": plus_minus(float(slope.value), float(slope.error)),
    }


def _claim_row(claim: Claim) -> dict[str, Any]:
    v = claim.verdict
    return {
        **_shown_row(claim),
        "deviation": percent_error(v.deviation, v.deviation_error),
        "score": f"{significant(v.score, 3)}",
        "degrees": f"{v.degrees:.0f} d.o.f.",
        "p_value": significant(v.p_value, 2),
        "control": "rejected" if v.control_rejected else "not rejected",
        "resolution": f"resolves {significant(100 * v.resolution, 2)} %"
        + (", limited by the error of the theory" if v.limited_by == "units" else ""),
        "outcome": v.outcome,
        "verdict": _WORDS[v.outcome],
    }


def figures_html(report: ValidationRecord) -> Markup:
    """Moments over time, theory and networks, and the extrapolation in 1/N."""
    return render(_TEMPLATES, "figures.html", figures=comparison_figures(report))


def gaps_html(report: ValidationRecord) -> Markup:
    """Tied theory and tied networks against the untied theory."""
    rows = [
        {
            "latex": gap.latex,
            "theory": significant(gap.theory, 5),
            "tied": "" if gap.tied_theory is None else significant(gap.tied_theory, 5),
            "between": ""
            if gap.theory_gap is None or gap.theory_gap_error is None
            else percent_error(gap.theory_gap, gap.theory_gap_error),
            "networks": plus_minus(gap.networks, gap.error),
            "gap": percent_error(gap.gap, gap.gap_error),
        }
        for gap in report.gaps
    ]
    return render(
        _TEMPLATES,
        "gaps.html",
        gaps=rows,
        both=any(gap.tied_theory is not None for gap in report.gaps),
        widths=", ".join(map(str, report.design["tied"].widths)),
        networks=_networks(report, "tied"),
    )


def setting_html(report: ValidationRecord) -> Markup:
    """Parameters and inputs."""
    names = ("sigma_w", "sigma_v", "mu_b", "sigma_b")
    rows = [
        {
            "latex": p._latex_() if hasattr(p, "_latex_") else p.name,
            "values_": [f"{getattr(report.ensemble[p.name], n):g}" for n in names],
            "weights": report.ensemble[p.name].weights if p.is_recurrent else "none",
        }
        for p in report.cell.preactivations
    ]
    inputs = report.inputs
    temporal = inputs.temporal
    if inputs.data is not None:
        temporal = repr(inputs.data)
    elif not isinstance(temporal, str):
        temporal = "autocorrelation " + ", ".join(f"{v:g}" for v in temporal)
    return render(
        _TEMPLATES,
        "setting.html",
        columns=[rf"\{n}" for n in names],
        rows=rows,
        laws=[
            (name, law_in_words(law.to_dict())) for name, law in report.ensemble.parameters.items()
        ],
        R=f"{inputs.R:g}",
        correlation=f"{inputs.correlation:g}",
        temporal=temporal,
        steps=f"{count(report.steps, 'step')} from {_start(report)}",
    )


def _start(report: ValidationRecord) -> str:
    stds = [f"{std:g} ({s})" for s, std in report.start.items() if std > 0]
    return f"states of standard deviation {', '.join(stds)}" if stds else "the zero state"


def provenance_html(report: ValidationRecord) -> Markup:
    """Versions, seed, hardware, and the command."""
    made = report.provenance
    designs = [
        (tying, f"widths {', '.join(map(str, d.widths))}; {_networks(report, tying)}")
        for tying, d in report.design.items()
    ]
    return render(
        _TEMPLATES,
        "provenance.html",
        made=made,
        seed=report.seed,
        designs=designs,
        dtype=report.dtype,
        versions=", ".join(f"{name} {number}" for name, number in made.versions.items()),
        threads=count(made.threads, "thread"),
    )
