"""Whether a network at rest stays there: the gain of the power on the unit circle.

An eigenvalue of the Jacobian lies outside of |lambda| = 1 where the passage P through the matrices
has a spectral radius above 1 on it, or where a unit's own A has one there:

    gain = max_(|lambda| = 1) rho(P(lambda)),    stable where gain < 1 and |A| < 1.

Source: [can2020] for GRU and LSTM. Eq. (eigenvalue-boundary), Eq. (rest-gain).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, log
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ndtri
from scipy.stats.qmc import Sobol

from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.eigenvalues.linear_units import LinearUnits
from rnnmft.eigenvalues.symbolic import unit_powers
from rnnmft.language import Cell
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.rest.averages import FactoredAverages
from rnnmft.rest.rest_map import FLAT, STEP, Kinds, Rest, RestMap
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.spectra.width_classes import by_width
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.theory.rest import constant_leak, resting_unit

__all__ = ["Stability"]

Array = NDArray[np.float64]
_X, _Y = sp.symbols("lambda_x lambda_y", real=True)
#: Angles beside 0 at which the gain is looked at, and grid points of an average there.
_ANGLES, _LOOKING = np.pi * np.arange(1, 9) / 8, 20_000
#: Gains that are larger than at angle 0 by less are rounding's and the grid's.
_LARGER = 1e-3
#: Of log r: where the cloud's end is looked for first; of its root; the step that tells a slope.
_FIRST, _TIGHT, _FALL = 0.01, 1e-12, 1e-4
#: Rounding of slopes that are told by differences.
_DIFFERENCES = 1e-9
#: Units whose own eigenvalues are looked at.
_LOOKED_AT = 256
#: Independent scrambles of a Sobol sequence: enough for a standard error.
_REPETITIONS = 16


@dataclass(frozen=True, eq=False)
class _Gains:
    """The passage's entries as averages: at lambda = 1, and at any lambda."""

    rows: int
    sigma_w: dict[str, sp.Symbol]
    at_one: FactoredAverages
    anywhere: FactoredAverages


@lru_cache(maxsize=64)
def _gains(cell: Cell, kinds: Kinds) -> _Gains:
    unit = resting_unit(cell)
    found = []
    for point in (sp.S.One, _X + sp.I * _Y):
        unit_at = unit_powers(cell, point)
        entries = [unit.of(x) for x in unit_at.powers]
        if point is sp.S.One:  # gates drop out: (1 - z)^2 / (1 - z)^2
            entries = [_shortened(x) for x in entries]
        given = [*unit_at.sigma_w.values(), *([] if point is sp.S.One else [_X, _Y])]
        found.append(kinds.averages(entries, *given))
    return _Gains(unit_at.powers.rows, unit_at.sigma_w, found[0], found[1])


def _shortened(entry: sp.Expr) -> sp.Expr:
    """Every term without common factors."""
    terms = sp.Add.make_args(sp.expand_mul(entry, deep=False))
    return sp.Add(*(sp.factor(sp.cancel(t)) for t in terms))


