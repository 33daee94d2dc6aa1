"""autonomous(cell, ensemble): what a network does that is left alone.

Its fixed points as the mean field sees them, their stability, where they change with a parameter,
and maps of that.

Eq. (rest), Eq. (rest-gain).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.errors import DerivationError, ParameterError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import check_count
from rnnmft.records import Record
from rnnmft.rest.phase_map import AutonomousMap
from rnnmft.rest.rest_map import RestMap
from rnnmft.rest.resting_state import RestingState, resting_states
from rnnmft.rest.transitions import Transition, transitions
from rnnmft.theory.rest import constant_leak, resting_unit

__all__ = ["PHASES", "Autonomous", "autonomous", "phase_of"]

#: Of a range: so near to a fold is what errors are asked about.
_BESIDE = 1e-4
Array = NDArray[np.float64]
#: What the fixed points say, in words; of what moves they say nothing.
PHASES = {
    "quiet": "one fixed point, stable",
    "structured": "stable fixed points, with averages over units that break a symmetry",
    "coexistence": "a stable fixed point beside others",
    "chaos": "no stable fixed point",
}


def phase_of(states: Sequence[RestingState]) -> str:
    """The phase of a set of fixed points, one of `PHASES`."""
    stable = [s for s in states if s.stable]
    if not stable:
        return "chaos"
    if len(states) > 1 and all(any(s.average.values()) for s in stable):
        return "structured"
    return "quiet" if len(states) == 1 else "coexistence"


@dataclass(frozen=True)
class Autonomous(Record):
    """A cell and an ensemble without input.

    Attributes:
        cell: the cell.
        ensemble: the law of its weights and biases; sigma_v does not matter.
    """

    cell: Cell
    ensemble: Ensemble

    @cached_property
    def _states(self) -> list[RestingState]:
        return resting_states(self.cell, self.ensemble)

    def fixed_points(self) -> list[RestingState]:
        """All fixed points of the mean field, the zero state first. Eq. (rest).

        On one line they are all that there are; a cell whose matrices see several vectors that all
        depend on each other (peepholes) is searched by Newton's method from many places.
        """
        return list(self._states)

    @property
    def phase(self) -> str:
        """One of `PHASES`: "quiet", "structured", "coexistence" or "chaos".

        Fixed points are all that is asked. "coexistence" says that others are there beside the
        stable one, not that activity lasts: where none of those is stable, it has to be a motion,
        which may die out. Chaos is inferred from there being nowhere to rest. With R = 0 and a
        start, `MeanField.fixed_point` tells what is left of activity, `MeanField.lyapunov` whether
        it is chaos.
        """
        return phase_of(self._states)

    @property
    def status(self) -> Status:
        """OK where every fixed point's is."""
        return Status.worst(*(s.status for s in self._states))

    def transitions(
        self, parameter: Any, low: float, high: float, *, points: int = 25
    ) -> list[Transition]:
        """Where fixed points appear, vanish, gain or lose stability as one parameter grows.

        Args:
            parameter: (preactivation, name), as ("n", "sigma_w").
            low: where its range begins.
            high: where it ends.
            points: at which fixed points are counted; two changes between neighbours may be missed.

        Raises:
            ParameterError: an unknown parameter, or a range that is none.
        """
        if not low < high:
            raise ParameterError(f"transitions need low < high, got {low!r} and {high!r}")
        values = np.linspace(low, high, check_count("points", points, 2))
        grid = self._grid({parameter: values.tolist()})
        if not grid.valid.all():
            raise ParameterError(f"the range {low!r} to {high!r} is not all in {grid.names[0]}'s")

        def at(value: float) -> Ensemble:
            return self._grid({parameter: [value]}).setting(0)[0]

        def blur(low: float, high: float, beside: float) -> float:
            left, right = (RestMap(self.cell, at(v)) for v in (low, high))
            step = _BESIDE * (high - low)
            near = [RestMap(self.cell, at(v)).found() for v in (beside - step, beside + step)]
            found = [y for y in max(near, key=len) if y.any()]
            return (high - low) * max((_left_open(left, right, y) for y in found), default=0.0)

        return transitions(
            grid.names[0],
            values,
            lambda value: resting_states(self.cell, at(value)),
            lambda value: len(RestMap(self.cell, at(value)).found()),
            blur,
            phase_of,
        )

    def phase_diagram(
        self,
        vary: Mapping[Any, Sequence[float]],
        *,
        radius: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> AutonomousMap:
        """The phases over a grid of one or two parameters.

        Args:
            vary: {(preactivation, parameter): values}; the first is the horizontal axis.
            radius: also the spectral radius at the last fixed point, where that is unstable.
            progress: called as progress(done, total).

        Raises:
            ParameterError: an unknown parameter, an empty axis, or more than two.
        """
        grid = self._grid(vary)
        if len(grid.axes) > 2:
            raise ParameterError("phase_diagram takes one or two parameters")
        rows: list[list[RestingState]] = []
        for i in range(grid.size):
            ok = bool(grid.valid[i])
            rows.append(resting_states(self.cell, grid.setting(i)[0]) if ok else [])
            if progress is not None:
                progress(i + 1, grid.size)
        radii = [_radius(r) if radius else (math.nan, math.nan) for r in rows]
        axes = {name: values for name, (_, values) in zip(grid.names, grid.axes, strict=True)}
        return AutonomousMap.of(self.cell.name, axes, rows, phase_of, radii)

    def _grid(self, vary: Mapping[Any, Sequence[float]]) -> ParameterGrid:
        for axis in vary:
            if isinstance(axis, str):
                raise ParameterError(
                    f"{axis!r} is no (preactivation, parameter): there is no input here"
                )
        field = MeanField(self.cell, self.ensemble, Inputs(R=0.0), tying="untied")
        return ParameterGrid.of(field, vary)

    def to_dict(self) -> dict[str, Any]:
        """Cell, ensemble, phase, fixed points."""
        return {
            "cell": self.cell.name,
            "ensemble": self.ensemble.to_dict(),
            "phase": self.phase,
            "fixed_points": [s.to_dict() for s in self._states],
        }

    def __repr__(self) -> str:
        points = "; ".join(repr(s) for s in self._states)
        return f"Autonomous({self.cell.name!r}, {self.phase}: {points})"


def _left_open(left: RestMap, right: RestMap, seen: Array) -> float:
    """How much of the map's change from one value to the other its error is."""
    moved = np.abs(right(seen[:, None])[0] - left(seen[:, None])[0])[:, 0]
    error = float(left.blur(seen).max())
    return error / max(float(moved.max()), error, np.finfo(float).tiny)


def _radius(states: list[RestingState]) -> tuple[float, float]:
    """The spectral radius at the last fixed point with its error; nan where that is stable."""
    if not states or states[-1].stable:
        return math.nan, math.nan
    found = states[-1].radius
    return float(found), float(found.error)


def autonomous(cell: Cell, ensemble: Ensemble | None = None) -> Autonomous:
    """What networks of a cell do without input: fixed points, stability, transitions, phases.

    Weights are tied, as a network's are. Biases (mu_b, sigma_b) stay; V x is absent.

    Args:
        cell: any cell whose states are linear in their own old values.
        ensemble: all parameters at their defaults when absent.

    Raises:
        ParameterError: cell or ensemble is none, or the ensemble is of another cell.
        DerivationError: no unit of the cell comes to rest in one way (IndRNN, diagonal peepholes),
            or the cell has averages over units and what units keep of their states is not the same
            number for all of them.

    >>> from rnnmft import cells
    >>> gru = cells.gru()
    >>> found = autonomous(gru, gru.ensemble(r=dict(sigma_w=20.0), n=dict(sigma_w=1.7)))
    >>> found.phase, [s.stable for s in found.fixed_points()]
    ('coexistence', [True, False, False])
    """
    if not isinstance(cell, Cell):
        raise ParameterError(f"cell must be a Cell, got {cell!r}")
    if ensemble is not None and not isinstance(ensemble, Ensemble):
        raise ParameterError(f"ensemble must come from cell.ensemble(...), got {ensemble!r}")
    given = cell.ensemble() if ensemble is None else ensemble
    if set(given) != {p.name for p in cell.preactivations}:
        raise ParameterError(f"ensemble is not one of cell {cell.name!r}")
    resting_unit(cell)
    if cell.averages and constant_leak(cell) is None:
        raise DerivationError(
            f"cell {cell.name!r} has averages over units, and stability is known with these where "
            "one state leaks by a constant and averages are of that state"
        )
    return Autonomous(cell, given)
