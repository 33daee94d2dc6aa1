"""Stationary laws of a cell with an accumulated state: every fixed point, its slope, the attractor.

The variances that feed back (those of the drivers) determine the stationary law; their fixed points
are roots in as few numbers, found at low resolution and polished at higher ones until doubling
changes nothing.

Eq. (law-recursion), Eq. (fixed-point).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from rnnmft.errors import ConvergenceError, OutOfTimeError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, OneLaw
from rnnmft.solvers.transport.accumulated_tangent import one_law_slope
from rnnmft.solvers.transport.law_axis import LawAxis
from rnnmft.solvers.transport.law_grid import LawGrid
from rnnmft.solvers.transport.start import start_law

__all__ = ["COARSE", "LEVELS", "Level", "StationaryLaws", "begin"]

Array = NDArray[np.float64]
#: Points of the grid of c, and Gauss nodes a coefficient.
Level = tuple[int, int]
# For searches, and to tell the error of the first level of an operator.
COARSE: Level = (48, 14)
# Until two agree; eight points more are one digit more, where the law is as wide as an LSTM's.
LEVELS: tuple[Level, ...] = ((88, 14), (112, 16), (144, 20), (216, 26))
# Of second moments, between two levels; ten times it counts as met on the last. At rest, of 1e-12.
_TOLERANCE, _MET, _AT_REST = 1e-9, 10.0, 1e-12
# A law that is wider than this counts as none: beside its square, 1 / eps, a readout of 1 is lost.
_WIDEST = 1e8
# The grid reaches so much farther than the moments' bound, for moments that are still on their way.
_ROOM = 1.1
# Reaches are rounded up to so many values an octave: points of a map have grids in common.
_REACHES = 4
# Rounds in which the reach and the moments follow each other, and a change of the moments that ends
# them: it moves the reach by less than the room.
_WAYS, _FOLLOWS = 12, 1e-2
# Of iteration from an end on the coarse grid, a start only, and its steps.
_ROUGH, _STEPS = 1e-6, 60
# Two ends that differ by less are one.
_SAME = 1e-3
# Of Newton's methods: 50 and 500 eps; and the most steps of the first.
_NEWTON, _ROOT, _SECANTS = 1e-14, 1e-13, 50
# Of power iteration: its steps, what counts as settled, and of how many the mean rate is taken
# otherwise.
_STRIDE, _POWERS, _SETTLED, _LATE = 8, 250, 1e-9, 50
# A mean below this is none: the law is symmetric.
_SYMMETRIC = 1e-12
# Steps from the start, after which the nearest stable law is the one that is approached.
_FOLLOWED = 300


def _rounded(reach: float) -> float:
    """The least of the usual reaches that is not below."""
    return 2.0 ** (math.ceil(_REACHES * math.log2(max(reach, 1.0))) / _REACHES)


class StationaryLaws:
    """The stationary laws of one cell at one ensemble, and the one that a start approaches.

    Args:
        cell, ensemble, inputs: the setting.
        start: {state: its standard deviation at t = 0}; zero states when absent.

    Raises:
        DerivationError: the cell is not of this kind.
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.start = {s.name: (start or {}).get(s.name, 0.0) for s in cell.states}
        self._model(1.0, COARSE).check()

    def _model(self, reach: float, level: Level) -> AccumulatedModel:
        size, nodes = level
        return AccumulatedModel(self.cell, self.ensemble, self.inputs, LawGrid(size, reach), nodes)

    def model(self, level: Level) -> AccumulatedModel:
        """The model at one resolution."""
        return self._model(self.reach, level)

    def model_of(self, law: OneLaw, level: Level) -> AccumulatedModel:
        """The model of one stationary law: that of a cell at rest needs no room."""
        return self.model(level) if any(law.second.values()) else self._model(1.0, level)

    @cached_property
    def reach(self) -> float:
        """Beyond this |c| the law has no mass, on the way from the start to stationarity."""
        zero = dict.fromkeys(self.start, 0.0)
        ways = [self._widest(zero), self._widest({s: v**2 for s, v in self.start.items()})]
        if not all(map(math.isfinite, ways)):
            raise ConvergenceError(Status.DIVERGES, "The accumulated state has no stationary law.")
        if not self._driven:
            # Beside a zero state at rest there may be others, reached from elsewhere.
            elsewhere = self._widest(dict.fromkeys(self.start, 1.0))
            ways += [elsewhere] if math.isfinite(elsewhere) else []
        return _rounded(_ROOM * max(ways))

    def _widest(self, second: Mapping[str, float]) -> float:
        """The largest reach on the way from given second moments; inf where there is none."""
        model, widest = self._model(1.0, COARSE), 0.0
        for _ in range(_WAYS):
            reach = model.step(second).reach(self.start[model.form.state.name])
            if not reach <= _WIDEST:
                return math.inf
            widest = max(widest, reach)
            before, second = second, self._model(_rounded(reach), COARSE).stationary(second).second
            if all(abs(v - before[s]) <= _FOLLOWS * v for s, v in second.items()):
                break
        return widest

    @cached_property
    def _driven(self) -> bool:
        """Whether the zero state moves."""
        model = self._model(1.0, COARSE)
        zero = start_law(model, dict.fromkeys(self.start, 0.0))
        return any(v > 0.0 for v in model.advance(zero).second.values())

    @cached_property
    def drivers(self) -> list[str]:
        """The states whose second moments feed a preactivation through non-zero weights."""
        model = self._model(1.0, COARSE)
        seen = {
            model.sees(p.name)
            for p in self.cell.preactivations
            if self.ensemble[p.name].sigma_w > 0
        }
        named = {model.form.state.name if s == "new" else s for s in seen if s is not None}
        return [s.name for s in self.cell.states if s.name in named]

    def _second(self, values: Array) -> dict[str, float]:
        """Second moments of all states, from those of the drivers."""
        given = dict(zip(self.drivers, np.maximum(values, 0.0).tolist(), strict=True))
        return {s.name: given.get(s.name, 0.0) for s in self.cell.states}

    def _gap(self, level: Level) -> Callable[[Array], Array]:
        """By how much second moments of the drivers, held stationary, would move."""
        model = self.model(level)

        def gap(values: Array) -> Array:
            found = model.seconds(self._second(values))
            return np.array([float(found[d]) for d in self.drivers]) - values

        return gap

    @cached_property
    def starts(self) -> list[Array]:
        """Approximate fixed points of that, at low resolution; given by `begin` for many points."""
        if len(self.drivers) == 1:
            return next(iter(_searched([self])))
        if not self.drivers:
            return [np.zeros(0)]
        gap = self._gap(COARSE)
        ends = [self._end(gap, np.zeros(len(self.drivers)))]
        if any(self.start.values()):
            last = self._end(gap, np.array([self.start[d] ** 2 for d in self.drivers]))
            if np.abs(last - ends[0]).max() > _SAME * np.abs(last).max():
                ends.append(last)
        return ends

    @staticmethod
    def _end(gap: Callable[[Array], Array], at: Array) -> Array:
        """Near a fixed point of the reduced map, from given second moments of the drivers."""
        for _ in range(_STEPS):
            step = gap(at)
            at = at + step
            if np.abs(step).max() <= _ROUGH * np.abs(at).max():
                break
        return at

    def _polished(self, at: Array, level: Level, slope: float) -> tuple[Array, float]:
        """A fixed point from a start; of one driver the slope of the gap there, and from before."""
        if not self.drivers:
            return at, slope
        gap = self._gap(level)
        if len(self.drivers) > 1:
            return np.asarray(root(gap, at, tol=_ROOT).x), slope
        off = gap(at)
        for _ in range(_SECANTS):
            step = -off / slope
            if abs(step[0]) <= _NEWTON:
                break
            at, before, off = at + step, off, gap(at + step)
            slope = float((off - before)[0] / step[0]) or slope
        return at, slope

    @cached_property
    def points(self) -> list[tuple[OneLaw, float, Level]]:
        """Every fixed point, its error by doubling the resolution, and the level that met it."""
        found = []
        if not self._driven:
            zero = dict.fromkeys(self.start, 0.0)
            found.append((self._model(1.0, LEVELS[0]).stationary(zero), 0.0, LEVELS[0]))
        for start in self.starts:
            at, slope, before, error = start, -1.0, None, math.inf
            law, level = self._model(1.0, COARSE).stationary(self._second(start)), LEVELS[0]
            for level in LEVELS:
                at, slope = self._polished(at, level, slope)
                law = self.model(level).stationary(self._second(at))
                values = np.array([law.second[s.name] for s in self.cell.states])
                if before is not None:
                    error = float(np.abs(values - before).max())
                    if error <= _TOLERANCE * max(_AT_REST, float(values.max())):
                        break
                before = values
            if self._driven or max(law.second.values()) > _TOLERANCE:
                found.append((law, error, level))
        return sorted(found, key=lambda f: tuple(f[0].second.values()))

    @cached_property
    def slopes(self) -> list[float]:
        """The rate of the slowest perturbation of each."""
        return [self._slope(law, level) for law, _, level in self.points]

    def slope_error(self, index: int) -> float:
        """By how much less resolution moves the rate of one, and what its search leaves open."""
        law, _, _ = self.points[index]
        coarse = self.model_of(law, COARSE).stationary(law.second)
        slope = self.slopes[index]
        return abs(slope - self._slope(coarse, COARSE)) + 1e-9 * slope

    def _slope(self, at: OneLaw, level: Level) -> float:
        """The rate of the slowest perturbation of the second moments: power iteration.

        The perturbation starts from a change of the drivers. Where the law is symmetric it is kept
        so: the odd modes (a mean of c) are not reached from zero and do not count. All
        eigenvalues, and SciPy's Arnoldi method from the same start, have them: .500 for the .306 of
        a standard LSTM.
        """
        model = self.model_of(at, level)
        matrix, start = one_law_slope(model, at, self.drivers)
        vector, rates = start / max(float(np.abs(start).max()), np.finfo(float).tiny), [0.0]
        if abs(at.mean[model.form.state.name]) < _SYMMETRIC:
            law = slice(model.grid.size)
            matrix[law] = 0.5 * (matrix[law] + matrix[law][::-1])
            matrix[model.grid.size] = 0.0
        several = np.linalg.matrix_power(matrix, _STRIDE)
        # Stop as soon as the rate has settled: rounding would feed the modes that do not count.
        for _ in range(_POWERS):
            vector = several @ vector
            size = float(np.abs(vector).max())
            if size == 0.0:
                return 0.0
            rates.append(size ** (1.0 / _STRIDE))
            vector, rate = vector / size, rates[-1]
            if len(rates) > 4 and max(abs(rate - r) for r in rates[-4:-1]) < _SETTLED * rate:
                return rate
        return float(np.exp(np.mean(np.log(rates[-_LATE:]))))

    @cached_property
    def attractor(self) -> int:
        """The index of the fixed point that the start approaches, or where it stays.

        Raises:
            ConvergenceError: none is approached.
        """
        if not any(self.start.values()) and not self._driven:
            sizes = [max(law.second.values()) for law, _, _ in self.points]
            return int(np.argmin(sizes))
        stable = [i for i, slope in enumerate(self.slopes) if slope < 1.0]
        if not stable:
            raise ConvergenceError(Status.NO_FIXED_POINT)
        if len(self.points) == 1:
            return 0
        model = self.model(COARSE)
        at = start_law(model, self.start)
        for _ in range(_FOLLOWED):
            at = model.advance(at)
        distance = {
            i: max(abs(at.second[d] - self.points[i][0].second[d]) for d in self.drivers)
            for i in stable
        }
        return min(stable, key=distance.__getitem__)

    def met(self, index: int) -> bool:
        """Whether a fixed point is as exact as is asked for."""
        law, error, _ = self.points[index]
        return error <= _MET * _TOLERANCE * max(_AT_REST, max(law.second.values()))

    @property
    def reached(self) -> tuple[OneLaw, float, Level]:
        """The fixed point that the start approaches, its error and level."""
        return self.points[self.attractor]


def begin(many: Sequence[StationaryLaws]) -> None:
    """Search for the fixed points of many points of one cell together, those on one grid at a time.

    Each is left with its `starts`. One that is driven by other than one state searches by itself,
    and so does, to say so, one that has no law or for which there is no time.
    """
    together: dict[tuple[str, float], list[StationaryLaws]] = defaultdict(list)
    with suppress(OutOfTimeError):
        for laws in many:
            with suppress(ConvergenceError):
                if len(laws.drivers) == 1:
                    together[laws.drivers[0], laws.reach].append(laws)
        for group in together.values():
            for laws, found in zip(group, _searched(group), strict=True):
                laws.starts = found


def _searched(group: Sequence[StationaryLaws]) -> list[list[Array]]:
    """Approximate fixed points of points of one cell, driver and reach."""
    first, (size, nodes) = next(iter(group)), COARSE
    points = [(laws.ensemble, laws.inputs) for laws in group]
    axis = LawAxis(first.cell, points, LawGrid(size, first.reach), nodes)
    return [[np.array([v]) for v in found] for found in axis.roots(first.drivers[0])]
