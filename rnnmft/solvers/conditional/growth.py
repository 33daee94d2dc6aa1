"""The growth rate at which perturbations are the same again after a round.

A round at growth g multiplies their leading covariance by lambda(g), which falls with g:
lambda(g) = 1 is looked for. Next to a rate at which the state alone keeps perturbations, lambda has
a pole there, and 1 / lambda is nearly straight: that is what Newton's steps go by, between the
bounds that are known. Each step is a round, so that covariance and rate come to rest together.

The standard error is that of a jackknife over repetitions. The sum over the past was continued:
half as many steps tell by how much that may be wrong.

Eq. (given-gate-growth).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.solvers.conditional.perturbations import Past, PerturbationRound, PerturbationRounds
from rnnmft.units.repetitions import calibrated_error

__all__ = ["RoundsRate", "solve"]

Tensor = torch.Tensor
# Rounds at most, and of a search that begins near; the slope is measured at each of the first of
# them, and at every fourth of the rest.
_MOST_ROUNDS, _MOST_OF_NEAR, _WITH_SLOPE, _THEN_EVERY = 40, 12, 6, 4
# Relative to the growth that a covariance of so many lags can have (`_scale`): the step of a
# measured slope, and the most that a step may go.
_STEP, _STRIDE = 0.02, 0.3
# What half the steps of the past leave, half as many again leave of that: a third is taken, as
# where each leaves half.
_LEFT_OF_HALF = 1 / 3
# A slope known from a part of the paths serves where lambda is as close to 1 as this.
_CLOSE = 0.2


@dataclass(frozen=True)
class RoundsRate:
    """A growth rate per step of mean squares.

    Attributes:
        value: g.
        noise: its standard error.
        bias: what few repetitions may bias it by.
        off: by how much the sum over the past may be wrong, and what was left of Newton's way.
        slope: d(1 / lambda) / dg.
        kernel: the covariance of perturbations at g, 1 at lag 0.
        each: the rate of each repetition (as the jackknife has it), relative to that of all.
    """

    value: float
    noise: float
    bias: float
    off: float
    slope: float
    kernel: Tensor
    each: NDArray[np.float64]


def solve(
    of: PerturbationRounds, resolution: float, near: RoundsRate | None = None
) -> RoundsRate | None:
    """The rate.

    Args:
        of: the stationary state's perturbations.
        resolution: how well the rate shall be known, beside its noise.
        near: what a part of the same paths told, to begin with.

    Returns:
        None if the search comes to no end.
    """
    stride = _STRIDE * _scale(of)
    if near is None:
        growth, kernel, slope = of.without_memory(), _first_kernel(of), 0.0
    else:
        growth, kernel, slope = near.value, near.kernel, near.slope
    low, high = -math.inf, math.inf
    last: _Step | None = None
    for count in range(_MOST_ROUNDS if near is None else _MOST_OF_NEAR):
        made = of.round(kernel, growth)
        excess = _inverse(made.past, kernel) - 1.0
        if not -1.0 < excess < math.inf:
            # Below the pole: nothing is known but that.
            low, new = growth, growth + stride
        else:
            low, high = (low, growth) if excess > 0.0 else (growth, high)
            due = count < _WITH_SLOPE or count % _THEN_EVERY == 0
            if due and (near is None or abs(excess) > _CLOSE):
                slope = _slope(of, kernel, growth, excess, _STEP * _scale(of))
            new = growth + min(max(-excess / slope, -stride), stride)
            last = _Step(made, kernel, slope, of.past)
            kernel = made.kernel / made.kernel[0]
            if count > 0 and abs(new - growth) <= resolution:
                return last.rate(new, abs(new - growth), kernel)
        if count > 1 and not low < new < high:
            new = (low + high) / 2 if math.isfinite(low + high) else new
        if last is not None and high - low <= 2 * resolution:
            return last.at_pole((low + high) / 2, (high - low) / 2, kernel)
        growth = new
    return None


def _slope(
    of: PerturbationRounds, kernel: Tensor, growth: float, excess: float, step: float
) -> float:
    """d(1 / lambda) / dg, from what it is a little higher; a round is one step at least."""
    made = of.round(kernel, growth + step, with_kernel=False)
    ahead = _inverse(made.past, kernel) - 1.0
    return max((ahead - excess) / step, 1.0 + excess)


@dataclass(frozen=True)
class _Step:
    """The last round that told a lambda, of which covariance, the slope there, and its steps."""

    made: PerturbationRound
    kernel: Tensor
    slope: float
    past: int

    def rate(self, value: float, left: float, eigen: Tensor) -> RoundsRate:
        """Where lambda is 1; `left`: of the way."""
        count = len(self.made.past.known)
        each = np.array([_inverse(self.made.past, self.kernel, i) for i in range(count)])
        made, kernel = self.made, self.kernel
        whole, half = (-_inverse(past, kernel) / self.slope for past in (made.past, made.shorter))
        off = math.hypot(_LEFT_OF_HALF * (half - whole), left)
        return self._told(value, off, eigen, whole, -each / self.slope)

    def at_pole(self, value: float, left: float, eigen: Tensor) -> RoundsRate | None:
        """Where lambda is 1 next to its pole, which is as noisy as the sum over the past falls."""
        past = self.made.past
        ratios = np.array([past.ratio(i) for i in (None, *range(len(past.known)))])
        if not (ratios > 0.0).all():
            return None
        whole, *each = np.log(ratios) / self.past
        return self._told(value, left, eigen, float(whole), np.array(each))

    def _told(
        self, value: float, off: float, eigen: Tensor, whole: float, each: NDArray[np.float64]
    ) -> RoundsRate:
        """With the jackknife's noise, and its own estimate of the bias of few repetitions."""
        count = len(each)
        noise = math.sqrt((count - 1) / count * float(((each - each.mean()) ** 2).sum()))
        noise = float(calibrated_error(np.array(noise), count))
        bias = (count - 1) * (float(each.mean()) - whole)
        single = (count - 1) * (each.mean() - each)
        return RoundsRate(value, noise, abs(bias), off, self.slope, eigen, single)


def _scale(of: PerturbationRounds) -> float:
    """16 over the last lag, 1 at most: rates of slow states are small."""
    return min(1.0, 16.0 / of.grid.last)


def _first_kernel(of: PerturbationRounds) -> Tensor:
    """Falling to e^-6 at the last lag."""
    lags = torch.tensor(of.grid.lags, dtype=torch.float32)
    return torch.exp(-6.0 * lags / of.grid.last)


def _inverse(past: Past, kernel: Tensor, without: int | None = None) -> float:
    """1 / lambda; 0 below the pole."""
    return float(kernel[0]) / past.total(without)
