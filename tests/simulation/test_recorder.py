"""The recorder's averages, against NumPy on the whole history."""

import numpy as np
import torch

from rnnmft import cells
from rnnmft.simulation.recorder import Recorder


def test_averages_are_those_of_the_whole_history():
    cell = cells.minimal()
    recorder = Recorder(cell, cell.ensemble(e={"mu_b": 1.5}), lags=(0, 2))
    history = torch.randn(5, 2, 3, 2, 8, generator=torch.Generator().manual_seed(0))
    for h, e in history:  # each (networks, trajectories, N)
        recorder.record([h], [e])
    x = history.double().numpy() - np.array([0.0, 1.5])[None, :, None, None, None]
    x = x.transpose(1, 2, 0, 3, 4)  # (names, networks, steps, trajectories, N)
    found = recorder.moments()
    expected = (x.mean((3, 4)), (x**2).mean((3, 4)), (x[..., 0, :] * x[..., 1, :]).mean(3))
    for order, array in enumerate(expected):
        assert np.allclose(found[:, :, order], array, rtol=1e-13, atol=1e-15)
    lagged = np.stack([(x[:, :, -1] * x[:, :, -1 - lag]).mean((2, 3)) for lag in (0, 2)], axis=-1)
    assert np.allclose(recorder.autocovariance(), lagged, rtol=1e-13, atol=1e-15)
