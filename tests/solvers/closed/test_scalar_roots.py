"""scalar_roots: brackets, pairs that nearly touch, roots on grid points, poles."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.solvers.closed.scalar_roots import scalar_roots

GRID = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 241)])


@pytest.mark.parametrize("root", [3e-6, 0.1234, 1.0, 7e5])
def test_one_root(root):
    (found,) = scalar_roots(lambda x: root - x, GRID)
    assert abs(found - root) <= 1e-13 * root


@pytest.mark.parametrize("apart", [0.05, 3e-3, 1e-4, 1e-5])
def test_a_pair_inside_one_interval(apart):
    roots = np.array([2.0, 2.0 * (1 + apart)])
    found = scalar_roots(lambda x: (x - roots[0]) * (x - roots[1]) / (1 + x), GRID)
    np.testing.assert_allclose(found, roots, rtol=1e-9)


def test_no_root_where_the_function_only_comes_near():
    assert scalar_roots(lambda x: 1e-3 + (x - 2) ** 2, GRID) == []


@pytest.mark.parametrize("second", [0.999, 1.0004, 1.003])
def test_a_root_on_a_grid_point_hides_none(second):
    grid = np.linspace(0.0, 3.0, 31)
    found = scalar_roots(lambda x: (x - grid[10]) * (x - second), grid)
    np.testing.assert_allclose(found, sorted([grid[10], second]), rtol=1e-12)


def test_a_root_at_the_end_hides_none():
    grid = np.linspace(-1.0, 1.0, 21)
    found = scalar_roots(lambda x: (x - 1) * (0.97 - x), grid)
    np.testing.assert_allclose(found, [0.97, 1.0], rtol=1e-12)


def test_zero_is_a_root():
    assert scalar_roots(lambda x: -x / 2, GRID) == [0.0]


def test_a_pole_to_the_right_and_to_the_left():
    """Nothing is stationary beyond the pole; the roots before and behind it are found."""

    def gap(x):
        with np.errstate(divide="ignore"):
            return np.where((x > 4) & (x < 6), np.inf, 1 / np.maximum(abs(x - 5) - 1, 0) - 2)

    np.testing.assert_allclose(scalar_roots(gap, GRID), [3.5, 6.5], rtol=1e-12)


def test_unknown_values_make_no_root():
    def gap(x):
        return np.where(x > 1, np.nan, 0.5 - x)

    np.testing.assert_allclose(scalar_roots(gap, GRID), [0.5], rtol=1e-12)


@pytest.mark.parametrize("slope", [0.5, 0.98, 1.0, 1.02, 1.5])
def test_a_linear_function_has_its_root_at_zero_and_no_tangencies(slope):
    """gap / x is constant but for rounding: every point looks like an extremum of it."""
    noise = np.random.default_rng(0)
    asked = []

    def gap(x):
        asked.append(len(x))
        return x * (slope * (1 + 1e-15 * noise.standard_normal(x.shape)) - 1)

    assert scalar_roots(gap, GRID) == [0.0]
    assert sum(asked) == len(GRID)


def test_where_every_point_is_a_root_but_for_rounding_none_can_be_told():
    noise = np.random.default_rng(0)
    found = scalar_roots(lambda x: 1e-15 * x * noise.standard_normal(x.shape), GRID)
    assert found == [0.0]
    assert scalar_roots(lambda x: 0.0 * x, GRID) == [0.0]


def test_a_root_of_small_slope_is_not_rounding():
    """The control: a slope of 1e-8, far above rounding."""
    (found,) = scalar_roots(lambda x: 1e-8 * (3.0 - x) * x, GRID[1:])
    assert abs(found - 3.0) <= 1e-12
