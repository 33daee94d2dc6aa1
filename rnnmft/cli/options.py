"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "CellName",
    "Chunk",
    "Cluster",
    "Correlation",
    "Device",
    "Drawn",
    "Laws",
    "Networks",
    "Output",
    "Plot",
    "SecondMoment",
    "Seed",
    "Sets",
    "Start",
    "Steps",
    "StoreFolder",
    "Temporal",
    "Tying",
    "Weights",
    "Widths",
    "complete_cells",
]

_SETTING, _NETWORKS, _MANY = "Setting", "Networks", "Chunks"


def complete_cells(incomplete: str) -> list[str]:
    """The zoo's cells that begin so; files are completed by the shell."""
    from rnnmft.cells import names

    return [name for name in names() if name.startswith(incomplete)]


CellName = Annotated[
    str,
    typer.Argument(
        metavar="CELL",
        autocompletion=complete_cells,
        help="A cell of the zoo (see `rnnmft cells`), a .toml file, or package.module:name; "
        "several with commas between them for a stack.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter, for example e.sigma_w=4; sigma_w, sigma_v, sigma_b are standard "
        "deviations (1, 1, 0 if not given), mu_b a mean (0).",
        rich_help_panel=_SETTING,
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="gaussian or orthogonal; NAME=KIND for one preactivation.",
        rich_help_panel=_SETTING,
    ),
]
Laws = Annotated[
    list[str] | None,
    typer.Option(
        "--law",
        metavar="NAME=LAW",
        help="The law of an elementwise random parameter, for example u=uniform:0,1.",
        rich_help_panel=_SETTING,
    ),
]
SecondMoment = Annotated[
    float, typer.Option("-R", help="Second moment of the input.", rich_help_panel=_SETTING)
]
Correlation = Annotated[
    float, typer.Option(help="Correlation of two inputs.", rich_help_panel=_SETTING)
]
Temporal = Annotated[
    str,
    typer.Option(
        metavar="KAPPA",
        help="The input in time: white, constant, 1,0.5,.. for its autocorrelation, or data with "
        "its own R and correlation: a .npy or .npz file of sequences, digits:rows, digits:pixels.",
        rich_help_panel=_SETTING,
    ),
]
Start = Annotated[
    list[str] | None,
    typer.Option(
        "--start",
        metavar="[STATE=]NUMBER",
        help="Standard deviation of the states at t = 0, of all or of one; 0 if not given.",
        rich_help_panel=_SETTING,
    ),
]
Tying = Annotated[
    str,
    typer.Option(
        metavar="TYING",
        help="tied: one set of weights, as a real network has; untied: fresh ones at every step.",
        rich_help_panel=_SETTING,
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Steps = Annotated[int, typer.Option(help="Updates from t = 0.")]
Widths = Annotated[
    str, typer.Option(metavar="N,N,N", help="At least three widths.", rich_help_panel=_NETWORKS)
]
Networks = Annotated[
    int | None,
    typer.Option(
        help="Networks of each width; as many as the control needs if not given.",
        rich_help_panel=_NETWORKS,
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu or cuda, for networks and units.", rich_help_panel=_NETWORKS)
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]
Plot = Annotated[Path | None, typer.Option(help="Draw it: an .svg file, with its values.")]
# The same, by its older names as well.
Drawn = Annotated[
    Path | None,
    typer.Option("--plot", "--output", "-o", help="Draw it: an .svg file, with its values."),
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Compute chunk by chunk into this folder; an interrupted command goes on there.",
        rich_help_panel=_MANY,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="threads or processes of this machine, processes:4, or a Dask scheduler's address, "
        "tcp://HOST:8786; this process if not given.",
        rich_help_panel=_MANY,
    ),
]
Chunk = Annotated[
    int | None,
    typer.Option(help="Points, or networks, of a chunk, at most.", rich_help_panel=_MANY),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
