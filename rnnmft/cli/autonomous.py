"""The command that says what networks do without input: autonomous."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnmft.cli.options import AsJson, CellName, Laws, Sets, Weights
from rnnmft.cli.output import print_json, print_table, progress_bar, say
from rnnmft.cli.setting import axis_values, resolve_setting
from rnnmft.errors import ParameterError

if TYPE_CHECKING:
    from rnnmft.rest.autonomous import Autonomous

__all__ = ["autonomous"]


def autonomous(
    cell: CellName,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FROM:TO:COUNT",
            help="A map: n.sigma_w=1:3:41; twice for a plane, the first one horizontal.",
        ),
    ] = None,
    transition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FROM:TO:COUNT",
            help="Where fixed points change as a parameter grows: n.sigma_w=1:3:25.",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the map: .png, .svg or .pdf.")] = None,
    radius: Annotated[
        bool, typer.Option("--radius", help="On the map, lines of the spectral radius.")
    ] = False,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    as_json: AsJson = False,
) -> None:
    """Find the fixed points of networks without input, their stability and where they change.

    Without --vary and --transition the fixed points of one setting are printed.
    """
    axes = dict(axis_values(text) for text in vary or ())
    ranges = dict(axis_values(text) for text in transition or ())
    if plot is not None and not axes:
        raise ParameterError("--plot draws the map of --vary, which is missing")
    if plot is not None and not plot.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(plot.parent))
    s = resolve_setting(cell, sets or (), weights or (), laws or (), 0.0, 0.5, "white", ())
    from rnnmft.rest.autonomous import PHASES
    from rnnmft.rest.autonomous import autonomous as left_alone

    found, diagram = left_alone(s.cell, s.ensemble), None
    changes = [
        t
        for axis, values in ranges.items()
        for t in found.transitions(axis, min(values), max(values), points=len(values))
    ]
    if axes:
        with progress_bar("points") as bar:
            diagram = found.phase_diagram(axes, radius=radius, progress=bar)
        if plot is not None:
            diagram.plot(plot)
    if as_json:
        print_json({"autonomous": found, "transitions": changes, "map": diagram})
        return
    _print(found)
    for t in changes:
        value = f"{t.value.name} = {float(t):.8g} +- {t.value.error:.1g}"
        say(f"{value}: {t.what} ({t.before}, then {t.after})")
    if diagram is not None:
        shares = {p: float((diagram.phase == p).mean()) for p in PHASES}
        say("the map: " + ", ".join(f"{p} {share:.0%}" for p, share in shares.items() if share))
    if plot is not None:
        say(f"written: {plot}")


def _print(found: Autonomous) -> None:
    """A row for each fixed point."""
    names = [s.name for s in found.cell.states]
    rows = []
    for state in found.fixed_points():
        moments = [state.second_moment[n] for n in names]
        errors = [state.error_of("second_moment", n) for n in names]
        pairs = [x for pair in zip(moments, errors, strict=True) for x in pair]
        known = [(m, state.error_of("average", name)) for name, m in state.average.items()]
        pairs += [x for pair in known for x in pair]
        gain = (state.gain, state.error_of("gain", None))
        rows.append((*pairs, *gain, "stable" if state.stable else "unstable", state.status.name))
    numbers = [*(f"E[{n}^2]" for n in names), *(m.name for m in found.cell.averages)]
    heads = [x for n in numbers for x in (n, "error")]
    title = f"{found.cell.name} without input: {found.phase}"
    print_table(title, (*heads, "gain", "error", "", "status"), rows)
