"""Phase diagrams: the theory's quantities over a grid of parameters, with a status an element.

A sweep never raises for one element: where a quantity does not exist it is nan, and its status says
why. Cells whose moments close are solved for the whole grid at once; the laws of an accumulated
state are searched for at many points together; where units are sampled, those of many points move
together. What that leaves open is solved point by point, and the dataset says how many points those
were.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.fixed_point_map import FixedPointMap
from rnnmft.analysis.joint_points import JOINT, fill_jointly
from rnnmft.analysis.map_dataset import map_dataset
from rnnmft.analysis.map_table import QUANTITIES, MapTable, PointFunction
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid, in_domain
from rnnmft.analysis.tied_beside import beside, with_tied_growth
from rnnmft.errors import ParameterError, did_you_mean
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.sampling import SETTLE_WITHIN
from rnnmft.solvers.closed.closed_grid import ClosedGrid
from rnnmft.solvers.closed.recursion import UntiedRecursion, point_of

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["FIXED_POINTS", "JOINT", "QUANTITIES", "TOLERANCE", "phase_diagram"]

Array = NDArray[np.float64]

#: Of a growth rate, per step: what a map of one hue in a hundred shows.
TOLERANCE = 0.005
# Seconds between two looks at a map that is being computed.
WATCHED = 5.0
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
    tolerance: float = TOLERANCE,
    watch: Callable[[PhaseDataset], object] | None = None,
    *,
    store: str | Path | None = None,
    cluster: Any = None,
    chunk: int | None = None,
    device: str = "auto",
    settle_within: int = SETTLE_WITHIN,
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
        tying: whose theory. "tied" is that of a network. Memoryless cells (the vanilla RNN), and
            "untied" ones whose moments close, are solved all at once. Of all others units are
            sampled, of many points together, for `JOINT` quantities; further ones are asked point
            by point, in a time of seconds each. "both" is the untied map and, beside it, the tied
            `gradient_growth_tied`.
        progress: called as progress(done, total) over the points whose units are sampled, and over
            those solved one by one.
        start: of `MeanField`: the standard deviation of the states at t = 0.
        store: a folder. The map (of "both": that of the tied rate) is computed chunk by chunk, each
            by itself, and each is written there as soon as it is done, with its checksum. An
            interrupted call, however it ended, goes on there when it is made again; damaged chunks
            are computed again; the end has the same bytes. `open_phase_diagram` reads it. Needs
            `rnnmft[cluster]`.
        cluster: where chunks are computed: this process when None; "threads" or "processes" of
            this machine ("processes:4" for four); the address of a Dask scheduler,
            "tcp://host:8786", or a `distributed.Client`.
        chunk: how many points a chunk has at most; when None, so many that handing it out costs
            less than 5 %. Part of what the bytes depend on.
        device: "auto": units are sampled on a GPU where there is one, and the integrals of closed
            moments are tables on the CPU; "cuda", "cuda:1": these are computed there, by quadrature
            at every point, and of several fixed points only that is known which the start
            approaches; "cpu".
        tolerance: where units of many points are sampled together: the standard error per step of
            the growth rate that each point shall have. Moments have the error that this leaves
            them. Errors of neighbours are not independent: what tells one tells the other.
        settle_within: steps after which a sampled point that has not settled is left as it is, with
            the status MAX_STEPS; its growth rate is that by then. Half as many cost half as much
            where memory is long.
        watch: of "both": called with the untied map at once, and with what is known of the tied
            rate as it comes, every few seconds.

    Returns:
        An xarray.Dataset that draws itself (`plot`) and writes itself (`save`): each quantity over
        the grid (and over `state` or `preactivation`) with its unit; `<quantity>_error` of the same
        shape (a bound, or a standard error where units are sampled: the attribute `error_kind`);
        `status` over `quantity` and the grid (the names of `Status`); `fixed_point_error`, the
        largest error of the moments, where they close; of tied weights with memory `predicted`, 1
        at points that others tell, by a surface through those whose units were sampled or through
        states. With "fixed_points": `fixed_points` (E[s^2]) and its error over `state`,
        `fixed_point` and the grid, nan beyond the last, `fixed_point_stable` and
        `fixed_point_count`. Attributes say what was computed and how: cell, ensemble, inputs,
        start, tying, method, how the integrals were computed, how many points were solved one by
        one, the version.

    Raises:
        ParameterError: an unknown quantity, parameter or preactivation, or an empty grid.
        StoreError: the store is of another campaign, in use, or cannot be written.

    >>> from rnnmft import cells
    >>> found = phase_diagram(cells.vanilla(), vary={("e", "sigma_w"): [0.5, 1.0]})
    >>> found.chi_1.dims, found.status.sel(quantity="chi_1").values.tolist(), found.tying
    (('e.sigma_w',), ['OK', 'OK'], 'tied')
    """
    options = {"cell": cell, "ensemble": ensemble, "inputs": inputs, "start": start}
    options |= {"device": device, "backend": "numpy" if device in ("auto", "cpu") else "torch"}
    chunked = store is not None or cluster is not None
    effort = {"tolerance": tolerance, "settle_within": settle_within}
    if tying == "both":
        untied = {"vary": vary, "quantities": quantities, "tying": "untied", "progress": progress}
        found = phase_diagram(cell, ensemble, inputs, start=start, device=device, **untied)
        if chunked:
            places = {"store": store, "cluster": cluster, "chunk": chunk, "device": device}
            places["settle_within"] = settle_within
            growth = (cell, ensemble, inputs, vary, ["gradient_growth"], "tied", progress, start)
            if watch is not None:
                watch(found)
            return beside(found, phase_diagram(*growth, tolerance, **places))
        return _with_tied(found, MeanField(**options), vary, effort, progress, watch)
    field = MeanField(tying=tying, **options)
    field.inputs.require_stationary("a phase diagram")
    grid = ParameterGrid.of(field, vary)
    wanted = _checked_quantities(quantities)
    if chunked:
        # It needs the dataset's class, which is xarray's.
        from rnnmft.analysis.map_campaign import map_in_chunks

        given = {"quantities": wanted, "tying": tying, "start": start, "device": device, **effort}
        of_block = partial(phase_diagram, cell, ensemble, inputs, **given)
        return map_in_chunks(of_block, grid, wanted, effort, store, cluster, chunk, progress)
    branches = wanted.pop(FIXED_POINTS, ...) is None
    table = MapTable.empty(wanted, field, grid.size)
    whole, alone = _fill(table, grid, effort, progress)
    points = FixedPointMap.of(whole, grid, progress) if branches else None
    return map_dataset(field, grid, table, whole, alone, points)


