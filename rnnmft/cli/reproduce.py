"""The command that runs the papers' experiments again: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rnnmft.cli.options import AsJson, Device
from rnnmft.cli.output import command_line, print_json, progress_bar, say
from rnnmft.errors import ParameterError

__all__ = ["reproduce"]

_EXPERIMENTS = ("signal", "trainability", "dynamics", "recall", "drift", "language")
_SCALES = ("smoke", "small", "full")
#: Pixels along an edge: every feature of a step for maps, four a step of 196 for races.
_MAP_SIDE, _RACE_SIDE = 8, 28


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
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Run an experiment of the papers: does the theory of initialization predict training?

    Writes FOLDER/EXPERIMENT-SCALE.json and .html; interrupted, it goes on where it was.
    """
    for name, value, known in (
        ("experiment", experiment, _EXPERIMENTS),
        ("--scale", scale, _SCALES),
    ):
        if value not in known:
            raise ParameterError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    from rnnmft.experiments.page import render_experiments
    from rnnmft.experiments.store import load, save
    from rnnmft.validation.provenance import provenance

    stem = f"{experiment}-{scale}"
    with progress_bar(stem) as progress:
        parts = _parts(experiment, scale, folder / stem, data, device, progress)
    content = {
        "experiment": experiment,
        "scale": scale,
        "provenance": provenance(device, command_line()).to_dict(),
        "parts": parts,
    }
    path = folder / f"{stem}.json"
    save(path, content)
    stored = load(path)
    path.with_suffix(".html").write_text(render_experiments(stored), encoding="utf-8")
    if as_json:
        print_json(stored)
        return
    say(f"{path.with_suffix('.html')}")


def _parts(
    experiment: str, scale: str, folder: Path, data: Path | None, device: str, progress: Any
) -> list[Any]:
    """The results of every cell."""
    from rnnmft.experiments import drift, dynamics, recall, signal, trainability
    from rnnmft.experiments.digits import digits_from, sklearn_digits

    if experiment == "signal":
        return [
            signal.run_propagation(p, folder, device=device, progress=progress)
            for p in signal.propagations(scale)
        ]
    if experiment == "recall":
        return [
            recall.run_recall(r, folder, device=device, progress=progress)
            for r in recall.recalls(scale)
        ]
    if experiment == "drift":
        return [
            drift.run_drift(d, folder, device=device, progress=progress)
            for d in drift.drifts(scale)
        ]
    if experiment == "language":
        return _compared(scale, folder, data, device, progress)
    side = _MAP_SIDE if experiment == "trainability" or scale == "smoke" else _RACE_SIDE
    digits = sklearn_digits(side) if data is None else digits_from(data, side)
    if experiment == "trainability":
        return [
            trainability.trainability(s, digits, folder, device=device, progress=progress)
            for s in trainability.sweeps(scale)
        ]
    return [
        dynamics.run_race(r, digits, folder, device=device, progress=progress)
        for r in dynamics.races(scale)
    ]


def _compared(scale: str, folder: Path, data: Path | None, device: str, progress: Any) -> list[Any]:
    """The results of characters and of words."""
    from rnnmft.experiments.corpus import corpus, pydoc_text, text_from
    from rnnmft.experiments.language import comparisons, run_comparison

    text = pydoc_text() if data is None else text_from(data)
    return [
        run_comparison(
            asked, corpus(text, asked.level, asked.most), folder, device=device, progress=progress
        )
        for asked in comparisons(scale)
    ]
