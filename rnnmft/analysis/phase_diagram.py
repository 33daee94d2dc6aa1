"""Phase diagrams: the theory's quantities over a grid of parameters, with a status an element.

A sweep never raises for one element: where a quantity does not exist it is nan, and its status says
why. Cells whose moments close are solved for the whole grid at once; what that leaves open, and
every other theory, is solved point by point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.errors import ConvergenceError, DerivationError, ParameterError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.solvers.closed.closed_grid import ClosedGrid
from rnnmft.solvers.closed.recursion import UntiedRecursion, point_of

if TYPE_CHECKING:
    import xarray

__all__ = ["QUANTITIES", "phase_diagram"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# What each quantity is, by the question that answers it; the first word says over what it runs.
QUANTITIES: Mapping[str, tuple[str, str]] = {
    "second_moment": ("state", "E[s^2] at the fixed point"),
    "preactivation_variance": ("preactivation", "q at the fixed point"),
    "correlation": ("state", "c*, the stationary correlation of two trajectories"),
    "xi_q": ("", "timescale of the second moment, in steps"),
    "xi_c": ("", "timescale of the correlation, in steps"),
    "chi_1": ("", "slope of the correlation map at c = 1 with identical inputs"),
    "gradient_growth": ("", "lim (1/T) log m_1(T), per step"),
    "m_1": ("", "mean of the one-step J J^T"),
    "m_2": ("", "second moment of the one-step J J^T"),
}


def phase_diagram(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    vary: Mapping[Any, Sequence[float]] | None = None,
    quantities: Iterable[str] = ("second_moment", "chi_1", "gradient_growth"),
    tying: str = "tied",
    progress: Callable[[int, int], object] | None = None,
    start: float | Mapping[str, float] = 0.0,
) -> xarray.Dataset:
    """The theory's quantities over a grid.

    Args:
        cell: the cell.
        ensemble: what is not varied; all parameters at their defaults when absent.
        inputs: likewise.
        vary: {(preactivation, parameter): values} and {"R": values}, {"correlation": values}; the
            order is that of the dimensions, named "e.sigma_w", "R", "input_correlation".
        quantities: of `QUANTITIES`.
        tying: whose theory. "tied" is that of a network. A grid of it is solved point by point,
            each by sampled units in a time of seconds, but for memoryless cells (the vanilla RNN):
            theirs, like "untied" ones of cells whose moments close, are solved all at once.
        progress: called as progress(done, total) over the points solved one by one.
        start: of `MeanField`: the standard deviation of the states at t = 0.

    Returns:
        A Dataset: each quantity over the grid (and over `state` or `preactivation`), `status` over
        `quantity` and the grid (the names of `Status`), `fixed_point_error` where there is one.

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
    table = _Table.empty(wanted, field, grid.size)
    table.refuse(~grid.valid)
    if field.recursion is not None:
        table.fill_closed(_closed(field, field.recursion, grid), grid.valid)
    table.fill_points(grid, progress)
    return table.dataset(field, grid)


def _checked_quantities(quantities: Iterable[str]) -> tuple[str, ...]:
    wanted = (quantities,) if isinstance(quantities, str) else tuple(quantities)
    for name in wanted:
        if name not in QUANTITIES:
            raise ParameterError(f"unknown quantity {name!r}; there are {', '.join(QUANTITIES)}")
    if not wanted:
        raise ParameterError(f"quantities must name at least one of {', '.join(QUANTITIES)}")
    return wanted


def _closed(field: MeanField, recursion: UntiedRecursion, grid: ParameterGrid) -> ClosedGrid:
    """The batched solution; elements outside their domain stand at the field's own values."""
    n = recursion.derivation.notation
    point = {
        symbol: np.full(grid.size, value[0])
        for symbol, value in point_of(recursion.derivation, field.ensemble, field.inputs).items()
    }
    preactivations = {p.name: p for p in field.cell.preactivations}
    for (axis, _), column in zip(grid.axes, grid.columns, strict=True):
        if isinstance(axis, str):
            symbol = n.R if axis == "R" else n.c_x
        else:
            symbol = getattr(n, axis[1])[preactivations[axis[0]]]
        point[symbol] = np.where(grid.valid, column, point[symbol])
    weights = {k: law.weights for k, law in field.ensemble.items()}
    return ClosedGrid(recursion, point, weights, field.start)


