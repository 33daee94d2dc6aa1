"""Inside the cloud: the self-energies of J - lambda, the resolvent and with it the density.

Of each class of rows, with H = sum_r g_r sum_(k in r) sigma_k^2 m_k m_k^+ (m_k the columns of M)
and diagonal Delta, the stationary point over g and Delta of

    Phi = E[log det(1 + Delta^(1/2) H Delta^(1/2))] - sum_r h(g_r Delta_r),

h(x) = x for gaussian and log(1 + x) for orthogonal matrices, is (1/N) log |det(1 - W M)|^2, and

    G(lambda) = (1/m) (E[tr (lambda - A)^(-1)] + d Phi / d lambda),
    density = dG/d conj(lambda) / pi.

Outside Phi = 0. In a hole of orthogonal matrices g Delta is infinite.
Source: [can2020], generalised. Eq. (eigenvalue-potential), Eq. (eigenvalue-density).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.eigenvalues.linear_units import LinearUnits, inverse
from rnnmft.eigenvalues.passage import Passage

__all__ = ["Cloud"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
#: Newton's method converges quadratically once a step of the logarithms is below 1; from the
#: linear estimate of g Delta it takes 4 to 8, near an edge up to 20.
_ROUNDS = 40
#: Of a logarithm: the next step would be its square.
_SMALL = 1e-7
#: The largest step of a logarithm: a factor of 7, beyond which the estimate means nothing.
_LARGEST = 2.0


@dataclass(frozen=True)
class Solved:
    """g and Delta of one class at Z points, (Z, R'), and which points were reached."""

    g: Real
    delta: Real
    reached: NDArray[np.bool_]


@dataclass(frozen=True)
class Cloud:
    """The cloud of one set of units."""

    passage: Passage

    @property
    def units(self) -> LinearUnits:
        """Its units."""
        return self.passage.units

    def green(self, points: Complex) -> tuple[Complex, NDArray[np.bool_]]:
        """G at points (Z,), of the shape of points, and where it was found."""
        units, total = self.units, np.empty(len(points), dtype=np.complex128)
        for piece in units.pieces(len(points)):
            inner = units.resolvent(points[piece])
            total[piece] = np.einsum("n,znss->z", units.weight, inner)
        # A state that a unit lacks has no resolvent, and stands here as one that is 0.
        total -= (units.states - units.states_a_unit) / points
        reached = np.ones(len(points), dtype=bool)
        for rows in self.passage.classes:
            edge = self.passage.edge(points, rows)
            inside = np.flatnonzero(edge > 0)
            for piece in units.pieces(len(inside)):
                at = inside[piece]
                columns, slopes = self._columns(points[at], rows)
                found = self._solve(columns, rows, edge[at])
                total[at] += self._slope(columns, slopes, found, rows)
                reached[at] &= found.reached
            total += self._of_hole(points, rows, edge)
        return total / units.states_a_unit, reached

    def _columns(self, points: Complex, rows: NDArray[np.intp]) -> tuple[Complex, Complex]:
        """sigma_k m_k and its derivative, k over a class's preactivations: (Z, n, R', K')."""
        units = self.units
        kept = np.flatnonzero(np.isin(units.row, rows))
        inner = units.resolvent(points)
        value, slope = units.response(inner), units.response_slope(inner)
        scale = units.sigma_w[kept]
        place = (..., rows[:, None], kept)
        return value[place] * scale, slope[place] * scale

    def _drives(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The place in the class of the row that each of its preactivations sees, (K',)."""
        row = self.units.row
        return np.searchsorted(rows, row[np.isin(row, rows)])

    def _solve(self, columns: Complex, rows: NDArray[np.intp], edge: Real) -> Solved:
        """Newton's method for log g and log Delta at all points at once."""
        drives, count = self._drives(rows), len(rows)
        orthogonal = self._kinds(rows)
        log_g, log_delta = self._start(columns, drives, count, edge)
        going = np.ones(len(columns), dtype=bool)
        for _ in range(_ROUNDS):
            at = np.flatnonzero(going)
            if not len(at):
                break
            step = self._step(columns[at], drives, orthogonal, log_g[at], log_delta[at])
            size = np.abs(step).max(-1, initial=0.0)
            step *= np.minimum(1.0, _LARGEST / np.maximum(size, _SMALL))[:, None]
            log_g[at] += step[:, :count]
            log_delta[at] += step[:, count:]
            going[at] = ~(size < _SMALL)
        return Solved(np.exp(log_g), np.exp(log_delta), ~going)

    def _kinds(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which rows drive an orthogonal matrix."""
        units = self.units
        return np.array(
            [units.weights[int(np.flatnonzero(units.row == r)[0])] == "orthogonal" for r in rows]
        )

    def _start(
        self, columns: Complex, drives: NDArray[np.intp], count: int, edge: Real
    ) -> tuple[Real, Real]:
        """The left and right eigenvectors of P, with g Delta = 1 - 1 / rho on average."""
        square = columns.real**2 + columns.imag**2
        power = np.einsum("n,znrk->zrk", self.units.weight, square)
        power = power @ (drives[:, None] == np.arange(count))
        right, left = (_positive(p) for p in (power, np.swapaxes(power, -1, -2)))
        aim = -np.expm1(-np.minimum(edge, 700.0)) / (right * left).mean(-1)
        return np.log(right) + np.log(aim)[:, None], np.log(left)

    def _step(
        self,
        columns: Complex,
        drives: NDArray[np.intp],
        orthogonal: NDArray[np.bool_],
        log_g: Real,
        log_delta: Real,
    ) -> Real:
        """Newton's step for T_r = h'(x) x of both kinds, x = g Delta, in logarithms: (Z, 2 R')."""
        weight, count = self.units.weight, log_g.shape[1]
        n, rest, turned = _scaled(columns, drives, log_g, log_delta)
        back = turned @ n  # R N, R' x K'
        fold = (drives[:, None] == np.arange(count)).astype(float)
        t = np.einsum("n,znr->zr", weight, 1.0 - _diagonal(rest))
        used = np.einsum("znrk,znrk->znk", n.conj(), back).real
        t_g = np.einsum("n,znk->zk", weight, used) @ fold
        by_delta = np.einsum("n,znrs->zrs", weight, -(np.abs(rest) ** 2))
        by_delta += _diagonals(np.einsum("n,znr->zr", weight, _diagonal(rest)))
        cross = np.einsum("n,znrk->zrk", weight, np.abs(back) ** 2) @ fold
        inner = np.swapaxes(n.conj(), -1, -2) @ back  # N^+ R N, K' x K'
        by_g = np.einsum("n,znkl->zkl", weight, -(np.abs(np.eye(len(drives)) - inner) ** 2))
        by_g += _diagonals(np.einsum("n,znk->zk", weight, 1.0 - used))
        by_g = fold.T @ by_g @ fold
        x = np.exp(log_g + log_delta)
        h, share = np.where(orthogonal, x / (1 + x), x), np.where(orthogonal, 1 / (1 + x), 1.0)
        matrix = np.empty((len(x), 2 * count, 2 * count))
        one = _diagonals(share)
        matrix[:, :count, :count] = by_g / t_g[:, :, None] - one
        matrix[:, :count, count:] = np.swapaxes(cross, 1, 2) / t_g[:, :, None] - one
        matrix[:, count:, :count] = cross / t[:, :, None] - one
        matrix[:, count:, count:] = by_delta / t[:, :, None] - one
        # g -> c g, Delta -> Delta / c changes nothing: that direction is held.
        free = np.repeat([1.0, -1.0], count)
        matrix += free[:, None] * free
        residual = np.concatenate([np.log(t_g / h), np.log(t / h)], axis=1)
        return np.linalg.solve(matrix, -residual[..., None])[..., 0].astype(np.float64)

    def _slope(
        self, columns: Complex, slopes: Complex, found: Solved, rows: NDArray[np.intp]
    ) -> Complex:
        """d Phi / d lambda = E[tr Delta R-weighted sum_k g m_k' m_k^+], (Z,)."""
        drives = self._drives(rows)
        n, _, turned = _scaled(columns, drives, np.log(found.g), np.log(found.delta))
        moved = _weighted(slopes, drives, found.g, found.delta)
        return np.einsum("n,znrk,znrk->z", self.units.weight, (turned @ n).conj(), moved)

    def _of_hole(self, points: Complex, rows: NDArray[np.intp], edge: Real) -> Complex:
        """E[tr M^(-1) M'] in a hole of the class, 0 elsewhere."""
        found = np.zeros(len(points), dtype=complex)
        if not self.passage.may_have_hole(rows):
            return found
        outside = np.log(np.maximum(self._outer(points, rows), np.finfo(float).tiny)) <= 0
        at = np.flatnonzero((edge <= 0) & ~outside)
        for piece in self.units.pieces(len(at)):
            value, slope = self._columns(points[at[piece]], rows)
            found[at[piece]] = np.einsum("n,znrs,znsr->z", self.units.weight, inverse(value), slope)
        return found

    def _outer(self, points: Complex, rows: NDArray[np.intp]) -> Real:
        power = self.units.power(points)[:, rows[:, None], rows]
        return np.asarray(np.abs(np.linalg.eigvals(power)).max(-1), dtype=np.float64)


def _scaled(
    columns: Complex, drives: NDArray[np.intp], log_g: Real, log_delta: Real
) -> tuple[Complex, Complex, Complex]:
    """N = Delta^(1/2) M g^(1/2), R = (1 + N N^+)^(-1) twice: once as it is, once for products."""
    n = _weighted(columns, drives, np.exp(log_g), np.exp(log_delta))
    rest = inverse(np.eye(n.shape[-2]) + n @ np.swapaxes(n.conj(), -1, -2))
    return n, rest, rest


def _weighted(columns: Complex, drives: NDArray[np.intp], g: Real, delta: Real) -> Complex:
    root = np.sqrt(g[:, drives])[:, None, None, :]
    return np.sqrt(delta)[:, None, :, None] * columns * root


def _positive(matrices: Real) -> Real:
    """The positive eigenvector of each positive matrix, with the mean of its entries 1."""
    value, vector = np.linalg.eig(matrices)
    first = np.abs(value).argmax(-1)
    found = np.abs(np.take_along_axis(vector, first[:, None, None], -1)[..., 0])
    found = np.maximum(found, np.finfo(float).tiny)
    return found / found.mean(-1, keepdims=True)


def _diagonal(x: Complex) -> Real:
    return np.diagonal(x, axis1=-2, axis2=-1).real


def _diagonals(x: Real) -> Real:
    return x[..., None] * np.eye(x.shape[-1])
