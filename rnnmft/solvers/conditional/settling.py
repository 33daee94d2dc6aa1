"""The stationary state whose W h has a given variance s^2: paths from it, and it from the paths.

Given the gates, with v the variance of h over that of x,

    v(t + 1) = <a^2> v + <b^2>,      Cov(h(t + l), h(t)) / R = v(t) <a>(t) .. <a>(t + l - 1).

The weights that such a state needs follow from it, sigma_w^2 = s^2 / (R E[v]). What is found by
iteration is the shape of the covariance alone, which few rounds do: at given sigma_w the variance
itself returns slowly next to a jump from one state to another, and moves far with any chance; at
given s there is one state, and it moves little.

All repetitions share one shape. What chance does to a round is the deviation of each repetition;
the end of the iteration is off by more, by what comes back of that.

Eq. (given-gate-covariance), Eq. (given-gate-noise).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from rnnmft.deadline import check_deadline
from rnnmft.solvers.conditional.controlled_means import ControlledMeans, PlainMeans
from rnnmft.solvers.conditional.gate_paths import GatePaths, later, wrapped
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.linear_cell import GateAverages

__all__ = ["Iteration", "SettledGate", "kept_of", "lag_means", "moving_sum", "small_part"]

Tensor = torch.Tensor
# A shape, 1 at lag 0, that a round changes by no more than this is the end; after so many rounds
# a state is given up: two or three leave a tenth of a change, where it is slowest.
_UNCHANGED, _MOST_ROUNDS = 5e-4, 40
# A variance of h over that of x that only a state without bounds has.
_HUGE = 1e12
# Every so many rounds the way that is left is gone at once, as of steps that shrink by no more than
# this.
_AHEAD_EVERY, _SLOWEST = 4, 0.9
# A covariance that after some rounds has not fallen to this at the last lag is in need of more.
_EARLY, _FAR_FROM_ENDED = 3, 0.02
# Rounds after which what comes back of a change is hardly more: a half to the fifth, at most.
_TURNS = 4


@dataclass(frozen=True)
class SettledGate:
    """A stationary state.

    Attributes:
        size: s^2, the variance of W h.
        shape: of its covariance at lags 0, 1, ..: 1 at lag 0. (lags,), or (lags, R) where that of
            each repetition is another.
        variance: v at every step of the paths, (T, R, M).
        covariances: of h, relative to R, that each repetition makes of it, (lags, R).
        kept: what is left of a variance after all steps of a path, on average (`kept_of`).
    """

    size: float
    shape: Tensor
    variance: Tensor
    covariances: Tensor
    kept: float = 0.0

    @property
    def covariance(self) -> Tensor:
        """Of W h."""
        return self.size * self.shape

    @property
    def moments(self) -> Tensor:
        """E[v] of each repetition, (R,)."""
        return self.covariances[0]

    @property
    def shapes(self) -> Tensor:
        """What each repetition makes of the shape, (lags, R)."""
        return self.covariances / self.moments

    @property
    def deviation(self) -> Tensor:
        """Of each repetition from the shape, as far as it moves the mean, (lags, R)."""
        return (self.covariances - self.shape[:, None] * self.moments) / self.moments.mean()

    def of_some(self, paths: GatePaths) -> SettledGate:
        """On the first paths of the first repetitions alone; what all say of it stays."""
        _, repetitions, each = paths.numbers.shape
        return replace(self, variance=self.variance[:, :repetitions, :each].contiguous())

    @property
    def scale(self) -> float:
        """sigma_w^2 R."""
        return self.size / float(self.moments.double().mean())

    @property
    def end(self) -> float:
        """The shape at the last lag, or what is kept, where that is more."""
        return max(abs(float(self.shape[-1])), self.kept)


@dataclass(frozen=True)
class Iteration:
    """The iteration at one variance.

    Attributes:
        averages: of the cell.
        grid: the lags at which the covariance is measured.
        size: s^2.
    """

    averages: GateAverages
    grid: LagGrid
    size: float

    def at(self, paths: GatePaths, shape: Tensor) -> SettledGate:
        """What a round makes of a shape."""
        check_deadline()
        w = paths.with_covariance(self.size * shape)
        moved = self.averages.transition(w)
        variance, _ = moving_sum(moved.aa, moved.bb, paths.steps)
        means = ControlledMeans(paths, self.size * shape, float(moved.aa.mean()))
        covariances = self.grid.at_all_lags(lag_means(variance, moved.a, self.grid, means))
        return SettledGate(self.size, shape, variance, covariances)

    def settle(
        self, paths: GatePaths, shape: Tensor | None = None, *, until_short: bool = False
    ) -> SettledGate | None:
        """The state.

        Args:
            paths: its random numbers.
            shape: nearly its own, to begin with; no memory when absent.
            until_short: whether to end as soon as the lags are seen to be too few.

        Returns:
            None if there is none, or if it is not found soon.
        """
        if shape is None:
            shape = paths.numbers.real.new_zeros(self.grid.last + 1)
            shape[0] = 1.0
        last = torch.zeros_like(shape)
        for count in range(1, _MOST_ROUNDS):
            mean = self.at(paths, shape).covariances.mean(1)
            if not 0.0 < float(mean[0]) < _HUGE or not bool(torch.isfinite(mean).all()):
                return None
            step = mean / mean[0] - shape
            shape = shape + step
            is_short = count >= _EARLY and abs(float(shape[-1])) > _FAR_FROM_ENDED
            if (until_short and is_short) or float(step.abs().max()) <= _UNCHANGED:
                return replace(self.at(paths, shape), kept=self._kept(paths, shape))
            if count % _AHEAD_EVERY == 0:
                shape = shape + step * _to_come(step, last)
            last = step
        return None

    def _kept(self, paths: GatePaths, shape: Tensor) -> float:
        w = paths.with_covariance(self.size * shape)
        return kept_of(self.averages.transition(w).aa, paths.steps)

    def answer(self, paths: GatePaths, at: SettledGate, deviation: Tensor) -> Tensor:
        """How far each repetition, were it all there is, would move the shape, (lags, R).

        y = deviation + J y, J the change of a round with the shape. It is measured with changes as
        small as what all repetitions have of chance.
        """
        found, part = deviation, small_part(paths)
        for _ in range(_TURNS):
            moved = self.at(paths, at.shape[:, None] + part * found)
            found = deviation + (moved.shapes - at.shapes) / part
        return found


def kept_of(aa: Tensor, steps: int) -> float:
    """What is left of a variance after so many steps: the most that any number of them says.

    E[a^2 .. a^2]^(steps / n) over n steps. Long products are decided by rare paths, which few paths
    lack; short ones do not know how gates are correlated. A state whose variance has no bound keeps
    all of it in one of these.
    """
    product, reach, logs = aa, 1, [-math.inf]
    while reach < steps:
        mean = float(product.double().mean())
        logs.append(math.log(mean) * (steps / reach) if mean > 0.0 else -math.inf)
        product, reach = product * later(product, reach), 2 * reach
    return math.exp(min(max(logs), 0.0))


def small_part(paths: GatePaths) -> float:
    """Of a repetition's deviation: as much as all of them have."""
    return 1.0 / math.sqrt(paths.repetitions)


