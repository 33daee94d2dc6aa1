"""The matrices W_k that see one thing y, applied through a basis of what they have seen.

W enters a unit through W y alone. On a basis u_1, .., u_n of all that was seen, orthonormal over
the M units, a gaussian W of width M acts by one vector zeta_j of independent standard normal
numbers a direction, and shows a new one only where y leaves the basis:

    W y = sigma_w (sum_j <y, u_j> zeta_j + |r| zeta_new),    r = y - sum_j <y, u_j> u_j

This is a network of M units, in law, at O(M n) a step. Several W_k that see the same y share the
basis; each has its own zeta. A run that shows more than a few hundred directions goes on with those
that its future can tell apart (`recent_span`), at O(M) a step.

Rounding cannot make W y longer than sigma_w |y| (Bessel), as it does where W y is drawn from its
conditional law given the past: there the covariance of a slow y with its own past is inverted,
whose condition number is squared.

Eq. (tied-basis), Eq. (bessel).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from rnnmft.units.columns import Columns
from rnnmft.units.forgotten_covariance import ForgottenCovariance
from rnnmft.units.orthonormal_basis import OrthonormalBasis
from rnnmft.units.points import Number, spread
from rnnmft.units.recent_span import KEPT, RecentSpan

__all__ = ["WeightAction"]

Tensor = torch.Tensor


class WeightAction:
    """Gaussian matrices that see the same y on P trajectories; one set of weights for all steps.

    Args:
        like: a tensor of the wanted dtype and device.
        repetitions, units: R (rows, where several points move together) and M.
        normals: (count) -> independent standard normal numbers, (R, count, M), of repetitions.
        points: how many share the numbers of a repetition, a row each.
        kept: directions before any is dropped.

    Attributes:
        most: the largest number of directions so far.
        forgotten: what was lost with those that were dropped, if any were.
        coordinates: <y, u_j> of what was seen last, (R, P, n).
        zeta: {name of a matrix: its numbers, a column a direction}.
    """

    def __init__(
        self,
        like: Tensor,
        repetitions: int,
        units: int,
        normals: Callable[[int], Tensor],
        points: int = 1,
        kept: int = KEPT,
    ) -> None:
        self.basis = OrthonormalBasis(like, repetitions, units)
        self._normals, self._points = normals, points
        self.zeta: dict[str, Columns] = {}
        self.coordinates: Tensor | None = None
        self.forgotten = ForgottenCovariance(like, repetitions)
        self._recent, self.most = RecentSpan(kept), 0

    def see(self, y: Tensor) -> None:
        """What the matrices act on from now, (R, P, M)."""
        before = self.basis.count
        if self._recent.is_exceeded(before):
            self._turn(self._recent.rotation(before, self.basis.resolution))
        self.coordinates = self.basis.coordinates(y)
        self._recent.append(self.coordinates)
        self.most = max(self.most, self.basis.count)
        self.forgotten.append(y, self.coordinates)

    def _turn(self, turn: Tensor) -> None:
        """Directions, and the numbers that belong to them, become those of V, (R, n, n')."""
        # Directions of points that shared their numbers turn apart.
        self.zeta = {name: self._zeta_of(name).spread(len(turn)) for name in self.zeta}
        for columns in (*self.zeta.values(), self.basis.columns):
            columns.rotate(turn)
        self.forgotten.rotate(turn)

    def product(self, name: str, sigma_w: Number, start: Tensor) -> Tensor:
        """`start` + W y, (R, P, M), for the matrix of that name. Eq. (tied-basis)."""
        assert self.coordinates is not None  # `see` comes first
        zeta, weights = self._zeta_of(name), sigma_w * self.coordinates
        # Rows that share their numbers are rows of one product.
        together = (zeta.repetitions, start.shape[0] * start.shape[1] // zeta.repetitions)
        found = zeta.add(
            start.reshape(*together, start.shape[2]), weights.reshape(*together, weights.shape[2])
        )
        return found.view(start.shape)

    def variance(self, sigma_w: Number) -> Tensor:
        """sigma_w^2 sum_j <y, u_j>^2: what the variance of W y stands for, (R, P). Eq. (bessel)."""
        assert self.coordinates is not None
        return (sigma_w * self.coordinates).square().sum(2)

    @property
    def columns(self) -> int:
        """How many numbers a unit are kept."""
        return self.basis.count * (1 + len(self.zeta)) + self.forgotten.kept

    def _zeta_of(self, name: str) -> Columns:
        """The numbers of one matrix, as many as there are directions."""
        basis = self.basis.columns
        if name not in self.zeta:
            rows = basis.repetitions // self._points
            self.zeta[name] = Columns(basis.like, rows, basis.units)
        zeta = self.zeta[name]
        while zeta.count < basis.count:
            zeta.append(spread(self._normals(1)[:, 0], zeta.repetitions))
        return zeta
