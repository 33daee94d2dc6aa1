"""Means with controls: no other on average, and less noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.controlled_means import ControlledMeans, PlainMeans
from rnnmft.solvers.conditional.gate_paths import GatePaths, later

BACKEND = torch_backend("cpu", "float64")
KEPT, LAST, SLOPE = 0.8, 64, 0.15
# One false alarm in some 10^4 runs.
ALARM = 4.0


def covariance():
    return 0.5 * 0.9 ** torch.arange(LAST + 1, dtype=torch.float64)


def running_products(w):
    """sum_n prod_m<n KEPT exp(w(t - m)) over 30 steps: what a state with such a gate keeps."""
    factor, product, total = KEPT * torch.exp(SLOPE * w), torch.ones_like(w), torch.zeros_like(w)
    for n in range(1, 30):
        product = product * later(factor, n)
        total = total + product
    return total


def means_of(seed, kind):
    paths = GatePaths.drawn(LAST, 8, 1 << 13, seed, BACKEND)
    values = running_products(paths.with_covariance(covariance()))
    made = PlainMeans() if kind == "plain" else ControlledMeans(paths, covariance(), KEPT)
    return made.of(values).numpy(), float(made.over_all(values))


def exact():
    """sum_n KEPT^n exp(SLOPE^2 Var(w(1) + .. + w(n)) / 2): products of lognormal numbers."""
    lags = np.arange(30)
    c = 0.5 * 0.9**lags
    total = 0.0
    for n in range(1, 30):
        variance = n * c[0] + 2 * sum((n - k) * c[k] for k in range(1, n))
        total += KEPT**n * math.exp(SLOPE**2 * variance / 2)
    return total


def test_controls_leave_the_mean_and_little_of_the_noise():
    each = {kind: np.array([means_of(s, kind)[1] for s in range(200)]) for kind in ("plain", "own")}
    for found in each.values():
        z = (found.mean() - exact()) / (found.std(ddof=1) / math.sqrt(len(found)))
        assert abs(z) < ALARM
    # A control that must fail: a mean that is off by a fifth of what one set of paths has of noise.
    plain = each["plain"].std(ddof=1)
    z = 0.2 * plain / (each["own"].std(ddof=1) / math.sqrt(200))
    assert z > ALARM
    assert each["own"].var() < each["plain"].var() / 4


def test_repetitions_tell_the_noise_of_all():
    """Their spread over 60 seeds is that of their means."""
    found = [means_of(s, "own") for s in range(60)]
    spread = np.std([mean for _, mean in found], ddof=1)
    told = math.sqrt(np.mean([each.var(ddof=1) / len(each) for each, _ in found]))
    # chi^2 with 59 degrees of freedom, one false alarm in 10^4 at either end.
    assert 0.68 < spread / told < 1.38
    for each, mean in found[:3]:
        assert each.mean() == pytest.approx(mean, rel=1e-12)


def test_what_is_known_of_the_controls_themselves_is_met_to_the_digit():
    paths = GatePaths.drawn(LAST, 8, 1 << 13, 0, BACKEND)
    z = paths.running_sum(covariance(), KEPT)
    made = ControlledMeans(paths, covariance(), KEPT)
    assert abs(float(z.mean())) > 0.01
    assert abs(float(z.square().mean()) - 1) > 0.01
    assert float(made.over_all(z)) == pytest.approx(0.0, abs=1e-12)
    assert float(made.over_all(z.square())) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kept", [-0.5, 0.0, 1.0, 7.0])
def test_whatever_a_gate_keeps_means_are_finite(kept):
    paths = GatePaths.drawn(16, 2, 1 << 10, 0, BACKEND)
    lags = torch.zeros(17, dtype=torch.float64)
    lags[0] = 1e-12
    w = paths.with_covariance(lags)
    found = ControlledMeans(paths, lags, kept).of(torch.ones_like(w))
    assert found.tolist() == pytest.approx([1.0, 1.0], abs=1e-9)