@dataclass(frozen=True, eq=False)
class Stability:
    """What small changes do at one fixed point."""

    map: RestMap
    rest: Rest

    @cached_property
    def gain(self) -> tuple[float, float]:
        """The largest gain on the unit circle, and a bound of its error."""
        if not _gains(self.map.cell, self.map.kinds).rows:
            return 0.0, 0.0
        return self._with_error(np.exp(1j * self._loudest))

    def _with_error(self, point: complex) -> tuple[float, float]:
        """The gain at a point of the plane, with what the fixed point's error adds to its own."""
        seen, bound = self.rest.seen, self.rest.error
        value, error = self._at(point, seen[:, None])
        slope = self.map.slope_of(lambda y: self._at(point, y)[0][None], seen)[0]
        return float(value[0]), float(error[0] + np.abs(slope) @ bound)

    @cached_property
    def radius(self) -> tuple[float, float] | None:
        """The largest |lambda|, above 1, and a bound of its error.

        None where it is below 1, or not met first on the real axis.
        """
        if not self.gain[0] > 1.0 or self._loudest:
            return None
        seen = self.rest.seen[:, None]

        def excess(log_radius: float) -> float:
            gain = self.gain[0] if log_radius == 0 else self._at(exp(log_radius), seen)[0][0]
            return log(gain)

        # The gain falls at least as fast as that of a unit whose gate is open, if more slowly.
        far = 0.5 * log(self.gain[0]) + _FIRST
        while excess(far) > 0:
            far *= 2.0
        at = float(brentq(excess, 0.0, far, xtol=_TIGHT, rtol=_TIGHT))
        if at == 0.0:
            return 1.0, 0.0
        value, error = self._with_error(exp(at))
        near = at * (1 - _FALL)
        slope = (excess(near) - excess(at)) / (at - near)
        open_ = (abs(log(value)) + error / value) / slope if slope > 0 else at
        return exp(at), exp(at) * (min(open_, at) + _TIGHT)

    @cached_property
    def own_radius(self) -> float:
        """The largest |eigenvalue| of a unit's A, of the units that are sampled."""
        return float(np.abs(np.linalg.eigvals(self.units(_LOOKED_AT).a)).max())

    @cached_property
    def outliers(self) -> tuple[NDArray[Any], Array] | None:
        """Eigenvalues beside the cloud with bounds of their errors; None where they are not known.

        A change of Y and m that grows as lambda^t moves the units' means given e, by the slope mu
        of the map: lambda = a + (1 - a) mu, if units keep the part a of their state. What is left
        of it is the cloud's. Eq. (rest-outlier).
        """
        leak = constant_leak(self.map.cell)
        if leak is None:
            return None
        seen, used = self.rest.seen, set().union(*self.map.feeds)
        # Where Y is 0 it grows by squares of changes, and none is along it.
        rows = [r for r in sorted(used) if r >= self.map.squares or seen[r] > 0]

        def slopes(at: Array, step: float = STEP) -> NDArray[Any]:
            whole = self.map.slope_of(lambda y: self.map(y)[0], at, step)
            return np.sort_complex(np.linalg.eigvals(whole[np.ix_(rows, rows)]))

        mu = slopes(seen)
        known = np.isfinite(self.rest.error)
        moved = slopes(seen + np.where(known, self.rest.error, 0.0))
        error = np.abs(slopes(seen, 2 * STEP) - mu) + np.abs(moved - mu)
        error += _DIFFERENCES if known.all() else np.inf
        beside = np.abs(mu) > np.sqrt(self._gain_at_one) + _DIFFERENCES
        a = float(leak)
        return a + (1 - a) * mu[beside], (1 - a) * error[beside]

    @property
    def _gain_at_one(self) -> float:
        if not _gains(self.map.cell, self.map.kinds).rows:
            return 0.0
        return float(self._at(1.0, self.rest.seen[:, None])[0][0])

    @property
    def stable(self) -> bool:
        """Whether all |lambda| < 1, but those 1 that lead along a continuum of fixed points."""
        if self.outliers is not None:
            grown = self.outliers[0][np.abs(self.outliers[0]) >= 1.0]
            along = np.abs(grown - 1.0) < FLAT
            if not along.all() or len(grown) > self.rest.continuum:
                return False
        return self.gain[0] < 1.0 and self.own_radius < 1.0

    @cached_property
    def _loudest(self) -> float:
        """The angle of the largest gain: 0 for gates, which keep what they have."""
        seen = self.rest.seen[:, None]
        if not _gains(self.map.cell, self.map.kinds).rows:
            return 0.0

        def gain(angles: Array) -> Array:
            return self._at(np.exp(1j * angles), seen, grid=_LOOKING)[0]

        gains = gain(_ANGLES)
        best = int(np.argmax(gains))
        if not gains[best] > gain(np.zeros(1))[0] * (1 + _LARGER):
            return 0.0
        step = _ANGLES[0]
        around = (float(_ANGLES[best] - step), float(min(np.pi, _ANGLES[best] + step)))
        found = minimize_scalar(
            lambda a: -float(gain(np.array([a]))[0]), bounds=around, method="bounded"
        )
        return float(found.x)

    def _at(self, points: Any, seen: Array, **options: int) -> tuple[Array, Array]:
        """The gain at points of the plane and its error, (B,), at Y, (R, B) or (R, 1)."""
        here, points = (
            _gains(self.map.cell, self.map.kinds),
            np.atleast_1d(np.asarray(points, dtype=complex)),
        )
        given = {s: np.array([self.map.ensemble[k].sigma_w]) for k, s in here.sigma_w.items()}
        averages = here.at_one
        if (points != 1.0).any():
            averages = here.anywhere
            given |= {_X: points.real, _Y: points.imag}
        values, errors = averages(self.map.laws(seen), given, **options)
        shape = (here.rows, here.rows, -1)
        power, spread = values.reshape(shape), errors.reshape(shape)
        gain, error = np.zeros(power.shape[-1]), np.zeros(power.shape[-1])
        for b in range(len(gain)):
            gain[b], error[b] = _radius(power[..., b], spread[..., b])
        return gain, error

    def law(self, units: int) -> EigenvalueLaw:
        """The law of the Jacobian's eigenvalues, from so many sampled units."""
        return EigenvalueLaw("tied", self.units(units), self.rest.status)

    def units(self, count: int) -> LinearUnits:
        """Units at rest: one where all are alike, else samples."""
        cell, ensemble = self.map.cell, self.map.ensemble
        laws = self.map.laws(self.rest.seen[:, None])
        symbols = [*cell.preactivations, *cell.parameters]
        moving = any(float(laws.variance[p][0]) > 0 for p in cell.preactivations)
        alike = not moving and not cell.parameters
        parts = 1 if alike else _REPETITIONS
        points = np.full((1, len(symbols)), 0.5) if alike else _sobol(len(symbols), count, parts)
        values = [
            laws.mean[p] + np.sqrt(laws.variance[p][0]) * ndtri(u)
            for p, u in zip(cell.preactivations, points.T, strict=False)
        ]
        drawn = points.T[len(cell.preactivations) :]
        own = [ensemble.parameters[s.name] for s in cell.parameters]
        values += [law.quantile(u) for law, u in zip(own, drawn, strict=True)]
        values += [laws.given[m] for m in cell.averages]
        recurrent = [p for p in cell.preactivations if p.is_recurrent]
        units = UnitTransfer(
            _transfer(cell, values, len(points)),
            np.full(len(points), 1.0 / len(points)),
            len(cell.states),
            1,
            tuple(ensemble[p.name].sigma_w for p in recurrent),
            tuple(ensemble[p.name].weights for p in recurrent),
            tied=True,
            repetitions=parts,
            names=tuple(p.name for p in recurrent),
        )
        return LinearUnits.of(by_width(units, cell))


