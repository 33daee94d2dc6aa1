"""The command that finds an initialization: critical."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnmft.cli.options import (
    AsJson,
    CellName,
    Correlation,
    Device,
    Laws,
    Output,
    SecondMoment,
    Seed,
    Temporal,
    Tying,
    Weights,
)
from rnnmft.cli.output import print_json, say
from rnnmft.cli.setting import (
    assigned,
    parameter_laws,
    resolve_cell,
    resolve_inputs,
    weight_kinds,
)
from rnnmft.errors import InfeasibleError

__all__ = ["critical"]


def critical(
    cell: CellName,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A number that shall stay: e.mu_b=0, e.q=16; also sigma_w, sigma_v, sigma_b.",
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="isometry, timescale or fixed: what chooses the rest.")
    ] = "isometry",
    horizon: Annotated[
        float, typer.Option("--length", "--horizon", help="Steps that the objective is about.")
    ] = 10,
    tying: Tying = "tied",
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    seed: Seed = 0,
    device: Device = "auto",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Find the ensemble at which gradients neither grow nor decay."""
    definition = resolve_cell(cell)
    from rnnmft.initialization.critical import critical as solve

    asked = (
        definition,
        resolve_inputs(R, correlation, temporal),
        weight_kinds(weights or ()),
        tying,
        assigned(fix or (), "--fix"),
        objective,
        horizon,
    )
    options = {"parameters": parameter_laws(laws or ()) or None, "seed": seed, "device": device}
    try:
        found = solve(*asked, **options)  # type: ignore[arg-type]
    except InfeasibleError as error:
        raise _as_options(error) from None
    if output is not None:
        found.to_json(output)
    if as_json:
        print_json(found)
    else:
        say(found.report())


def _as_options(error: InfeasibleError) -> InfeasibleError:
    """The error with what to fix instead as it is written on the command line."""
    written = " ".join(
        f"--fix {name}.{parameter}={value!r}"
        for name, given in error.fix.items()
        for parameter, value in given.items()
    )
    message = str(error).replace(f"fix={error.fix!r}", written)
    return InfeasibleError(message, error.inequality, error.nearest, error.fix)
