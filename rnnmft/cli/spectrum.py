"""The command that gives the singular values of a cell's Jacobian: spectrum."""

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
from rnnmft.errors import ParameterError
from rnnmft.page.figure import BLUE, draw_figure
from rnnmft.parameters import check_count

if TYPE_CHECKING:
    from rnnmft.records import Quantity

__all__ = ["spectrum"]

_PANEL = "Spectrum"
#: Quantiles of the singular values that are given; the first and last also bound the density.
_QUANTILES = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
_BARS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


@at_setting
def spectrum(
    s: Setting,
    horizon: Annotated[
        int, typer.Option(help="T, the steps that the Jacobian spans.", rich_help_panel=_PANEL)
    ] = 1,
    method: Annotated[
        str,
        typer.Option(
            help="exact, or free: the S-transform power of one step, exact for the vanilla RNN "
            "and an approximation for gated cells.",
            rich_help_panel=_PANEL,
        ),
    ] = "exact",
    moments: Annotated[
        int, typer.Option(help="Moments m_1 to m_K of J J^T.", rich_help_panel=_PANEL)
    ] = 4,
    points: Annotated[
        int, typer.Option(help="Points of the density; 0 for none.", rich_help_panel=_PANEL)
    ] = 60,
    units: Annotated[
        int, typer.Option(help="Units, where they are sampled.", rich_help_panel=_PANEL)
    ] = 4_000,
    burn_in: Annotated[
        int, typer.Option(help="Steps before the Jacobian.", rich_help_panel=_PANEL)
    ] = 30,
    plot: Drawn = None,
    tying: Tying = "tied",
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Compute the law of the singular values of the T-step state-to-state Jacobian J.

    --plot draws the density into an SVG file.
    """
    check_count("points", points, 0)
    check_figure(plot)
    if plot is not None and not points:
        raise ParameterError("--plot draws the density: --points must be >= 1")
    from rnnmft.analysis.mean_field import MeanField

    options = {"seed": seed, "device": device, "start": s.start}
    field = MeanField(s.cell, s.ensemble, s.inputs, tying, **options)
    law = field.jacobian(horizon, method=method, units=units, burn_in=burn_in)
    found: dict[str, Any] = {"moments": law.moments(moments), "variance": law.variance}
    found |= {"support": law.support(), "atoms": law.atoms()}
    found |= {"quantiles": law.quantiles(_QUANTILES), "condition": law.condition()}
    values = _singular_values(found, points)
    density = law.density([v * v for v in values]) if values else None
    if plot is not None and density is not None:
        plot.write_text(_drawn(values, density, f"{s.cell.name}, T = {horizon}"), "utf-8")
    if as_json:
        found["probabilities"] = _QUANTILES
        found["density"] = density and {"singular_values": values, "of_squares": density}
        print_json({"setting": field.to_dict(), "jacobian": law, **found})
        return
    approximate = " (an approximation for this cell)" if law.approximation else ""
    title = f"{s.cell.name}, {tying} weights, T = {horizon}, {method}{approximate}"
    _show(found, values, density, title)


def _singular_values(found: dict[str, Any], points: int) -> list[float]:
    """The singular values at which the density is given: between quantiles; none at one atom."""
    low, high = (float(found["quantiles"][i]) for i in (0, -1))
    if not points or not len(found["support"]) or high - low <= 1e-6 * high:
        return []
    return [low + (high - low) * (k + 0.5) / points for k in range(points)]


def _of_singular_values(values: Sequence[float], density: Quantity) -> list[float]:
    """The density of s from that of s^2: 2 s rho(s^2)."""
    return [2 * v * float(rho) for v, rho in zip(values, density.value, strict=True)]


def _show(
    found: dict[str, Any], values: Sequence[float], density: Quantity | None, title: str
) -> None:
    moments, spread = found["moments"], found["variance"]
    rows = [
        (f"m_{k}", float(value), float(error))
        for k, (value, error) in enumerate(zip(moments.value, moments.error, strict=True), 1)
    ]
    rows.append(("m_2 - m_1^2", float(spread), float(spread.error)))
    print_table(title, ("of J J^T", "value", moments.error_kind), rows)
    quantiles = found["quantiles"]
    print_table(
        "\nsingular values",
        ("fraction below", "singular value", quantiles.error_kind),
        [
            (p, float(v), float(e))
            for p, v, e in zip(_QUANTILES, quantiles.value, quantiles.error, strict=True)
        ],
    )
    say(f"\nsquared singular values: {found['support']!r}, {found['atoms']!r}")
    c = found["condition"]
    say(f"99 % over 1 % quantile of the singular values: {_pm(c.ratio, c.error['ratio'])}")
    say(f"fraction between 1/2 and 2: {_pm(c.near_one, c.error['near_one'])}")
    statuses = {"moments": moments, "quantiles": quantiles, "density": density}
    statuses |= {name: found[name] for name in ("support", "atoms")}
    for name, record in statuses.items():
        if record is not None and not record.status.ok:
            say(f"{name}: {record.status}")
    if density is not None:
        bars = _bars(_of_singular_values(values, density))
        say(f"\ndensity of the singular values, {values[0]:.4g} to {values[-1]:.4g}\n{bars}")


def _pm(value: float, error: float) -> str:
    return f"{value:.6g} +- {error:.2g}"


def _bars(heights: Sequence[float]) -> str:
    """One character a height, the highest a full block.

    >>> _bars([0.0, 0.5, 1.0])
    ' ▄█'
    """
    top = max(heights) or 1.0
    return "".join(_BARS[round(max(h, 0.0) / top * (len(_BARS) - 1))] for h in heights)


def _drawn(values: Sequence[float], density: Quantity, title: str) -> str:
    """The density of the singular values as SVG."""

    def draw(drawing: Any) -> None:
        axes = drawing.add_subplot()
        axes.plot(values, _of_singular_values(values, density), color=BLUE, label=title)
        axes.set(xlabel="singular value", ylabel="density", title=title, ylim=(0, None))

    return draw_figure(draw, f"Density of the singular values: {title}", "").svg_with_values
