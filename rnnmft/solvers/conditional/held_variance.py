"""A stationary state of given variance of W h: the weights it needs and its growth, with noise.

A part of the paths finds out how long covariances are, all of them the state and the weights. That
part then tells the growth, which takes ten times as long, and of which a few repetitions tell
nearly what it is. What each repetition has of chance moves the shape of the covariance, the weights
and the rate together: their standard errors and covariance are those over repetitions.

Eq. (given-gate-covariance), Eq. (given-gate-growth), Eq. (given-gate-noise).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.numerics.backend import Backend
from rnnmft.solvers.conditional.gate_paths import GatePaths
from rnnmft.solvers.conditional.growth import RoundsRate, solve
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.linear_cell import GateAverages
from rnnmft.solvers.conditional.perturbations import Past, PerturbationRounds
from rnnmft.solvers.conditional.settling import Iteration, SettledGate, small_part

__all__ = ["HeldVariance", "Weights", "needed_weights", "solve_held"]

Array = NDArray[np.float64]
Tensor = torch.Tensor
# Lags of the shortest and the longest covariance; all of the first of them are there.
SHORTEST, _LONGEST, _NEAR = 16, 8192, 8
# A shape has ended where it is this part of itself, and a covariance of perturbations where the
# last lags change the rate by no more than this part of what is asked.
_ENDED, _UNIMPORTANT, _LAST_LAGS = 2e-3, 0.1, 0.7
# And where only weights are asked for, roughly.
_ENDED_ROUGHLY = 1e-2
# Repetitions, those that look ahead at a rate, and those that tell weights roughly.
_REPETITIONS, _FEW, _SOME = 16, 2, 4
# Steps of all paths for a lag, at least, so that a repetition has a path. Weights take a tenth of
# the time and decide where a state jumps: they have so many times as many as growth, and as many as
# these at most (a thread takes some 100 bytes for each).
_FOR_A_LAG, _FOR_WEIGHTS, _MOST_STEPS = 2 * _REPETITIONS, 8, 1 << 21


@dataclass(frozen=True)
class Weights:
    """What a state needs: log sigma_w^2 R, and the lags over which it is correlated."""

    log_scale: float
    lags: int


@dataclass(frozen=True)
class HeldVariance:
    """A state with a variance of W h.

    Attributes:
        log_scale: log of the sigma_w^2 R that it needs.
        growth: of mean squared gradients, per step.
        covariance: of the noise of these two, (2, 2).
        steps: of all paths that each of them is averaged over.
    """

    log_scale: float
    growth: float
    covariance: Array
    steps: tuple[int, int]


def needed_weights(
    averages: GateAverages, variance: float, steps: int, seed: int, backend: Backend, lags: int
) -> Weights | None:
    """Roughly what weights a state needs, from few paths; None where there is none."""
    while lags <= _LONGEST:
        iteration = Iteration(averages, LagGrid(lags, _NEAR), variance)
        total = max(steps, 2 * _SOME * lags)
        settled = iteration.settle(
            GatePaths.drawn(lags, _SOME, total, seed, backend), until_short=True
        )
        if settled is None:
            return None
        if settled.end <= _ENDED_ROUGHLY:
            return Weights(math.log(settled.scale), lags)
        lags *= 2
    return None


def solve_held(
    averages: GateAverages,
    variance: float,
    steps: int,
    seed: int,
    backend: Backend,
    resolution: float,
    lags: int = SHORTEST,
    times: int = 1,
) -> HeldVariance | None:
    """The state.

    Args:
        averages: of the cell.
        variance: of W h.
        steps: of all paths together that growth is averaged over, at least.
        seed: of their numbers.
        backend: torch.
        resolution: what may be left of a rate's search.
        lags: over which covariances are thought to reach.
        times: how many times as many steps as usual tell the weights.

    Returns:
        None where there is no such state, or its memory is too long.
    """
    while lags <= _LONGEST:
        least = max(steps, _FOR_A_LAG * lags)
        total = max(least, min(times * _FOR_WEIGHTS * steps, _MOST_STEPS))
        paths = GatePaths.drawn(lags, _REPETITIONS, total, seed, backend)
        iteration = Iteration(averages, LagGrid(lags, _NEAR), variance)
        part = paths.some(_REPETITIONS, max(1, paths.numbers.shape[2] * least // total))
        settled = iteration.settle(part, until_short=True)
        if settled is not None and settled.end <= _ENDED:
            settled = iteration.settle(paths, settled.shape)
        if settled is None:
            return None
        if settled.end <= _ENDED:
            near = _look_ahead(iteration, part, settled, resolution)
            if near is None:
                return None
            rate, past, is_complete = near
            if is_complete:
                return _found(iteration, (paths, part), settled, resolution, rate, past)
        lags *= 2
    return None


def _look_ahead(
    iteration: Iteration, paths: GatePaths, settled: SettledGate, resolution: float
) -> tuple[RoundsRate, int, bool] | None:
    """The rate of a few repetitions, the past they sum, and whether the lags are enough for it."""
    few = paths.some(_FEW)
    at = settled.of_some(few)
    rounds = PerturbationRounds(
        few, iteration.averages, iteration.grid, at, total=paths.total, is_rough=True
    )
    rate = solve(rounds, resolution)
    if rate is None:
        return None
    cut = rate.kernel.clone()
    lags = torch.tensor(rounds.grid.lags)
    cut[lags > _LAST_LAGS * rounds.grid.last] = 0.0
    missing = (_inverse(rounds, cut, rate) - _inverse(rounds, rate.kernel, rate)) / rate.slope
    return rate, rounds.past, abs(missing) <= _UNIMPORTANT * resolution


def _found(
    iteration: Iteration,
    of: tuple[GatePaths, GatePaths],
    settled: SettledGate,
    resolution: float,
    near: RoundsRate,
    past: int,
) -> HeldVariance | None:
    """What all repetitions tell; `of`: all paths, and those for growth."""
    every, paths = of
    rounds = PerturbationRounds(
        paths, iteration.averages, iteration.grid, settled.of_some(paths), past
    )
    rate = solve(rounds, resolution, near)
    if rate is None:
        return None
    small = small_part(paths)
    at = iteration.at(paths, settled.shape)
    answer = iteration.answer(paths, at, settled.deviation)
    moved = iteration.at(paths, settled.shape[:, None] + small * answer)
    own, here, back = (_array(v.moments) for v in (settled, at, moved))
    if min(map(np.min, (own, here, back))) <= 0.0:
        # Chance in the controls of a repetition is more than all of it.
        return None
    # More of the state takes less of the weights.
    scales = -(own / own.mean() - 1.0) - np.log(back / here) / small
    weights = settled.scale * torch.exp(small * torch.as_tensor(scales)).to(settled.shape)
    there = PerturbationRounds(
        paths, iteration.averages, iteration.grid, moved, past, scale=weights
    )
    rates = rate.each + _changes(rounds, there, rate) / small
    covariance = np.cov(scales, rates) / len(scales)
    covariance[1, 1] += rate.off**2 + rate.bias**2
    steps = every.total, paths.total
    return HeldVariance(math.log(settled.scale), rate.value, covariance, steps)


def _changes(here: PerturbationRounds, there: PerturbationRounds, rate: RoundsRate) -> Array:
    """Of the rate, if each repetition alone were all there is and went from here to there."""
    past, moved = (_past(rounds, rate.kernel, rate) for rounds in (here, there))
    count = len(past.known)
    first = float(rate.kernel[0])
    ends = np.array([first / past.replaced(moved, i).total() for i in range(count)])
    return -count * (ends - first / past.total()) / rate.slope


def _inverse(rounds: PerturbationRounds, kernel: Tensor, rate: RoundsRate) -> float:
    """1 / lambda at a rate."""
    return float(rate.kernel[0]) / _past(rounds, kernel, rate).total()


def _past(rounds: PerturbationRounds, kernel: Tensor, rate: RoundsRate) -> Past:
    return rounds.round(kernel, rate.value, with_kernel=False).past


def _array(values: Tensor) -> Array:
    return values.double().cpu().numpy()
