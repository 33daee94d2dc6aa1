"""What a map asks of a recursion, answered by quadrature at every point: where no tables are.

Eq. (affine), Eq. (untied-tangent), Eq. (m1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion

__all__ = ["ByQuadrature"]


@dataclass(frozen=True, eq=False)
class ByQuadrature:
    """The numbers of `TabulatedRecursion` at moments (n, B), with their error bounds."""

    recursion: UntiedRecursion

    def variances(self, moments: Array, point: Point) -> tuple[Array, Array]:
        """q of every preactivation, (K, B)."""
        found = self.recursion.step(moments, point)
        return found.q, found.q_error

    def slope(self, moments: Array, point: Point) -> tuple[Array, Array]:
        """The Jacobian of the moment map, (B, n, n)."""
        return self._of_rtol(self.recursion.slope(moments, point))

    def tangent(self, moments: Array, point: Point) -> tuple[Array, Array]:
        """The operator on E[ds_a ds_b], (B, pairs, pairs)."""
        return self._of_rtol(self.recursion.tangent(moments, point))

    def jacobian_moments(
        self, highest: int, weights: Mapping[str, str], moments: Array, point: Point
    ) -> tuple[Array, Array]:
        """m_1..m_highest of one step's J J^T, (highest, B); nan where they are not certain."""
        values, errors, codes = self.recursion.jacobian_moments(highest, weights, moments, point)
        return np.where(codes < 1, values, np.nan), errors

    def _of_rtol(self, values: Array) -> tuple[Array, Array]:
        return values, self.recursion.rtol * np.abs(values)
