"""Phase diagrams: the theory's quantities over a grid of parameters, with a status an element.

A sweep never raises for one element: where a quantity does not exist it is nan, and its status says
why. Cells whose moments close are solved for the whole grid at once; what that leaves open, and
every other theory, is solved point by point, and the dataset says how many points those were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.fixed_point_map import FixedPointMap
from rnnmft.analysis.map_dataset import map_dataset
from rnnmft.analysis.map_table import QUANTITIES, MapTable, PointFunction
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid, in_domain
from rnnmft.errors import ParameterError, did_you_mean
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.closed.closed_grid import ClosedGrid
from rnnmft.solvers.closed.recursion import UntiedRecursion, point_of

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["FIXED_POINTS", "QUANTITIES", "phase_diagram"]

Array = NDArray[np.float64]

#: The quantity that is all fixed points, stable or not.
FIXED_POINTS = "fixed_points"


def phase_diagram(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    vary: Mapping[Any, Sequence[float]] | None = None,
    quantities: Iterable[str | PointFunction] | Mapping[str, PointFunction] = (
        "second_moment",
        "chi_1",
        "gradient_growth",
    ),
    tying: str = "tied",
    progress: Callable[[int, int], object] | None = None,
    start: float | Mapping[str, float] = 0.0,
) -> PhaseDataset:
    """The theory's quantities over a grid.

    Args:
        cell: the cell.
        ensemble: what is not varied; all parameters at their defaults when absent.
        inputs: likewise.
        vary: {(preactivation, parameter): values} and {"R": values}, {"correlation": values}; the
            order is that of the dimensions, named "e.sigma_w", "R", "input_correlation".
        quantities: of `QUANTITIES`; "fixed_points" for all of them, stable or not; and functions of
            one's own, each of the `MeanField` of a point, giving a number or a `Quantity`,
            under the function's name ({name: function} gives another), asked point by point.
        tying: whose theory. "tied" is that of a network. A grid of it is solved point by point,
            each by sampled units in a time of seconds, but for memoryless cells (the vanilla RNN):
            theirs, like "untied" ones of cells whose moments close, are solved all at once.
        progress: called as progress(done, total) over the points solved one by one.
        start: of `MeanField`: the standard deviation of the states at t = 0.

    Returns:
        An xarray.Dataset that draws itself (`plot`) and writes itself (`save`): each quantity over
        the grid (and over `state` or `preactivation`) with its unit; `<quantity>_error` of the same
        shape (a bound, or a standard error where units are sampled: the attribute `error_kind`);
        `status` over `quantity` and the grid (the names of `Status`); `fixed_point_error`, the
        largest error of the moments, where they close. With "fixed_points": `fixed_points` (E[s^2])
        and its error over `state`, `fixed_point` and the grid, nan beyond the last,
        `fixed_point_stable` and `fixed_point_count`. Attributes say what was computed and how:
        cell, ensemble, inputs, start, tying, method, how the integrals were computed, how many
        points were solved one by one, the version.

    Raises:
        ParameterError: an unknown quantity, parameter or preactivation, or an empty grid.

    >>> from rnnmft import cells
    >>> found = phase_diagram(cells.vanilla(), vary={("e", "sigma_w"): [0.5, 1.0]})
    >>> found.chi_1.dims, found.status.sel(quantity="chi_1").values.tolist(), found.tying
    (('e.sigma_w',), ['OK', 'OK'], 'tied')
    """
    field = MeanField(cell, ensemble, inputs, tying=tying, start=start)
    grid = ParameterGrid.of(field, vary)
    wanted = _checked_quantities(quantities)
    branches = wanted.pop(FIXED_POINTS, ...) is None
    table = MapTable.empty(wanted, field, grid.size)
    table.refuse(~grid.valid)
    whole = None
    if field.recursion is not None:
        whole = _closed(field, field.recursion, grid)
        table.fill_map(whole, grid.valid)
    alone = table.fill_points(grid, progress)
    points = FixedPointMap.of(whole, grid, progress) if branches else None
    return map_dataset(field, grid, table, whole, alone, points)


def _checked_quantities(
    quantities: Iterable[str | PointFunction] | Mapping[str, PointFunction],
) -> dict[str, PointFunction | None]:
    """The names asked for, with the functions of one's own."""
    asked = (quantities,) if isinstance(quantities, str) or callable(quantities) else quantities
    found: dict[str, PointFunction | None] = {}
    for q in asked:
        if isinstance(q, str):
            function = asked[q] if isinstance(asked, Mapping) else None
            found[q] = function if callable(function) else None
        else:
            found[getattr(q, "__name__", repr(q))] = q
    known = (*QUANTITIES, FIXED_POINTS)
    for name, function in found.items():
        if function is None and name not in known:
            near = did_you_mean(name, known)
            raise ParameterError(f"unknown quantity {name!r}{near}; there are {', '.join(known)}")
        if function is not None and (name in known or not callable(function)):
            raise ParameterError(f"quantities: {name!r} must be a function under a name of its own")
    if not found:
        raise ParameterError(f"quantities must name at least one of {', '.join(known)}")
    return found


def _closed(field: MeanField, recursion: UntiedRecursion, grid: ParameterGrid) -> ClosedGrid:
    """The map's solution; values outside their domain stand at the field's own."""
    n, ndim = recursion.derivation.notation, len(grid.axes)
    point = {
        symbol: value.reshape((1,) * ndim)
        for symbol, value in point_of(recursion.derivation, field.ensemble, field.inputs).items()
    }
    preactivations = {p.name: p for p in field.cell.preactivations}
    for k, (axis, values) in enumerate(grid.axes):
        if isinstance(axis, str):
            symbol = n.R if axis == "R" else n.c_x
        else:
            symbol = getattr(n, axis[1])[preactivations[axis[0]]]
        along = np.where(in_domain(axis, values), values, point[symbol].item())
        point[symbol] = along.reshape([-1 if i == k else 1 for i in range(ndim)])
    weights = {k: law.weights for k, law in field.ensemble.items()}
    return ClosedGrid(recursion, point, grid.shape, weights, field.start)
