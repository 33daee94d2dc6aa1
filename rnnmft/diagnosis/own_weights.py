"""How a layer's own W acts on units that are sampled: on the mean of what it sees, or on all of it.

Infinitely wide, W y is Gaussian and independent of the perturbations that go through W. A network
of N units has one W, and what stays the same in time does not average out: the mean preactivation
of a unit is its own row's,

    e_i = (W <y>)_i + W (y - <y>) + ..,        <y>_j over inputs and time

of size sigma_w <y^2>^(1/2), with which its slope f'(e_i) goes for ever, and with it the largest
eigenvalues of D W, by O(N^(-1/2)): over T steps log m_1 by T times as much. So the mean is taken
through the layer's own W; about it the preactivation is Gaussian with the theory's covariance.

Through `OwnWeights` all of y goes: these are the module's own equations, in which y - <y> may be
correlated with W. The difference says what their independence is worth.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rnnmft.units.weight_action import WeightAction

__all__ = ["OwnMeans", "OwnWeights"]

Tensor = torch.Tensor
# Means weigh the past by its time to this power: they follow a network that settles, and three
# quarters of what counts are its latest third.
_POWER = 3


class OwnWeights:
    """W_k y_k through the layer's own matrices; networks of N units side by side, (R, 1, each N).

    Args:
        matrices: {preactivation: W (N, N), in double precision; None where there is none}.
        width: N.
    """

    def __init__(self, matrices: Mapping[str, Tensor | None], width: int) -> None:
        self.matrices, self.width = matrices, width
        self.seen = torch.zeros(0, width, dtype=torch.float64)

    def see(self, y: Tensor) -> None:
        """What the matrices act on from now."""
        self.seen = y.reshape(-1, self.width)

    def product(self, name: str, sigma_w: float, start: Tensor) -> Tensor:
        """`start` + W y."""
        matrix = self.matrices[name]
        return start if matrix is None else start + (self.seen @ matrix.T).view(start.shape)

    def variance(self, sigma_w: float) -> Tensor:
        """sigma_w^2 E[y^2], (R, 1): what independent entries would give."""
        return sigma_w**2 * self.seen.square().mean().view(1, 1)


class OwnMeans:
    """W_k y_k with the mean of y through the layer's own matrices, and the rest as in the theory.

    Args:
        matrices, width: as above.
        action: of independent gaussian matrices, on y - <y>.
    """

    def __init__(
        self, matrices: Mapping[str, Tensor | None], width: int, action: WeightAction
    ) -> None:
        self.matrices, self.width, self.action = matrices, width, action
        self.mean = torch.zeros(width, dtype=torch.float64)
        self.time = 0

    def see(self, y: Tensor) -> None:
        """What the matrices act on from now; its mean moves on."""
        self.time += 1
        networks = y.reshape(-1, self.width)
        weight = (_POWER + 1.0) / (self.time + _POWER)
        self.mean = self.mean + weight * (networks.mean(0) - self.mean)
        self.action.see((networks - self.mean).view(y.shape))

    def product(self, name: str, sigma_w: float, start: Tensor) -> Tensor:
        """`start` + W <y> + W (y - <y>)."""
        found, matrix = self.action.product(name, sigma_w, start), self.matrices[name]
        if matrix is None:
            return found
        return (found.reshape(-1, self.width) + matrix @ self.mean).view(found.shape)

    def variance(self, sigma_w: float) -> Tensor:
        """sigma_w^2 E[y^2], (R, 1)."""
        return self.action.variance(sigma_w) + sigma_w**2 * self.mean.square().mean()
