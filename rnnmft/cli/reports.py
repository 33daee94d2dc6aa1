"""The command that writes a page: report."""

from __future__ import annotations

import time
from pathlib import Path

from rnnmft.cli.options import (
    AsJson,
    CellName,
    Correlation,
    Device,
    Laws,
    Networks,
    Output,
    SecondMoment,
    Seed,
    Sets,
    Steps,
    Temporal,
    Weights,
)
from rnnmft.cli.output import command_line, print_json, progress_bar, say
from rnnmft.cli.setting import resolve_setting

__all__ = ["report"]


def report(
    cell: CellName,
    output: Output = None,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    networks: Networks = None,
    steps: Steps = 30,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> int:
    """Write the theory of a cell, beside simulated networks, into one HTML page.

    Exits with 1 when a claim is rejected.
    """
    s = resolve_setting(cell, sets or (), weights or (), laws or (), R, correlation, temporal)
    path = output or Path(f"{s.cell.name}.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))
    from rnnmft.report import make_report

    start = time.monotonic()
    with progress_bar("report") as progress:
        found = make_report(
            s.cell,
            s.ensemble,
            s.inputs,
            networks=networks,
            steps=steps,
            seed=seed,
            device=device,
            command=command_line(),
            progress=progress,
        )
    found.to_html(path)
    validation = found.validation
    if as_json:
        print_json({"path": str(path), "validation": validation})
    else:
        verdict = (
            "the theory could not be validated" if validation is None else validation.summary()
        )
        say(f"{path} ({time.monotonic() - start:.0f} s): {verdict}")
    return int(validation is not None and validation.rejected)