def _radius(power: Array, error: Array) -> tuple[float, float]:
    """The spectral radius of a non-negative matrix, and how far errors move it."""
    value = float(np.abs(np.linalg.eigvals(power)).max())
    # It grows with every entry.
    return value, float(np.abs(np.linalg.eigvals(power + error)).max()) - value


def _sobol(dimensions: int, count: int, parts: int) -> Array:
    """(parts * n, dimensions): independent scrambles, n a power of two."""
    power = max(1, round(np.log2(max(2, count / parts))))
    nets = [Sobol(dimensions, seed=r).random_base2(power) for r in range(parts)]
    return np.clip(np.concatenate(nets), np.finfo(float).eps, 1.0 - np.finfo(float).eps)


@lru_cache(maxsize=64)
def _entries(cell: Cell) -> tuple[sp.Matrix, object]:
    tau = jacobian_theory(cell).transfer.applyfunc(resting_unit(cell).of)
    symbols = [*cell.preactivations, *cell.parameters, *cell.averages]
    return tau, compile_elementwise(list(tau), symbols)


def _transfer(cell: Cell, values: list[Array], count: int) -> Array:
    tau, function = _entries(cell)
    entries = [np.broadcast_to(x, (count,)) for x in function(*values)]  # type: ignore[operator]
    return np.stack(entries, axis=-1).reshape(count, tau.rows, tau.cols).astype(float)
