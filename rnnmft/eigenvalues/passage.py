"""The passage of power through the matrices: where the cloud of eigenvalues ends.

The power of y that comes back after one passage is P(lambda) v, P_rs = E[sum_k sigma_k^2 |M_rk|^2],
k over what row s drives. Inside of the cloud its spectral radius is above 1:

    edge(lambda) = log rho(P(lambda)) > 0.

For orthogonal matrices, whose inverses are matrices of the same kind, the cloud may have a hole:
there also log rho(Q) > 0 is needed, Q_rs = E[|M^(-1)|^2_sr] / sigma_r^2.

Rows that no circle of influence joins have determinants of their own: each class of mutually
influencing rows has its own edge, and the cloud is what lies inside of one of them.

Source: [can2020] for GRU and LSTM. Eq. (eigenvalue-boundary).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from rnnmft.eigenvalues.linear_units import LinearUnits, inverse

__all__ = ["Passage"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
#: A response below this part of the largest is none.
_NOTHING = 1e-14


@dataclass(frozen=True)
class Passage:
    """P over the plane, for one set of units."""

    units: LinearUnits

    @cached_property
    def classes(self) -> list[NDArray[np.intp]]:
        """Rows that influence each other, class by class; those that return nothing left out."""
        units = self.units
        if not units.rows:
            return []
        away = np.array([3.0 * (1.0 + np.abs(units.a).max()) * np.exp(0.7j)])
        mean = self.units.power(away)[0]
        linked = mean > _NOTHING * max(float(mean.max()), np.finfo(float).tiny)
        count, label = connected_components(linked, connection="strong")
        every = [np.flatnonzero(label == c) for c in range(count)]
        return [rows for rows in every if linked[np.ix_(rows, rows)].any()]

    def edge(self, points: Complex, rows: NDArray[np.intp]) -> Real:
        """log rho(P) of one class; with a hole the smaller of the two logarithms: (Z,)."""
        outer = self._radius(self.units.power(points)[:, rows[:, None], rows])
        if not self.may_have_hole(rows):
            return np.log(outer)
        return np.log(np.minimum(outer, self._radius(self._returned(points, rows))))

    def may_have_hole(self, rows: NDArray[np.intp]) -> bool:
        """Whether every matrix of a class is orthogonal, and drives a row of its own."""
        columns = np.isin(self.units.row, rows)
        names = {self.units.weights[k] for k in np.flatnonzero(columns)}
        return names == {"orthogonal"} and int(columns.sum()) == len(rows)

    def _returned(self, points: Complex, rows: NDArray[np.intp]) -> Real:
        """Q at points, for a class of orthogonal matrices."""
        units = self.units
        at = np.concatenate([np.flatnonzero(units.row == r) for r in rows])
        found = np.empty((len(points), len(rows), len(rows)))
        for piece in units.pieces(len(points)):
            response = units.response(units.resolvent(points[piece]))
            back = inverse(response[..., rows[:, None], at])
            square = np.swapaxes(back.real**2 + back.imag**2, -1, -2)
            mean = np.einsum("n,znrs->zrs", units.weight, square)
            found[piece] = mean / (units.sigma_w[at] ** 2)[:, None]
        return found

    def _radius(self, matrices: Real) -> Real:
        """Spectral radii over the first axis; 0 is kept off the logarithm."""
        if matrices.shape[-1] == 1:
            found = matrices[:, 0, 0]
        else:
            found = np.abs(np.linalg.eigvals(matrices)).max(-1)
        return np.maximum(found, np.finfo(float).tiny)
