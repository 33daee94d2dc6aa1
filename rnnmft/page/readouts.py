"""What a drawn figure shows, in numbers: its series, and what one reads off under the pointer.

Both are read from the drawn axes, so that every figure has them: lines and symbols that have a
label, with their error bars; histograms; and the surfaces that the drawing function hands back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rnnmft.page.numbers import MINUS, plus_minus, significant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["PlottedSeries", "Spot", "Surface", "plain", "read_axes", "read_surface"]

#: Places that lie closer than this, in pixels, are read together: a finger is no finer.
_CLOSE = 4.0


@dataclass(frozen=True)
class PlottedSeries:
    """A line, symbols or a histogram: y over x, with the half length of its error bars if any.

    Attributes:
        name: what the legend calls it.
        x_name, y_name: what the axes are.
        x, y, error: as many numbers each; of a surface x and y are coordinates of `z`.
        colour: that it is drawn in.
        z: of a surface only, (len(x), len(y)).
    """

    name: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    error: tuple[float, ...] = ()
    colour: str = ""
    z: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Surface:
    """A function of two parameters as it is drawn: z[i, j] at x[i] and y[j] on the axes."""

    axes: Any
    name: str
    x_name: str
    y_name: str
    x: Any
    y: Any
    z: Any


@dataclass(frozen=True)
class Spot:
    """A box of a figure, in percent of its width and height from its top left, and its values.

    `values`: (colour, text), one a series.
    """

    left: float
    top: float
    width: float
    height: float
    at: str
    values: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """All of it as plain text, a line a series."""
        return "\n".join([self.at, *(text for _, text in self.values)])


def plain(label: str) -> str:
    r"""A label without its LaTeX: letters by their signs, no braces, one line.

    >>> plain("$\\sigma_{w, z}$"), plain("$\\mathbb{E}[h^2]$, tied"), plain("lag $\\tau$")
    ('σ_w, z', 'E[h^2], tied', 'lag τ')
    """
    text = re.sub(r"\\(mathbb|mathrm|text|operatorname|rm|left|right|[,;! ])", "", label)
    text = re.sub(r"\\([A-Za-z]+)", lambda found: _letter(found[1]), text)
    return " ".join(re.sub(r"[${}\\]", "", text).split())


def _letter(name: str) -> str:
    spelled = name.upper().replace("LAMBDA", "LAMDA")  # as Unicode spells it
    case = "SMALL" if name.islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {spelled}")
    except KeyError:
        return name


def read_axes(axes: Any, size: tuple[float, float]) -> tuple[list[PlottedSeries], list[Spot]]:
    """The series of drawn axes, and a column of readouts for each place along x.

    Args:
        axes: of Matplotlib, drawn.
        size: width and height of the figure in pixels.
    """
    series = list(_series(axes))
    places = sorted(
        (px, k, i)
        for k, one in enumerate(series)
        for i, px in enumerate(_pixels(axes, one.x))
        if axes.bbox.x0 - 1 <= px <= axes.bbox.x1 + 1 and one.y[i] == one.y[i]
    )
    groups: list[list[tuple[float, int, int]]] = []
    for place in places:
        if groups and place[0] - groups[-1][0][0] < _CLOSE:
            groups[-1].append(place)
        else:
            groups.append([place])
    centres = [sum(p[0] for p in group) / len(group) for group in groups]
    inner = [(a + b) / 2 for a, b in pairwise(centres)]
    ends = list(zip([axes.bbox.x0, *inner], [*inner, axes.bbox.x1], strict=False))
    readouts = []
    for group, centre, (left, right) in zip(groups, centres, ends, strict=False):
        box = _box(left, right, axes.bbox.y0, axes.bbox.y1, size)
        readouts.append(Spot(*box, *_read(series, group, centre)))
    return series, readouts


def _read(
    series: Sequence[PlottedSeries], group: Sequence[tuple[float, int, int]], centre: float
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Of each series the point that is nearest to the middle of a group."""
    nearest: dict[int, tuple[float, int]] = {}
    for px, k, i in group:
        far = abs(px - centre)
        if k not in nearest or far < nearest[k][0]:
            nearest[k] = far, i
    first = min(nearest.items(), key=lambda item: item[1][0])
    x = series[first[0]].x[first[1][1]]
    values = tuple(
        (series[k].colour, f"{series[k].name}: {_value(series[k], i)}")
        for k, (_, i) in sorted(nearest.items())
    )
    name = series[first[0]].x_name
    return (f"{name}: " if name else "") + _short(x), values


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)


def _value(series: PlottedSeries, i: int) -> str:
    if not series.error:
        return significant(series.y[i])
    return plus_minus(series.y[i], series.error[i])


