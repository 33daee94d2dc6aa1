"""How the two theories and their networks look in every figure: line, colour, marker."""

from __future__ import annotations

from typing import Any

from rnnmft.page.figure import BLACK, BLUE, GREY, RED

__all__ = ["NETWORKS", "THEORY"]

#: Keyword arguments of a line: the tied theory is the exact one and stands in front.
THEORY: dict[str, dict[str, Any]] = {
    "tied": {"color": BLACK, "linestyle": "-", "zorder": 4},
    "untied": {"color": GREY, "linestyle": "--", "zorder": 3},
}
#: Keyword arguments of markers, which stand above the lines that they test.
NETWORKS: dict[str, dict[str, Any]] = {
    "tied": {"color": RED, "marker": "s", "zorder": 6},
    "untied": {"color": BLUE, "marker": "o", "zorder": 5},
}
