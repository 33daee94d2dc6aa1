"""The commands that write a page: report, explore."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
    Start,
    Steps,
    Temporal,
    Weights,
)
from rnnmft.cli.output import command_line, print_json, progress_bar, say
from rnnmft.cli.setting import resolve_setting

__all__ = ["explore", "report"]

# Where cells of the zoo stand when nothing is set: tied and untied weights differ there.
_TELLING: dict[str, Sequence[str]] = {
    "minimal": ("e.sigma_w=4", "e.mu_b=0.5", "e.sigma_b=0.3"),
    "gru": [f"{p}.{law}" for p in "rzn" for law in ("sigma_w=2", "sigma_b=0.3")],
    "lstm": [f"{p}.{law}" for p in "ifgo" for law in ("sigma_w=4", "sigma_b=0.3")],
}


def report(
    cell: CellName,
    output: Output = None,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    start: Start = None,
    networks: Networks = None,
    steps: Steps = 30,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> int:
    """Write the theory of a cell, beside simulated networks, into one HTML page.

    Without --set, minimal, gru and lstm stand where tied and untied weights differ (the page says
    where). Exits with 1 when a claim is rejected.
    """
    given = sets or _TELLING.get(cell, ())
    inputs = (R, correlation, temporal)
    s = resolve_setting(cell, given, weights or (), laws or (), *inputs, start or ())
    path = output or Path(f"{s.cell.name}.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))
    from rnnmft.report import make_report

    began = time.monotonic()
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
            start=s.start,
        )
    found.to_html(path)
    validation = found.validation
    if as_json:
        print_json({"path": str(path), "validation": validation})
    else:
        verdict = (
            "the theory could not be validated" if validation is None else validation.summary()
        )
        say(f"{path} ({time.monotonic() - began:.0f} s): {verdict}")
    return int(validation is not None and validation.rejected)


def explore(
    cell: CellName,
    output: Output = None,
    sets: Sets = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    as_json: AsJson = False,
) -> None:
    """Write a page to play with: sliders, maps, phases, and networks simulated as one looks.

    The page computes the untied theory by itself, without a server, from the derived equations; so
    the cell's moments must close. It opens at the setting given here; a cell of the zoo that has an
    activation or a leak to choose comes with all of them.
    """
    given = sets or _TELLING.get(cell, ())
    s = resolve_setting(cell, given, (), (), R, correlation, "white", ())
    path = output or Path(f"{s.cell.name}_explorer.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))
    from rnnmft.explorer import Explorer
    from rnnmft.explorer.variants import zoo_variants

    text = Explorer(s.cell, s.ensemble, s.inputs, zoo_variants(cell)).to_html(path)
    if as_json:
        print_json({"path": str(path), "bytes": len(text.encode())})
    else:
        say(f"{path} ({len(text.encode()) / 1000:.0f} kB): open it in a browser")
