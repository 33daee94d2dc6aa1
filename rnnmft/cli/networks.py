"""Commands that run finite networks: simulate, validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnmft.cli.at_setting import Where, at_setting, somewhere
from rnnmft.cli.options import (
    AsJson,
    Chunk,
    Cluster,
    Device,
    Networks,
    Plot,
    Seed,
    Steps,
    StoreFolder,
    Tying,
    Widths,
)
from rnnmft.cli.output import (
    check_figure,
    command_line,
    print_json,
    print_table,
    progress_bar,
    say,
    write_figure,
)
from rnnmft.cli.over_time import drawn_over_time
from rnnmft.cli.sequences import read_inputs
from rnnmft.cli.setting import Setting, numbers, resolve_cell
from rnnmft.errors import ParameterError

if TYPE_CHECKING:
    from rnnmft.simulation import Simulation

__all__ = ["simulate", "validate"]


@at_setting
def simulate(
    s: Setting,
    width: Annotated[int, typer.Option(help="N.", rich_help_panel="Networks")] = 512,
    networks: Annotated[int, typer.Option(help="How many.", rich_help_panel="Networks")] = 8,
    steps: Steps = 30,
    tying: Tying = "tied",
    horizon: Annotated[
        list[int] | None, typer.Option(help="Also measure the Jacobian over so many steps.")
    ] = None,
    lyapunov: Annotated[
        int, typer.Option(help="Also measure so many of the largest Lyapunov exponents.")
    ] = 0,
    seed: Seed = 0,
    device: Device = "auto",
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Run random networks of finite width and measure them."""
    check_figure(plot)
    from rnnmft.simulation import simulate as run

    with progress_bar("networks") as progress:
        found = run(
            s.cell,
            s.ensemble,
            s.inputs,
            width=width,
            networks=networks,
            steps=steps,
            tying=tying,
            jacobian_horizons=horizon or (),
            lyapunov=lyapunov,
            device=device,
            seed=seed,
            progress=progress,
            start=s.start,
        )
    if plot is not None:
        title = f"{s.cell.name}: {networks} {tying} networks of width {width}"
        write_figure(plot, drawn_over_time(found, steps), title)
    if as_json:
        print_json(found)
        return
    _print_measured(found)


def _print_measured(found: Simulation) -> None:
    """What was measured after the last step."""
    say(repr(found).partition("\n")[0])
    last = [(f"E[{name}^2]", e.mean[-1], e.sem[-1]) for name, e in found.second_moment.items()]
    last += [(f"c_{name}", e.mean[-1], e.sem[-1]) for name, e in found.correlation.items()]
    last += [
        (f"q_{name}", e.mean[-1], e.sem[-1]) for name, e in found.preactivation_variance.items()
    ]
    for steps_, jacobian in found.jacobian.items():
        m = jacobian.moments
        last += [(f"m_{k + 1}({steps_})", m.mean[k], m.sem[k]) for k in range(3)]
    if found.lyapunov is not None:
        pairs = zip(found.lyapunov.mean, found.lyapunov.sem, strict=True)
        last += [(f"lambda_{j}", mean, sem) for j, (mean, sem) in enumerate(pairs, 1)]
    rows = [(name, float(mean), float(sem)) for name, mean, sem in last]
    print_table("", ("after the last step", "mean over networks", "standard error"), rows)
    if not found.status.ok:
        say(f"{found.status} {found.reason}")
    if found.lyapunov is not None and not found.lyapunov.status.ok:
        say(f"Lyapunov exponents: {found.lyapunov.status}")


@somewhere
def validate(
    where: Where,
    cell: Annotated[
        str | None,
        typer.Argument(metavar="[CELL]", help="A cell; the files of claims if not given."),
    ] = None,
    claims: Annotated[Path, typer.Option(help="A file of claims, or a folder of them.")] = Path(
        "validation/claims"
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where results go: a .json file for a cell, a folder for claims."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page (for a cell).")] = None,
    tying: Annotated[
        list[str] | None,
        typer.Option(help="The theory to test: tied or untied; both, tied first, if not given."),
    ] = None,
    horizon: Annotated[
        list[int] | None, typer.Option(help="Test Jacobians over so many steps; 1, 2, 5.")
    ] = None,
    widths: Widths = "64,128,256",
    networks: Networks = None,
    steps: Steps = 30,
    seed: Seed = 0,
    device: Device = "auto",
    store: StoreFolder = None,
    cluster: Cluster = None,
    chunk: Chunk = None,
    as_json: AsJson = False,
) -> int:
    """Test the theory against networks extrapolated to infinite width.

    Exits with 1 when a claim is rejected. With --store networks are simulated chunk by chunk, and
    the same command goes on where it was interrupted; of files of claims each has its own folder
    there.
    """
    places = {"cluster": cluster, "chunk": chunk}
    if cell is None:
        return _validate_files(claims, output, as_json, store, device=device, **places)
    s = where.of(cell)
    from rnnmft.validation import validate as run

    with progress_bar("networks") as progress:
        found = run(
            s.cell,
            s.ensemble,
            s.inputs,
            widths=[_whole(n) for n in numbers(widths, "--widths")],
            networks=networks,
            steps=steps,
            seed=seed,
            tyings=tying or ["tied", "untied"],
            horizons=horizon or (1, 2, 5),
            device=device,
            command=command_line(),
            progress=progress,
            start=s.start,
            store=store,
            **places,
        )
    if output is not None:
        found.to_json(output)
    if html is not None:
        found.to_html(html)
    if as_json:
        print_json(found)
    else:
        say(repr(found))
    return int(found.rejected)


def _whole(value: float) -> int:
    if value != int(value):
        raise ParameterError(f"--widths must be whole numbers, got {value:g}")
    return int(value)


def _validate_files(
    claims: Path,
    output: Path | None,
    as_json: bool,
    store: Path | None,
    **options: Any,
) -> int:
    from rnnmft.validation.files import read_claims

    paths = sorted(claims.glob("*.toml")) if claims.is_dir() else [claims]
    if not paths:
        raise ParameterError(f"no .toml file in {claims}")
    folder = output or (claims if claims.is_dir() else claims.parent).parent / "results"
    requests = [(path, read_claims(path, resolve_cell, read_inputs)) for path in paths]
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for path, request in requests:
        given = {"store": store and store / path.stem, "command": command_line(), **options}
        with progress_bar(path.stem) as progress:
            found = request.run(progress=progress, **given)
        found.to_json(folder / f"{path.stem}.json")
        results[path.stem] = found
        if not as_json:
            say(f"{path.stem}: {found!r}")
    if as_json:
        print_json(results)
    return int(any(found.rejected for found in results.values()))
