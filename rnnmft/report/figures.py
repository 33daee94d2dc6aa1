"""Figures of a report: correlation map, phase diagram, singular values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.correlation_map import correlation_map
from rnnmft.analysis.mean_field import MeanField
from rnnmft.page.figure import BLACK, BLUE, GREY, RED, Figure, draw_figure
from rnnmft.page.latex import MINUS
from rnnmft.page.numbers import count, significant
from rnnmft.simulation import Simulation

if TYPE_CHECKING:
    import xarray

__all__ = ["map_figure", "phase_figure", "spectrum_figure"]

Array = NDArray[np.float64]


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
    diagram: xarray.Dataset, here: tuple[float, float], labels: Sequence[str]
) -> Figure:
    """The growth of gradients over two parameters, the critical line and the point of the report.

    Args:
        diagram: with `gradient_growth` over two dimensions.
        here: where the report's cell stands.
        labels: LaTeX names of the two parameters.
    """
    growth = diagram.gradient_growth
    x_name, y_name = growth.dims
    x, y, z = growth[x_name].values, growth[y_name].values, growth.values.T
    finite = z[np.isfinite(z)]
    limit = float(np.clip(np.abs(finite).max(initial=0.1), 0.1, 1.0))

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        # Symmetric about the critical line: orange grows, blue vanishes.
        levels = np.linspace(-limit, limit, 21)
        shades = axes.contourf(x, y, z, levels=levels, cmap="PuOr_r", extend="both")
        if (finite > 0).any() and (finite < 0).any():
            axes.contour(x, y, z, levels=[0], colors=[BLACK], linewidths=1.8)
        axes.plot(*here, "*", color=BLACK, markersize=15, markeredgecolor="white", clip_on=False)
        axes.set_xlabel(f"${labels[0]}$", fontsize=13)
        axes.set_ylabel(f"${labels[1]}$", fontsize=13)
        bar = drawing.colorbar(shades, ax=axes, ticks=np.linspace(-limit, limit, 5))
        bar.set_label("growth of gradients, per step")
        bar.outline.set_visible(False)

    value = float(growth.interp({x_name: here[0], y_name: here[1]}))
    side = "chaos" if value > 0 else "order"
    alt = (
        f"Phase diagram over {x_name} and {y_name}. The star at ({here[0]:g}, {here[1]:g}) lies in "
        f"the {side} region; gradients change by a factor exp({value:.2g}) a step there."
    ).replace("(-", f"({MINUS}")
    caption = (
        "The growth rate log χ₁ of squared gradients (untied). On the black line they neither grow "
        "nor vanish; orange is chaos, purple order. The star is the cell of this page."
    )
    missing = int((~np.isfinite(z)).sum())
    if missing:
        caption += f" Blank: no stationary state ({count(missing, 'point')} of {z.size})."
    return draw_figure(draw, alt, caption)


def spectrum_figure(runs: dict[str, Simulation], moments: tuple[float, float] | None) -> Figure:
    """Singular values of the one-step Jacobian, with the theory's moments.

    Args:
        runs: networks by tying, with their singular values at horizon 1.
        moments: m_1 and m_2 of the untied theory, if it has them.
    """
    values = {t: np.ravel(np.asarray(run.jacobian[1].singular_values)) for t, run in runs.items()}
    highest = max(float(np.quantile(v, 0.999)) for v in values.values())
    bins = np.linspace(0, highest * 1.05, 61)

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for tying, colour, style in (("untied", BLUE, "stepfilled"), ("tied", RED, "step")):
            if tying in values:
                alpha = {"alpha": 0.3} if style == "stepfilled" else {"linewidth": 1.5}
                axes.hist(values[tying], bins, density=True, histtype=style, color=colour,
                          label=f"{tying} networks", **alpha)  # fmt: skip
        if moments is not None:
            axes.axvline(moments[0] ** 0.5, color=BLACK, label=r"$\sqrt{m_1}$, theory")
            axes.axvline(
                moments[1] ** 0.25, color=BLACK, linestyle="--", label=r"$m_2^{1/4}$, theory"
            )
        for tying, marker, colour in (("untied", "o", BLUE), ("tied", "s", RED)):
            if tying in runs:
                found = runs[tying].jacobian[1].moments.mean
                places = [found[0] ** 0.5, found[1] ** 0.25]
                axes.plot(places, [0, 0], marker, color=colour, markerfacecolor="white",
                          markersize=7, clip_on=False, zorder=5)  # fmt: skip
        axes.set_xlim(0, bins[-1])
        axes.set_xlabel("singular value of the one-step Jacobian")
        axes.set_ylabel("density")
        axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
        axes.legend(loc="upper right", ncols=2)

    some = next(iter(runs.values()))
    alt = "Histogram of the singular values of the one-step Jacobian"
    if moments is not None:
        alt += (
            f"; the theory's root mean square is {significant(moments[0] ** 0.5, 3)}, the fourth "
            f"root of its second moment {significant(moments[1] ** 0.25, 3)}"
        )
    caption = (
        f"Singular values of the state-to-state Jacobian J in {count(some.networks, 'network')} of "
        f"width {some.width}. Lines: √m₁ and m₂ to the power ¼ from the untied theory; symbols on "
        "the axis: the same of the networks."
    )
    return draw_figure(draw, alt + ".", caption)
