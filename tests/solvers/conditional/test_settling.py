"""Stationary covariances: sums against loops, and cells whose gate is not random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnmft import Cell, Input, Preactivation, State, cells, sigmoid
from rnnmft.deadline import deadline
from rnnmft.errors import OutOfTimeError
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.controlled_means import PlainMeans
from rnnmft.solvers.conditional.gate_paths import GatePaths
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.linear_cell import GateAverages
from rnnmft.solvers.conditional.settling import (
    Iteration,
    kept_of,
    lag_means,
    moving_sum,
    small_part,
)

BACKEND = torch_backend("cpu", "float64")
GRID = LagGrid(16, 4)


def random_ring(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((64, 2, 3), generator=generator, dtype=torch.float64)


def test_a_moving_sum_is_its_recursion():
    factor, added = 0.5 * random_ring(0), random_ring(1)
    total, product = moving_sum(factor, added, 16)
    f, p = torch.zeros_like(added[0]), torch.ones_like(added[0])
    for t in range(40 - 16, 40):
        f, p = added[t] + factor[t] * f, p * factor[t]
    assert torch.allclose(total[40], f, atol=1e-14)
    assert torch.allclose(product[40], p, atol=1e-14)


def test_lag_means_are_means_of_products():
    first, factor = random_ring(2), random_ring(3)
    found = lag_means(first, factor, GRID, PlainMeans())
    for i, lag in enumerate(GRID.lags):
        value = first.clone()
        for n in range(lag):
            value = value * factor.roll(-n, 0)
        assert torch.allclose(found[i], value.mean((0, 2)), atol=1e-14)


def settled(size, R=0.5, sigma_v=1.0, mu=0.0, seed=0, total=1 << 14, last=16, **options):
    """An iteration, its paths and what it comes to; `size`: the variance of W h."""
    averages = GateAverages(cells.minimal(), mu, sigma_v * R**0.5, BACKEND)
    paths = GatePaths.drawn(last, 8, total, seed, BACKEND)
    iteration = Iteration(averages, LagGrid(last, 4), size)
    return iteration, paths, iteration.settle(paths, **options)


def test_without_weights_the_gate_is_fresh_at_every_step():
    """v = <b^2> / (1 - <a^2>), sigma_w^2 R = s^2 / v, and a shape <a>^l."""
    iteration, _, found = settled(1e-6)
    moved = iteration.averages.transition(torch.zeros((), dtype=torch.float64))
    v = moved.bb / (1 - moved.aa)
    lags = torch.tensor(GRID.lags)
    assert found is not None
    assert torch.allclose(found.shape[lags], moved.a**lags, atol=1e-5)
    assert found.scale == pytest.approx(1e-6 / float(v), rel=1e-5)
    assert found.end == pytest.approx(float(moved.a) ** 16, abs=1e-5)


def test_what_it_comes_to_is_what_a_round_keeps():
    iteration, paths, found = settled(4.0)
    assert found is not None
    again = iteration.at(paths, found.shape)
    shape = again.covariances.mean(1) / again.moments.mean()
    assert (shape - found.shape).abs().max() <= 5e-4
    assert torch.equal(again.variance, found.variance)
    assert found.covariance[0] == 4.0
    # A start near it comes to the same, sooner.
    again = iteration.settle(paths, found.shape)
    assert again is not None
    assert (again.shape - found.shape).abs().max() <= 5e-4


def test_a_state_that_needs_fewer_weights_than_a_smaller_one_is_found():
    """Where a state jumps its variance is not a function of the weights; these are one of it."""
    needed = []
    for log_size in (1.0, 2.0, 3.2):
        *_, found = settled(np.exp(log_size), R=0.4616, sigma_v=1.39, mu=6.0, last=1024)
        assert found is not None
        needed.append(found.scale)
    assert needed[2] < needed[1] < needed[0]


def test_answers_are_how_far_other_paths_end():
    """The error that one set of paths tells of its weights, against sixteen others of them."""
    ends, errors, rough = [], [], []
    for seed in range(16):
        iteration, paths, found = settled(1.5, mu=5.0, seed=seed, total=1 << 15, last=256)
        assert found is not None
        part = small_part(paths)
        moved = iteration.at(
            paths, found.shape[:, None] + part * iteration.answer(paths, found, found.deviation)
        )
        own = found.moments / found.moments.mean() - 1.0
        each = own + torch.log(moved.moments / found.moments) / part
        ends.append(np.log(found.scale))
        errors.append(float(each.std()) / 8**0.5)
        rough.append(float(own.std()) / 8**0.5)
    spread = np.std(ends, ddof=1)
    # chi^2 with 15 degrees of freedom, one false alarm in 10^4 at either end.
    assert 0.45 < spread / np.sqrt(np.mean(np.square(errors))) < 1.75
    # The control: what does not come back of a change.
    assert spread / np.sqrt(np.mean(np.square(rough))) > 1.2


def test_states_without_bounds_are_not_found():
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    cell = Cell("growing", update={h: 2 * sigmoid(e) * h + x})
    iteration = Iteration(GateAverages(cell, 2.0, 1.0, BACKEND), GRID, 1.0)
    assert iteration.settle(GatePaths.drawn(16, 4, 1 << 12, 0, BACKEND)) is None


def test_what_no_path_forgets_has_not_ended():
    """<a^2> above 1 on average: the sum over a path is finite, and no state."""
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    cell = Cell("growing", update={h: 1.5 * sigmoid(e) * h + x})
    ends = []
    for size in (0.01, 100.0):
        iteration = Iteration(GateAverages(cell, -1.0, 1.0, BACKEND), GRID, size)
        found = iteration.settle(GatePaths.drawn(16, 4, 1 << 14, 0, BACKEND))
        ends.append(1.0 if found is None else found.end)
    assert ends[0] < 1e-2
    assert ends[1] == 1.0


def test_what_is_kept_is_what_short_products_say_where_long_ones_are_rare():
    rng = torch.Generator().manual_seed(0)
    shut = (torch.rand((256, 8), generator=rng) < 0.5).double()
    # Of 256 steps that are open no path is there: their mean is 1.2^256 all the same.
    assert kept_of(2.4 * shut, 256) == 1.0
    assert kept_of(1.6 * shut, 256) == pytest.approx(0.8**256, abs=1e-10)
    assert kept_of(torch.full((256, 8), 0.99), 256) == pytest.approx(0.99**256, rel=1e-4)


def test_lags_that_are_too_few_are_seen_soon():
    *_, found = settled(1.0, mu=5.0, until_short=True)
    assert found is not None
    assert found.end > 0.5


def test_a_time_budget_ends_it():
    with pytest.raises(OutOfTimeError), deadline(0.0):
        settled(1.0)