def _fill(
    table: MapTable,
    grid: ParameterGrid,
    effort: Mapping[str, Any],
    progress: Callable[[int, int], object] | None,
) -> tuple[ClosedGrid | None, int]:
    """Fill a table; the solution of the whole map, and how many points were solved one by one."""
    field, whole = grid.field, None
    table.refuse(~grid.valid)
    if grid.varies_laws:
        return None, table.fill_points(grid, progress)
    if field.recursion is not None:
        whole = _closed(field, field.recursion, grid)
        table.fill_map(whole, np.arange(grid.size))
        if field.recursion.backend != "numpy" and len(table.left):
            # Several fixed points, or slow ones: the tables of the CPU have them all at once.
            rest = whole.by_tables(table.left)
            table.fill_map(rest, table.left)
    if field.is_sampled:
        fill_jointly(table, grid, effort, progress)
    if field.has_law:
        table.fill_laws(grid, progress)
    return whole, table.fill_points(grid, progress)


def _with_tied(
    found: PhaseDataset,
    field: MeanField,
    vary: Mapping[Any, Sequence[float]] | None,
    effort: Mapping[str, Any],
    progress: Callable[[int, int], object] | None,
    watch: Callable[[PhaseDataset], object] | None,
) -> PhaseDataset:
    """The untied map with the tied growth rate, as that comes."""
    grid = ParameterGrid.of(field, vary)
    table = MapTable.empty({"gradient_growth": None}, field, grid.size)
    shown = time.monotonic()
    if watch is not None:
        watch(found)

    def advance(done: int, total: int) -> None:
        nonlocal shown
        if progress is not None:
            progress(done, total)
        if watch is not None and time.monotonic() - shown > WATCHED:
            watch(with_tied_growth(found, grid, table, field.method))
            shown = time.monotonic()

    _fill(table, grid, effort, advance)
    return with_tied_growth(found, grid, table, field.method)


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
