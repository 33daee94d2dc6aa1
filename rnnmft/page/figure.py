"""Figures: one plot each, drawn to be read at the width of a phone, kept in the page as SVG.

Colours are Okabe and Ito's, which people with any colour vision tell apart; every series also has a
marker or a line style of its own.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from rnnmft.page.readouts import PlottedSeries, Spot, Surface, read_axes, read_surface

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "RED",
    "STYLE",
    "Figure",
    "draw_figure",
    "label_decades",
]

BLACK, GREY = "#1d2129", "#8a919c"
BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE = "#E69F00", "#CC79A7"

#: How every figure looks, in Matplotlib's words.
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "mathtext.fontset": "dejavuserif",
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "rnnmft",
    "figure.dpi": 72,
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its SVG, what it shows in words, and a caption.

    Attributes:
        series: what it shows, in numbers.
        readouts: what a page shows of them under the pointer.
    """

    svg: str
    alt: str
    caption: str
    series: tuple[PlottedSeries, ...] = ()
    readouts: tuple[Spot, ...] = ()

    @property
    def is_surface(self) -> bool:
        """Whether it shows a function of two parameters."""
        return any(one.z for one in self.series)

    @property
    def svg_with_values(self) -> str:
        """The SVG for a file of its own: a browser shows the values under the pointer."""
        boxes = [
            f'<rect x="{r.left}%" y="{r.top}%" width="{r.width}%" height="{r.height}%">'
            f"<title>{escape(r.text)}</title></rect>"
            for r in self.readouts
        ]
        group = f'<g fill="transparent">{"".join(boxes)}</g>'
        title = f"<title>{escape(self.alt)}</title>"
        head = self.svg.index(">") + 1
        body, end = self.svg[head:].rsplit("</svg>", 1)
        return f"{self.svg[:head]}{title}{body}{group}</svg>{end}"

    def _repr_html_(self) -> str:
        """For notebooks and pages of documentation."""
        return f'<img src="{self.source}" alt="{escape(self.alt)}">'

    @property
    def source(self) -> str:
        """The SVG as a data address: nothing is loaded from anywhere."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


@contextmanager
def _canvas(width: float, height: float) -> Iterator[Any]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Drawing

    with rc_context(STYLE):
        drawing = Drawing(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawing)
        yield drawing


def draw_figure(
    draw: Callable[[Any], object],
    alt: str,
    caption: str,
    width: float = 5.4,
    height: float = 4.0,
) -> Figure:
    """Draw a figure.

    Args:
        draw: called with an empty Matplotlib figure; returns the `Surface` that it draws, if any.
        alt: what it shows, for those who do not see it.
        caption: what to look for.
        width: in inches of 72 pixels.
        height: likewise.
    """
    with _canvas(width, height) as drawing:
        drawn = draw(drawing)
        surface = drawn if isinstance(drawn, Surface) else None
        written = io.StringIO()
        drawing.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        series, readouts = _read(drawing, surface)
    svg = written.getvalue()
    return Figure(svg[svg.index("<svg") :], alt, caption, tuple(series), tuple(readouts))


def _read(drawing: Any, surface: Surface | None) -> tuple[list[PlottedSeries], list[Spot]]:
    """What the drawn figure shows; a surface is read instead of the lines that lie on it."""
    size = tuple(drawing.get_size_inches() * drawing.dpi)
    series: list[PlottedSeries] = []
    readouts: list[Spot] = []
    for axes in drawing.axes:
        if surface is not None and axes is surface.axes:
            one, columns = read_surface(surface, size)
            found = [one]
        else:
            found, columns = read_axes(axes, size)
        series += found
        readouts += columns
    return series, readouts


def label_decades(axis: Any) -> None:
    """Label a logarithmic axis of a plot: plain numbers where it spans few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high > 1e3 * low:
        return
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
