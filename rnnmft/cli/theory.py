"""Commands that need no network: cells, derive, evolve."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rnnmft.cli.at_setting import at_setting
from rnnmft.cli.options import (
    AsJson,
    CellName,
    Plot,
    Seed,
    Steps,
    Tying,
)
from rnnmft.cli.output import check_figure, print_json, print_table, say, write_figure
from rnnmft.cli.over_time import drawn_over_time
from rnnmft.cli.setting import Setting, resolve_cell

__all__ = ["cells", "derive", "evolve"]


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


@at_setting
def evolve(
    s: Setting,
    tying: Tying = "tied",
    steps: Steps = 30,
    seed: Seed = 0,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Follow second moments and correlations from t = 0 on."""
    check_figure(plot)
    from rnnmft.analysis.mean_field import MeanField

    field = MeanField(s.cell, s.ensemble, s.inputs, tying=tying, seed=seed, start=s.start)
    found = field.evolve(steps)
    if plot is not None:
        title = f"{s.cell.name}, {tying} weights"
        write_figure(plot, drawn_over_time(found, steps), f"{title}: moments over {steps} steps")
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
