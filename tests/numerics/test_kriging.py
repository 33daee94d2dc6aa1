"""Functions that are known, from noisy values at scattered places."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.numerics.kriging import Kriging


def smooth(x):
    return np.sin(2 * x[:, 0]) * np.exp(x[:, 1]) + x[:, 1]


def drawn(seed, count=80, noise=0.01):
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (count, 2))
    values = smooth(places) + noise * rng.standard_normal(count)
    return places, values, np.full(count, noise**2)


def test_polynomials_of_second_degree_are_told_exactly():
    rng = np.random.default_rng(0)
    places = rng.uniform(-2, 5, (30, 2))

    def f(x):
        return 1 + x[:, 0] - 2 * x[:, 1] + x[:, 0] * x[:, 1] - 0.3 * x[:, 1] ** 2

    other = rng.uniform(-2, 5, (20, 2))
    found = Kriging(places, f(places), np.full(30, 1e-12)).at(other)
    assert found.values == pytest.approx(f(other), abs=1e-4)


def test_errors_are_what_it_is_off_by():
    """Twenty sets of eighty values: a mean square of z that the function's own shape leaves."""
    z, errors = [], []
    for seed in range(20):
        places, values, variances = drawn(seed)
        at = np.random.default_rng(100 + seed).uniform(-1, 1, (50, 2))
        found = Kriging(places, values, variances).at(at)
        z.append((found.values - smooth(at)) / found.errors)
        errors.append(np.median(found.errors))
    size = np.sqrt(np.mean(np.square(z)))
    assert 0.7 < size < 1.5
    # The noise of neighbours is averaged: the error is below that of a value.
    assert np.mean(errors) < 0.009
    # The control: a function of another shape, .03 off.
    moved = (np.array(z) * np.mean(errors) + 0.03) / np.mean(errors)
    assert np.sqrt(np.mean(moved**2)) > 3


def test_misses_are_normal_unless_noise_is_larger_than_it_is_said_to_be():
    places, values, variances = drawn(3, 150)
    size = np.sqrt((Kriging(places, values, variances).misses ** 2).mean())
    assert 0.75 < size < 1.3
    # Every place twice: no function explains what two values differ by.
    twice, said = np.repeat(places, 2, axis=0), np.repeat(variances, 2)
    wild = smooth(twice) + 0.03 * np.random.default_rng(0).standard_normal(300)
    assert np.sqrt((Kriging(twice, wild, said).misses ** 2).mean()) > 1.5


def test_misses_are_those_of_leaving_a_value_out():
    places, values, variances = drawn(5, 40)
    kriging = Kriging(places, values, variances)
    # With the size and lengths of all.
    found = kriging.misses[7]
    rest = np.delete(np.arange(40), 7)
    without = Kriging(places[rest], values[rest], variances[rest]).at(places[7:8])
    miss = (values[7] - without.values[0]) / np.hypot(without.errors[0], 0.01)
    assert found == pytest.approx(miss, abs=0.35)


def test_values_are_combined_linearly():
    places, values, variances = drawn(1)
    found = Kriging(places, values, variances).at(np.array([[0.1, 0.2], [0.5, -0.4]]))
    assert found.weights @ values == pytest.approx(found.values)
    # A constant is itself.
    assert found.weights.sum(1) == pytest.approx(1.0)


def test_a_coordinate_with_one_value_is_none():
    x = np.linspace(0, 1, 20)
    places = np.column_stack([x, np.full(20, 3.0)])
    found = Kriging(places, np.sin(x), np.full(20, 1e-8)).at(np.array([[0.33, 3.0]]))
    assert found.values[0] == pytest.approx(np.sin(0.33), abs=1e-3)
