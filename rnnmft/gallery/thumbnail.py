"""A map small enough for a row of a table: coloured boxes, as SVG within a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rnnmft.page.document import markup

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["thumbnail"]

# The rate at which colours are full, for all cells the same: a factor of 20 in 10 steps.
_FULL = 0.3
# Purple, white and orange, as the maps of pages have them; no stationary state is grey.
_ENDS, _MIDDLE, _NONE = ((84, 39, 136), (179, 88, 6)), (247, 247, 247), "#8a919c"


def thumbnail(z: list[list[Any]], title: str) -> Markup:
    """The map z[i][j], i to the right and j upwards, with a dot in its middle.

    Args:
        z: growth of gradients per step; None or nan where there is none.
        title: what it shows, for those who do not see it.
    """
    columns, rows = len(z), len(z[0])
    boxes = "".join(
        f'<rect x="{i}" y="{rows - 1 - j}" width="1" height="1" fill="{_colour(value)}"/>'
        for i, column in enumerate(z)
        for j, value in enumerate(column)
    )
    dot = f'<ellipse cx="{columns / 2}" cy="{rows / 2}" rx="{columns / 36}" ry="{rows / 26}"/>'
    return markup(
        f'<svg class="thumbnail" viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" '
        f'role="img" aria-label="{{title}}">'
        f'<g shape-rendering="crispEdges">{boxes}</g>{dot}</svg>',
        title=title,
    )


def _colour(value: Any) -> str:
    """Of one rate.

    >>> _colour(0.0), _colour(9.0), _colour(None)
    ('#f7f7f7', '#b35806', '#8a919c')
    """
    rate = math.nan if value is None else float(value)
    if math.isnan(rate):
        return _NONE
    share = min(abs(rate) / _FULL, 1.0)
    ends = zip(_MIDDLE, _ENDS[rate > 0], strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in ends)