def _to_come(step: Tensor, last: Tensor) -> float:
    """What follows a step, in terms of it, where steps go on to shrink as the last one did.

    Aitken's extrapolation along the slowest direction.
    """
    size = float(last.square().sum())
    ratio = float(step @ last) / size if size > 0.0 else 0.0
    ratio = min(max(ratio, 0.0), _SLOWEST)
    return ratio / (1.0 - ratio)


def lag_means(first: Tensor, factor: Tensor, grid: LagGrid, means: PlainMeans) -> Tensor:
    """E[first(t) factor(t) .. factor(t + l - 1)] at the lags l of a grid, (K + 1, R)."""
    value, over, product = first, 1, factor
    ring = wrapped(product)
    found = [means.of(value)]
    for lag, step in zip(grid.lags, grid.steps, strict=False):
        while over < step:
            product = product * later(product, -over)
            ring, over = wrapped(product), 2 * over
        at = lag % len(first)
        value = value * ring[at : at + len(first)]
        found.append(means.of(value))
    return torch.stack(found)


def moving_sum(factor: Tensor, added: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """What f(t + 1) = factor f + added makes in so many steps (a power of 2), and their product.

    Every second of them twice as far: log2 of the steps are taken.
    """
    total, product, reach = later(added, 1), later(factor, 1), 1
    while reach < steps:
        total = torch.addcmul(total, product, later(total, reach))
        product = product * later(product, reach)
        reach *= 2
    return total, product
