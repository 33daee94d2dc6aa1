"""What is uncertain is said, and what a layer has of its own is in its prediction."""

from __future__ import annotations

import math

import pytest
import torch

from rnnmft.diagnosis import diagnose
from rnnmft.diagnosis.statistics import GateStatistics

FEW = {"particles": 2048, "advice": False}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def vanilla(w=None, v=0.3, bias=None, inputs=32, width=128):
    """nn.RNN with the given W, gaussian V and biases."""
    module = torch.nn.RNN(inputs, width)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        if w is None:
            w = torch.randn(width, width, generator=seeded()) / math.sqrt(width)
        module.weight_hh_l0.copy_(w)
        module.weight_ih_l0.normal_(0.0, v / math.sqrt(inputs), generator=seeded(1))
        if bias is not None:
            module.bias_ih_l0.copy_(bias)
    return module


def said(layer, part):
    return any(part in warning for warning in layer.warnings)


def test_a_usual_network_has_nothing_to_beware_of() -> None:
    w = 0.6 * torch.randn(128, 128, generator=seeded()) / 128**0.5
    assert diagnose(vanilla(w), 10, **FEW).layers[0].warnings == ()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_symmetric_matrix_is_said_and_what_it_would_cost(sign, monkeypatch) -> None:
    a = torch.randn(128, 128, generator=seeded()) / 128**0.5
    module = vanilla(1.2 * (a + sign * a.T) / math.sqrt(2.0), 0.18)
    (layer,) = diagnose(module, 25, **FEW).layers
    assert layer.is_predicted
    assert said(layer, "symmetric")
    assert not said(layer, "nothing is predicted")
    # Had nobody seen that it is no random matrix.
    monkeypatch.setattr(GateStatistics, "remarks", ())
    found = diagnose(module, 50, **FEW)
    (layer,) = found.layers
    assert abs(layer.log10_mean - layer.predicted_log10_mean) > 5.0
    assert not layer.is_predicted
    (sentence,) = [w for w in layer.warnings if "nothing is predicted through its own" in w]
    assert f"{layer.log10_mean:.2f} +- " in sentence
    assert f"{layer.predicted_log10_mean:.2f} +- " in sentence
    assert f"beware: {sentence}" in found.report()
    assert "predicted through its own matrices," not in found.report()
    # The control: independent entries of the same size.
    (layer,) = diagnose(vanilla(1.2 * a, 0.18), 50, **FEW).layers
    assert layer.is_predicted
    assert abs(layer.log10_mean - layer.predicted_log10_mean) < 1.5


def test_own_biases_are_in_the_prediction() -> None:
    """One unit in ten is saturated by its bias; normal biases of that deviation dampen them all."""
    bias = torch.where(torch.arange(256) % 10 == 0, 6.0, 0.0)
    w = 1.1 * torch.randn(256, 256, generator=seeded()) / 16.0
    (layer,) = diagnose(vanilla(w, 0.3, bias, width=256), 20, **FEW).layers
    (measured, error), (predicted, noise) = layer.measured.at(20), layer.predicted.at(20)
    assert abs(measured - predicted) < 3.0 * math.hypot(error, noise) + 0.2
    # At infinite width the biases are normal, and that is said.
    assert abs(measured - layer.tied.log10_mean) > 1.0
    assert said(layer, "infinite width (tied) gives")


def test_own_inputs_are_in_the_prediction() -> None:
    """One feature drives all units alike: it is large at some steps and small at others."""
    module = vanilla(
        1.5 * torch.randn(256, 256, generator=seeded()) / 16.0, 2.0, inputs=1, width=256
    )
    (layer,) = diagnose(module, 20, **FEW).layers
    (measured, error), (predicted, noise) = layer.measured.at(20), layer.predicted.at(20)
    assert abs(measured - predicted) < 3.0 * math.hypot(error, noise) + 0.2
    assert abs(measured - layer.tied.log10_mean) > 0.5
    assert said(layer, "1 features")


def test_an_input_that_goes_nowhere_is_said() -> None:
    found = diagnose(vanilla(v=0.0), 5, **FEW)
    assert said(found.layers[0], "every V is 0")
    assert said(found.layers[0], "all that it hands on is 0")
    assert not said(diagnose(vanilla(), 5, **FEW).layers[0], "is 0")


@pytest.mark.slow
def test_a_verdict_does_not_flip_by_the_seed() -> None:
    """Forget gates of bias 3 remember 20 steps: after a burn-in of 30 the states still grow."""
    torch.manual_seed(0)
    module = torch.nn.LSTM(30, 64)
    module.bias_hh_l0.data[64:128] = 3.0
    found = [diagnose(module, 365, seed=seed, **FEW).layers[0] for seed in range(4)]
    assert all(layer.burn_in >= 60 for layer in found)
    assert {layer.verdict for layer in found} <= {"healthy", "borderline"}
    # Over 365 steps h alone forgets more than c.
    for layer in found:
        h, c = (layer.apart[f"{s} -> {s}"].at(365)[0] for s in "hc")
        assert c - h > 1.0


class Elementwise(torch.nn.Module):
    """h' = f(W h + V x)."""

    def __init__(self, f):
        super().__init__()
        self.V, self.W, self.f = torch.nn.Linear(16, 32), torch.nn.Linear(32, 32), f

    def forward(self, x, h):
        return self.f(self.V(x) + self.W(h))


@pytest.mark.parametrize(
    ("f", "jumps"),
    [(torch.nn.Hardshrink(), True), (torch.sign, True), (torch.nn.Softshrink(), False)],
    ids=["hardshrink", "sign", "softshrink"],
)
def test_a_step_that_jumps_is_measured_and_has_no_mean_squared_derivative(f, jumps) -> None:
    found = diagnose(Elementwise(f), 3, particles=512, sequences=16, advice=False)
    (layer,) = found.layers
    assert said(layer, "its step jumps") == jumps
    assert (len(layer.predicted.log10) == 0) == jumps
    assert len(layer.measured.log10) == 3
    assert any("no mean square" in reason for reason in layer.tied.missing) == jumps


class Alone(torch.nn.Module):
    """h' = tanh(V x + u h) with one u: a unit sees no other."""

    def __init__(self):
        super().__init__()
        self.V, self.u = torch.nn.Linear(16, 64), torch.nn.Parameter(torch.full((64,), 0.9))

    def forward(self, x, h):
        return torch.tanh(self.V(x) + self.u * h)


def test_a_mean_that_few_units_carry_has_no_error_at_infinite_width() -> None:
    """By the transfer operator of h on a grid log10 m_1(100) is -30.9; 8192 units gave -36.1."""
    torch.manual_seed(0)
    found = diagnose(Alone(), 60, particles=1024, sequences=16, probes=2, burn_in=10, advice=False)
    (layer,) = found.layers
    assert layer.tied.log10_error == math.inf
    assert said(layer, "by a few of the units that were sampled")
    assert "+- ? at infinite width (tied)" in found.report()


class Centred(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.V, self.W = torch.nn.Linear(16, 32), torch.nn.Linear(32, 32)

    def forward(self, x, h):
        e = self.V(x) + self.W(h)
        return torch.tanh(e - 0.5 * e.mean(-1, keepdim=True))


def test_what_averages_over_units_add_is_said() -> None:
    (layer,) = diagnose(Centred(), 5, particles=512, sequences=16, advice=False).layers
    assert said(layer, "averages over units add a part of low rank")
