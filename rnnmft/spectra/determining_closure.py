"""How an ensemble closes the block equation: self-energies a, b from the averages V, U.

    a = F V,   b = U F,   F q(Y) = sigma_w^2 p(Y),   Y = V U F = V b,   psi = p / q

for the ensemble's psi (`cells.weight_ensembles`). The unknowns are a, b and F: F by continuity,
since its equation is polynomial where Phi itself has branches, and a, b because they stay finite
at atoms, where V and U do not. With F Y^n = a b Y^(n-1) F's equation is

    q_0 F + sum_n q_n a b Y^(n-1) = sigma_w^2 p(Y),

F = sigma_w^2 - a b for orthogonal weights. Everything acts on B blocks of L x L symmetric matrices
at Z points; a symmetric matrix is packed as its upper triangle.

Eq. (determining).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.language.weight_ensembles import weight_ensemble

__all__ = ["Closure", "Linearised"]

Complex = NDArray[Any]  # complex128


@dataclass(frozen=True)
class Linearised:
    """Residuals a - F V, b - U F and of F's equation; derivatives of the free blocks' residuals.

    a, b, f: the residuals, the first two of all blocks. a_v, b_u, f_v: by packed v and u, a_f, b_f,
    f_f: by F, f_a, f_b: by packed a and b, (Z, free blocks, rows, columns) each. (By a and b
    themselves a and b have derivative 1; of other blocks only -sigma_w^2 by v and u is left.)
    """

    a: Complex
    b: Complex
    f: Complex
    a_v: Complex
    b_u: Complex
    f_v: Complex
    a_f: Complex
    b_f: Complex
    f_f: Complex
    f_a: Complex
    f_b: Complex


@dataclass(frozen=True)
class Closure:
    """The closures of B blocks of length L.

    Attributes:
        sigma_w: (B,) of each block.
        ensembles: the weight ensemble of each block.
        length: L.
        room: what divides Y in each block; Eq. (widths).
    """

    sigma_w: tuple[float, ...]
    ensembles: tuple[str, ...]
    length: int
    room: tuple[float, ...]

    @cached_property
    def free(self) -> list[int]:
        """The blocks whose F is an unknown: those of all ensembles but the gaussian."""
        return [k for k, e in enumerate(self.ensembles) if not weight_ensemble(e).is_constant]

    @property
    def pairs(self) -> int:
        """P = L (L + 1) / 2 for one block."""
        return self.length * (self.length + 1) // 2

    @cached_property
    def variance(self) -> NDArray[np.float64]:
        """sigma_w^2 of each block, (B,): F where it is no unknown."""
        return np.array(self.sigma_w, dtype=float) ** 2

    @cached_property
    def _upper(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.triu_indices(self.length)

    @cached_property
    def spread(self) -> NDArray[np.float64]:
        """(L^2, P): the vector of a symmetric matrix from its upper triangle."""
        first, second = self._upper
        found = np.zeros((self.length, self.length, len(first)))
        order = np.arange(len(first))
        found[first, second, order] = found[second, first, order] = 1.0
        return found.reshape(self.length**2, -1)

    @cached_property
    def gather(self) -> NDArray[np.float64]:
        """(P, L^2): the upper triangle of a matrix's symmetric part."""
        first, second = self._upper
        found = np.zeros((len(first), self.length, self.length))
        order = np.arange(len(first))
        found[order, first, second] += 0.5
        found[order, second, first] += 0.5
        return found.reshape(-1, self.length**2)

    def start(self, points: int) -> Complex:
        """F at large |z|: sigma_w^2, (Z, B, L, L)."""
        one = self.variance[:, None, None] * np.eye(self.length)
        return np.broadcast_to(one, (points, *one.shape)).astype(np.complex128)

    def pack(self, blocks: Complex) -> Complex:
        """(.., L, L) -> (.., P)."""
        first, second = self._upper
        return blocks[..., first, second]

    def unpack(self, packed: Complex) -> Complex:
        """(.., P) -> (.., L, L)."""
        return (packed @ self.spread.T).reshape(*packed.shape[:-1], self.length, self.length)

    def packed(self, a: Complex, b: Complex, f: Complex) -> Complex:
        """One vector of unknowns a point: a, b packed, F of the free blocks."""
        points = len(a)
        parts = [self.pack(a), self.pack(b), f[:, self.free]]
        return np.concatenate([p.reshape(points, -1) for p in parts], axis=1)

    def blocks(self, packed: Complex) -> Complex:
        """(Z, B P) -> (Z, B, L, L)."""
        return self.unpack(packed.reshape(len(packed), len(self.sigma_w), self.pairs))

    def unpacked(self, vector: Complex, constant: bool = True) -> tuple[Complex, Complex, Complex]:
        """a, b, F of a vector; of a derivative where not `constant` (then gaussian F is 0)."""
        points, length = len(vector), self.length
        pairs = len(self.sigma_w) * self.pairs
        a, b = self.blocks(vector[:, :pairs]), self.blocks(vector[:, pairs : 2 * pairs])
        f = self.start(points).copy() if constant else np.zeros_like(a)
        f[:, self.free] = vector[:, 2 * pairs :].reshape(points, len(self.free), length, length)
        return a, b, f

    def linearised(self, a: Complex, b: Complex, f: Complex, v: Complex, u: Complex) -> Linearised:
        """Residuals and derivatives at self-energies and averages of shape (Z, B, L, L)."""
        one, free = np.eye(self.length), self.free
        of_a, of_b = (self.pack(x) - self._gathered(y) for x, y in ((a, f @ v), (b, u @ f)))
        a, b, f, v, u = (x[:, free] for x in (a, b, f, v, u))
        residual, f_v, f_f, f_a, f_b = self._of_f(a, b, f, v)
        return Linearised(
            of_a,
            of_b,
            residual,
            -self.gather @ _kron(f, one) @ self.spread,
            -self.gather @ _kron(one, _t(f)) @ self.spread,
            f_v,
            -self.gather @ _kron(one, _t(v)),
            -self.gather @ _kron(u, one),
            f_f,
            f_a,
            f_b,
        )

    def _gathered(self, blocks: Complex) -> Complex:
        return self.pack((blocks + _t(blocks)) / 2)

    def _of_f(self, a: Complex, b: Complex, f: Complex, v: Complex) -> tuple[Complex, ...]:
        """The residual of F's equation for the free blocks, and its derivatives by V, F, a, b."""
        one, size = np.eye(self.length), self.length**2
        residual = np.zeros_like(f)
        shape = (*f.shape[:2], size, size)
        by_v, by_f, by_a, by_b = (np.zeros(shape, dtype=complex) for _ in range(4))
        for i, k in enumerate(self.free):
            ensemble = weight_ensemble(self.ensembles[k])
            q, p = ensemble.polynomials(self.room[k])
            p = [-self.variance[k] * c for c in p]
            product, y = a[:, i] @ b[:, i], v[:, i] @ b[:, i]
            rest, by_y = _polynomial(q[1:] or [0.0], y)
            other, other_by_y = _polynomial(p, y)
            residual[:, i] = q[0] * f[:, i] + product @ rest + other
            of_y = _kron(product, one) @ by_y + other_by_y
            by_v[:, i] = of_y @ _kron(one, _t(b[:, i]))
            by_f[:, i] = q[0] * np.eye(size)
            by_a[:, i] = _kron(one, _t(b[:, i] @ rest))
            by_b[:, i] = _kron(a[:, i], _t(rest)) + of_y @ _kron(v[:, i], one)
        flat = residual.reshape(*residual.shape[:2], size)
        return flat, by_v @ self.spread, by_f, by_a @ self.spread, by_b @ self.spread


def _polynomial(coefficients: list[float], y: Complex) -> tuple[Complex, Complex]:
    """sum_n c_n y^n and its derivative as an (L^2, L^2) map, for matrices y of shape (Z, L, L)."""
    length = y.shape[-1]
    powers = [np.broadcast_to(np.eye(length, dtype=complex), y.shape)]
    value = coefficients[0] * powers[0]
    slope = np.zeros((*y.shape[:-2], length**2, length**2), dtype=complex)
    for c in coefficients[1:]:
        for i, left in enumerate(powers):
            slope = slope + c * _kron(left, _t(powers[len(powers) - 1 - i]))
        powers.append(powers[-1] @ y)
        value = value + c * powers[-1]
    return value, slope


def _t(matrices: Complex) -> Complex:
    return np.swapaxes(matrices, -1, -2)


def _kron(a: NDArray[np.inexact], b: NDArray[np.inexact]) -> Complex:
    """Kronecker products over leading axes: vec(A X B^T) = kron(A, B) vec X, rows first."""
    found = a[..., :, None, :, None] * b[..., None, :, None, :]
    return found.reshape(*found.shape[:-4], a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1])
