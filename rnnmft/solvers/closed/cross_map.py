"""Stationary correlations over a map: the cross moment that two trajectories reach, by series.

At the fixed point of the moments each pair expectation is a power series in the correlation of the
preactivations, whose coefficients are computed once. The cross moment's map T and its slope are
then polynomials, and Newton's method goes from two unrelated trajectories, C = 0, to C = T(C). That
is where the recursion ends if in between T neither falls nor meets C, which is looked at.

Eq. (affine-pair), Eq. (chi), Eq. (mehler).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.numerics.hermite_coefficients import HermiteCoefficients, hermite_coefficients
from rnnmft.solvers.closed.cross_program import CrossProgram
from rnnmft.solvers.closed.reached_grid import Reached
from rnnmft.solvers.closed.recursion import Array, Point

__all__ = ["CrossStates", "cross_states"]

Rows = NDArray[np.intp]
Flags = NDArray[np.bool_]

# How many coefficients are tried: what correlates little, or bends little, needs few.
_TERMS = (24, 48, 96, 192)
# Points that are solved together: 4096 numbers of 192 coefficients are 6 MB.
_TOGETHER = 4096
# Newton's steps, and the part of the second moment that the last of them moves by.
_NEWTON, _LAST = 40, 1e-13
# Where between 0 and the end the map is looked at.
_BETWEEN = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
# Errors, of the second moment, that need no further coefficients, and that are no answer.
_ENOUGH, _CERTAIN = 1e-9, 1e-6
# Variances below this bend no function: their correlation is left to quadrature.
_LEAST_VARIANCE = 1e-10
# 1 - slope is not known to better than this.
_LEAST_GAP = 1e-12
# A displacement of C that shows how its error moves the slope, of the second moment.
_BESIDE = 1e-5


@dataclass(frozen=True, eq=False)
class CrossStates:
    """What two trajectories reach at B points.

    Attributes:
        cross, error: E[s_a s_b] of each state and its bounds, (states, B).
        slope, slope_error: of their map, (B,).
        certain: where they are known, (B,).
        by_quadrature: where they are from quadrature, (B,).
    """

    cross: Array
    error: Array
    slope: Array
    slope_error: Array
    certain: Flags
    by_quadrature: Flags

    @classmethod
    def unknown(cls, states: int, size: int) -> CrossStates:
        """Nothing known of B points."""
        return cls(
            np.full((states, size), np.nan),
            np.full((states, size), np.inf),
            np.full(size, np.nan),
            np.full(size, np.inf),
            *np.zeros((2, size), dtype=bool),
        )

    def identify(self, rows: Rows, limit: Array, chi_1: Array, chi_1_error: Array) -> None:
        """Trajectories that become one, C = E[s^2]: the slope of their map is chi_1 there.

        Args:
            rows: points at which two identical trajectories stay identical, and are stable.
            limit: E[s^2], (B,).
            chi_1: (B,).
            chi_1_error: (B,).
        """
        there = rows[limit[rows] - self.cross[0, rows] <= self.error[0, rows]]
        self.slope[there], self.slope_error[there] = chi_1[there], chi_1_error[there]
        self.certain[there] = self.error[0, there] <= _CERTAIN * limit[there]

    def fill(self, rows: Rows, found: Reached, columns: Sequence[int], rtol: float) -> None:
        """What quadrature finds of some points; `columns`: the states' cross moments in it."""
        self.cross[:, rows], self.error[:, rows] = found.values[columns], found.error[columns]
        self.slope[rows], self.slope_error[rows] = found.slope, rtol * found.slope
        self.certain[rows], self.by_quadrature[rows] = found.certain, True


