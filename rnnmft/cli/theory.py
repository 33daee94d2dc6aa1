"""Commands that need no network: cells, derive, evolve, phase."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rnnmft.cli.options import (
    AsJson,
    CellName,
    Correlation,
    Laws,
    SecondMoment,
    Seed,
    Sets,
    Start,
    Steps,
    Temporal,
    Tying,
    Weights,
)
from rnnmft.cli.output import announced, print_json, print_table, progress_bar, say
from rnnmft.cli.setting import axis_values, resolve_cell, resolve_setting

__all__ = ["cells", "derive", "evolve", "phase"]


def cells(as_json: AsJson = False) -> None:
    """List the cells of the zoo."""
    from rnnmft import cells as zoo

    found = [(name, zoo.get(name)) for name in zoo.names()]
    if as_json:
        print_json({n: {"cell": repr(c), "latex": c.latex()} for n, c in found})
        return
    print_table(
        "",
        ("name", "states", "preactivations", "update"),
        [
            (
                name,
                ", ".join(s.name for s in cell.states),
                ", ".join(p.name for p in cell.preactivations),
                "; ".join(f"{s.name}' = {f}" for s, f in cell.update.items()),
            )
            for name, cell in found
        ],
    )


def derive(
    cell: CellName,
    tying: Tying = "untied",
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    as_json: AsJson = False,
) -> None:
    """Derive the mean-field equations of a cell, step by step."""
    definition = resolve_cell(cell)
    from rnnmft.theory.derivation import derive as derivation_of

    found = derivation_of(definition, tying=tying)
    if as_json:
        print_json(found)
    else:
        say(found.latex() if latex else found.to_markdown())


def evolve(
    cell: CellName,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    start: Start = None,
    tying: Tying = "tied",
    steps: Steps = 30,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Follow second moments and correlations from t = 0 on."""
    inputs = (R, correlation, temporal)
    s = resolve_setting(cell, sets or (), weights or (), laws or (), *inputs, start or ())
    from rnnmft.analysis.mean_field import MeanField

    field = MeanField(s.cell, s.ensemble, s.inputs, tying=tying, seed=seed, start=s.start)
    found = field.evolve(steps)
    if as_json:
        print_json(found)
        return
    columns: dict[str, Any] = {"step": range(1, steps + 1)}
    for name in found.second_moment:
        columns[f"E[{name}^2]"] = found.second_moment[name]
        columns[f"E[{name}_a {name}_b]"] = found.cross_moment[name]
        columns[f"c_{name}"] = found.correlation[name]
    columns |= {f"q_{name}": q for name, q in found.preactivation_variance.items()}
    rows = [
        [v if isinstance(v, int) else float(v) for v in row]
        for row in zip(*columns.values(), strict=True)
    ]
    print_table(f"{s.cell.name}, {tying} weights: {found.status}", list(columns), rows)


def phase(
    cell: CellName,
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=FROM:TO:COUNT",
            help="What varies: e.sigma_w=0.5:8:31, or values R=0.1,1; also correlation.",
        ),
    ],
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            help="second_moment, preactivation_variance, correlation, xi_q, xi_c, chi_1, "
            "gradient_growth, m_1 or m_2; more than once for several."
        ),
    ] = None,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    start: Start = None,
    tying: Tying = "tied",
    as_json: AsJson = False,
) -> None:
    """Compute the theory over a grid of parameters.

    Tied, a gated cell takes seconds a point: a line on standard error says how long the whole may
    take. --tying untied is the closure of the literature, a whole grid of which takes seconds.
    """
    axes = dict(axis_values(text) for text in vary)
    inputs = (R, correlation, temporal)
    s = resolve_setting(cell, sets or (), weights or (), laws or (), *inputs, start or ())
    from rnnmft.analysis.phase_diagram import phase_diagram

    wanted = quantity or ["second_moment", "chi_1"]
    with progress_bar("points") as bar:
        progress = announced(bar, "points, one by one")
        found = phase_diagram(s.cell, s.ensemble, s.inputs, axes, wanted, tying, progress, s.start)
    if as_json:
        print_json(found.to_dict())
        return
    frame = found[wanted].to_dataframe().reset_index()
    status = found.status.stack(point=list(found.fixed_point_error.dims)).transpose("point", ...)
    worst = ["; ".join(sorted({str(v) for v in row})) for row in status.values]
    # Rows of several states repeat the points; a status belongs to a point.
    index = frame.groupby(list(found.fixed_point_error.dims), sort=False).ngroup()
    rows = [[*row, worst[i]] for row, i in zip(frame.values.tolist(), index, strict=True)]
    print_table(f"{s.cell.name}, {tying} weights", [*map(str, frame.columns), "status"], rows)
