"""m_1(T) and isometry as they are measured, against whole Jacobians; steps, against the module."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from rnnmft.diagnosis.measurement import GradientSeries, gradient_series, run_layer
from rnnmft.diagnosis.stepping import LayerStep
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
    "LSTM, projected": lambda: torch.nn.LSTM(
        INPUTS, UNITS, proj_size=UNITS // 2, dtype=torch.float64
    ),
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

    states = tuple(torch.zeros(n, dtype=torch.float64) for n in traced.widths)
    for t in range(BURN_IN):
        states = step(x[t, 0], states)

    def run(flat):
        moved = flat.split(list(traced.widths))
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
        # 12 comparisons of the six modules' 36 at 4 standard errors: 2e-3 in all.
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
    short = GradientSeries(-0.5 * steps[:5], np.full(5, 0.1)).at(10)
    assert short == (pytest.approx(-5.0), math.inf)
    dead = GradientSeries(np.array([-0.5, -math.inf]), np.zeros(2)).at(9)
    assert dead == (-math.inf, math.inf)


@pytest.mark.parametrize(("power", "rate"), [(-0.5, 0.0), (-1.5, 0.003), (0.0, -0.01)])
def test_a_series_goes_on_along_its_power(power, rate) -> None:
    """m_1(T) ~ T^p exp(g T), with the noise of a walk: within three of its errors, and near."""

    def law(t):
        return power * np.log10(t) + rate * t

    steps, wrong = np.arange(1, 401), []
    for seed in range(20):
        walk = np.random.default_rng(seed).normal(0.0, 2e-5, 400).cumsum()
        series = GradientSeries(law(steps) + walk, np.full(400, 1e-3))
        value, error = series.at(2000)
        wrong.append(abs(value - law(2000)))
        assert wrong[-1] < 3.0 * error
    assert np.median(wrong) < 0.1
    # The control: the straight line on from the last quarter, which is what a power is not.
    line = law(400) + (law(400) - law(300)) / 100 * 1600
    assert power == 0.0 or abs(line - law(2000)) > 0.3


# --- derivatives without forward mode, states apart, burn-in -------------------------------------


class _NoForwardMode(torch.autograd.Function):
    """tanh as fused kernels are: reverse mode alone, which can itself be differentiated."""

    @staticmethod
    def forward(context, e):
        context.save_for_backward(e)
        return torch.tanh(e)

    @staticmethod
    def backward(context, gradient):
        (e,) = context.saved_tensors
        return gradient * (1.0 - torch.tanh(e).square())


class Fused(torch.nn.Module):
    """A vanilla cell, its tanh by an operation with or without forward mode."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.V, self.W = torch.nn.Linear(INPUTS, UNITS), torch.nn.Linear(UNITS, UNITS)

    def forward(self, x, h):
        return self.function(self.V(x) + self.W(h))


def test_a_step_without_forward_mode_has_the_same_derivatives() -> None:
    """As PyTorch's fused GRU on CUDA: forward mode "has not been implemented yet" there."""
    module = Fused(torch.tanh).double()
    (layer,) = recurrent_layers(module)
    x = torch.randn(3, INPUTS, generator=seeded(), dtype=torch.float64)
    states = (torch.randn(3, UNITS, generator=seeded(1), dtype=torch.float64),)
    tangents = (torch.randn(5, 3, UNITS, generator=seeded(2), dtype=torch.float64),)
    plain = LayerStep(layer)
    (expected,) = plain.push(x, states, tangents)
    module.function = _NoForwardMode.apply
    fused = LayerStep(layer)
    (found,) = fused.push(x, states, tangents)
    assert torch.allclose(found, expected, atol=1e-14)
    (back,) = fused.pull(x, states, tangents)
    # <u, J v> = <J^T u, v>, and another J would not have it.
    assert float((back * tangents[0]).sum()) == pytest.approx(float((expected * tangents[0]).sum()))
    run = run_layer(layer, x[:, None].expand(3, 2, INPUTS), 0, 2, seeded())
    assert np.isfinite(run.gradients.log10).all()


class Checkpointed(torch.nn.Module):
    """A cell that keeps nothing of its forward and makes it again, backwards."""

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.GRUCell(INPUTS, UNITS, dtype=torch.float64)

    def forward(self, x, h):
        return checkpoint(self.cell, x, h, use_reentrant=False)


def test_a_checkpoint_inside_of_a_cell_changes_nothing() -> None:
    torch.manual_seed(0)
    module = Checkpointed()
    x = torch.randn(8, 4, INPUTS, generator=seeded(), dtype=torch.float64)
    kept, plain = (
        run_layer(recurrent_layers(each)[0], x, 2, 3, seeded()) for each in (module, module.cell)
    )
    assert np.allclose(kept.gradients.log10, plain.gradients.log10, rtol=0.0, atol=1e-12)
    assert kept.isometry == pytest.approx(plain.isometry, rel=1e-12)


