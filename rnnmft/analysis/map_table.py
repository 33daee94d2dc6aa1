"""The table behind a phase diagram: values, errors and a status of every quantity at every point.

It is filled from a whole map's solution as far as that is certain; what stays open is asked of the
theory one point after another, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.errors import ConvergenceError, DerivationError, OutOfTimeError, Status
from rnnmft.records import Quantity
from rnnmft.solvers.closed.closed_grid import ClosedGrid
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.transport.stationary_laws import begin

if TYPE_CHECKING:
    from rnnmft.solvers.sampled.point_found import PointFound

__all__ = ["CODES", "MAPPED", "QUANTITIES", "MapTable", "PointFunction"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: A quantity of one's own: a function of the theory of one point.
PointFunction = Callable[[MeanField], Any]
_Reader = Callable[[Any, str], tuple[Any, Any, Status]]

#: What each quantity is, by the question that answers it: what it runs over, its meaning, its unit.
QUANTITIES: Mapping[str, tuple[str, str, str]] = {
    "second_moment": ("state", "E[s^2] at the fixed point", "dimensionless"),
    "preactivation_variance": ("preactivation", "q at the fixed point", "dimensionless"),
    "correlation": (
        "state",
        "c*, the stationary correlation of two trajectories",
        "dimensionless",
    ),
    "xi_q": ("", "timescale of the second moment", "steps"),
    "xi_c": ("", "timescale of the correlation", "steps"),
    "chi_1": ("", "slope of the correlation map at c = 1 with identical inputs", "dimensionless"),
    "gradient_growth": ("", "lim (1/T) log m_1(T)", "per step"),
    "m_1": ("", "mean of the one-step J J^T", "dimensionless"),
    "m_2": ("", "second moment of the one-step J J^T", "dimensionless"),
}

#: The quantities that sampled units of many points tell together.
MAPPED = ("second_moment", "preactivation_variance", "gradient_growth", "chi_1", "xi_q")
#: Statuses by their code in a table.
CODES = list(Status)
# Points whose transported laws are searched for together, and kept until all are done: 2 MB each.
_TOGETHER = 32
# What two trajectories say, which nothing does where a state has no variance; and what is linear at
# the fixed point, which is known whether that is stable or not.
_OF_PAIRS = ("correlation", "xi_c")
_LINEAR = ("chi_1", "gradient_growth", "m_1", "m_2")


@dataclass(frozen=True, eq=False)
class MapTable:
    """Values and errors (k, B), status codes (B,) and what is still open (B,) of each quantity.

    `own`: the quantities that are functions of a point, by name; `predicted`: points whose numbers
    are those of others (`kriged_map`, `gated_map`).
    """

    values: dict[str, Array]
    errors: dict[str, Array]
    codes: dict[str, NDArray[np.int8]]
    open: dict[str, Flags]
    predicted: Flags
    own: Mapping[str, PointFunction] = field(default_factory=dict)

    @classmethod
    def empty(
        cls, wanted: Mapping[str, PointFunction | None], theory: MeanField, size: int
    ) -> MapTable:
        """A table of nothing but open elements; `wanted`: names, with functions of one's own."""
        counts = {"state": len(theory.cell.states), "": 1}
        counts["preactivation"] = len(theory.cell.preactivations)
        rows = {q: 1 if f else counts[QUANTITIES[q][0]] for q, f in wanted.items()}
        return cls(
            {q: np.full((k, size), np.nan) for q, k in rows.items()},
            {q: np.full((k, size), np.nan) for q, k in rows.items()},
            {q: np.full(size, CODES.index(Status.UNDEFINED), dtype=np.int8) for q in wanted},
            {q: np.ones(size, dtype=bool) for q in wanted},
            np.zeros(size, dtype=bool),
            {q: f for q, f in wanted.items() if f is not None},
        )

    def refuse(self, which: Flags) -> None:
        """Points outside the parameters' domain."""
        for name in self.values:
            self._settle(name, which, Status.INVALID)

    def fill_map(self, found: ClosedGrid, rows: NDArray[np.intp]) -> None:
        """What a map is certain of at its points, `rows` of the table; the rest stays open."""
        for name in self.values:
            if name in self.own:
                continue
            values, errors = found.quantities[name]()
            wanted = self.open[name][rows]
            # Infinite timescales are values; nan is not.
            known = wanted & ~np.isnan(values).any(axis=0)
            sure = rows[known]
            self.values[name][:, sure] = values[:, known]
            self.errors[name][:, sure] = errors[:, known]
            self._settle(name, sure, Status.OK)
            if name not in _LINEAR:
                self._settle(name, rows[known & found.unstable], Status.UNSTABLE)
            self._settle(name, rows[wanted & found.reached.diverged], Status.DIVERGES)
            if name in _OF_PAIRS:
                self._settle(name, rows[wanted & found.undefined], Status.UNDEFINED)

    @property
    def left(self) -> NDArray[np.intp]:
        """The points at which something is open."""
        return np.flatnonzero(np.any(list(self.open.values()), axis=0))

    def fill_joint(
        self,
        points: Iterable[Sequence[tuple[int, PointFound]]],
        rows: Sequence[int],
        progress: Callable[[int, int], object] | None,
    ) -> None:
        """What points that move together tell, as they are completed.

        Args:
            points: numbers of points, and what was found there; what comes again is better known.
            rows: where each of these points stands in the table.
            progress: called as progress(done, total).
        """
        names = [q for q in self.values if q in MAPPED and q not in self.own]
        done: set[int] = set()
        try:
            for completed in points:
                for place, found in completed:
                    self.predicted[rows[place]] = found.is_predicted
                    for name in names:
                        value, error, status = found.values[name]
                        row = rows[place]
                        self.values[name][:, row], self.errors[name][:, row] = value, error
                        self._settle(name, np.arange(len(self.codes[name])) == row, status)
                done |= {place for place, _ in completed}
                if progress is not None:
                    progress(len(done), len(rows))
        except OutOfTimeError:
            for name in names:
                left = np.zeros(len(self.codes[name]), dtype=bool)
                left[list(rows)] = True
                self._settle(name, left & self.open[name], Status.OUT_OF_TIME)

    def fill_laws(self, grid: ParameterGrid, progress: Callable[[int, int], object] | None) -> None:
        """What the transported laws of points tell; the search for those of some is one."""
        names = [q for q in self.values if q in (*MAPPED, *_OF_PAIRS) and q not in self.own]
        rows, field = np.flatnonzero(grid.valid).tolist(), grid.field
        for first in range(0, len(rows) if names else 0, _TOGETHER):
            part = rows[first : first + _TOGETHER]
            solvers = [TransportedLaw(field.cell, *grid.setting(i), field.start) for i in part]
            begin([solver.laws for solver in solvers])
            for done, (i, solver) in enumerate(zip(part, solvers, strict=True), first + 1):
                for name in names:
                    self._fill(name, i, solver, _of_a_law)
                    self.open[name][i] = False
                if progress is not None:
                    progress(done, len(rows))

    def _settle(self, name: str, which: Flags | NDArray[np.intp], status: Status) -> None:
        self.open[name][which] = False
        self.codes[name][which] = CODES.index(status)

    def fill_points(
        self, grid: ParameterGrid, progress: Callable[[int, int], object] | None
    ) -> int:
        """What is open, one point after another; how many points that were."""
        rows = self.left.tolist()
        for done, i in enumerate(rows, 1):
            theory = grid.at(i)
            for name in self.values:
                if self.open[name][i]:
                    self._fill(name, i, theory)
            if progress is not None:
                progress(done, len(rows))
        return len(rows)

    def _fill(self, name: str, i: int, theory: Any, read: _Reader | None = None) -> None:
        value: Any = math.nan
        error: Any = math.nan
        try:
            if name in self.own:
                value, error, status = _own(self.own[name](theory))
            else:
                value, error, status = (read or _at_point)(theory, name)
        except ConvergenceError as failure:
            status = failure.status
        except DerivationError:
            status = Status.UNDEFINED
        except OutOfTimeError:
            status = Status.OUT_OF_TIME
        self.values[name][:, i], self.errors[name][:, i] = value, error
        self.codes[name][i] = CODES.index(status)


