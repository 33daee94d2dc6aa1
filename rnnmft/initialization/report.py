"""The report of an initialization: what it is, what theory predicts for both tyings, and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import sympy as sp

from rnnmft.errors import RnnmftError
from rnnmft.initialization.critical_ensemble import CriticalEnsemble

if TYPE_CHECKING:
    from rnnmft.records import Quantity
    from rnnmft.solvers.results import Trajectory

__all__ = ["markdown"]


def markdown(init: CriticalEnsemble) -> str:
    """The report as Markdown."""
    parts = [
        f"# {init.cell.name}: critical initialization for {init.tying} weights",
        f"Inputs: R = {init.inputs.R:g}, {_temporal(init)} in time, correlation "
        f"{init.inputs.correlation:g}. Objective: {init.objective}, horizon {init.horizon:g} "
        f"steps. Averages by {init.method}.",
        _ensemble(init),
        "## Why",
        "\n".join(f"* {reason}" for reason in init.reasons),
    ]
    if init.tying == "tied" and init.solved_for is not None:
        parts.append(_correction(init))
    parts += ["## What theory predicts", _predictions(init)]
    if init.formula is not None:
        equations = "\n\n".join(f"$$\n{sp.latex(e)}\n$$" for e in init.formula)
        parts += ["## The untied closed form", equations]
    return "\n\n".join(parts) + "\n"


def _temporal(init: CriticalEnsemble) -> str:
    temporal = init.inputs.temporal
    return temporal if isinstance(temporal, str) else "correlated"


def _ensemble(init: CriticalEnsemble) -> str:
    head = "| | sigma_w | sigma_v | mu_b | sigma_b | weights |\n|---|---|---|---|---|---|\n"
    rows = [
        f"| {n} | {p.sigma_w:.6g} | {p.sigma_v:.6g} | {p.mu_b:.6g} | {p.sigma_b:.6g} | "
        f"{p.weights} |"
        for n, p in init.ensemble.items()
    ]
    rows += [f"| {n} | {law!r} | | | | |" for n, law in init.ensemble.parameters.items()]
    return head + "\n".join(rows)


def _correction(init: CriticalEnsemble) -> str:
    name = init.solved_for or ""
    before, after = init.tied_growth["untied answer"], init.tied_growth["answer"]
    return (
        f"With one set of weights the untied answer, sigma_w of {name} = "
        f"{init.untied_ensemble[name].sigma_w:.6g}, has gradients that grow by "
        f"{float(before):.4g} +- {before.error:.1g} per step. At {init.correction:.4g} times that, "
        f"sigma_w = {init.ensemble[name].sigma_w:.6g}, they grow by {float(after):.2g} +- "
        f"{after.error:.1g}."
    )


def _predictions(init: CriticalEnsemble) -> str:
    """Both tyings side by side; what has no number says why."""
    rows = ["| | untied | tied |", "|---|---|---|"]

    grows = init.variance_growth is not None
    steps = max(round(init.horizon), 1) if grows else init.burn_in
    at = f" after {steps} steps" if grows else ""

    @cache
    def settled(tying: str) -> Trajectory:
        return init.theory(tying).evolve(steps)

    def second(state: str) -> Callable[[str], str]:
        return lambda tying: f"{settled(tying).second_moment[state][-1]:.5g}"

    def variance(name: str) -> Callable[[str], str]:
        return lambda tying: f"{settled(tying).preactivation_variance[name][-1]:.5g}"

    star = "" if grows else "*"
    rows += [_row(f"Q{star} = E[{s.name}^2]{at}", second(s.name)) for s in init.cell.states]
    rows += [_row(f"q{star} of {name}{at}", variance(name)) for name in init.ensemble]
    rows.append(_row("m_1(1)", lambda t: _number(init.mean_square(1, t))))
    rows.append(_row("growth of m_1(T) per step", lambda t: _growth(init, t)))
    rows.append(_row("sigma^2(1)", lambda t: _number(init.variance(1, t))))
    for label, key in (("xi_q, steps", "xi_q"), ("xi_c, steps", "xi_c"), ("chi_1", "chi_1")):
        rows.append(
            _row(label, lambda t, k=key: f"{getattr(init.timescales(t), k):.5g}", tied=False)
        )
    return "\n".join(rows)


def _number(found: Quantity) -> str:
    """The value, with its standard error where there is one."""
    sampled = found.error_kind == "standard error"
    return f"{float(found):.5g}" + (f" +- {float(found.error):.1g}" if sampled else "")


def _growth(init: CriticalEnsemble, tying: str) -> str:
    found = init.growth(tying)
    return f"{float(found):.2g} +- {float(found.error):.1g}"


def _row(label: str, value: Callable[[str], str], tied: bool = True) -> str:
    cells = []
    for tying in ("untied", "tied"):
        if tying == "tied" and not tied:
            cells.append("")
            continue
        try:
            cells.append(value(tying))
        except RnnmftError as error:
            cells.append(str(error))
    return f"| {label} | {' | '.join(cells)} |"
