"""Sampled units with their matrices cut out, and how they answer at a point of the plane.

An eigenvector of J at lambda has lambda s = A s + B e and y = C s + D e at every unit, so that

    y = M e,    M(lambda) = C (lambda - A)^(-1) B + D,    e_k = W_k y_k:

lambda is an eigenvalue where 1 - W M is singular. Preactivations that see the same y share a row of
M; with R distinct rows everything is R x R.

Eq. (linearised), Eq. (eigenvalue-boundary).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.unit_transfer import UnitTransfer

__all__ = ["LinearUnits", "inverse"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
#: Complex numbers in one array of a piece: a core's cache.
_PIECE = 60_000


@dataclass(frozen=True)
class LinearUnits:
    """One step of n units.

    Attributes:
        a, b, c, d: the linearised unit, (n, m, m), (n, m, K), (n, R, m), (n, R, K).
        row: of each preactivation, (K,): which of the R rows it sees.
        sigma_w: (K,).
        weights: the ensembles of W_k, K names.
        weight: probabilities of the units, (n,).
        repetitions: independent parts of equal size that the units fall into, 1 if they are nodes.
        states_a_unit: m, or the mean of it where units have different ones; a state that a unit
            lacks is 0.
    """

    a: Real
    b: Real
    c: Real
    d: Real
    row: NDArray[np.intp]
    sigma_w: Real
    weights: tuple[str, ...]
    weight: Real
    repetitions: int
    states_a_unit: float

    @classmethod
    def of(cls, units: UnitTransfer) -> LinearUnits:
        """From transfer matrices of one step."""
        m, tau = units.states, units.tau
        seen = tau[:, m:]
        row, distinct = _distinct_rows(seen)
        return cls(
            tau[:, :m, :m],
            tau[:, :m, m:],
            seen[:, distinct, :m],
            seen[:, distinct, m:],
            row,
            np.array(units.sigma_w, dtype=float),
            units.weights,
            units.weight,
            units.repetitions,
            units.states_a_unit,
        )

    @property
    def states(self) -> int:
        """m."""
        return self.a.shape[1]

    @property
    def rows(self) -> int:
        """R."""
        return self.c.shape[1]

    def thinned(self, count: int) -> LinearUnits:
        """About `count` of the units, evenly spread."""
        step = len(self.weight) // count
        if step < 2:
            return self
        return self._at(slice(None, None, step))

    def parts(self) -> list[LinearUnits]:
        """The independent parts, each a law of its own."""
        size = len(self.weight) // self.repetitions
        return [self._at(slice(r * size, (r + 1) * size)) for r in range(self.repetitions)]

    def _at(self, place: slice) -> LinearUnits:
        """Some of the units as a law of its own."""
        a, b, c, d, weight = (x[place] for x in (self.a, self.b, self.c, self.d, self.weight))
        return replace(self, a=a, b=b, c=c, d=d, weight=weight / weight.sum(), repetitions=1)

    def pieces(self, points: int) -> Iterator[slice]:
        """Slices of so many points that fit a cache."""
        each = len(self.weight) * max(1, self.rows, self.states) * max(1, len(self.row))
        size = max(1, _PIECE // each)
        return (slice(z, z + size) for z in range(0, points, size))

    def resolvent(self, points: Complex) -> Complex:
        """(lambda - A)^(-1), (Z, n, m, m)."""
        return inverse(points[:, None, None, None] * np.eye(self.states) - self.a)

    def response(self, inner: Complex) -> Complex:
        """M, (Z, n, R, K), from `resolvent`."""
        return _product(_product(self.c, inner), self.b) + self.d

    def response_slope(self, inner: Complex) -> Complex:
        """dM/dlambda = -C (lambda - A)^(-2) B, (Z, n, R, K)."""
        return -_product(_product(_product(self.c, inner), inner), self.b)

    def power(self, points: Complex) -> Real:
        """P_rs = E[sum_k sigma_k^2 |M_rk|^2], k over what row s drives, at points (Z,): (Z, R, R).

        With l = C (lambda - A)^(-1) a unit has M = l B + D, and P is read off the few products of
        l with itself: units are summed by products of matrices.
        """
        found = np.empty((len(points), self.rows, self.rows))
        for piece in self.pieces(len(points)):
            for r, left in enumerate(self._left(points[piece])):
                found[piece, r] = sum(
                    (part @ mean for part, mean in self._parts_of_power(r, left)),
                    start=self._constant[r],
                )
        return found

    def _left(self, points: Complex) -> Iterator[list[Complex]]:
        """C (lambda - A)^(-1), row by row: for every state (Z, n)."""
        z, (a, c) = points[:, None], self._by_unit
        if self.states == 1:
            inverted = 1.0 / (z - a[0, 0])
            yield from ([row[0] * inverted] for row in c)
        elif self.states == 2:
            first, second = z - a[0, 0], z - a[1, 1]
            determinant = first * second - a[0, 1] * a[1, 0]
            for row in c:
                yield [
                    (row[0] * second + row[1] * a[1, 0]) / determinant,
                    (row[0] * a[0, 1] + row[1] * first) / determinant,
                ]
        else:
            turned = points[:, None, None, None] * np.eye(self.states) - np.swapaxes(self.a, 1, 2)
            columns = np.linalg.solve(turned, np.swapaxes(self.c, 1, 2)[None])
            yield from (list(np.moveaxis(columns[..., r], -1, 0)) for r in range(self.rows))

    def _parts_of_power(self, r: int, left: list[Complex]) -> Iterator[tuple[Real, Real]]:
        """Re l_a l_b* and Re l_a, (Z, n), each with what units weigh it with, (n, R)."""
        for i, of_i in enumerate(left):
            if self._linear[r, i].any():
                yield of_i.real, self._linear[r, i]
            for j, of_j in enumerate(left[: i + 1]):
                mean = self._square[i, j]
                if mean.any():
                    product = of_i.real * of_j.real + of_i.imag * of_j.imag
                    yield product, mean if i == j else 2.0 * mean

    @cached_property
    def _driven(self) -> Real:
        """sigma_k^2 where row s drives k, (K, R)."""
        return self.sigma_w[:, None] ** 2 * self.columns

    @cached_property
    def _square(self) -> Real:
        """B B^T summed over what a row drives, times a unit's weight: (m, m, n, R)."""
        return np.einsum("nik,njk,ks,n->ijns", self.b, self.b, self._driven, self.weight)

    @cached_property
    def _linear(self) -> Real:
        """2 D B^T, likewise: (R, m, n, R)."""
        return 2.0 * np.einsum("nrk,nik,ks,n->rins", self.d, self.b, self._driven, self.weight)

    @cached_property
    def _constant(self) -> Real:
        """E[D^2], likewise: (R, R)."""
        return np.einsum("nrk,ks,n->rs", self.d**2, self._driven, self.weight)

    @cached_property
    def _by_unit(self) -> tuple[Real, Real]:
        """A and C as (m, m, n) and (R, m, n)."""
        a, c = (np.ascontiguousarray(np.moveaxis(x, 0, -1)) for x in (self.a, self.c))
        return a, c

    @property
    def columns(self) -> Real:
        """(K, R): 1 where preactivation k sees row r."""
        return (self.row[:, None] == np.arange(self.rows)).astype(float)


