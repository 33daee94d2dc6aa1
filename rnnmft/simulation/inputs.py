"""Input sequences: two Gaussian trajectories, correlated in time and with each other, or data.

    E[x_i^{t,a} x_i^{s,a}] = R kappa(t - s)        E[x_i^{t,a} x_i^{s,b}] = c_x R kappa(t - s)

Data is fed as it is: all networks read the same numbers, and differ in V. A cell that an input also
enters elementwise has one number a unit: its data goes through a random matrix first, x = P d, with
entries of variance 1 / F, drawn for each network.

The temporal factor L (kappa(t - s) = sum_j L_tj L_sj) is lower triangular: a longer run begins
with the same inputs as a shorter one.

Eq. (ensemble), Eq. (data-gram).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch
from torch import Tensor

from rnnmft.errors import ParameterError
from rnnmft.language import Inputs
from rnnmft.simulation.weights import standard_normals

__all__ = ["InputSequence", "standard_pairs", "temporal_factor"]

# A pivot this small is zero up to rounding (5000 eps of kappa(0) = 1, for as many subtractions):
# kappa is degenerate there (as a cosine is).
_PIVOT = 1e-12
# What a wrongly dropped or negative pivot may leave in kappa: |rest_ij| <= sqrt(rest_ii rest_jj),
# which is sqrt(_PIVOT) = 1e-6 at worst, and a factor of 2.
_RESIDUAL = 2e-6


def temporal_factor(inputs: Inputs, length: int) -> np.ndarray:
    """Lower-triangular L (length, length) with L L^T = kappa(t - s); zero columns where singular.

    Raises:
        ParameterError: kappa is not positive semidefinite over that length.
    """
    lags = np.arange(length)
    kappa = np.array([inputs.kappa(int(lag)) for lag in lags])
    covariance = kappa[np.abs(lags[:, None] - lags[None, :])]
    factor = np.zeros_like(covariance)
    rest = covariance.copy()
    for j in range(length):
        pivot = rest[j, j]
        if pivot > _PIVOT:
            factor[j:, j] = rest[j:, j] / sqrt(pivot)
            rest[j:, j:] -= np.outer(factor[j:, j], factor[j:, j])
    if length and np.abs(factor @ factor.T - covariance).max() > _RESIDUAL:
        raise ParameterError(
            "temporal must be a positive semidefinite autocorrelation; it is not one over "
            f"{length} steps"
        )
    return factor


def standard_pairs(
    generators: list[torch.Generator], width: int, correlation: float, dtype: torch.dtype
) -> Tensor:
    """N(0, 1) numbers of two trajectories with that correlation, (networks, 2, width)."""
    drawn, c = standard_normals(generators, (2, width), dtype), correlation
    drawn[:, 1] = c * drawn[:, 0] + sqrt(max(0.0, 1.0 - c * c)) * drawn[:, 1]
    return drawn


class InputSequence:
    """The inputs of many networks, step after step.

    Args:
        inputs: their law.
        length: how many steps there will be at most.
        generators: one a network.
        width: N_in.
        dtype: of the result.
        embedded: whether data is mixed by a random matrix, as an elementwise input needs it.

    Attributes:
        innovations: {step: the independent numbers drawn there}, those that are still needed.
    """

    def __init__(
        self,
        inputs: Inputs,
        length: int,
        generators: list[torch.Generator],
        width: int,
        dtype: torch.dtype,
        embedded: bool = False,
    ) -> None:
        self.inputs, self.generators = inputs, generators
        self.width, self.dtype = width, dtype
        self._step = 0
        self.innovations: dict[int, Tensor] = {}
        self._factor: np.ndarray | None = None
        self._data = None if inputs.data is None else self._read(inputs.data.paths, embedded)
        if not isinstance(inputs.temporal, str):
            self._factor = temporal_factor(inputs, length)

    def advance(self) -> Tensor:
        """x^t of shape (networks, 2, N_in): trajectories a and b; then t goes on by one."""
        t = self._step
        self._step += 1
        if self._data is not None:
            return self._data[:, :, t].contiguous()
        if self._factor is None:
            if self.inputs.temporal == "white":
                return self._draw()
            return self._innovation(0)
        row = self._factor[t]
        shape = (len(self.generators), 2, self.width)
        x = torch.zeros(shape, dtype=self.dtype, device=self.generators[0].device)
        for j in np.flatnonzero(row):
            x.add_(self._innovation(int(j)), alpha=float(row[j]))
        for j in [j for j in self.innovations if not self._factor[t + 1 :, j].any()]:
            del self.innovations[j]
        return x

    def _read(self, paths: np.ndarray, embedded: bool) -> Tensor:
        """The data as every network reads it, (networks, 2, T, N_in)."""
        device, features = self.generators[0].device, paths.shape[2]
        data = torch.as_tensor(np.array(paths), dtype=self.dtype, device=device)
        data = data.expand(len(self.generators), -1, -1, -1)
        if not embedded:
            return data
        shape = (features, self.width)
        embedding = standard_normals(self.generators, shape, self.dtype) / sqrt(features)
        return torch.einsum("natf,nfi->nati", data, embedding)

    def _innovation(self, j: int) -> Tensor:
        if j not in self.innovations:
            self.innovations[j] = self._draw()
        return self.innovations[j]

    def _draw(self) -> Tensor:
        c = self.inputs.correlation
        drawn = standard_pairs(self.generators, self.width, c, self.dtype)
        return drawn.mul_(sqrt(self.inputs.R))
