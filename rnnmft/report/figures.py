"""Figures of the untied theory: correlation map and phase diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.correlation_map import correlation_map
from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import Status
from rnnmft.page.figure import BLACK, BLUE, GREY, RED, Figure, draw_figure
from rnnmft.page.numbers import MINUS, count, significant
from rnnmft.page.readouts import Surface
from rnnmft.records import STANDARD_ERROR

if TYPE_CHECKING:
    import xarray

__all__ = ["map_figure", "phase_figure"]

Array = NDArray[np.float64]
# What a point has that may have a stationary state.
_SLOW = [s.name for s in (Status.MAX_STEPS, Status.OUT_OF_TIME)]


def map_figure(field: MeanField) -> Figure:
    """The correlation map of the first state, with its fixed points.

    Raises:
        RnnmftError: there is none.
    """
    c = np.linspace(-1, 1, 41)
    maps = correlation_map(field, c)
    at = field.correlation_fixed_point()
    state, after = next(iter(maps.items()))
    end, slope = at.correlation[state], at.slope
    others = [(found[state], other) for found, other in at.others]

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.plot(c, c, color=GREY, linewidth=1, label="$c' = c$")
        axes.plot(c, after, color=BLACK, label="the map")
        tangent = np.array([max(end - 0.22, -1), min(end + 0.22, 1)])
        axes.plot(tangent, end + slope * (tangent - end), color=BLUE, linewidth=1.2, linestyle="--")
        axes.plot(
            [end], [end], "o", color=BLUE, markersize=8, label=f"$c^* = {significant(end, 3)}$"
        )
        if others:
            x = [o[0] for o in others]
            axes.plot(x, x, "o", color=RED, markerfacecolor="white", markersize=8, label="unstable")
        axes.set_xlabel(f"correlation of {state} before the step")
        axes.set_ylabel("after the step")
        axes.set_aspect("equal")
        axes.legend(loc="upper left")

    alt = (
        f"The correlation map of {state}: it meets the diagonal at {significant(end, 3)} with "
        f"slope {significant(slope, 3)}."
    )
    caption = (
        f"How two runs with correlated inputs approach each other: the untied correlation map of "
        f"{state} at the stationary variance. It settles where it crosses the diagonal; the slope "
        f"there, {significant(slope, 3)}, is what a step leaves of a deviation."
    )
    return draw_figure(draw, alt, caption)


def phase_figure(
    diagram: xarray.Dataset,
    here: tuple[float, float],
    labels: Sequence[str],
    bound: float | None = None,
) -> Figure:
    """The growth of gradients over two parameters, the critical line and the point of the report.

    Args:
        diagram: with `gradient_growth` over two dimensions.
        here: where the report's cell stands.
        labels: LaTeX names of the two parameters.
        bound: a rate, up to which the map is marked.
    """
    growth = diagram.gradient_growth
    x_name, y_name = growth.dims
    x, y, z = growth[x_name].values, growth[y_name].values, growth.values.T
    finite = z[np.isfinite(z)]
    # The largest rate, up to the next multiple of .02: half of it is a short number too.
    limit = math.ceil(50 * float(np.clip(np.abs(finite).max(initial=0.1), 0.1, 1.0))) / 50

    def draw(drawing: Any) -> Surface:
        axes = drawing.subplots()
        # Symmetric about the critical line: orange grows, blue vanishes.
        levels = np.linspace(-limit, limit, 21)
        shades = axes.contourf(x, y, z, levels=levels, cmap="PuOr_r", extend="both")
        if (finite > 0).any() and (finite < 0).any():
            axes.contour(x, y, z, levels=[0], colors=[BLACK], linewidths=1.8)
        if bound is not None and (np.abs(finite) > bound).any():
            ends = [-bound, bound]
            axes.contour(x, y, z, levels=ends, colors=[BLACK], linewidths=1.2, linestyles="dashed")
        axes.plot(*here, "*", color=BLACK, markersize=15, markeredgecolor="white", clip_on=False)
        axes.set_xlabel(f"${labels[0]}$", fontsize=13)
        axes.set_ylabel(f"${labels[1]}$", fontsize=13)
        bar = drawing.colorbar(shades, ax=axes, ticks=np.linspace(-limit, limit, 5))
        bar.set_label("growth of gradients, per step")
        bar.outline.set_visible(False)
        return Surface(axes, "growth of gradients", labels[0], labels[1], x, y, z.T)

    value = float(growth.interp({x_name: here[0], y_name: here[1]}))
    side = "chaos" if value > 0 else "order"
    alt = (
        f"Phase diagram over {x_name} and {y_name}. The star at ({here[0]:g}, {here[1]:g}) lies in "
        f"the {side} region; gradients change by a factor exp({value:.2g}) a step there."
    ).replace("(-", f"({MINUS}")
    tying = diagram.attrs["tying"]
    rate = "growth rate log χ₁" if tying == "untied" else "growth rate"
    caption = (
        f"The {rate} of squared gradients ({tying}). On the black line they neither grow nor "
        "vanish; orange is chaos, purple order. The star is the cell of this page."
    )
    if diagram.attrs["error_kind"] == STANDARD_ERROR:
        error = float(diagram.gradient_growth_error.median())
        caption += f" Half of its points are known to ± {error:.1g} or better."
    status = diagram.status.sel(quantity="gradient_growth").values.T
    slow, blank = np.isin(status, _SLOW), ~np.isfinite(z)
    for why, where in (
        ("no stationary state", blank & ~slow),
        ("too slow to settle in the steps and the time there were", blank & slow),
    ):
        if where.any():
            caption += f" Blank: {why} ({count(int(where.sum()), 'point')} of {z.size})."
    return draw_figure(draw, alt, caption)
