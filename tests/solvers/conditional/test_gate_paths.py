"""Paths have the covariance that they are asked for."""

from __future__ import annotations

import numpy as np
import torch

from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.gate_paths import GatePaths, later, wrapped

BACKEND = torch_backend("cpu", "float64")
# One false alarm in some 10^4 runs, over all lags.
ALARM = 5.0


def test_the_covariance_is_the_wanted_one():
    """4096 repetitions of two paths of 64 steps, against what was asked for."""
    lags = torch.arange(33, dtype=torch.float64)
    wanted = 2.0 * 0.75**lags * torch.cos(0.4 * lags)
    wanted[-1] = 0.0
    paths = GatePaths.drawn(32, 4096, 1 << 19, 0, BACKEND)
    assert paths.total == 1 << 19
    w = paths.with_covariance(wanted[:, None].expand(-1, 4096))
    for control in (1.0, 1.02):
        z = []
        for lag in (0, 1, 5, 20):
            each = (w * later(w, lag)).mean((0, 2)).numpy() * control
            error = each.std(ddof=1) / np.sqrt(len(each))
            z.append((each.mean() - float(wanted[lag])) / error)
        assert (np.abs(z).max() < ALARM) == (control == 1.0)


def test_numbers_are_normal():
    """Kurtosis 3 of what is drawn."""
    paths = GatePaths.drawn(512, 64, 1 << 20, 1, BACKEND)
    flat = torch.zeros((513, 64), dtype=torch.float64)
    flat[0] = 1.0
    w = paths.with_covariance(flat)
    each = w.pow(4).mean((0, 2)).numpy()
    assert abs(each.mean() - 3.0) < ALARM * each.std(ddof=1) / 8


def test_what_a_spectrum_has_below_zero_counts_as_none():
    """A covariance that no process has: paths are real, and as large as what is left of it."""
    lags = torch.zeros(17, dtype=torch.float64)
    lags[0], lags[1] = 1.0, 0.9
    paths = GatePaths.drawn(16, 512, 1 << 17, 2, BACKEND)
    w = paths.with_covariance(lags)
    angles = 2 * np.pi * np.arange(paths.steps) / paths.steps
    wanted = np.maximum(1.0 + 1.8 * np.cos(angles), 0.0).mean()
    each = w.square().mean((0, 2)).numpy()
    assert abs(each.mean() - wanted) < ALARM * each.std(ddof=1) / np.sqrt(512)
    assert abs(each.mean() - 1.0) > ALARM * each.std(ddof=1) / np.sqrt(512)


def test_every_repetition_may_have_its_own_covariance():
    paths = GatePaths.drawn(16, 2, 1 << 10, 2, BACKEND)
    lags = 0.5 ** torch.arange(17, dtype=torch.float64)
    both = paths.with_covariance(torch.stack([lags, 4.0 * lags], 1))
    assert torch.allclose(both[:, 0], paths.with_covariance(lags)[:, 0])
    assert torch.allclose(both[:, 1], 2.0 * paths.with_covariance(lags)[:, 1])


def test_the_ring_turns():
    x = torch.arange(8.0)
    assert later(x, 3).tolist() == [5.0, 6.0, 7.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert torch.equal(later(later(x, 5), -5), x)
    assert torch.equal(later(x, 8), x)
    assert torch.equal(wrapped(x)[3:11], later(x, -3))


def test_the_first_repetitions_are_the_same_paths():
    paths = GatePaths.drawn(16, 8, 1 << 12, 3, BACKEND)
    some = paths.some(2)
    assert some.repetitions == 2
    assert torch.equal(some.numbers, paths.numbers[:, :2])
    assert torch.equal(paths.some(2, 1).numbers, paths.numbers[:, :2, :1])


def test_running_sums_are_those_of_the_paths():
    """Step by step around the ring, over the standard deviation that the covariance gives."""
    paths = GatePaths.drawn(16, 2, 1 << 10, 4, BACKEND)
    lags = torch.zeros(17, dtype=torch.float64)
    lags[:3] = torch.tensor([1.0, 0.6, 0.2])
    w, kept = paths.with_covariance(lags), 0.7
    total = torch.zeros_like(w[0])
    for t in range(-200, 5):
        total = w[(t - 1) % paths.steps] + kept * total
    # Var = (C(0) + 2 sum_l kept^l C(l)) / (1 - kept^2).
    variance = (1.0 + 2 * (0.6 * kept + 0.2 * kept**2)) / (1 - kept**2)
    found = paths.running_sum(lags, kept)[4 % paths.steps]
    assert torch.allclose(found, total / variance**0.5, atol=1e-10)
