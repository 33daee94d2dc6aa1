"""The commands that write a page: report, explore."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnmft.cli.at_setting import Where, somewhere
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
    complete_cells,
)
from rnnmft.cli.output import WORDS, announced, command_line, print_json, progress_bar, say
from rnnmft.cli.setting import Setting, axis_values, resolve_cell
from rnnmft.errors import ParameterError
from rnnmft.parameters import check_start

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset
    from rnnmft.report import Report, ReportComparison

__all__ = ["explore", "report"]

# Where cells of the zoo stand when nothing is set: tied and untied weights differ there.
_TELLING: dict[str, Sequence[str]] = {
    "minimal": ("e.sigma_w=4", "e.mu_b=0.5", "e.sigma_b=0.3"),
    "gru": [f"{p}.{law}" for p in "rzn" for law in ("sigma_w=2", "sigma_b=0.3")],
    "lstm": [f"{p}.{law}" for p in "ifgo" for law in ("sigma_w=4", "sigma_b=0.3")],
}

# What maps stored in a page are over, where another choice tells more than the usual one.
_MAPPED: dict[str, Sequence[str]] = {
    "lstm": ("g.sigma_w=0.5:8:12", "f.mu_b=-3:3:10"),
    "coupled_lstm": ("g.sigma_w=0.5:8:12", "f.mu_b=-3:3:10"),
}

# Options that a file with a setting answers itself, beside -R, whose number may follow at once.
_OF_SETTING = ("--set", "--weights", "--law", "--correlation", "--temporal", "--start")


@somewhere
def report(
    where: Where,
    cell: Annotated[
        list[str],
        typer.Argument(
            metavar="CELL [CELL]",
            autocompletion=complete_cells,
            help="As for other commands, or a .toml file with a setting (cell, \\[ensemble.e], "
            "\\[inputs]); two are compared.",
        ),
    ],
    output: Output = None,
    networks: Networks = None,
    steps: Steps = 30,
    seed: Seed = 0,
    device: Device = "auto",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Only the first page, which takes about half a minute."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write the theory of a cell, beside simulated networks, into one HTML page.

    A first page is there within about half a minute; the whole one, where the claims are decided,
    takes its place part by part. The numbers stand beside it in a .json file.

    Without --set, minimal, gru and lstm stand where tied and untied weights differ (the page says
    where). Exits with 1 when a claim is rejected.
    """
    settings = [_setting(name, where) for name in cell]
    if len(settings) > 2:
        raise ParameterError(f"a report is of one cell, or of two side by side; got {len(cell)}")
    names = _names(cell, settings)
    path = output or Path(f"{'_'.join(names)}.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))
    from rnnmft.report import first_report, report_in_place, write_report

    began = time.monotonic()
    options: dict[str, Any] = {
        "steps": steps,
        "seed": seed,
        "device": device,
        "command": command_line(),
    }
    if len(settings) == 2:
        return _compared(path, names, settings, networks, quick, options, as_json)
    s = settings[0]
    options["start"] = s.start
    setting = (s.cell, s.ensemble, s.inputs)
    with progress_bar("report") as progress:
        if quick:
            found = first_report(*setting, progress=progress, **options)
            write_report(found, path)
        else:

            def ready(first: Report) -> None:
                if not as_json:
                    _ready(path, began)

            options["networks"] = networks
            found = report_in_place(path, *setting, ready=ready, progress=progress, **options)
    return _told(found, path, time.monotonic() - began, as_json)


def _setting(name: str, where: Where) -> Setting:
    """What a word names: a cell with these options, or a file with a setting of its own."""
    path = Path(name)
    from rnnmft.validation.files import is_setting, read_setting

    if path.suffix == ".toml" and path.is_file() and is_setting(path):
        for word in WORDS.get():
            if word.partition("=")[0] in _OF_SETTING or word.startswith("-R"):
                raise ParameterError(f"{name} is a setting: say there what {word} would say")
        found = read_setting(path, resolve_cell)
        names = [state.name for state in found.cell.states]
        stds = check_start(found.options.get("start", 0.0), names)
        return Setting(found.cell, found.ensemble, found.inputs, stds)
    return _telling(name, where)


def _telling(name: str, where: Where) -> Setting:
    """The setting of a cell, which without --set stands where it tells most."""
    return replace(where, sets=where.sets or [*_TELLING.get(name, ())]).of(name)


def _names(words: Sequence[str], settings: Sequence[Setting]) -> tuple[str, ...]:
    """Names of cells; where two have the same, those of their files, or first and second."""
    names = tuple(s.cell.name for s in settings)
    if len(set(names)) == len(names):
        return names
    stems = tuple(Path(word).stem for word in words)
    return stems if len(set(stems)) == len(stems) else ("first", "second")


def _compared(
    path: Path,
    names: tuple[str, ...],
    settings: Sequence[Setting],
    networks: int | None,
    quick: bool,
    options: dict[str, Any],
    as_json: bool,
) -> int:
    """Two reports side by side, the first pages of both first."""
    from rnnmft.report import ReportComparison, first_report, make_report

    began = time.monotonic()
    a, b = names

    def write(make: Callable[..., Report], **more: Any) -> ReportComparison:
        first, second = (
            make(s.cell, s.ensemble, s.inputs, start=s.start, **options, **more) for s in settings
        )
        found = ReportComparison((a, b), (first, second))
        found.to_html(path)
        found.to_json(path.with_suffix(".json"))
        return found

    found = write(first_report)
    if not quick:
        if not as_json:
            _ready(path, began)
        found = write(make_report, networks=networks)
    seconds = time.monotonic() - began
    reports = dict(zip(names, found.reports, strict=True))
    if as_json:
        validations = {name: r.validation for name, r in reports.items()}
        print_json({"path": str(path), "validations": validations})
    else:
        verdicts = "; ".join(f"{n}: {r.validation.summary()}" for n, r in reports.items())
        say(f"{path} ({seconds:.0f} s): {verdicts}")
    return int(any(r.validation.rejected for r in reports.values()))


def _ready(path: Path, began: float) -> None:
    """Say on standard error that there is something to look at."""
    taken = time.monotonic() - began
    sys.stderr.write(f"rnnmft: {path} shows a first page ({taken:.0f} s), then more\n")


def _told(found: Report, path: Path, seconds: float, as_json: bool) -> int:
    """Say where the page is and what it says; 1 where a claim is rejected."""
    numbers = path.with_suffix(".json")
    if as_json:
        print_json({"path": str(path), "numbers": str(numbers), "validation": found.validation})
    else:
        say(f"{path} ({seconds:.0f} s; its numbers: {numbers}): {found.validation.summary()}")
    return int(found.validation.rejected)


def explore(
    cell: CellName,
    output: Output = None,
    sets: Sets = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    tied: Annotated[
        bool,
        typer.Option(
            "--tied",
            help="Store a coarse map of the tied theory in the page: a few minutes of one core for "
            "a gated cell, at once for a memoryless one.",
        ),
    ] = False,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FROM:TO:COUNT",
            help="The two parameters of stored maps, for example e.sigma_w=0.5:8:12.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="After which the points of a stored map that are not done are left out."),
    ] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Write a page to play with: sliders, maps, phases, and networks simulated as one looks.

    The page computes the untied theory by itself, without a server, from the derived equations,
    where the cell's moments close. The tied theory (--tied), and both theories of other cells, it
    reads between the points of maps that are computed now and stored in it. It opens at the setting
    given here; a cell of the zoo that has an activation or a leak to choose comes with all of them.
    """
    s = _telling(cell, Where(sets=sets, laws=laws, R=R, correlation=correlation))
    path = output or Path(f"{s.cell.name}_explorer.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))
    if seconds <= 0:
        raise ParameterError(f"--seconds must be positive, got {seconds:g}")
    from rnnmft.explorer import Explorer
    from rnnmft.explorer.variants import zoo_variants

    maps = _stored(s, tied or bool(vary), vary or _MAPPED.get(cell), seconds)
    text = Explorer(s.cell, s.ensemble, s.inputs, zoo_variants(cell), **maps).to_html(path)
    known = {tying: int((m.status == "OK").all("quantity").sum()) for tying, m in maps.items()}
    if as_json:
        points = {tying: m.gradient_growth.size for tying, m in maps.items()}
        print_json(
            {"path": str(path), "bytes": len(text.encode()), "points": points, "known": known}
        )
        return
    say(f"{path} ({len(text.encode()) / 1000:.0f} kB): open it in a browser")
    for tying, m in maps.items():
        say(f"{tying} theory stored: {known[tying]} of {m.gradient_growth.size} points known")


def _stored(
    setting: Setting, tied: bool, vary: Sequence[str] | None, seconds: float
) -> dict[str, PhaseDataset]:
    """The maps that the page needs: all of a cell that does not close, the tied one on demand."""
    from rnnmft.analysis.mean_field import MeanField
    from rnnmft.explorer import stored_map

    at = (setting.cell, setting.ensemble, setting.inputs)
    closed = MeanField(*at, tying="untied").recursion is not None
    axes = dict(axis_values(text) for text in vary) if vary else None
    asked = ["tied"] * (tied or not closed) + ["untied"] * (not closed)
    found = {}
    for tying in asked:
        with progress_bar(f"{tying} points") as bar:
            progress = announced(bar, f"{tying} points")
            # Both have half of the time.
            share = seconds / len(asked)
            found[tying] = stored_map(*at, tying, axes, seconds=share, progress=progress)
    return found
