"""Solutions of the block equation at many z: the unknowns, their tangents, and which are proper.

Eq. (block).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solutions", "inverse_root", "joined"]

Complex = NDArray[Any]  # complex128
Flags = NDArray[np.bool_]
#: The imaginary parts are tested this far (relative to |z|) above z: on the real axis outside of
#: the spectrum those of resolvent and impostor are both 0, but their slopes have opposite signs.
_LIFT = 1e-6
#: An imaginary part may be positive by this part of the matrix: above what rounding leaves, and
#: below the lift, which an impostor exceeds it by.
_POSITIVE = 1e-8
#: Likewise Im G, times |z|: it is an average, without the lift.
_ABOVE = 1e-9


@dataclass
class Solutions:
    """The equation at Z points: z (Z,), the unknowns and what follows from them.

    Attributes:
        z, t: (Z,).
        a, b, f: the unknowns, (Z, B, L, L); a_t, b_t, f_t: their derivatives by t.
        v, u, v_t, u_t: the averages V and U likewise.
        value, slope: G and dG/dz, (Z,).
        error: the standard error of G, (Z,); 0 without independent parts.
        converged: whether Newton's method ended.
    """

    z: Complex
    t: Complex
    a: Complex
    b: Complex
    f: Complex
    a_t: Complex
    b_t: Complex
    f_t: Complex
    v: Complex
    u: Complex
    v_t: Complex
    u_t: Complex
    value: Complex
    slope: Complex
    error: NDArray[np.float64]
    converged: Flags

    def __getitem__(self, rows: NDArray[np.generic] | slice) -> Solutions:
        return Solutions(*(getattr(self, name.name)[rows] for name in fields(self)))

    def __setitem__(self, rows: NDArray[np.generic], other: Solutions) -> None:
        for name in fields(self):
            getattr(self, name.name)[rows] = getattr(other, name.name)

    def predicted(self, z: Complex) -> tuple[Complex, Complex, Complex]:
        """a, b, F at new points, to first order in log z."""
        return self.interpolated(self, z)

    def interpolated(self, other: Solutions, z: Complex) -> tuple[Complex, Complex, Complex]:
        """a, b, F at new points: the cubics in log z with both values and slopes, of each pair.

        Where the two are one and the same the tangent is taken.
        """
        here, *others = (np.log(x)[:, None, None, None] for x in (self.z, z, other.z))
        step, apart = (x - here for x in others)
        same = apart == 0
        apart = np.where(same, 1.0, apart)
        found = []
        for (x, slope), (y, end) in zip(self._smooth, other._smooth, strict=True):
            secant = (y - x) / apart
            second = np.where(same, 0.0, (secant - slope) / apart)
            third = np.where(same, 0.0, (slope + end - 2.0 * secant) / apart**2)
            found.append(x + step * (slope + step * (second + (step - apart) * third)))
        t = inverse_root(z)[:, None, None, None]
        return t * found[0], t * found[1], found[2]

    @property
    def _smooth(self) -> list[tuple[Complex, Complex]]:
        """a / t, b / t and F, which vary slowly, with their slopes in log z."""
        t = self.t[:, None, None, None]
        a, b = ((x / t, 0.5 * (x / t - x_t)) for x, x_t in ((self.a, self.a_t), (self.b, self.b_t)))
        return [a, b, (self.f, -0.5 * t * self.f_t)]

    @property
    def unknowns(self) -> tuple[Complex, Complex, Complex]:
        """a, b, F: a guess for other units."""
        return self.a, self.b, self.f

    @property
    def proper(self) -> Flags:
        """Whether each is the resolvent and not another solution, (Z,)."""
        # Solutions that did not converge may hold anything; they are not proper.
        with np.errstate(all="ignore"):
            return self._proper()

    def _proper(self) -> Flags:
        lift = (-0.5j * _LIFT * self.t * np.abs(self.z) / self.z)[:, None, None, None]
        good = self.converged & np.isfinite(self.value)
        good &= np.imag(self.value) <= _ABOVE / np.abs(self.z)
        for matrix, slope in (
            (self.a, self.a_t),
            (self.b, self.b_t),
            (self.v, self.v_t),
            (self.u, self.u_t),
        ):
            lifted = matrix + lift * slope
            finite = np.where(np.isfinite(lifted), lifted, 1.0)
            imaginary = np.imag(finite + np.swapaxes(finite, -1, -2)) / 2
            size = np.abs(finite).max(axis=(-1, -2), initial=np.finfo(float).tiny)
            top = np.linalg.eigvalsh(imaginary).max(axis=-1)
            good &= (top <= _POSITIVE * size).all(axis=-1)
        return good


def inverse_root(z: Complex) -> Complex:
    """t = z^(-1/2) with Im t <= 0 for Im z >= 0."""
    return 1.0 / np.sqrt(z.astype(np.complex128))


def joined(first: Solutions, second: Solutions) -> Solutions:
    """Both, one after the other."""
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Solutions(*(np.concatenate(pair) for pair in pairs))
