"""The residual variance of a pair: exact to a few ulps, zero by rounding, nan where invalid."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from rnnmft.numerics.residual_variance import residual_variance


def _arrays(name, *values):
    if name == "numpy":
        return (np, *(np.asarray(v, dtype=float) for v in values))
    return (torch, *(torch.tensor(v, dtype=torch.float64) for v in values))


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_it_keeps_its_digits_at_any_correlation(name) -> None:
    random = np.random.default_rng(5)
    q_a, q_b = 10 ** random.uniform(-8, 4, (2, 200))
    q_ab = (1 - 10 ** random.uniform(-15, 0, 200)) * np.sqrt(q_a * q_b)
    found = residual_variance(*_arrays(name, list(q_a), list(q_ab), list(q_b)))
    for a, ab, b, value in zip(q_a, q_ab, q_b, found, strict=True):
        a, ab, b = Fraction(float(a)), Fraction(float(ab)), Fraction(float(b))
        exact = float(max(b - ab * ab / a, 0))
        assert float(value) == pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_rounding_makes_it_zero_and_nonsense_makes_it_nan(name) -> None:
    laws = {
        (1.0, 1.0 + 1e-13, 1.0): 0.0,
        (0.0, 0.0, 2.0): 2.0,
        (3.0, 0.0, 0.0): 0.0,
        (1.0, 1.001, 1.0): np.nan,
        (0.0, 0.1, 1.0): np.nan,
        (1.0, 0.1, 0.0): np.nan,
        (-1.0, 0.0, 1.0): np.nan,
        (1.0, 0.0, -1.0): np.nan,
    }
    found = residual_variance(*_arrays(name, *map(list, zip(*laws, strict=True))))
    np.testing.assert_array_equal(np.asarray(found), list(laws.values()))
