"""Predictions through own matrices: means, the module's own equations, and what they cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import rnnmft as mft
from rnnmft import Inputs, cells
from rnnmft.diagnosis import prediction
from rnnmft.diagnosis.own_weights import OwnMeans, OwnWeights
from rnnmft.diagnosis.probes import orthogonal_probes
from rnnmft.diagnosis.statistics import GateStatistics
from rnnmft.errors import OutOfTimeError
from rnnmft.sampling import Sampling
from rnnmft.units.particles import UnitProcess

UNITS, NETWORKS, REPETITIONS, STEPS = 96, 6, 2, 60
SIZES = {"sigma_w": 1.3, "sigma_v": 0.5, "sigma_b": 0.4}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


W, B = SIZES["sigma_w"] * normal(UNITS, UNITS) / math.sqrt(UNITS), 0.4 * normal(UNITS, seed=1)


def units(own, sigma_v):
    """Units of the theory with the biases B, whose weights are made by `own`."""
    cell, size = cells.vanilla(), REPETITIONS * NETWORKS * UNITS
    sampling = Sampling(units=size, repetitions=REPETITIONS, seed=0, normals="random", device="cpu")
    ensemble = cell.ensemble(e={**SIZES, "sigma_v": sigma_v})
    process = UnitProcess(cell, ensemble, Inputs(), "tied", sampling, 1)
    process.biases["e"] = B.repeat(NETWORKS).expand(REPETITIONS, 1, -1)
    for y, action in process.weights.items():
        process.weights[y] = own(action)
    return process


def unit_means(process):
    """Averages over networks and the later half of the time, (N,)."""
    total = torch.zeros(UNITS, dtype=torch.float64)
    for t in range(STEPS):
        process.step()
        if t >= STEPS // 2:
            total += process.states["h"].reshape(-1, UNITS).mean(0)
    return total / (STEPS - STEPS // 2)


def test_units_have_the_mean_preactivations_of_the_network() -> None:
    h = torch.zeros(REPETITIONS * NETWORKS, UNITS, dtype=torch.float64)
    noise, true = normal(STEPS, *h.shape, seed=2), torch.zeros(UNITS, dtype=torch.float64)
    for t in range(STEPS):
        h = torch.tanh(h @ W.T + B + SIZES["sigma_v"] * noise[t])
        if t >= STEPS // 2:
            true += h.mean(0) / (STEPS - STEPS // 2)
    size = float(true.square().mean())

    def missed(own):
        return float((unit_means(units(own, SIZES["sigma_v"])) - true).square().mean()) / size

    assert missed(lambda action: OwnMeans({"e": W}, UNITS, action)) < 0.05
    # The controls: the theory's own W, and the means through another network's.
    assert missed(lambda action: action) > 0.15
    assert missed(lambda action: OwnMeans({"e": W.flip(0)}, UNITS, action)) > 0.15


def test_through_own_weights_goes_the_network_itself() -> None:
    process = units(lambda _: OwnWeights({"e": W}, UNITS), 0.0)
    h = torch.zeros(UNITS, dtype=torch.float64)
    for _ in range(20):
        process.step()
        h = torch.tanh(W @ h + B)
        assert torch.allclose(process.states["h"].reshape(-1, UNITS), h, rtol=0.0, atol=1e-12)


def filled(w):
    """A vanilla layer with these weights and white noise of size .5 on every unit."""
    module = torch.nn.RNN(32, UNITS, dtype=torch.float64)
    with torch.no_grad():
        module.weight_hh_l0.copy_(w)
        module.weight_ih_l0.normal_(0.0, 0.5 / math.sqrt(32), generator=seeded(3))
        module.bias_ih_l0.copy_(B / 4)
        module.bias_hh_l0.zero_()
    return module


@pytest.mark.parametrize(
    ("kind", "turned"), [("independent", None), ("symmetric", 1.0), ("antisymmetric", -1.0)]
)
def test_a_structured_w_acts_on_all_that_it_sees(kind, turned, monkeypatch) -> None:
    w = W if turned is None else (W + turned * W.T) / math.sqrt(2.0)
    few: dict[str, Any] = {"sequences": 48, "probes": 4, "burn_in": 60, "particles": 1024}

    def compared() -> tuple[float, float, float]:
        (layer,) = mft.diagnose(filled(w), 25, advice=False, budget=None, **few).layers
        (value, error), (predicted, noise) = layer.measured.at(25), layer.predicted.at(25)
        return abs(predicted - value), error, noise

    apart, error, noise = compared()
    # Three comparisons at 3 standard errors.
    assert apart < 3.0 * math.hypot(error, noise)
    assert noise < 0.5
    # The control: its fluctuations as through independent entries.
    monkeypatch.setattr(GateStatistics, "remarks", ())
    apart, error, noise = compared()
    assert (noise > 0.7 and apart > 0.5) == (kind != "independent")


def test_what_ended_before_its_error_was_known_is_no_prediction(monkeypatch) -> None:
    """A run through all of W that never began; one that ends shows that it is not by the rest."""
    torch.manual_seed(0)
    layer = torch.nn.RNN(16, 64)

    def ended(*given: Any) -> Any:
        raise OutOfTimeError

    def predicted() -> tuple[float, tuple[str, ...]]:
        (found,) = mft.diagnose(layer, sequence_length=10, advice=False, budget=None).layers
        return found.predicted_log10_mean, found.ended

    value, cut = predicted()
    assert math.isfinite(value)
    assert not cut
    monkeypatch.setattr(prediction, "OwnWeights", ended)
    value, cut = predicted()
    assert math.isnan(value)
    assert cut == ("the prediction through its own matrices",)


def test_orthogonal_probes_are_exact_for_any_direction() -> None:
    v = torch.nn.functional.normalize(normal(UNITS, seed=1000), dim=0)
    found = (orthogonal_probes((4, UNITS // 2, UNITS), seeded()) @ v).square()
    assert found.mean() == pytest.approx(1.0, abs=1e-12)
    # Uniform in direction: (u . v)^2 has the variance 2 (N - 1) / (N + 2) of each; the control are
    # independent ones, whose mean is off.
    each = [orthogonal_probes((1, UNITS), seeded(s)) @ v for s in range(800)]
    squares = torch.cat(each).square().numpy()
    # Its own mean's standard error is .05, and of the variance, (E z^8 / 800)^(1/2), .36.
    assert abs(squares.mean() - 1.0) < 4 * 0.05
    assert abs(squares.var() - 2.0) < 4 * 0.36
    alone = (normal(2 * UNITS, UNITS, seed=4) @ v).square().mean()
    assert abs(float(alone) - 1.0) > 1e-3
    assert np.isfinite(squares).all()
