"""Paths of W h: stationary Gaussian processes on a ring of T steps.

On a ring a covariance that ends before half of it is diagonal in frequency: a path is a Fourier
sum whose coefficients are independent, of the covariance's own spectrum. All T steps of a path are
stationary from the first one on, and an average over them is one over T starts. The same numbers
serve every covariance, so that what is averaged is a smooth function of it.

Eq. (gate-paths).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rnnmft.numerics.backend import Backend

__all__ = ["GatePaths", "later", "wrapped"]

Tensor = torch.Tensor
# Steps of the ring for each lag of a covariance that may differ from 0: what is kept of a step must
# be forgotten when the ring closes. No fewer than so many in all.
_RING, _SHORTEST = 2, 64


@dataclass(frozen=True)
class GatePaths:
    """The random numbers of R repetitions of some paths.

    Attributes:
        numbers: complex Fourier coefficients of white noise of variance 1, (T / 2 + 1, R, M).
        steps: T.
    """

    numbers: Tensor
    steps: int

    @classmethod
    def drawn(
        cls, last_lag: int, repetitions: int, total: int, seed: int, backend: Backend
    ) -> GatePaths:
        """Paths for covariances up to a lag; `total` steps of all paths together (or one path).

        More of them are these and others.
        """
        steps = max(_SHORTEST, _RING * last_lag)
        paths = max(1, total // (repetitions * steps))
        generator = torch.Generator().manual_seed(seed)
        shape = (2, steps // 2 + 1, repetitions)
        each = [torch.randn(shape, generator=generator) for _ in range(paths)]
        real, imaginary = torch.stack(each, -1).double()
        ends = [0, -1]
        # Two real coefficients stand alone; of the others each stands for two.
        numbers = torch.complex(real, imaginary) / math.sqrt(2.0)
        numbers[ends] = torch.complex(real[ends], torch.zeros_like(real[ends]))
        numbers = numbers * math.sqrt(steps)
        complex_type = torch.complex64 if backend.dtype == torch.float32 else torch.complex128
        return cls(numbers.to(complex_type).to(backend.device), steps)

    @property
    def repetitions(self) -> int:
        """R."""
        return self.numbers.shape[1]

    @property
    def total(self) -> int:
        """Steps of all paths together."""
        return self.steps * self.repetitions * self.numbers.shape[2]

    def some(self, repetitions: int, paths: int | None = None) -> GatePaths:
        """The first repetitions, and of each of them the first paths (or all)."""
        return GatePaths(self.numbers[:, :repetitions, :paths].contiguous(), self.steps)

    def with_covariance(self, covariance: Tensor) -> Tensor:
        """Paths (T, R, M) of a covariance (lags 0, 1, ..), which has ended at T / 2.

        That of every repetition may be another: (lags, R).

        A negative part of its spectrum, which is sampling noise, counts as none.
        """
        return self._filtered(self._power(covariance).sqrt())

    def running_sum(self, covariance: Tensor, kept: float) -> Tensor:
        """What paths of a covariance sum up to until each step, over its standard deviation.

        sum_n kept^n w(t - 1 - n), (T, R, M); the steps of the ring come round and round.
        """
        power = self._power(covariance)
        angles = (2.0 * math.pi / self.steps) * torch.arange(len(power)).to(power)[:, None]
        turns = torch.polar(torch.ones_like(angles), -angles)
        gain = turns / (1.0 - kept * turns)
        variance = torch.fft.irfft(power * gain.abs().square(), n=self.steps, dim=0)[0]
        return self._filtered(power.sqrt() * gain / variance.sqrt())

    def _power(self, covariance: Tensor) -> Tensor:
        """Its spectrum, (T / 2 + 1, R) or (T / 2 + 1, 1)."""
        covariance = covariance if covariance.ndim > 1 else covariance[:, None]
        ring = covariance.new_zeros((self.steps, covariance.shape[1]))
        ring[: len(covariance)] = covariance
        ring[self.steps + 1 - len(covariance) :] = covariance[1:].flip(0)
        return torch.fft.rfft(ring, dim=0).real.clamp_min(0.0)

    def _filtered(self, gain: Tensor) -> Tensor:
        return torch.fft.irfft(gain[:, :, None] * self.numbers, n=self.steps, dim=0)


def later(x: Tensor, steps: int) -> Tensor:
    """x(t - steps) on the ring: what was at t is seen `steps` later."""
    cut = -steps % len(x)
    return torch.cat([x[cut:], x[:cut]]) if cut else x


def wrapped(x: Tensor) -> Tensor:
    """Two rounds of the ring: a slice from s on is x(t + s)."""
    return torch.cat([x, x])
