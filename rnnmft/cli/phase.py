"""The command that computes the theory over a grid of parameters: phase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnmft.cli.at_setting import at_setting
from rnnmft.cli.options import (
    AsJson,
    Chunk,
    Cluster,
    Device,
    StoreFolder,
)
from rnnmft.cli.output import (
    announced,
    command_line,
    print_json,
    print_table,
    progress_bar,
    say,
)
from rnnmft.cli.setting import Setting, axis_values

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["phase"]


@at_setting
def phase(
    s: Setting,
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
            "gradient_growth, m_1, m_2 or fixed_points; more than once for several."
        ),
    ] = None,
    tying: Annotated[
        str | None,
        typer.Option(
            metavar="TYING",
            help="tied: one set of weights, as a real network has; untied: fresh ones at every "
            "step; both: the untied map with the tied critical line, as --plot has it by itself.",
            rich_help_panel="Setting",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the map, or the curve of one parameter: .png, .svg or .pdf."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write all of it as netCDF: values, errors, statuses.")
    ] = None,
    device: Device = "auto",
    store: StoreFolder = None,
    cluster: Cluster = None,
    chunk: Chunk = None,
    table: Annotated[bool, typer.Option("--table", help="Print every point.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the theory over a grid of parameters.

    Tied, a gated cell takes a part of a second a point: a line on standard error says how long the
    whole may take. --tying untied is the closure of the literature, a whole grid of which takes
    seconds. A map that is drawn is of both: it is there at once, and again as the tied line comes.

    With --store a map is written chunk by chunk, and the same command goes on where it was
    interrupted, however that was.

    A terminal shows a summary; every point is printed with --table, or where the output is piped.
    """
    axes = dict(axis_values(text) for text in vary)
    for path in filter(None, (plot, output)):
        if not path.parent.is_dir():
            raise FileNotFoundError(2, "No such folder", str(path.parent))
    from rnnmft.analysis.phase_diagram import phase_diagram

    in_chunks = store is not None or cluster is not None
    is_map = plot is not None and len(axes) == 2 and not in_chunks
    tying = tying or _usual_tying(s, is_map)
    wanted = quantity or _usual(s, tying, plot is not None)

    def draw(found: PhaseDataset) -> None:
        if plot is not None:
            found.plot(quantity[0] if quantity else None, path=plot)

    with progress_bar("points") as bar:
        progress = bar if in_chunks else announced(bar, _waited_for(s, tying))
        setting = (s.cell, s.ensemble, s.inputs, axes, wanted, tying, progress, s.start)
        places = {"store": store, "cluster": cluster, "chunk": chunk, "device": device}
        found = phase_diagram(*setting, watch=draw, **places)
    found.attrs["command"] = command_line()
    draw(found)
    if output is not None:
        found.save(output)
    if as_json:
        print_json(found.to_dict())
    elif table or not on_terminal():
        _print_points(found)
    else:
        _print_summary(found)
        for path in filter(None, (plot, output, store)):
            say(f"written: {path}")


def _waited_for(setting: Setting, tying: str) -> str:
    """What is solved, with the way that takes seconds where there is one."""
    if tying == "tied" and _closes(setting):
        return "points (--tying untied, the closure, takes seconds for all)"
    return "points"


def _closes(setting: Setting) -> bool:
    """Whether a whole map of the untied closure is solved at once."""
    from rnnmft.analysis.mean_field import MeanField

    closure = MeanField(setting.cell, setting.ensemble, setting.inputs, "untied")
    return closure.recursion is not None


def _usual_tying(setting: Setting, is_map: bool) -> str:
    """A map shows both theories, where they differ and the closure has it at once."""
    from rnnmft.analysis.mean_field import MeanField

    field = MeanField(setting.cell, setting.ensemble, setting.inputs)
    return "both" if is_map and field.is_sampled and _closes(setting) else "tied"


def on_terminal() -> bool:
    """Whether someone reads the output on a terminal."""
    return sys.stdout.isatty()


def _usual(setting: Setting, tying: str, drawn: bool) -> list[str]:
    """Quantities for want of others: of a map that is drawn and solved at once, what it shows."""
    from rnnmft.analysis.mean_field import MeanField

    if not drawn:
        return ["second_moment", "chi_1"]
    theory = "untied" if tying == "both" else tying
    field = MeanField(setting.cell, setting.ensemble, setting.inputs, theory, start=setting.start)
    if field.recursion is None:
        return ["gradient_growth"]
    return ["gradient_growth", "second_moment", "xi_c", "fixed_points"]


def _quantities(found: PhaseDataset) -> list[str]:
    """The quantities that have a status."""
    return [str(q) for q in found["quantity"].values] if "quantity" in found else []


def _title(found: PhaseDataset) -> str:
    tying = found.attrs["tying"]
    return f"{found.attrs['cell']}, {'untied and tied' if tying == 'both' else tying} weights"


def _print_points(found: PhaseDataset) -> None:
    """A row for every point, with its worst status."""
    wanted = _quantities(found)
    if "fixed_point_count" in found:
        wanted.append("fixed_point_count")
    parameters = list(found.fixed_point_error.dims)
    frame = found[wanted].to_dataframe().reset_index()
    # Rows of several states repeat the points; a status belongs to a point.
    index = frame.groupby(parameters, sort=False).ngroup()
    rows: list[list[Any]] = frame.values.tolist()
    columns = [*map(str, frame.columns)]
    if "status" in found:
        status = found.status.stack(point=parameters).transpose("point", ...)
        worst = ["; ".join(sorted({str(v) for v in row})) for row in status.values]
        rows = [[*row, worst[i]] for row, i in zip(rows, index, strict=True)]
        columns.append("status")
    print_table(_title(found), columns, rows)


def _print_summary(found: PhaseDataset) -> None:
    """The range of every quantity, and of how many points it is known."""
    rows = []
    for name in _quantities(found):
        values, status = found[name], found.status.sel(quantity=name)
        unit = values.attrs.get("units", "")
        known = int((status == "OK").sum())
        ends = [float(values.min()), float(values.max())]
        rows.append([name, *ends, unit, f"{known} of {status.size}"])
    columns = ("quantity", "least", "largest", "unit", "known")
    print_table(_title(found), columns, rows)
    alone = found.attrs["points_one_by_one"]
    if alone:
        say(f"{alone} points were solved one by one")