def read_surface(surface: Surface, size: tuple[float, float]) -> tuple[PlottedSeries, list[Spot]]:
    """The surface as a series, and a readout for each of its points."""
    x, y = _floats(surface.x), _floats(surface.y)
    rows = tuple(_floats(row) for row in surface.z)
    axes = surface.axes
    columns = _cells(_pixels(axes, x), axes.bbox.x0, axes.bbox.x1)
    lines = _cells(_pixels(axes, y, vertical=True), axes.bbox.y0, axes.bbox.y1)
    x_name, y_name = plain(surface.x_name), plain(surface.y_name)
    readouts = []
    for (left, right), a, row in zip(columns, x, rows, strict=True):
        for (low, high), b, value in zip(lines, y, row, strict=True):
            at = f"{x_name} = {_short(a)}, {y_name} = {_short(b)}"
            shown = (("", f"{surface.name}: {significant(value, 3)}"),)
            readouts.append(Spot(*_box(left, right, low, high, size), at, shown))
    return PlottedSeries(surface.name, x_name, y_name, x, y, z=rows), readouts


def _cells(pixels: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    """The interval around each place, within the axes."""
    inner = [(a + b) / 2 for a, b in pairwise(pixels)]
    return list(zip([low, *inner], [*inner, high], strict=True))


def _series(axes: Any) -> Iterator[PlottedSeries]:
    """What has a label: lines, then symbols with error bars, then histograms."""
    from matplotlib.colors import to_hex
    from matplotlib.container import ErrorbarContainer
    from matplotlib.patches import StepPatch

    names = (_x_name(axes), plain(axes.get_ylabel()))
    bars: list[Any] = [
        c for c in axes.containers if isinstance(c, ErrorbarContainer) and c[0] is not None
    ]
    taken = {id(c[0]) for c in bars}
    for line in axes.get_lines():
        if id(line) not in taken and not line.get_label().startswith("_"):
            x, y = _floats(line.get_xdata()), _floats(line.get_ydata())
            yield PlottedSeries(plain(line.get_label()), *names, x, y, (), to_hex(line.get_color()))
    for container in bars:
        if not container.get_label().startswith("_"):
            line, collections = container[0], container[2]
            x, y = _floats(line.get_xdata()), _floats(line.get_ydata())
            # A bar without an error (nan) has a segment without points.
            ends = [s for s in collections[-1].get_segments() if len(s)]
            half = [abs(s[-1][1] - s[0][1]) / 2 for s in ends]
            error = _floats(half) if len(half) == len(x) else ()
            name = plain(container.get_label())
            yield PlottedSeries(name, *names, x, y, error, to_hex(line.get_color()))
    patches: list[Any] = [p for p in axes.patches if isinstance(p, StepPatch)]
    for patch in patches:
        if not patch.get_label().startswith("_"):
            yield _histogram(axes, patch, names)


def _x_name(axes: Any) -> str:
    """The horizontal label, which stands below the last of several panels only."""
    panels = axes.get_shared_x_axes().get_siblings(axes)
    labels = [axes.get_xlabel(), *(panel.get_xlabel() for panel in panels)]
    return plain(next(filter(None, labels), ""))


def _histogram(axes: Any, patch: Any, names: tuple[str, str]) -> PlottedSeries:
    """A histogram at the middles of its bins."""
    from matplotlib.colors import to_hex

    values, edges, _ = patch.get_data()
    # The middle as it is seen: that of the logarithms on a logarithmic axis.
    logarithmic = axes.get_xscale() == "log"
    middles = (edges[1:] * edges[:-1]) ** 0.5 if logarithmic else (edges[1:] + edges[:-1]) / 2
    colour = to_hex(patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor())
    return PlottedSeries(
        plain(patch.get_label()), *names, _floats(middles), _floats(values), (), colour
    )


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _pixels(axes: Any, values: Sequence[float], vertical: bool = False) -> list[float]:
    """Where values lie on the figure."""
    other = (axes.get_xlim() if vertical else axes.get_ylim())[0]
    points = [(other, v) if vertical else (v, other) for v in values]
    if not points:
        return []
    return [float(p[int(vertical)]) for p in axes.transData.transform(points)]


def _box(
    left: float, right: float, low: float, high: float, size: tuple[float, float]
) -> tuple[float, float, float, float]:
    """From pixels, counted from below, to percent, counted from the top."""
    width, height = size
    box = (left / width, 1 - high / height, (right - left) / width, (high - low) / height)
    a, b, c, d = (round(100 * float(v), 2) for v in box)
    return a, b, c, d