@dataclass(frozen=True, eq=False)
class _Table:
    """Values (k, B), statuses (B,) and what is still open (B,) of each quantity."""

    values: dict[str, Array]
    status: dict[str, list[Status]]
    error: Array
    open: dict[str, Flags]

    @classmethod
    def empty(cls, wanted: Sequence[str], field: MeanField, size: int) -> _Table:
        counts = {"state": len(field.cell.states), "": 1}
        counts["preactivation"] = len(field.cell.preactivations)
        return cls(
            {q: np.full((counts[QUANTITIES[q][0]], size), np.nan) for q in wanted},
            {q: [Status.UNDEFINED] * size for q in wanted},
            np.full(size, np.nan),
            {q: np.ones(size, dtype=bool) for q in wanted},
        )

    def refuse(self, which: Flags) -> None:
        """Points outside the parameters' domain."""
        for name in self.values:
            self._settle(name, which, Status.INVALID)

    def fill_closed(self, found: ClosedGrid, valid: Flags) -> None:
        """What the batch is certain of; the rest stays open."""
        self.error[valid] = found.fixed_point_error()[valid]
        for name in self.values:
            values = np.atleast_2d(found.quantities[name]())
            # Infinite timescales are values; nan is not.
            sure = valid & ~np.isnan(values).any(axis=0)
            self.values[name][:, sure] = values[:, sure]
            self._settle(name, sure, Status.OK)
            self._settle(name, valid & found.reached.diverged, Status.DIVERGES)
            if name in ("correlation", "xi_c"):
                self._settle(name, valid & found.undefined, Status.UNDEFINED)

    def _settle(self, name: str, which: Flags, status: Status) -> None:
        self.open[name][which] = False
        for i in np.flatnonzero(which):
            self.status[name][i] = status

    def fill_points(
        self, grid: ParameterGrid, progress: Callable[[int, int], object] | None
    ) -> None:
        """What is open, one point after another."""
        rows = np.flatnonzero(np.any(list(self.open.values()), axis=0)).tolist()
        for done, i in enumerate(rows, 1):
            field = grid.at(i)
            for name in self.values:
                if self.open[name][i]:
                    self._fill(name, i, field)
            if progress is not None:
                progress(done, len(rows))

    def _fill(self, name: str, i: int, field: MeanField) -> None:
        try:
            self.values[name][:, i], self.status[name][i] = _scalar(field, name)
        except ConvergenceError as error:
            self.values[name][:, i] = np.nan
            self.status[name][i] = error.status
        except DerivationError:
            self.values[name][:, i] = np.nan
            self.status[name][i] = Status.UNDEFINED

    def dataset(self, field: MeanField, grid: ParameterGrid) -> xarray.Dataset:
        import xarray

        over = {
            "state": [s.name for s in field.cell.states],
            "preactivation": [p.name for p in field.cell.preactivations],
        }
        data: dict[str, Any] = {}
        for name, values in self.values.items():
            kind, meaning = QUANTITIES[name]
            dims = [*([kind] if kind else []), *grid.names]
            shape = (*([len(values)] if kind else []), *grid.shape)
            data[name] = (dims, values.reshape(shape), {"long_name": meaning})
        names = [[s.name for s in self.status[q]] for q in self.values]
        shape = (len(names), *grid.shape)
        data["status"] = (["quantity", *grid.names], np.array(names).reshape(shape))
        data["fixed_point_error"] = (grid.names, self.error.reshape(grid.shape))
        coords: dict[str, Any] = {
            name: values for name, (_, values) in zip(grid.names, grid.axes, strict=True)
        }
        coords |= {k: v for k, v in over.items() if any(k in d[0] for d in data.values())}
        coords["quantity"] = list(self.values)
        meanings = {s.name: s.value for s in Status}
        data["status"] += (meanings,)
        attributes = {"cell": field.cell.name, "tying": field.tying, "method": field.method}
        attributes |= {f"start_{s}": std for s, std in field.start.items()}
        return xarray.Dataset(data, coords, attributes)


def _scalar(field: MeanField, name: str) -> tuple[Any, Status]:
    """One quantity at one point, and its status.

    Raises:
        ConvergenceError: it does not exist there.
    """
    if name in ("second_moment", "preactivation_variance"):
        at = field.fixed_point()
        return list(getattr(at, name).values()), at.status
    if name == "correlation":
        pair = field.correlation_fixed_point()
        return list(pair.correlation.values()), pair.status
    if name in ("xi_q", "xi_c"):
        time = field.timescales().quantity(name)
        return float(time), time.status
    if name in ("gradient_growth", "chi_1"):
        growth = field.gradient_growth()
        return float(growth) if name != "chi_1" else math.exp(float(growth)), growth.status
    moments: Quantity = field.jacobian(1).moments(int(name[2:]))
    value = float(moments.value[-1])
    status = moments.status
    return value, status if math.isfinite(value) or not status.ok else Status.UNDEFINED