def inverse(x: Any) -> Any:
    """The inverse of small matrices over leading axes, by arithmetic on whole arrays up to 2 x 2.

    >>> float(inverse(np.array([[2.0]])).item())
    0.5
    """
    size = x.shape[-1]
    if size == 1:
        return 1.0 / x
    if size > 2:
        return np.linalg.inv(x)
    (p, q), (r, s) = (x[..., 0, 0], x[..., 0, 1]), (x[..., 1, 0], x[..., 1, 1])
    found = np.empty_like(x)
    found[..., 0, 0], found[..., 0, 1], found[..., 1, 0], found[..., 1, 1] = s, -q, -r, p
    return found / (p * s - q * r)[..., None, None]


def _product(left: Any, right: Any) -> Any:
    """Products of small matrices over leading axes, by arithmetic on whole arrays."""
    total = left[..., :, 0, None] * right[..., None, 0, :]
    for i in range(1, left.shape[-1]):
        total = total + left[..., :, i, None] * right[..., None, i, :]
    return total


def _distinct_rows(seen: Real) -> tuple[NDArray[np.intp], list[int]]:
    """Which distinct row each preactivation sees, and where each distinct row is found."""
    distinct: list[int] = []
    row = []
    for k in range(seen.shape[1]):
        same = [i for i, r in enumerate(distinct) if np.array_equal(seen[:, r], seen[:, k])]
        if not same:
            distinct.append(k)
        row.append(same[0] if same else len(distinct) - 1)
    return np.array(row, dtype=np.intp), distinct