def _own(found: Any) -> tuple[float, float, Status]:
    """The number that a function of a point gave; a plain one comes without an error."""
    if isinstance(found, Quantity):
        return float(found), float(found.error), found.status
    value = float(found)
    return value, math.nan, Status.UNDEFINED if math.isnan(value) else Status.OK


def _at_point(theory: Any, name: str) -> tuple[Any, Any, Status]:
    """One quantity at one point, its errors and its status.

    Raises:
        ConvergenceError: it does not exist there.
    """
    if name in ("second_moment", "preactivation_variance"):
        return _in_order(theory, name, theory.fixed_point())
    if name == "correlation":
        return _in_order(theory, name, theory.correlation_fixed_point())
    if name in ("xi_q", "xi_c"):
        time = theory.timescales().quantity(name)
        return float(time), float(time.error), time.status
    if name in ("gradient_growth", "chi_1"):
        growth = theory.gradient_growth()
        value, error = float(growth), float(growth.error)
        if name == "chi_1":
            value = math.exp(value)
            error *= value
        return value, error, growth.status
    moments: Quantity = theory.jacobian(1).moments(int(name[2:]))
    value, error = float(moments.value[-1]), float(np.asarray(moments.error)[-1])
    status = moments.status
    exists = math.isfinite(value) or not status.ok
    return value, error, status if exists else Status.UNDEFINED


def _of_a_law(law: TransportedLaw, name: str) -> tuple[Any, Any, Status]:
    """As at a point; xi_q without the two trajectories that `timescales` asks for."""
    return law.relaxation_time() if name == "xi_q" else _at_point(law, name)


def _in_order(theory: Any, name: str, at: Any) -> tuple[Any, Any, Status]:
    """A record's numbers by the order of the cell's states or preactivations, not of the record."""
    symbols = (
        theory.cell.preactivations if QUANTITIES[name][0] == "preactivation" else theory.cell.states
    )
    values, errors = getattr(at, name), at.errors[name]
    return [values[s.name] for s in symbols], [errors[s.name] for s in symbols], at.status
