"""m_1(T) and isometry as they are measured, against whole Jacobians; steps, against the module."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.diagnosis.measurement import GradientSeries, run_layer
from rnnmft.tracing import evaluation, recurrent_layers
from tests.tracing import modules as users

UNITS, INPUTS, BURN_IN, HORIZON, PROBES = 10, 4, 3, 5, 4000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Unbatched(torch.nn.Module):
    """A vanilla cell that takes vectors alone, and returns an output before its state."""

    def __init__(self):
        super().__init__()
        self.V, self.W = torch.nn.Linear(INPUTS, UNITS), torch.nn.Linear(UNITS, UNITS)

    def forward(self, x, h):
        new = torch.tanh(self.V(x) + torch.mv(self.W.weight, h) + self.W.bias)
        return 2.0 * new, new


MODULES = {
    "RNN": lambda: torch.nn.RNN(INPUTS, UNITS, dtype=torch.float64),
    "GRU": lambda: torch.nn.GRU(INPUTS, UNITS, dtype=torch.float64),
    "LSTM": lambda: torch.nn.LSTM(INPUTS, UNITS, dtype=torch.float64),
    "MGU": lambda: users.MGU(INPUTS, UNITS).double(),
    "vectors alone": lambda: Unbatched().double(),
}


def whole_jacobian(layer, x, horizon):
    """d s^{burn-in + horizon} / d s^{burn-in} along one sequence, by reverse-mode derivatives."""
    traced, module = layer.traced, layer.module

    def step(given, states):
        if traced.batched:
            return tuple(s[0] for s in traced.step(module, given[None], [s[None] for s in states]))
        return traced.step(module, given, states)

    states = tuple(torch.zeros(UNITS, dtype=torch.float64) for _ in traced.states)
    for t in range(BURN_IN):
        states = step(x[t, 0], states)

    def run(flat):
        moved = flat.split(UNITS)
        for t in range(BURN_IN, BURN_IN + horizon):
            moved = step(x[t, 0], moved)
        return torch.cat(moved)

    return torch.autograd.functional.jacobian(run, torch.cat(states).detach())


@pytest.mark.parametrize("kind", MODULES)
def test_probes_measure_the_whole_jacobian(kind) -> None:
    torch.manual_seed(0)
    hints = {"returned": 1} if kind == "vectors alone" else {}
    (layer,) = recurrent_layers(MODULES[kind](), **hints)
    x = torch.randn(BURN_IN + HORIZON, 1, INPUTS, generator=seeded(1), dtype=torch.float64)
    run = run_layer(layer, x, BURN_IN, PROBES, seeded(2))
    for horizon in range(1, HORIZON + 1):
        gram = whole_jacobian(layer, x, horizon)
        gram = gram @ gram.T
        m_1 = float(gram.trace()) / len(gram)
        value, error = run.gradients.at(horizon)
        # 12 comparisons of the five modules' 30 at 4 standard errors: 2e-3 in all.
        assert abs(value - math.log10(m_1)) < 4.0 * error
        assert abs(value - math.log10(1.2 * m_1)) > 4.0 * error
        if horizon == 1:
            variance = float((gram @ gram).trace()) / len(gram) - m_1**2
            assert abs(run.isometry[0] - variance) < 4.0 * run.isometry[1]
            assert run.isometry[1] < 0.2 * variance


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_outputs_are_the_modules_own(kind) -> None:
    module = kind(INPUTS, UNITS, 2, bidirectional=True, dropout=0.5, dtype=torch.float64).eval()
    x = torch.randn(12, 3, INPUTS, generator=seeded(), dtype=torch.float64)
    layers = iter(recurrent_layers(module))
    seen = x
    with torch.no_grad():
        for forward in layers:
            runs = [
                run_layer(forward, seen, 2, 1, seeded()).outputs,
                run_layer(next(layers), seen.flip(0), 2, 1, seeded()).outputs.flip(0),
            ]
            seen = torch.cat(runs, 2)
        assert torch.allclose(seen, module(x)[0], atol=1e-12)


@pytest.mark.parametrize(("sigma", "steps", "per_step"), [(0.25, 300, -1.5), (3.0, 700, 0.65)])
def test_numbers_beyond_floats_neither_vanish_nor_overflow(sigma, steps, per_step) -> None:
    # Of log10 m_1 a ReLU leaves log10(sigma^2 / 2) a step: beyond 10^-308 and 10^308 here.
    module = torch.nn.RNN(INPUTS, 32, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        module.weight_hh_l0.normal_(0.0, sigma / math.sqrt(32), generator=seeded())
    x = torch.randn(steps, 2, INPUTS, generator=seeded(), dtype=torch.float64)
    value, _ = run_layer(recurrent_layers(module)[0], x, 0, 2, seeded()).gradients.at(steps)
    assert abs(value) > 308
    # The largest eigenvalue of 32 by 32 numbers is not that of infinitely many.
    assert abs(value / steps - per_step) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("kind", users.TRACEABLE, ids=lambda kind: getattr(kind, "__name__", ""))
def test_every_module_that_is_a_cell_can_be_run(kind) -> None:
    module = kind()
    (layer,) = recurrent_layers(module)
    x = torch.randn(6, 2, layer.traced.input_width, generator=seeded(), dtype=torch.float64)
    with evaluation(module):
        run = run_layer(layer, x, 2, 2, seeded())
    assert np.isfinite(run.gradients.log10).all()
    assert run.outputs.shape == (6, 2, layer.traced.width)


def test_a_series_goes_on_along_its_line() -> None:
    steps = np.arange(1, 41)
    straight = GradientSeries(-0.3 * steps + 1.0, np.full(40, 0.01))
    assert straight.at(40)[0] == pytest.approx(-11.0)
    value, error = straight.at(140)
    assert value == pytest.approx(-41.0)
    assert error == pytest.approx(0.01)
    bent = GradientSeries(-0.01 * steps**2.0, np.full(40, 0.01))
    assert bent.at(60)[1] > 1.0
    assert GradientSeries(np.array([-0.5]), np.array([0.1])).at(10) == (-5.0, math.inf)
    dead = GradientSeries(np.array([-0.5, -math.inf]), np.zeros(2)).at(9)
    assert dead == (-math.inf, math.inf)
