"""What drives a unit from outside: a Gaussian signal on one or two trajectories.

    E[x^t x^s] = kappa(t - s),    E[x^{t,a} x^{s,b}] = c kappa(t - s)

White: fresh numbers at every step. Constant: one number a unit, for ever. Any other kappa, which
ends after L lags: a moving average of the last L fresh numbers, whose weights are the rows of the
Cholesky factor of kappa's banded Toeplitz matrix. Data: any Gram matrix over time, as a factor of
it times numbers that stay, E[x^{t,a} x^{s,b}] = K_ab(t, s) / R. Nothing of it is estimated from
units.

Eq. (ensemble), Eq. (data-gram).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.language import Inputs

__all__ = ["DataSignal", "InputSignal", "MovingAverage", "Signal", "input_covariance"]

Tensor = torch.Tensor


class Signal(Protocol):
    """A signal of mean second moment 1; a call is a step."""

    def __call__(self) -> Tensor:
        """The signal of the next step, (R, sides, M)."""
        ...


def input_covariance(inputs: Inputs, step: int, sides: int) -> NDArray[np.float64]:
    """E[x_a x_b] / R of the trajectories at a step, (sides, sides).

    >>> input_covariance(Inputs(correlation=0.5), 0, 2).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    if inputs.data is None:
        c = inputs.correlation
        return c + (1.0 - c) * np.eye(sides)
    return inputs.data.gram[:sides, :sides, step, step] / (inputs.R or 1.0)


class MovingAverage:
    """Weights l_tj of x^t = sum_j l_tj z_j with E[x^t x^s] = kappa(t - s), z_j independent.

    Row by row, l_tj = (kappa(t - j) - sum_{m < j} l_tm l_jm) / l_jj: zero but for the last L.

    >>> [[round(float(w), 6) for w in row] for row in map(MovingAverage((1.0, 0.6)).row, range(2))]
    [[1.0], [0.6, 0.8]]
    """

    def __init__(self, kappa: tuple[float, ...]) -> None:
        self.kappa = kappa
        self._rows: list[NDArray[np.float64]] = []

    def row(self, t: int) -> NDArray[np.float64]:
        """The weights of step t over the last min(t + 1, L) numbers, oldest first."""
        while len(self._rows) <= t:
            self._rows.append(self._next())
        return self._rows[t]

    def _next(self) -> NDArray[np.float64]:
        t = len(self._rows)
        first = max(0, t + 1 - len(self.kappa))
        row = np.zeros(t + 1 - first)
        for j in range(first, t):
            before = self._rows[j]
            start = j + 1 - len(before)  # the number of the first weight of row j
            shared = max(start, first)
            known = row[shared - first : j - first] @ before[shared - start : -1]
            row[j - first] = (self.kappa[t - j] - known) / before[-1]
        # What is new in x^t has a variance of exp(mean log of kappa's spectrum) or more (Szego),
        # which a kappa of finitely many lags keeps above 0; one that is no autocorrelation is
        # refused before.
        row[-1] = math.sqrt(max(1.0 - float(row[:-1] @ row[:-1]), np.finfo(float).tiny))
        return row


class InputSignal:
    """One signal of unit variance for every unit; a call is a step.

    Args:
        inputs: kappa and the correlation of two trajectories.
        normals: (count) -> independent standard normal numbers, (R, count, M).
        sides: how many trajectories it drives.
        average: the weights of a kappa that is neither white nor constant, shared by signals.
    """

    def __init__(
        self,
        inputs: Inputs,
        normals: Callable[[int], Tensor],
        sides: int,
        average: MovingAverage | None = None,
    ) -> None:
        self.inputs, self.sides = inputs, sides
        self._normals, self._average = normals, average
        length = len(average.kappa) if average is not None else 1
        self._past: deque[Tensor] = deque(maxlen=length)
        self._time = -1

    def __call__(self) -> Tensor:
        """The signal of the next step, (R, sides, M)."""
        self._time += 1
        if self.inputs.temporal != "constant" or not self._past:
            self._past.append(self._correlated(self._normals(self.sides)))
        if self._average is None:
            return self._past[-1]
        weights = self._average.row(self._time)
        total = torch.zeros_like(self._past[-1])
        for weight, numbers in zip(weights.tolist(), self._past, strict=True):
            total.add_(numbers, alpha=weight)
        return total

    def _correlated(self, numbers: Tensor) -> Tensor:
        """Independent rows (R, sides, M) mixed so that two trajectories have correlation c."""
        if self.sides == 1:
            return numbers
        c = self.inputs.correlation
        second = c * numbers[:, :1] + math.sqrt(1.0 - c * c) * numbers[:, 1:]
        return torch.cat([numbers[:, :1], second], 1)


class DataSignal:
    """V x / (sigma_v sqrt(R)) of data, for every unit; a call is a step.

    Args:
        inputs: with their data.
        normals: (count) -> independent standard normal numbers, (R, count, M).
        sides: how many trajectories it drives.
    """

    def __init__(self, inputs: Inputs, normals: Callable[[int], Tensor], sides: int) -> None:
        assert inputs.data is not None
        paths = inputs.data.paths[:sides] / math.sqrt(
            (inputs.R or 1.0) * inputs.data.paths.shape[2]
        )
        self._numbers = normals(paths.shape[2]).clone()
        self._paths = torch.as_tensor(paths).to(self._numbers)
        self._time = -1

    def __call__(self) -> Tensor:
        """The signal of the next step, (R, sides, M)."""
        self._time += 1
        return torch.einsum("pf,rfm->rpm", self._paths[:, self._time], self._numbers)
