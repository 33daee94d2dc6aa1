"""A phase diagram drawn: shades, the critical line, multiples of xi, hatched coexistence.

Colours are told apart with any colour vision; every line also has a style of its own.

Sources: [schoenholz2017].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError, Status
from rnnmft.page.figure import BLACK, BLUE, GREY, STYLE

if TYPE_CHECKING:
    import xarray

__all__ = ["TIED_GROWTH", "draw_map"]

Array = NDArray[np.float64]

#: What the tied growth rate is called in a map of both theories.
TIED_GROWTH = "gradient_growth_tied"
# Lines of 6 xi at these lengths of a sequence: signals and gradients carry about that far.
_XIS, _LENGTHS = 6.0, (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
# Shades: of growth, at most so much a step to either side; of others, so many levels.
_MOST_GROWTH, _LEVELS = 1.0, 21
# Values that span this factor are shaded by their logarithm.
_DECADES = 100.0
# An axis is geometric within this part, from so many values on.
_GEOMETRIC, _SEQUENCE = 1e-6, 3
_WEIGHTS = {
    "tied": "tied weights",
    "untied": "untied weights",
    "both": "untied weights, and the tied critical line",
}
# Where gradients neither explode nor vanish.
_LEVEL = {"gradient_growth": 0.0, "chi_1": 1.0}
_UNIT = {"dimensionless": "", "": "", "steps": ", steps", "per step": ", per step"}


def draw_map(
    diagram: xarray.Dataset, quantity: str | None, axes: Any, path: str | Path | None
) -> Any:
    """Draw one quantity over its one or two parameters; see `PhasePlot`."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    name = _chosen(diagram, quantity)
    parameters = [str(d) for d in diagram.fixed_point_error.dims]
    if len(parameters) not in (1, 2):
        raise ParameterError(
            f"plot draws one or two parameters, not {', '.join(parameters) or 'none'}: "
            "select= a value of the others"
        )
    with rc_context(STYLE):
        if axes is None:
            figure = Figure(figsize=(6.4, 4.8), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.subplots()
        figure = axes.figure
        (_draw_plane if len(parameters) == 2 else _draw_curves)(diagram, name, parameters, axes)
        axes.set_title(f"{diagram.attrs['cell']}, {_WEIGHTS[diagram.attrs['tying']]}")
        if path is not None:
            _write(figure, path)
    return figure


def _write(figure: Any, path: str | Path) -> None:
    """Write a figure.

    Raises:
        ParameterError: the folder or the kind of file does not exist.
    """
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise ParameterError(f"{path}: figures are written as .png, .svg or .pdf")
    try:
        figure.savefig(path, format=kind, dpi=150)
    except OSError as error:
        raise ParameterError(f"{path} cannot be written: {error.strerror}") from None


def _chosen(diagram: xarray.Dataset, quantity: str | None) -> str:
    drawn = [str(q) for q in diagram["quantity"].values] if "quantity" in diagram else []
    if "fixed_points" in diagram:
        drawn.append("fixed_points")
    if quantity is None:
        return "gradient_growth" if "gradient_growth" in drawn else drawn[0]
    if quantity not in drawn:
        raise ParameterError(f"no quantity {quantity!r} in this diagram; it has {', '.join(drawn)}")
    return quantity


def _values(diagram: xarray.Dataset, name: str) -> xarray.DataArray:
    """A quantity over the parameters alone: of the first state, the lowest fixed point."""
    found = diagram[name]
    parameters = diagram.fixed_point_error.dims
    first = {d: 0 for d in found.dims if d not in parameters}
    return found.isel(first).transpose(*parameters)


def _label(diagram: xarray.Dataset, name: str) -> str:
    quantity = diagram[name]
    which = "".join(
        f" of {quantity[d].values[0]}" for d in quantity.dims if d in ("state", "preactivation")
    )
    text = quantity.attrs.get("long_name", name)
    return f"{name}{which}: {text}{_UNIT.get(quantity.attrs.get('units', ''), '')}"


def _parameter(name: str) -> str:
    """A parameter as it is written: "e.sigma_w" is sigma_w of e."""
    preactivation, _, parameter = name.rpartition(".")
    letter, _, index = parameter.partition("_")
    if not preactivation or letter not in ("sigma", "mu"):
        return name
    return rf"$\{letter}_{index}$ of {preactivation}"


def _scale(axes: Any, which: str, values: Array) -> None:
    """A logarithmic axis where the values are a geometric sequence that is no arithmetic one."""
    if len(values) >= _SEQUENCE and (values > 0).all():
        ratio = np.diff(np.log(values))
        if np.ptp(ratio) <= _GEOMETRIC * np.abs(ratio).max() and abs(ratio[0]) > _GEOMETRIC:
            getattr(axes, f"set_{which}scale")("log")


# --- one parameter -------------------------------------------------------------------------------


def _draw_curves(diagram: xarray.Dataset, name: str, parameters: list[str], axes: Any) -> None:
    (x_name,) = parameters
    x = diagram[x_name].values
    if name == "fixed_points":
        for values, stable in zip(
            diagram.fixed_points.isel(state=0).values,
            diagram.fixed_point_stable.values,
            strict=True,
        ):
            settles = stable.astype(bool)
            axes.plot(x, np.where(settles, values, np.nan), "o", color=BLUE)
            axes.plot(
                x, np.where(settles, np.nan, values), "o", color=BLUE, markerfacecolor="white"
            )
    else:
        values, error = (_values(diagram, n).values for n in (name, f"{name}_error"))
        axes.plot(x, values, color=BLACK, marker=".")
        shown = np.isfinite(error) & np.isfinite(values)
        axes.fill_between(
            x, values - error, values + error, where=shown, color=BLUE, alpha=0.3, linewidth=0
        )
        critical = _LEVEL.get(name)
        if critical is not None:
            axes.axhline(critical, color=GREY, linestyle="--", linewidth=1)
        finite = values[np.isfinite(values)]
        if len(finite) and finite.min() > 0 and finite.max() > _DECADES * finite.min():
            axes.set_yscale("log")
    _scale(axes, "x", x)
    axes.set_xlabel(_parameter(x_name))
    axes.set_ylabel(_label(diagram, name))


# --- two parameters ------------------------------------------------------------------------------


def _draw_plane(diagram: xarray.Dataset, name: str, parameters: list[str], axes: Any) -> None:
    x_name, y_name = parameters
    x, y = diagram[x_name].values, diagram[y_name].values
    if len(x) < 2 or len(y) < 2:
        raise ParameterError("plot needs two values of each parameter at least")
    values = np.array(_values(diagram, name).values.T, dtype=float)
    # Where there is no value the ground is seen.
    axes.set_facecolor("#e8eaed")
    shades = axes.pcolormesh(
        x,
        y,
        np.ma.masked_invalid(values),
        shading="nearest",
        rasterized=True,
        **_shades(name, values),
    )
    bar = axes.figure.colorbar(
        shades, ax=axes, extend="both" if name == "gradient_growth" else None
    )
    bar.set_label(_label(diagram, name))
    bar.outline.set_visible(False)
    keys = [
        *_critical_line(diagram, x, y, axes),
        *_lengths(diagram, x, y, axes),
        *_coexistence(diagram, x, y, axes),
        *_blank(diagram, name, values),
    ]
    if keys:
        axes.figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    _scale(axes, "x", x)
    _scale(axes, "y", y)
    axes.set_xlabel(_parameter(x_name))
    axes.set_ylabel(_parameter(y_name))


def _shades(name: str, values: Array) -> dict[str, Any]:
    """Colours: two sides of a critical value, a logarithm over decades, or plain."""
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    if name == "gradient_growth":
        limit = float(np.clip(np.abs(finite).max(initial=0.1), 0.1, _MOST_GROWTH))
        return {"cmap": "PuOr_r", "norm": Normalize(-limit, limit)}
    positive = finite[finite > 0]
    if (
        len(positive)
        and len(positive) == len(finite)
        and np.ptp(np.log(positive)) > np.log(_DECADES)
    ):
        low = np.quantile(positive, 0.01)
        return {"cmap": "cividis", "norm": LogNorm(low, positive.max())}
    return {"cmap": "cividis"}


def _critical_line(diagram: xarray.Dataset, x: Array, y: Array, axes: Any) -> list[Any]:
    """Between gradients that explode and ones that vanish; of both theories where known."""
    own = next((name for name in _LEVEL if name in diagram), None)
    if TIED_GROWTH not in diagram:
        lines = [(own, _LEVEL[own], "solid", "critical: growth 0")] if own else []
    else:
        lines = [(TIED_GROWTH, 0.0, "solid", "critical, tied weights")]
        if own:
            lines.append((own, _LEVEL[own], "dotted", "critical, untied weights"))
    keys = []
    for name, level, style, label in lines:
        values = _finite(_values(diagram, name).values.T)
        if _crosses(values, level):
            _draw_level(axes, (x, y, values), level, style)
            keys.append(_key(style, label))
    return keys


def _draw_level(axes: Any, map_: tuple[Any, ...], level: float, style: Any) -> None:
    from matplotlib.patheffects import withStroke

    line = axes.contour(*map_, levels=[level], colors=[BLACK], linestyles=[style], linewidths=2.0)
    line.set_path_effects([withStroke(linewidth=3.6, foreground="white")])


def _key(style: Any, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=BLACK, linestyle=style, linewidth=2.2, label=label)


def _lengths(diagram: xarray.Dataset, x: Array, y: Array, axes: Any) -> list[Any]:
    """Lines of 6 xi."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    for name in ("xi_c", "xi_q"):
        if name in diagram:
            values = _XIS * np.array(_values(diagram, name).values.T, dtype=float)
            # Beyond the last line all is far: infinite times stay beyond it.
            values = np.minimum(values, 10.0 * _LENGTHS[-1])
            levels = [length for length in _LENGTHS if _crosses(values, length)]
            if not levels:
                return []
            style = {"colors": [BLUE], "linestyles": "--", "linewidths": 1.2}
            lines = axes.contour(x, y, np.ma.masked_invalid(values), levels=levels, **style)
            around = [withStroke(linewidth=2.6, foreground="white")]
            lines.set_path_effects(around)
            for label in axes.clabel(lines, fmt="%g", fontsize=8.5):
                label.set_path_effects(around)
            what = rf"$6\,\xi_{name[-1]}$ = 10, 30, .. steps"
            return [Line2D([], [], color=BLUE, linestyle="--", linewidth=1.2, label=what)]
    return []


def _coexistence(diagram: xarray.Dataset, x: Array, y: Array, axes: Any) -> list[Any]:
    """Where several stable fixed points coexist."""
    from matplotlib import rc_context
    from matplotlib.patches import Patch

    if "fixed_point_stable" not in diagram:
        return []
    several = _values(diagram.assign(n=diagram.fixed_point_stable.sum("fixed_point")), "n").values.T
    if not (several > 1).any():
        return []
    with rc_context({"hatch.color": BLACK, "hatch.linewidth": 0.7}):
        axes.contourf(x, y, several, levels=[1.5, 1e3], colors="none", hatches=["////"])
        axes.contour(x, y, several, levels=[1.5], colors=[BLACK], linewidths=0.8, linestyles=":")
    return [Patch(facecolor="none", edgecolor=BLACK, hatch="////", label="stable states coexist")]


def _blank(diagram: xarray.Dataset, name: str, values: Array) -> list[Any]:
    """Where there is no value, and the statuses that say why."""
    from matplotlib.patches import Patch

    missing = ~np.isfinite(values)
    if not missing.any():
        return []
    label = "no value"
    if "status" in diagram and name in diagram["quantity"]:
        status = _values(diagram.assign(s=diagram["status"].sel(quantity=name)), "s").values.T
        why = sorted(set(status[missing].tolist()) - {Status.OK.name})
        label += f": {', '.join(why)}" if why else ""
    return [Patch(facecolor="#e8eaed", edgecolor=GREY, label=label)]


def _finite(values: Array) -> Any:
    """The values with infinite ones at the ends of what is drawn, unknown ones masked."""
    return np.ma.masked_invalid(np.clip(values, -1e6, 1e6))


def _crosses(values: Array, level: float) -> bool:
    known = np.ma.masked_invalid(values).compressed()
    return bool(known.size and (known < level).any() and (known > level).any())