def test_a_state_that_depends_on_no_state_has_no_gradient() -> None:
    class Delay(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.V = torch.nn.Linear(INPUTS, UNITS)

        def forward(self, x, h):
            return _NoForwardMode.apply(self.V(x)) + 0.0 * h

    (layer,) = recurrent_layers(Delay().double())
    x = torch.randn(3, 2, INPUTS, generator=seeded(), dtype=torch.float64)
    assert (run_layer(layer, x, 0, 2, seeded()).gradients.log10 == -math.inf).all()


@pytest.mark.parametrize("width", [UNITS, UNITS // 2], ids=["one width", "h narrower"])
def test_gradients_of_h_and_c_come_apart(width) -> None:
    torch.manual_seed(0)
    options = {} if width == UNITS else {"proj_size": width}
    (layer,) = recurrent_layers(torch.nn.LSTM(INPUTS, UNITS, dtype=torch.float64, **options))
    x = torch.randn(BURN_IN + HORIZON, 1, INPUTS, generator=seeded(1), dtype=torch.float64)
    run = run_layer(layer, x, BURN_IN, PROBES, seeded(2))
    jacobian = whole_jacobian(layer, x, HORIZON)
    own, size = {"h": slice(0, width), "c": slice(width, None)}, {"h": width, "c": UNITS}
    blocks = {(a, b): jacobian[own[b], own[a]] for a in "hc" for b in "hc"}
    assert run.apart.keys() == blocks.keys()
    for pair, block in blocks.items():
        value, error = run.apart[pair].at(HORIZON)
        truth = math.log10(float(block.square().sum()) / size[pair[1]])
        # 4 comparisons at 4 standard errors: 3e-4.
        assert abs(value - truth) < 4.0 * error
        assert error < 0.05
    sizes = [run.apart[pair].log10[-1] for pair in blocks]
    assert max(sizes) - min(sizes) > 0.2  # or telling them apart would not be tested
    ends = [size[end] for _, end in blocks]
    total = math.log10(sum(n * 10.0**s for n, s in zip(ends, sizes, strict=True)))
    total -= math.log10(UNITS + width)
    assert total == pytest.approx(run.gradients.log10[-1])


def leaking(decay, steps, burn_in=None, horizon=5):
    """A run of h' = decay h + (1 - decay) V x: it forgets its start as decay^(2 t)."""

    class Leak(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.V = torch.nn.Linear(INPUTS, 64, bias=False)

        def forward(self, x, h):
            return decay * h + (1 - decay) * self.V(x)

    (layer,) = recurrent_layers(Leak().double())
    x = torch.randn(steps, 32, INPUTS, generator=seeded(), dtype=torch.float64)
    return run_layer(layer, x, burn_in, 2, seeded(), horizon)


def test_the_burn_in_follows_the_memory_of_the_layer() -> None:
    quick, slow = leaking(0.3, 1000), leaking(0.98, 1000)
    assert (quick.burn_in, quick.drift) == (30, 0.0)
    # decay^(2 t) is below 2 % at t = 97; at 40 steps it is 20 %.
    assert 70 < slow.burn_in < 500
    assert slow.drift == 0.0
    assert len(slow.gradients.log10) == 5
    short = leaking(0.998, 60)
    assert short.burn_in == 55
    assert short.drift > 0.2
    assert leaking(0.998, 60, burn_in=7).burn_in == 7


def test_a_run_that_its_time_ended_has_what_it_has() -> None:
    (layer,) = recurrent_layers(torch.nn.RNN(INPUTS, UNITS))
    x = torch.randn(50, 2, INPUTS, generator=seeded(), dtype=torch.float64)
    run = run_layer(layer, x, 0, 2, seeded(), seconds=0.0)
    assert run.cut
    assert len(run.gradients.log10) == 1
    assert not run_layer(layer, x, 0, 2, seeded(), 5, whole=False).cut
    assert len(run_layer(layer, x, 0, 2, seeded(), 5, whole=False).outputs) == 5


@pytest.mark.parametrize(("spread", "probes"), [(0.0, 1), (0.0, 4), (1.5, 4)])
def test_the_error_of_a_mean_of_log_normal_samples_is_its_scatter(spread, probes) -> None:
    """Samples exp(s z - s^2 / 2) of mean 1, seen through probes along one direction each."""
    random = seeded(3)
    z = torch.randn(400, 64, 1, generator=random, dtype=torch.float64)
    along = torch.randn(400, 64, probes, generator=random, dtype=torch.float64)
    found = gradient_series(spread * z - spread**2 / 2 + along.square().log())
    # Beyond the quarter of the largest, which are the tails': half the width of the middle half,
    # and the middle error. 400 means know it to 6 %, four standard errors are 25 %.
    low, high = np.quantile(found.log10, [0.25, 0.75])
    scatter, typical = (high - low) / 1.349, float(np.median(found.error))
    assert 0.75 * scatter < typical < 2.0 * scatter
