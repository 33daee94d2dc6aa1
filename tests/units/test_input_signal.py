"""Stationary signals: their autocorrelation and the correlation of trajectories, exactly.

The signal is linear in the numbers that it is given: fed with unit vectors instead of random
numbers, products over the "units" are its covariances to rounding.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnmft import Inputs
from rnnmft.units.input_signal import InputSignal, MovingAverage

LAWS = {
    "white": "white",
    "constant": "constant",
    "short": (1.0, 0.5, 0.2),
    "singular": (1.0, 0.5),  # the spectrum 1 + cos touches 0
    "long": tuple(max(0.0, 1 - k / 40) for k in range(40)),
}


def signal(temporal, correlation, sides, size=400):
    """A signal whose normal numbers are the unit vectors, one after the other."""
    used = iter(range(size))

    def numbers(count):
        rows = torch.zeros(1, count, size, dtype=torch.float64)
        for i in range(count):
            rows[0, i, next(used)] = 1.0
        return rows

    average = None if isinstance(temporal, str) else MovingAverage(temporal)
    return InputSignal(Inputs(correlation=correlation, temporal=temporal), numbers, sides, average)


def covariances(rows, kappa, correlation):
    """Largest deviation of all covariances from kappa, and c kappa between trajectories."""
    worst = 0.0
    for t, now in enumerate(rows):
        for s, then in enumerate(rows[: t + 1]):
            products = (now[0] @ then[0].T).numpy()
            wanted = np.full(products.shape, correlation) + (1 - correlation) * np.eye(
                len(products)
            )
            worst = max(worst, np.abs(products - kappa(t - s) * wanted).max())
    return worst


@pytest.mark.parametrize("temporal", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.7])
def test_a_signal_has_its_autocorrelation(temporal, correlation):
    of = signal(temporal, correlation, 2)
    rows = [of() for _ in range(60)]
    inputs = of.inputs
    assert covariances(rows, inputs.kappa, correlation) < 1e-10
    assert covariances(rows, lambda lag: 1.02 * inputs.kappa(lag), correlation) > 1e-2


def test_a_moving_average_needs_its_last_lags_alone():
    average = MovingAverage(LAWS["short"])
    assert [len(average.row(t)) for t in (0, 1, 2, 3, 50)] == [1, 2, 3, 3, 3]
    assert np.allclose(average.row(60), average.row(61), rtol=0, atol=1e-12)
