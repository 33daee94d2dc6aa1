"""Where lambda is 1, on functions that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.solvers.conditional.growth import solve
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.perturbations import Past, PerturbationRound

RESOLUTION = 1e-3


class Known:
    """Perturbations with lambda = e^(-delay (g - g_0)) (g_0 - pole) / (g - pole).

    The last factor where there is a pole. Repetitions differ by a part `noise` of it.
    """

    def __init__(self, root, delay=2.0, pole=-math.inf, noise=0.0, last=16):
        self.grid, self.past = LagGrid(last, 4), 4
        self.root, self.delay, self.pole = root, delay, pole
        each = np.random.default_rng(0).standard_normal(16)
        self.each = torch.as_tensor(1.0 + noise * (each - each.mean()))
        self.rounds = 0

    def without_memory(self):
        return self.root + 0.1

    def round(self, kernel, growth, *, with_kernel=True):
        self.rounds += 1
        if growth <= self.pole:
            one = self.each * float(kernel[0])
            past = Past(one, one, 1.1 * one)
            return PerturbationRound(kernel, past, past)
        factor = math.exp(-self.delay * (growth - self.root))
        if math.isfinite(self.pole):
            factor *= (self.root - self.pole) / (growth - self.pole)
        value = self.each * factor * float(kernel[0])
        past = Past(value, 0 * value, 0 * value)
        made = torch.exp(-torch.tensor(self.grid.lags, dtype=torch.float64))
        return PerturbationRound(float(value.mean()) * made, past, past)


@pytest.mark.parametrize("root", [-1.5, -0.02, 0.3])
def test_the_root_is_found(root):
    of = Known(root)
    found = solve(of, RESOLUTION)
    assert found is not None
    assert abs(found.value - root) <= RESOLUTION
    assert found.noise == 0.0
    assert found.slope == pytest.approx(of.delay, rel=0.1)


@pytest.mark.parametrize("above", [1e-1, 1e-2, 1e-4])
def test_a_root_next_to_a_pole_is_found(above):
    of = Known(-0.2, pole=-0.2 - above, last=256)
    found = solve(of, RESOLUTION)
    assert found is not None
    assert abs(found.value + 0.2) <= 2 * RESOLUTION
    assert found.off <= 2 * RESOLUTION


def test_the_noise_is_that_of_repetitions():
    """lambda off by a part eps moves the rate by eps / delay."""
    of = Known(0.1, delay=4.0, noise=0.05)
    found = solve(of, RESOLUTION)
    assert found is not None
    error = 0.05 / 4.0 * float(of.each.std() / 0.05) / 4.0
    assert error < found.noise < 1.4 * error


def test_what_is_known_nearly_is_found_at_once():
    of = Known(0.1)
    near = solve(of, RESOLUTION)
    assert near is not None
    before, of.root = of.rounds, 0.101
    found = solve(of, RESOLUTION, near)
    assert found is not None
    assert abs(found.value - 0.101) <= RESOLUTION
    assert of.rounds - before <= 3 < before


def test_a_search_without_end_is_given_up():
    class Lost(Known):
        def round(self, kernel, growth, *, with_kernel=True):
            one = self.each * float(kernel[0])
            return PerturbationRound(kernel, Past(one, one, 1.1 * one), Past(one, one, 1.1 * one))

    assert solve(Lost(0.0), RESOLUTION) is None
