"""A round of perturbations against the same written as matrices over all steps of a ring.

States and their perturbations as linear functions of all inputs and of all perturbations of the
gate, h = H x and dh = sum_s Y_s de(s): second moments are then products of matrices. The gate has
no fresh part, so that a and b are numbers at every step.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from rnnmft import cells
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.gate_paths import GatePaths
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.linear_cell import GateAverages
from rnnmft.solvers.conditional.perturbations import Past, PerturbationRounds
from rnnmft.solvers.conditional.settling import Iteration, SettledGate, moving_sum

BACKEND = torch_backend("cpu", "float64")
STEPS, LAST, MU, SCALE, GROWTH = 64, 16, -2.0, 3.0, 0.1


def made(near, kernel_of, mu=MU, past=16):
    """What the package makes, what matrices make, and the lags."""
    averages = GateAverages(cells.minimal(), mu, 0.0, BACKEND)
    paths = GatePaths.drawn(LAST, 2, 2 * 3 * STEPS, 0, BACKEND)
    assert paths.steps == STEPS
    lags = torch.arange(LAST + 1, dtype=torch.float64)
    covariance = 0.8 * 0.5**lags
    moved = averages.transition(paths.with_covariance(covariance))
    variance, _ = moving_sum(moved.aa, moved.bb, STEPS)
    grid = LagGrid(LAST, near)
    of_each = covariance[:, None].expand(-1, 2)
    at = SettledGate(0.8, covariance / 0.8, variance, of_each)
    scale = torch.full((2,), SCALE, dtype=torch.float64)
    of = PerturbationRounds(paths, averages, grid, at, past, scale=scale, is_rough=True)
    kernel = kernel_of(np.array(grid.lags))
    found = of.round(torch.as_tensor(kernel), GROWTH)
    w = paths.with_covariance(covariance).numpy() + mu
    rows = [by_matrices(w[:, r, m], kernel_of) for r in range(2) for m in range(3)]
    return found.kernel.numpy(), np.mean(rows, 0)[grid.lags]


def by_matrices(e, kernel_of):
    """E[dh(t + l) dh(t)] over the ring, relative to its growth, for one path of the gate."""
    a, slope = expit(e), expit(e) * (1 - expit(e))
    k = math.exp(-GROWTH / 2)
    steps = np.arange(STEPS)
    h = np.zeros((STEPS, STEPS))
    for since in range(1, 30):  # h(t) from the inputs up to 29 steps before; a is small
        for t in steps:
            between = [(t - n) % STEPS for n in range(1, since)]
            h[t, (t - since) % STEPS] += np.prod(a[between]) * (1 - a[(t - since) % STEPS])
    force = slope[:, None] * (h - np.eye(STEPS))  # a' h + b' x, b = 1 - a
    apart = np.abs(steps[:, None] - steps)
    apart = np.minimum(apart, STEPS - apart)
    drawn = np.where(apart <= LAST, kernel_of(apart), 0.0)
    y = SCALE * (force @ force.T) * drawn
    g = np.zeros((STEPS, STEPS))
    for since in range(1, 30):
        for t in steps:
            between = [(t - n) % STEPS for n in range(1, since)]
            g[t, (t - since) % STEPS] += k**since * np.prod(a[between])
    d = g @ y @ g.T
    return np.array([np.mean(d[(steps + lag) % STEPS, steps]) for lag in range(LAST + 1)])


def short(lags):
    return np.where(np.asarray(lags) < 12, 0.6 ** np.asarray(lags, float), 0.0)


def test_a_round_is_what_matrices_make():
    found, wanted = made(LAST, short)
    assert found == pytest.approx(wanted, abs=2e-4 * wanted[0])
    # The control: one lag of the covariance counted 5 % more.
    moved, _ = made(LAST, lambda lags: short(lags) * np.where(np.asarray(lags) == 1, 1.05, 1.0))
    assert np.abs(moved - wanted).max() > 2e-4 * wanted[0]


def test_blocks_of_steps_make_the_same_of_a_smooth_covariance():
    def smooth(lags):
        return np.exp(-((np.asarray(lags, float) / 8.0) ** 2))

    found, wanted = made(4, smooth)
    assert found == pytest.approx(wanted, abs=0.01 * wanted[0])


def test_the_past_is_continued_as_it_falls_off():
    """Two steps known, the rest of a geometric series by its ratio."""
    steps = torch.tensor([1.0 + 0.5, 1.0 + 0.5], dtype=torch.float64)
    past = Past(steps, steps * 0.25, steps * 0.25**2)
    assert past.ratio() == 0.25
    assert past.total() == pytest.approx(2.0)
    assert past.total(0) == pytest.approx(2.0)
    growing = Past(steps, steps, 2 * steps)
    assert growing.total() == math.inf
    nothing = Past(steps, 0 * steps, 0 * steps)
    assert nothing.total() == pytest.approx(1.5)


def test_more_of_the_past_makes_no_difference_once_it_is_forgotten():
    few, _ = made(LAST, short, mu=-1.0, past=8)
    many, _ = made(LAST, short, mu=-1.0, past=16)
    assert few == pytest.approx(many, rel=1e-3)


def test_as_much_of_the_past_is_summed_as_paths_can_tell():
    averages = GateAverages(cells.minimal(), 1.0, 0.5, BACKEND)
    iteration, steps = Iteration(averages, LagGrid(64, 8), 0.5), []
    for total in (1 << 12, 1 << 18):
        paths = GatePaths.drawn(64, 4, total, 0, BACKEND)
        at = iteration.settle(paths)
        assert at is not None
        steps.append(PerturbationRounds(paths, averages, iteration.grid, at).past)
    assert 2 <= steps[0] < steps[1] <= 32


def test_one_repetition_can_be_replaced():
    one, two = (torch.tensor([1.0, 2.0]) * k for k in (1.0, 10.0))
    past = Past(one, 2 * one, 3 * one).replaced(Past(two, 2 * two, 3 * two), 1)
    assert past.known.tolist() == [1.0, 20.0]
    assert past.following.tolist() == [2.0, 40.0]
    assert past.further.tolist() == [3.0, 60.0]


def test_without_its_kernel_a_round_says_the_same_of_the_past():
    averages = GateAverages(cells.minimal(), 1.0, 0.5, BACKEND)
    iteration = Iteration(averages, LagGrid(32, 8), 0.5)
    paths = GatePaths.drawn(32, 4, 1 << 12, 0, BACKEND)
    at = iteration.settle(paths)
    assert at is not None
    rounds = PerturbationRounds(paths, averages, iteration.grid, at)
    kernel = 0.5 ** torch.tensor(iteration.grid.lags, dtype=torch.float64)
    whole, part = (rounds.round(kernel, 0.1, with_kernel=k) for k in (True, False))
    assert torch.equal(whole.past.known, part.past.known)
    assert torch.equal(whole.kernel[:1], part.kernel)
    assert len(whole.kernel) == len(kernel)