@dataclass(frozen=True, eq=False)
class _Pair:
    """The series of one pair expectation at a chunk of points: f_k g_k, (K, b), and its errors.

    `rest`: the norm of the product of what is left out; `off`: the error of the coefficients, which
    holds at any correlation; `by_deviation`: sum_k |d (f_k g_k) / ds|, (2, b), plain and times k.
    """

    products: Array
    rest: Array
    off: Array
    by_deviation: Array

    @classmethod
    def of(cls, found: HermiteCoefficients, f: int, g: int, deviation: Array) -> _Pair:
        """From the coefficients of both sides."""
        first, second = found.values[f], found.values[g]
        norms = [
            np.sqrt((c * c).sum(axis=0)) + r
            for c, r in ((first, found.rest[f]), (second, found.rest[g]))
        ]
        off = found.error[f] * norms[1] + found.error[g] * norms[0]
        slopes = np.abs(_by_deviation(first) * second) + np.abs(_by_deviation(second) * first)
        k = np.arange(len(first))[:, None]
        by = np.stack([slopes.sum(axis=0), (k * slopes).sum(axis=0)]) / deviation
        return cls(first * second, found.rest[f] * found.rest[g], off, by)

    def at(self, rho: Array) -> tuple[Array, Array]:
        """sum_k c_k rho^k and its derivative, by Horner's scheme."""
        value, slope = self.products[-1].copy(), np.zeros_like(rho)
        for row in self.products[-2::-1]:
            slope *= rho
            slope += value
            value *= rho
            value += row
        return value, slope

    def errors(self, rho: Array, deviation_error: Array) -> tuple[Array, Array]:
        """Bounds of the value's and the derivative's error at |rho| <= 1.

        The series' rest is at most |rho|^K times the product of the norms; of the derivative,
        k |rho|^(k - 1), k >= K, is at most K |rho|^(K - 1) or 1 / (e |rho| log(1 / |rho|)).
        """
        terms, size = len(self.products), np.minimum(np.abs(rho), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = -np.log(size)
            peak = np.where(
                terms * log >= 1.0, terms * size ** (terms - 1), 1.0 / (np.e * size * log)
            )
        peak = np.where(size > 0.0, peak, 0.0)
        moved = self.by_deviation * deviation_error
        rest = size**terms * self.rest
        with np.errstate(invalid="ignore"):  # inf * 0 at rho = 1, where nothing is left out
            of_slope = np.where(self.rest > 0.0, peak * self.rest, 0.0)
        return rest + self.off + moved[0], of_slope + terms * self.off + moved[1]


def _by_deviation(c: Array) -> Array:
    """s df_k/ds = sqrt((k + 1)(k + 2)) f_{k+2} + k f_k."""
    k = np.arange(len(c))[:, None]
    found = k * c
    found[:-2] += np.sqrt((k[:-2] + 1.0) * (k[:-2] + 2.0)) * c[2:]
    return found


def cross_states(
    program: CrossProgram,
    point: Point,
    limit: Array,
    single: Array,
    single_error: Array,
    wanted: Flags,
) -> CrossStates:
    """The cross moments that two trajectories reach from nothing in common.

    Args:
        program: of the recursion.
        point: (B,) by symbol.
        limit: the second moment, (B,), which a cross moment does not exceed.
        single: what `program.singles` lists, (n, B), and its errors.
        single_error: of the same shape.
        wanted: points to be solved, (B,).
    """
    size = len(limit)
    found = CrossStates.unknown(1, size)
    variances = single[program.variance_rows]
    rows = np.flatnonzero(wanted & (variances > _LEAST_VARIANCE).all(axis=0))
    for terms in _TERMS:
        for start in range(0, len(rows), _TOGETHER):
            part = rows[start : start + _TOGETHER]
            at = {s: v[part] for s, v in point.items() if s in program.parameters}
            chunk = _Chunk.of(program, at, single[:, part], single_error[:, part], terms)
            solved = chunk.solved(limit[part])
            found.cross[:, part], found.error[:, part] = solved.cross, solved.error
            for name in ("slope", "slope_error", "certain"):
                getattr(found, name)[part] = getattr(solved, name)
        rows = rows[~(found.error[0, rows] <= _ENOUGH * limit[rows])]
        if not len(rows):
            break
    return found


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The cross moment's map at a chunk of points."""

    program: CrossProgram
    point: Point
    single: Array
    single_error: Array
    pairs: Sequence[_Pair]

    @classmethod
    def of(
        cls, program: CrossProgram, point: Point, single: Array, error: Array, terms: int
    ) -> _Chunk:
        """With the coefficients of every law."""
        pairs: list[_Pair] = []
        coefficients: dict[int, HermiteCoefficients] = {}
        for pair in program.pairs:
            deviation = np.sqrt(single[program.variance_rows[pair.law]])
            if pair.law not in coefficients:
                mean = np.broadcast_to(point[program.means[pair.law]], deviation.shape)
                functions = program.functions[pair.law]
                coefficients[pair.law] = hermite_coefficients(functions, mean, deviation, terms)
            pairs.append(_Pair.of(coefficients[pair.law], *pair.sides, deviation))
        return cls(program, point, single, error, pairs)

    def at(self, cross: Array) -> tuple[Array, Array]:
        """T(C) and T'(C)."""
        return self.program.run(self.point, self.single, cross, [p.at for p in self.pairs])

    def solved(self, limit: Array) -> CrossStates:
        """The root that C = 0 leads to."""
        cross, active = np.zeros_like(limit), np.ones(len(limit), dtype=bool)
        for _ in range(_NEWTON):
            new, slope = self.at(cross)
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = cross + (new - cross) / (1.0 - slope)
            moved = np.clip(np.where(slope < 1.0, newton, new), -limit, limit)
            moved = np.where(active, moved, cross)
            active &= np.abs(moved - cross) > _LAST * limit
            cross = moved
            if not active.any():
                break
        return self._judged(cross, limit, ~active)

    def _judged(self, cross: Array, limit: Array, converged: Flags) -> CrossStates:
        new, slope = self.at(cross)
        sure = converged & (slope < 1.0)
        for part in _BETWEEN:
            between, rate = self.at(part * cross)
            sure &= ((between - part * cross) * np.sign(cross) >= 0.0) & (rate >= 0.0)
        off, slope_off = self.program.errors(
            self.point, self.single, self.single_error, cross, self.pairs
        )
        gap = np.maximum(np.abs(1.0 - slope), _LEAST_GAP)
        error = (np.abs(new - cross) + off) / gap
        inward = cross - np.copysign(_BESIDE * limit, cross)
        bend = np.abs(self.at(inward)[1] - slope) / (_BESIDE * limit)
        slope_error = slope_off + bend * error
        sure &= (error <= _CERTAIN * limit) & (slope_error <= _CERTAIN)
        here = cross[None], error[None], slope, slope_error
        return CrossStates(*here, sure, np.zeros_like(sure))
