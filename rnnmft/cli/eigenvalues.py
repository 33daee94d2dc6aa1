"""The command that gives the eigenvalues of a cell's one-step Jacobian: eigenvalues."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnmft.cli.at_setting import at_setting
from rnnmft.cli.options import (
    AsJson,
    Device,
    Drawn,
    Seed,
    Tying,
)
from rnnmft.cli.output import check_figure, print_json, print_table, say
from rnnmft.cli.setting import Setting
from rnnmft.page.figure import BLACK, BLUE, draw_figure
from rnnmft.page.numbers import count
from rnnmft.parameters import check_count

if TYPE_CHECKING:
    from rnnmft.eigenvalues.law import EigenvalueLaw

__all__ = ["eigenvalues"]

_PANEL = "Eigenvalues"
#: Discs whose eigenvalues are counted: around 0, in radii of the cloud; around 1, the slow modes.
_PARTS, _SLOW = (0.25, 0.5, 0.75), (0.01, 0.1)
#: Steps after which a drawn network is looked at: the memory of most settings, many times.
_STEPS = 100


@at_setting
def eigenvalues(
    s: Setting,
    units: Annotated[
        int, typer.Option(help="Units, where they are sampled.", rich_help_panel=_PANEL)
    ] = 4_096,
    width: Annotated[
        int,
        typer.Option(
            help="Width of a network whose eigenvalues are drawn under the boundary; 0 for none.",
            rich_help_panel=_PANEL,
        ),
    ] = 0,
    plot: Drawn = None,
    tying: Tying = "tied",
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Compute where the eigenvalues of the one-step Jacobian lie at stationarity.

    --plot draws the boundary of the cloud into an SVG file, with the eigenvalues of a simulated
    network under it where --width is given.
    """
    check_count("width", width, 0)
    check_figure(plot)
    from rnnmft.analysis.mean_field import MeanField

    options = {"seed": seed, "device": device, "start": s.start}
    field = MeanField(s.cell, s.ensemble, s.inputs, tying, **options)
    law = field.eigenvalues(units=units)
    radius = law.radius
    masses = [law.mass(0.0, part * float(radius)) for part in _PARTS if float(radius)]
    masses += [law.mass(1.0, r) for r in _SLOW]
    if plot is not None:
        _draw(law, plot, s, tying, width, seed)
    if as_json:
        print_json({"setting": field.to_dict(), "eigenvalues": law, "masses": masses})
        return
    rows = [
        (q.name.removesuffix(f" of the one-step Jacobian, {tying}"), float(q), float(q.error))
        for q in (radius, *masses)
    ]
    title = f"{s.cell.name}, {tying} weights: eigenvalues of the one-step Jacobian"
    print_table(title, ("", "value", radius.error_kind), rows)
    curves = count(len(law.boundary()), "boundary curve")
    drawn = "--plot FILE.svg draws the cloud" if plot is None else f"written: {plot}"
    say(f"\nthe cloud has {curves}; {drawn}")
    for found in (radius, *masses):
        if not found.status.ok:
            say(f"{found.name}: {found.status}")


def _draw(law: EigenvalueLaw, plot: Path, s: Setting, tying: str, width: int, seed: int) -> None:
    """The boundary, the unit circle, and the eigenvalues of a network."""
    cloud = None
    if width:
        from rnnmft.simulation import simulate

        run = simulate(
            s.cell,
            s.ensemble,
            s.inputs,
            width=width,
            networks=1,
            steps=_STEPS,
            tying=tying,
            jacobian_horizons=(1,),
            eigenvalues=True,
            seed=seed,
            start=s.start,
        )
        cloud = run.jacobian[1].eigenvalues
    title = f"{s.cell.name}, {tying} weights"

    def draw(drawing: Any) -> None:
        axes = drawing.add_subplot()
        if cloud is not None:
            axes.plot(cloud.real, cloud.imag, ".", color=BLUE, markersize=3)
        for curve in law.boundary():
            axes.plot(curve.real, curve.imag, color=BLACK)
        axes.set(xlabel="real part", ylabel="imaginary part", title=title, aspect="equal")

    plot.write_text(draw_figure(draw, f"Eigenvalues: {title}", "").svg_with_values, "utf-8")
