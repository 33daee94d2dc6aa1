"""The command that gives the Lyapunov exponents of a cell's wide network: lyapunov."""

from __future__ import annotations

from collections.abc import Sequence
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
from rnnmft.page.figure import BLUE, draw_figure

if TYPE_CHECKING:
    from rnnmft.lyapunov.spectrum import LyapunovSpectrum

__all__ = ["lyapunov"]

_PANEL = "Exponents"
#: Quantiles that are given, and those that the figure joins.
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_DRAWN = tuple((k + 0.5) / 100 for k in range(100))


@at_setting
def lyapunov(
    s: Setting,
    spectrum: Annotated[
        bool,
        typer.Option(
            "--spectrum",
            help="All exponents, with dimension and entropy: at once for memoryless and linear "
            "cells, a minute or two for others.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    step: Annotated[
        float,
        typer.Option(
            help="Time that one update takes: the largest exponent is per unit of it.",
            rich_help_panel=_PANEL,
        ),
    ] = 1.0,
    burn_in: Annotated[
        int,
        typer.Option(
            help="Steps before the spectrum, where units are sampled.", rich_help_panel=_PANEL
        ),
    ] = 100,
    plot: Drawn = None,
    tying: Tying = "tied",
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Compute the largest Lyapunov exponent, and all of them with --spectrum.

    Under input they are conditional on it: all negative means that the network forgets its start.
    `-R 0 --start 1` asks for those of the autonomous network. --plot draws the spectrum into an
    SVG file.
    """
    check_figure(plot)
    from rnnmft.analysis.mean_field import MeanField

    options = {"seed": seed, "device": device, "start": s.start}
    field = MeanField(s.cell, s.ensemble, s.inputs, tying, **options)
    found: dict[str, Any] = {"largest": field.lyapunov(step=step)}
    if spectrum or plot is not None:
        found["spectrum"] = field.lyapunov_spectrum(burn_in=burn_in)
    if plot is not None:
        plot.write_text(_drawn(_DRAWN, found["spectrum"], s.cell.name), "utf-8")
    if as_json:
        print_json({"setting": field.to_dict(), **found})
        return
    largest = found["largest"]
    row = (largest.name, float(largest), float(largest.error), largest.unit)
    columns = ("exponent", "value", largest.error_kind, "unit")
    print_table(f"{s.cell.name}, {tying} weights", columns, [row])
    if not largest.status.ok:
        say(f"largest: {largest.status}")
    if "spectrum" in found:
        _show(found["spectrum"])


def _show(spectrum: LyapunovSpectrum) -> None:
    say(f"\nspectrum: {spectrum.method}")
    numbers = spectrum.quantities().values()
    rows = [(q.name, float(q), float(q.error), q.unit) for q in numbers]
    print_table("", ("number", "value", spectrum.error_kind, "unit"), rows)
    found = spectrum.quantiles(_QUANTILES)
    print_table(
        "\nexponents, per step",
        ("fraction below", "exponent", found.error_kind),
        [
            (p, float(v), float(e))
            for p, v, e in zip(_QUANTILES, found.value, found.error, strict=True)
        ],
    )
    if not spectrum.status.ok:
        say(f"spectrum: {spectrum.status} {spectrum.reason}")


def _drawn(fractions: Sequence[float], spectrum: LyapunovSpectrum, name: str) -> str:
    """The exponents in descending order as SVG."""
    exponents = spectrum.quantiles([1.0 - u for u in fractions]).value

    def draw(drawing: Any) -> None:
        axes = drawing.add_subplot()
        axes.axhline(0.0, color="0.7", linewidth=0.8)
        axes.plot(fractions, exponents, color=BLUE, label=name)
        axes.set(xlabel="fraction of larger exponents", ylabel="exponent per step", title=name)

    return draw_figure(
        draw, f"Lyapunov exponents of {name}, {spectrum.setting}", ""
    ).svg_with_values
