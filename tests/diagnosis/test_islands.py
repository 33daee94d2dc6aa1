"""Means that few of many carry: log-normal weights, whose mean is known, and a module of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.diagnosis.islands import islands_of, winners
from rnnmft.diagnosis.measurement import gradient_series, run_layer
from rnnmft.tracing import recurrent_layers

EACH, ISLANDS, REPETITIONS = 8, 16, 125


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def outside(found, truth):
    """Which part of the series is beyond two of its errors: (below, above)."""
    z = (found.log10 - truth) / found.error
    return np.array([(z < -2.0).mean(), (z > 2.0).mean()])


@pytest.mark.parametrize("samples", [16, 128])
@pytest.mark.parametrize("spread", [0.5, 1.5, 2.45, 4.0])
def test_two_errors_hold_the_mean_of_log_normal_samples(samples, spread) -> None:
    """2000 repetitions know 10 % to .7 %: of 8 comparisons one is beyond 13 % by chance 3e-4."""
    random = seeded(2)
    z = torch.randn(2000, samples, 1, generator=random, dtype=torch.float64)
    along = torch.randn(2000, samples, 8, generator=random, dtype=torch.float64)
    found = gradient_series(spread * z + along.square().log())
    truth = spread**2 / 2 / math.log(10)
    assert outside(found, truth).sum() < 0.13
    # The control: the scatter of the samples alone is no error of such a mean.
    if spread > 2.0:
        means = (spread * z + along.square().log()).exp().mean(2)
        scatter = (means.std(1) / means.mean(1)).numpy() / math.sqrt(samples) / math.log(10)
        assert ((found.log10 - truth) / scatter < -2.0).mean() > 0.13


def test_winners_have_the_mean_of_all_within_its_error() -> None:
    """prod of 150 log-normal w of spread .2: of the logarithm of the product, 2.45 (E w = 1)."""
    random, steps, spread = seeded(1), 150, 0.2
    count = EACH * ISLANDS * REPETITIONS
    plain, drawn = (torch.zeros(count, dtype=torch.float64) for _ in range(2))
    for _ in range(steps):
        w = spread * torch.randn(count, generator=random, dtype=torch.float64) - spread**2 / 2
        plain, drawn = plain + w, drawn + w
        change = winners(drawn, count // EACH, random)
        if change is not None:
            parents, log_mean = change
            drawn = drawn[parents] + log_mean
    found = gradient_series(drawn.view(REPETITIONS, ISLANDS, EACH))
    beside = gradient_series(plain.view(REPETITIONS, ISLANDS * EACH, 1))
    # 125 repetitions: beyond 2 errors are 16 of them by chance 1e-4 where 5 % are.
    assert outside(found, 0.0).sum() < 0.13
    # Unbiased: the mean of all 2000 islands, within four standard errors.
    islands = drawn.view(-1, EACH).exp().mean(1)
    assert abs(islands.mean() - 1.0) < 4.0 * islands.std() / math.sqrt(len(islands))
    # The control: as many sequences that live and die alone are much further off.
    far = [np.median(np.abs(each.log10)) for each in (found, beside)]
    assert far[0] < 0.6 * far[1]


def test_islands_that_are_well_or_dead_are_left_alone() -> None:
    assert winners(torch.zeros(16), 8, seeded()) is None
    dead = torch.full((8,), -math.inf)
    assert winners(dead, 1, seeded()) is None
    one = torch.tensor([0.0, *[-math.inf] * 7, *[0.0] * 8], dtype=torch.float64)
    found = winners(one, 2, seeded())
    assert found is not None
    parents, change = found
    assert parents.tolist() == [0] * 8 + list(range(8, 16))
    assert change.tolist() == pytest.approx([-math.log(8)] * 8 + [0.0] * 8)
    assert [islands_of(n) for n in (1, 2, 15, 16, 48, 54, 256)] == [1, 2, 15, 8, 16, 54, 16]


class Multiplied(torch.nn.Module):
    """h' = h exp(a x - a^2), one x for all units: m_1(T) = E exp(2 a sum x - 2 a^2 T) = 1."""

    def __init__(self, a):
        super().__init__()
        self.V = torch.nn.Linear(1, 8, dtype=torch.float64)
        with torch.no_grad():
            self.V.weight.fill_(a)
            self.V.bias.fill_(-a * a)

    def forward(self, x, h):
        return h * torch.exp(self.V(x))


def test_a_layer_has_its_mean_where_few_sequences_carry_it() -> None:
    """Of ln |J u|^2 the spread is 2 a T^(1/2) = 4."""
    (layer,) = recurrent_layers(Multiplied(0.2))
    x = torch.randn(101, 128, 1, generator=seeded(), dtype=torch.float64)
    found = {}
    for fresh in (True, False):
        with torch.no_grad():
            run = run_layer(layer, x, 1, 4, seeded(1), fresh=fresh)
        found[fresh] = run.gradients.at(100)
        # What it hands on is the module's own, whoever goes on.
        assert run.outputs.shape == (101, 128, 8)
        assert not run.outputs.any()
    # 2 comparisons at 4 errors of 15 degrees of freedom: 2e-3 in all.
    assert all(abs(value) < 4.0 * error for value, error in found.values())
    # The control: sequences that live and die alone know less than half of it.
    assert 2.0 * found[True][1] < found[False][1]
