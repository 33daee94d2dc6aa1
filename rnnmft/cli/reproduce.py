"""The command that runs the papers' experiments again: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnmft.cli.options import AsJson, Cluster, Device
from rnnmft.cli.output import command_line, print_json, progress_bar, say
from rnnmft.errors import ParameterError

__all__ = ["reproduce"]

_EXPERIMENTS = ("signal", "trainability", "dynamics", "recall", "drift", "language", "reasons")
_SCALES = ("smoke", "small", "full")


def reproduce(
    experiment: Annotated[str, typer.Argument(metavar="|".join(_EXPERIMENTS))],
    scale: Annotated[
        str, typer.Option(help="smoke (it runs), small (two cores), or full (a GPU).")
    ] = "small",
    folder: Annotated[
        Path, typer.Option(help="Of results and checkpoints; a run goes on from what is there.")
    ] = Path("experiments"),
    data: Annotated[
        Path | None,
        typer.Option(
            help="MNIST, a folder of IDX or JSON files, or .npz; for language a text, or a folder "
            "of train, valid and test. Else what ships with scikit-learn, and with Python."
        ),
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help="Only this cell; may be repeated. All by default.")
    ] = None,
    device: Device = "cpu",
    cluster: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Run an experiment of the papers: does the theory of initialization predict training?

    Writes FOLDER/EXPERIMENT-SCALE.json and .html, with --data EXPERIMENT-SCALE-NAME of the data;
    interrupted, it goes on where it was. With --cluster cells and tasks train side by side, on
    machines that all see FOLDER.
    """
    for name, value, known in (
        ("experiment", experiment, _EXPERIMENTS),
        ("--scale", scale, _SCALES),
    ):
        if value not in known:
            raise ParameterError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    from rnnmft.experiments.page import render_experiments
    from rnnmft.experiments.reproduce import run_parts
    from rnnmft.experiments.store import load, save
    from rnnmft.validation.provenance import provenance

    stem = f"{experiment}-{scale}" if data is None else f"{experiment}-{scale}-{data.stem}"
    with progress_bar(stem) as progress:
        asked = {"data": data, "cells": cell, "device": device, "cluster": cluster}
        parts = run_parts(experiment, scale, folder / stem, **asked, progress=progress)
    content = {
        "experiment": experiment,
        "scale": scale,
        "provenance": provenance(device, command_line()).to_dict(),
        "parts": parts,
    }
    path, page = folder / f"{stem}.json", folder / f"{stem}.html"
    save(path, content)
    stored = load(path)
    page.write_text(render_experiments(stored), encoding="utf-8")
    if as_json:
        print_json(stored)
        return
    say(f"{page}")
