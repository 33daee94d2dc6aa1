"""The picture of the rooms: what imports what, as the import law reads it, drawn when it is asked.

An arrow goes from a room to a room below that it imports from; those that follow from other arrows
(transitive reduction) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path as File
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

import rnnmft
from tests.import_law import FLOORS, SYMBOLIC, modules, rooms

__all__ = ["draw", "first_lines", "imports", "reduced"]

PACKAGE = File(rnnmft.__file__).parent
Graph = dict[str, set[str]]
# A room, or where an arrow from one room to another passes a floor between them.
Station = str | tuple[str, int, str]

_WITHOUT = {"__init__", "__main__"}
_SYMBOLIC, _NUMERIC = "#dbe9f6", "#fdebd0"
# On a floor: how much a room and how much a passing arrow takes, and half the height of a room.
_WIDE, _NARROW, _HALF = 2.0, 0.7, 0.24
_SWEEPS = 24


def imports() -> Graph:
    """{room: the rooms below that it imports from}, of the package as it stands."""
    found = rooms(modules(PACKAGE))
    return {
        room: {other for other in others if FLOORS[other] < FLOORS[room]}
        for room, others in found.items()
        if room not in _WITHOUT
    }


def first_lines() -> Iterator[tuple[int, str, str]]:
    """(floor, room, what its file or folder says of itself in its first line), from the ground."""
    for room in sorted(imports(), key=lambda room: (FLOORS[room], room)):
        path = PACKAGE / f"{room}.py"
        text = (path if path.exists() else PACKAGE / room / "__init__.py").read_text("utf-8")
        yield FLOORS[room], room, text.splitlines()[0].strip('"')


def reduced(graph: Mapping[str, set[str]]) -> Graph:
    """The graph without the arrows that follow from others; it has no circle."""

    def below(room: str) -> set[str]:
        return graph[room].union(*(below(other) for other in graph[room]))

    return {
        room: {one for one in others if not any(one in below(o) for o in others - {one})}
        for room, others in graph.items()
    }


def draw() -> Any:
    """The figure: floors from the ground up, symbolic rooms apart from numeric ones by colour."""
    graph = reduced(imports())
    lines = [_stations(room, other) for room, others in graph.items() for other in sorted(others)]
    place = _places(graph, lines)
    figure, axes = plt.subplots(figsize=(10, 9))
    for line in lines:
        points = [place[station] for station in line]
        axes.add_patch(_arrow(points))
    for room in graph:
        colour = _SYMBOLIC if room in SYMBOLIC else _NUMERIC
        style = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#555555"}
        axes.text(*place[room], room, ha="center", va="center", bbox=style, zorder=3)
    right, top = (max(values) for values in zip(*place.values(), strict=True))
    for floor in sorted({FLOORS[room] for room in graph}):
        axes.text(-right - 0.9, floor, str(floor), ha="right", va="center", color="#888888")
    axes.set(xlim=(-right - 1.2, right + 0.8), ylim=(0.4, top + 0.5))
    axes.axis("off")
    figure.tight_layout()
    return figure


def _stations(room: str, other: str) -> list[Station]:
    """Where an arrow passes: the room, a place of its own on each floor between, the other room."""
    between = range(FLOORS[room] - 1, FLOORS[other], -1)
    return [room, *((room, floor, other) for floor in between), other]


def _places(graph: Graph, lines: list[list[Station]]) -> dict[Station, tuple[float, float]]:
    """x and y of each station: its floor, and on it near those that it is joined with."""
    joined: dict[Station, set[Station]] = {room: set() for room in graph}
    for line in lines:
        for one, following in pairwise(line):
            joined.setdefault(one, set()).add(following)
            joined.setdefault(following, set()).add(one)
    floors: dict[int, list[Station]] = {}
    for station in joined:
        floors.setdefault(_floor(station), []).append(station)
    x: dict[Station, float] = {}
    for row in floors.values():
        x |= _spread(row)
    for _ in range(_SWEEPS):
        for floor in sorted(floors, reverse=True):
            row = floors[floor]
            row.sort(key=lambda s: sum(x[o] for o in joined[s]) / max(1, len(joined[s])))
            x |= _spread(row)
    return {station: (x[station], float(_floor(station))) for station in joined}


def _floor(station: Station) -> int:
    return FLOORS[station] if isinstance(station, str) else station[1]


def _spread(row: list[Station]) -> dict[Station, float]:
    """A floor's stations side by side about its middle; a passing arrow needs less than a room."""
    widths = [_WIDE if isinstance(station, str) else _NARROW for station in row]
    left = [sum(widths[:i]) for i in range(len(row))]
    return {s: a + w / 2 - sum(widths) / 2 for s, a, w in zip(row, left, widths, strict=True)}


def _arrow(points: list[tuple[float, float]]) -> FancyArrowPatch:
    """A curve from the foot of the first point to the head of the last, upright at each."""
    (x, y), (end_x, end_y) = points[0], points[-1]
    points = [(x, y - _HALF), *points[1:-1], (end_x, end_y + _HALF)]
    vertices, codes = [points[0]], [Path.MOVETO]
    for (a, high), (b, low) in pairwise(points):
        middle = (high + low) / 2
        vertices += [(a, middle), (b, middle), (b, low)]
        codes += [Path.CURVE4] * 3
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "#777777", "linewidth": 0.9}
    return FancyArrowPatch(path=Path(vertices, codes), **style)
