"""The power that returns, as a quadratic form, against the responses it is the square of."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.eigenvalues.linear_units import LinearUnits


@pytest.mark.parametrize("inner", [0.0, 1.0], ids=["without D", "with D"])
@pytest.mark.parametrize("states", [1, 2, 3])
def test_power_is_the_mean_square_of_the_responses(states: int, inner: float) -> None:
    """Three matrices, two of which see the same; units of unequal weight."""
    random, n, row = np.random.default_rng(states), 40, np.array([0, 1, 0])
    a = 0.5 * random.normal(size=(n, states, states))
    b, c = random.normal(size=(n, states, 3)), random.normal(size=(n, 2, states))
    d, sigma_w = inner * random.normal(size=(n, 2, 3)), np.array([0.5, 1.5, 2.0])
    weight = random.dirichlet(np.ones(n))
    units = LinearUnits(a, b, c, d, row, sigma_w, ("gaussian",) * 3, weight, 1, states)
    points = np.array([0.3 + 2.0j, -1.5, 2.0 - 0.7j])
    response = units.response(units.resolvent(points))
    square = np.abs(response) ** 2 * sigma_w**2
    mean = np.einsum("n,znrk->zrk", weight, square)
    expected = np.stack([mean[..., row == s].sum(-1) for s in (0, 1)], axis=-1)
    np.testing.assert_allclose(units.power(points), expected, rtol=1e-10)
    slope = units.response(units.resolvent(points + 1e-6)) - response
    np.testing.assert_allclose(
        units.response_slope(units.resolvent(points)), slope / 1e-6, rtol=1e-3, atol=1e-4
    )
