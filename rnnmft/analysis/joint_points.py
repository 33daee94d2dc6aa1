"""The points of a map that are solved together where moments do not close.

Those of a cell that is linear given its gate lie on surfaces that a few states tell
(`solvers.conditional`); of all others units move together, and where the map is smooth those of
some points tell the rest (`solvers.sampled`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnmft.analysis.map_table import MAPPED, MapTable
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.numerics.backends import torch_backend

if TYPE_CHECKING:
    from rnnmft.solvers.sampled.point_found import PointFound

__all__ = ["JOINT", "fill_jointly"]

#: The quantities that many points tell together.
JOINT = MAPPED
# The most units that one of them takes, each as often as it carries a perturbation; the quantities
# that need one.
_MOST_UNITS, _GROWTH = 1 << 20, ("gradient_growth", "chi_1")


def fill_jointly(
    table: MapTable,
    grid: ParameterGrid,
    effort: Mapping[str, Any],
    progress: Callable[[int, int], object] | None,
) -> None:
    """Fill a table with the quantities that points tell together.

    Args:
        table: of the map.
        grid: its points.
        effort: `tolerance` and `settle_within`, as of `phase_diagram`.
        progress: called as progress(done, total).
    """
    wanted = [name for name in JOINT if name in table.open and name not in table.own]
    rows = np.flatnonzero(grid.valid).tolist()
    if wanted and rows:
        table.fill_joint(_completed(grid, rows, wanted, effort), rows, progress)


def _completed(
    grid: ParameterGrid, rows: Sequence[int], wanted: Sequence[str], effort: Mapping[str, Any]
) -> Iterator[list[tuple[int, PointFound]]]:
    """Points, by their number in `rows`, and what was found there."""
    # Sampling needs torch: only settings that are sampled load it.
    from rnnmft.solvers.sampled.point_surface import PREDICTED

    # Predictions are judged by what they miss of a rate; timescales have none that is as good.
    can_be_told = set(wanted) <= {*PREDICTED, "chi_1"} and not set(wanted).isdisjoint(_GROWTH)
    left = list(range(len(rows)))
    if can_be_told:
        for told in _by_surfaces(grid, rows, effort["tolerance"]):
            answered = {i for i, _ in told}
            left = [i for i in left if i not in answered]
            yield told
    if left:
        for told in _by_units(grid, [rows[i] for i in left], wanted, effort, can_be_told):
            yield [(left[i], found) for i, found in told]


def _by_surfaces(
    grid: ParameterGrid, rows: Sequence[int], tolerance: float
) -> Iterator[list[tuple[int, PointFound]]]:
    """The points that surfaces of states tell."""
    from rnnmft.solvers.conditional.gated_map import GatedMap
    from rnnmft.solvers.conditional.linear_cell import is_conditionally_linear

    field = grid.field
    points = {i: grid.setting(row) for i, row in enumerate(rows)}
    places = [
        i
        for i, point in points.items()
        if is_conditionally_linear(field.cell, *point, field.tying, field.start)
    ]
    if not places:
        return
    backend = torch_backend(field.sampling.device, "float32")
    settings = [points[i] for i in places]
    surfaces = GatedMap(field.cell, settings, tolerance, field.sampling.seed, backend)
    for told in surfaces.completed():
        yield [(places[i], found) for i, found in told]


def _by_units(
    grid: ParameterGrid,
    rows: Sequence[int],
    wanted: Sequence[str],
    effort: Mapping[str, Any],
    can_be_told: bool,
) -> Iterator[list[tuple[int, PointFound]]]:
    """The points whose units move together."""
    from rnnmft.solvers.sampled.kriged_map import KrigedMap
    from rnnmft.solvers.sampled.sampled_map import SampledMap

    field = grid.field
    points = []
    for i in rows:
        ensemble, inputs = grid.setting(i)
        # One trajectory does not know how alike two are.
        points.append((ensemble, replace(inputs, correlation=field.inputs.correlation)))
    found = SampledMap(
        field.cell,
        points,
        field.tying,
        # Over many steps of tied weights Sobol numbers are no more even than others, and dearer.
        sampling=replace(
            field.sampling,
            dtype="float32",
            normals="random",
            units=_MOST_UNITS,
            max_units=_MOST_UNITS,
        ),
        start=field.start,
        with_growth=not set(wanted).isdisjoint(_GROWTH),
        **effort,
    )
    if can_be_told:
        places = [tuple(map(int, np.unravel_index(i, grid.shape))) for i in rows]
        return KrigedMap(found, places, effort["tolerance"], wanted).completed()
    return found.completed()
