"""The picture of the rooms: what imports what, as the import law reads it, drawn when it is asked.

An arrow goes from a room to a room below that it imports from; those that follow from other arrows
(transitive reduction) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import rnnmft
from tests.import_law import FLOORS, SYMBOLIC, modules, rooms

__all__ = ["draw", "first_lines", "imports", "reduced"]

PACKAGE = Path(rnnmft.__file__).parent
Graph = dict[str, set[str]]

_WITHOUT = {"__init__", "__main__"}
_SYMBOLIC, _NUMERIC = "#dbe9f6", "#fdebd0"
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
    place = _places(graph)
    figure, axes = plt.subplots(figsize=(10, 8.5))
    for room, others in graph.items():
        for other in others:
            (x, y), (to_x, to_y) = place[room], place[other]
            bent = 0.0 if abs(x - to_x) > 0.1 or y - to_y < 1.5 else 0.25
            axes.annotate(
                "",
                (to_x, to_y + 0.24),
                (x, y - 0.24),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": "#777777",
                    "linewidth": 0.9,
                    "connectionstyle": f"arc3,rad={bent}",
                },
            )
    for room, (x, y) in place.items():
        colour = _SYMBOLIC if room in SYMBOLIC else _NUMERIC
        style = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#555555"}
        text = axes.text(x, y, room, ha="center", va="center", fontsize=10, bbox=style)
        text.set_zorder(3)
    floors = sorted({FLOORS[room] for room in graph})
    for floor in floors:
        axes.text(-0.75, floor, str(floor), ha="right", va="center", color="#999999")
    wide = max(x for x, _ in place.values())
    axes.set(xlim=(-1.0, wide + 0.8), ylim=(floors[0] - 0.6, floors[-1] + 0.6))
    axes.axis("off")
    figure.tight_layout()
    return figure


def _places(graph: Graph) -> dict[str, tuple[float, float]]:
    """A place for each room: its floor, and on it near those that it has to do with."""
    floors: dict[int, list[str]] = {}
    for room in sorted(graph):
        floors.setdefault(FLOORS[room], []).append(room)
    width = max(map(len, floors.values()))
    joined = {r: graph[r] | {o for o, seen in graph.items() if r in seen} for r in graph}
    x = {r: _spread(i, len(f), width) for f in floors.values() for i, r in enumerate(f)}
    for _ in range(_SWEEPS):
        for row in floors.values():
            row.sort(key=lambda r: sum(x[o] for o in joined[r]) / max(1, len(joined[r])))
            x |= {room: _spread(i, len(row), width) for i, room in enumerate(row)}
    return {room: (x[room], float(FLOORS[room])) for room in graph}


def _spread(index: int, count: int, width: int) -> float:
    """Where the index-th of so many stands on a floor of that width."""
    return 2.0 * width * (index + 0.5) / count
