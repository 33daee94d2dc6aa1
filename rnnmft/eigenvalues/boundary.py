"""The boundary of the cloud: the zero contour of the edge, refined on all units.

A grid of the half plane with few units finds the curves; each of their points is then moved along
the gradient until the edge of all units vanishes there. Thin spikes along the real axis, narrower
than the grid, and islands around single sampled units are left out: on a boundary outside of which
J has nothing the mass inside is that of A's eigenvalues, so that an island's is counted.

Eq. (eigenvalue-boundary).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from rnnmft.eigenvalues.passage import Passage

__all__ = ["Boundary"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
#: Half of a grid's points along one side, and units that look at it.
_POINTS, _FEW = 60, 512
#: Sampled units that an island must hold: its mass is then known to a third.
_UNITS = 10
#: Angles of a circle on which nothing may lie; it is doubled and halved up to 1e12 times |A| + 1.
_ANGLES, _DOUBLINGS = 64, 40
#: Newton steps of a point; from a grid's contour two reach 1e-6, four rounding.
_ROUNDS = 6
#: Of the cloud's size: where a point of the curve is refined to, and the step of its gradient.
_CLOSE, _STEP = 1e-9, 1e-6
#: A refined point that moved by more than so many grid steps belongs to another curve.
_FAR = 3.0


@dataclass(frozen=True)
class Boundary:
    """The curves of all classes of rows."""

    passage: Passage

    @cached_property
    def own(self) -> Complex:
        """The eigenvalues of A at every unit, (n m,): the cloud lies around them."""
        return np.linalg.eigvals(self.passage.units.a).ravel().astype(np.complex128)

    @cached_property
    def center(self) -> float:
        """The mean of `own`: the mean eigenvalue of J."""
        units = self.passage.units
        return float((np.repeat(units.weight, units.states) @ self.own).real) / units.states_a_unit

    @cached_property
    def size(self) -> float:
        """A distance from the centre beyond which there is nothing; 0 where J is A."""
        angles = np.exp(1j * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES)
        spread = float(np.abs(self.own - self.center).max(initial=0.0))
        classes = self.passage.classes

        def empty(radius: float) -> bool:
            points = (self.center + radius * angles).astype(np.complex128)
            return all((self.passage.edge(points, rows) < 0).all() for rows in classes)

        radius = 1.0 + spread
        for _ in range(_DOUBLINGS):
            if empty(radius):
                break
            radius *= 2.0
        for _ in range(_DOUBLINGS):
            if radius < 2.0 * spread or not empty(radius / 2):
                return radius
            radius /= 2.0
        return 0.0

    @cached_property
    def curves(self) -> list[Complex]:
        """Closed curves, each (n,), the last point the first, symmetric about the real axis."""
        if self.size == 0.0:
            return []
        found = []
        for rows in self.passage.classes:
            for line in self._lines(rows):
                curve = self._refined(line, rows)
                if self._counts(curve):
                    found.append(curve)
        return found

    @property
    def step(self) -> float:
        """Of the grid."""
        return self.size / _POINTS

    def _lines(self, rows: NDArray[np.intp]) -> list[Complex]:
        """Contours on the grid, in both half planes, whose rows lie beside the real axis."""
        few = Passage(self.passage.units.thinned(_FEW))
        x = self.center + self.size * np.linspace(-1.0, 1.0, 2 * _POINTS + 1)
        y = self.step * (np.arange(_POINTS + 1) + 0.5)
        upper = few.edge((x + 1j * y[:, None]).ravel(), rows).reshape(len(y), len(x))
        both = np.concatenate([upper[::-1], upper])
        lines = contour_generator(x, np.concatenate([-y[::-1], y]), both).lines(0.0)
        return [np.asarray(line)[:, 0] + 1j * np.asarray(line)[:, 1] for line in lines]

    def _refined(self, line: Complex, rows: NDArray[np.intp]) -> Complex:
        """Points moved along the gradient of the edge to its zero."""
        h = _STEP * self.size
        # The lower half is the upper one's mirror image, and so is what is done to it.
        places = (np.round(x / self.step, 9) * self.step for x in (line.real, np.abs(line.imag)))
        upper = next(places) + 1j * next(places)
        first, back = np.unique(upper, return_inverse=True)
        z = first.copy()
        for _ in range(_ROUNDS):
            around = np.concatenate([z, z + h, z + 1j * h])
            value, right, up = self.passage.edge(around, rows).reshape(3, -1)
            slope = ((right - value) + 1j * (up - value)) / h
            move = -value * slope / np.maximum(np.abs(slope) ** 2, np.finfo(float).tiny)
            limit = self.step / np.maximum(np.abs(move), self.step)
            z = z + move * limit
            if np.abs(move).max() < _CLOSE * self.size:
                break
        strayed = np.abs(z - first) > _FAR * self.step
        z = np.where(strayed, first, z)[back.ravel()]
        return np.where(line.imag < 0, z.conj(), z)

    def _counts(self, curve: Complex) -> bool:
        """Whether a curve is more than the island of a few sampled units."""
        units = self.passage.units
        if units.repetitions == 1:
            return True
        middle = curve.mean()
        extent = np.abs(curve - middle).max()
        near = np.abs(self.own - middle) <= extent
        return extent > 2 * self.step or int(near.sum()) >= _UNITS
