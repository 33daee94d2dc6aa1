"""The linear system of a cell with Gaussian states at one ensemble, in numbers.

s' = A s + B e + c x + d,      u_k = r_k s,      Cov(e_k^t, e_k^s) = sigma_w,k^2 E[y_k y_k]
                                                 + sigma_v,k^2 R kappa(t - s) + sigma_b,k^2

Eq. (gaussian-states).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.two_time.seen import Seen, seen_by
from rnnmft.theory.gaussian_states import gaussian_states_theory

__all__ = ["LinearStates"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearStates:
    """One cell with Gaussian states at one ensemble: m states, K preactivations.

    Raises:
        DerivationError: the cell's states are not Gaussian.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    start: Mapping[str, float]

    def __post_init__(self) -> None:
        gaussian_states_theory(self.cell)

    @cached_property
    def _matrices(self) -> tuple[Array, Array, Array, Array]:
        theory = gaussian_states_theory(self.cell)
        parts = (theory.A, theory.B, theory.c, theory.d)
        A, B, c, d = (np.array(part.tolist(), dtype=float) for part in parts)
        return A, B, c[:, 0], d[:, 0]

    @property
    def A(self) -> Array:
        """Of the states, (m, m)."""
        return self._matrices[0]

    @property
    def B(self) -> Array:
        """Of the preactivations, (m, K)."""
        return self._matrices[1]

    @property
    def c(self) -> Array:
        """Of the elementwise input, (m,)."""
        return self._matrices[2]

    @cached_property
    def rows(self) -> Array:
        """r_k, what each W looks at, (K, m)."""
        theory = gaussian_states_theory(self.cell)
        rows = [np.array(theory.rows[p].tolist(), dtype=float)[0] for p in self.cell.preactivations]
        return np.stack(rows)

    @cached_property
    def drift(self) -> Array:
        """B mu_b + d, by which the mean of the states moves, (m,)."""
        return self.B @ self._law("mu_b") + self._matrices[3]

    @cached_property
    def seen(self) -> list[Seen]:
        """What each W sees."""
        theory, centred = gaussian_states_theory(self.cell), not self.drift.any()
        return [seen_by(theory, p, centred) for p in self.cell.preactivations]

    def _law(self, name: str) -> Array:
        laws = [self.ensemble[p.name] for p in self.cell.preactivations]
        return np.array([getattr(law, name) for law in laws])

    @cached_property
    def weights(self) -> Array:
        """sigma_w^2, (K,)."""
        return self._law("sigma_w") ** 2

    @cached_property
    def bias(self) -> Array:
        """sigma_b^2, (K,)."""
        return self._law("sigma_b") ** 2

    @cached_property
    def wide(self) -> Array:
        """sigma_v^2 of the preactivations that have an input, (K,)."""
        has_input = np.array([p.has_input for p in self.cell.preactivations])
        return np.where(has_input, self._law("sigma_v") ** 2, 0.0)

    def input(self, lags: int) -> Array:
        """R kappa at lags 0, .., lags - 1, on one trajectory."""
        kappa = [self.inputs.kappa(lag) for lag in range(lags)]
        return self.inputs.R * np.array(kappa, dtype=float)

    @cached_property
    def mean(self) -> Array:
        """The stationary mean of the states, (m,); of no meaning where |A| reaches 1."""
        if not self.drift.any():
            return np.zeros(len(self.A))
        return np.asarray(np.linalg.solve(np.eye(len(self.A)) - self.A, self.drift), dtype=float)

    @cached_property
    def memory(self) -> float:
        """The spectral radius of A."""
        return float(np.abs(np.linalg.eigvals(self.A)).max())

    @property
    def fed(self) -> bool:
        """Whether there is an input."""
        return bool(self.wide.any() or self.c.any()) and self.inputs.R > 0

    @cached_property
    def driven(self) -> bool:
        """Whether anything but the weights moves the states: input, bias, constants."""
        at_zero = [float(s.functions["overlap"](np.zeros(1))[0]) for s in self.seen]
        pushed = (self.weights * np.array(at_zero) ** 2).any()
        return bool(self.fed or self.bias.any() or self.drift.any() or pushed)

    @cached_property
    def start_covariance(self) -> Array:
        """Of the states at t = 0: independent of each other, (m, m)."""
        names = [s.name for s in self.cell.states]
        return np.diag([self.start.get(n, 0.0) ** 2 for n in names])
