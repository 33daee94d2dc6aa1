"""The pushed tangent against automatic differentiation of the whole network, and known spectra."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from rnnmft import Cell, Inputs, Preactivation, State, Status, cells, simulate
from rnnmft.activations import tanh
from rnnmft.simulation.elementwise import elementwise_derivatives
from rnnmft.simulation.inputs import InputSequence
from rnnmft.simulation.jacobians import measure
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import Generators, TiedParameters, UntiedParameters
from tests.simulation.false_alarms import FALSE_ALARM, p_value

CPU, N = torch.device("cpu"), 9
GATED = ["minimal", "gru", "gru_torch", "lstm"]


def run(cell, tying, horizon, with_tangent):
    """Three steps from zero, then `horizon` steps: (the map of those, the state, the tangent)."""
    law = {p.name: {"sigma_b": 0.2, "mu_b": 0.4} for p in cell.preactivations}
    recurrent = [p.name for p in cell.preactivations if p.is_recurrent]
    law = {k: v | ({"sigma_w": 1.7} if k in recurrent else {}) for k, v in law.items()}
    ensemble = cell.ensemble(**law)
    generators = Generators(4, 0, 2, CPU)
    drawn = generators.parameters
    parameters = (
        TiedParameters(cell, ensemble, N, drawn, torch.float64)
        if tying == "tied"
        else UntiedParameters(cell, ensemble, N, drawn, torch.float64)
    )
    x = InputSequence(Inputs(), 10, generators.inputs, N, torch.float64)
    network = Network(cell, N, CPU, torch.float64)
    states = network.zero_state(2)
    for _ in range(3):
        states, _ = network.step(states, x.advance(), parameters)
    tangent = network.tangent(2) if with_tangent else None

    def onward(*given):
        current = list(given)
        for _ in range(horizon):
            current, _ = network.step(current, x.advance(), parameters, tangent)
        return tuple(current)

    return onward, states, tangent


def by_autograd(cell, tying, horizon):
    """d s^{3+T} / d s^3 of both networks along trajectory 0, by differentiating the network."""
    onward, states, _ = run(cell, tying, horizon, with_tangent=False)
    blocks = jacobian(onward, tuple(states))
    rows = [[block[:, 0, :, :, 0] for block in row] for row in blocks]
    whole = torch.cat([torch.cat(row, dim=-1) for row in rows], dim=1)
    return torch.stack([whole[n, :, n] for n in range(2)])


@pytest.mark.parametrize("name", [*GATED, "rms_norm_rnn", "layer_norm_minimal"])
@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_tangent_is_the_jacobian_of_the_network(name, tying, horizon):
    cell = cells.get(name)
    expected = by_autograd(cell, tying, horizon)
    onward, states, tangent = run(cell, tying, horizon, with_tangent=True)
    onward(*states)
    pushed = tangent.jacobian() * tangent.log_scale.exp()[:, None, None]
    assert (pushed - expected).abs().max() < 1e-10
    sample = measure(tangent, spectrum=True, resolvent=False)
    values = torch.linalg.svdvals(expected)
    assert (sample.singular_values - values).abs().max() < 1e-10
    for k in (1, 2, 3):
        assert torch.allclose(sample.moments[:, k - 1], (values ** (2 * k)).mean(1), rtol=1e-10)


def test_a_jacobian_of_another_trajectory_is_told_apart():
    """Control of the test above: trajectory 1 has another Jacobian."""
    cell = cells.minimal()
    onward, states, tangent = run(cell, "tied", 1, with_tangent=True)
    onward(*(s.flip(1) for s in states))
    assert (tangent.jacobian() - by_autograd(cell, "tied", 1)).abs().max() > 1e-3


def test_elementwise_derivatives_know_what_vanishes():
    a, b = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 4.0])
    rows = elementwise_derivatives(lambda a, b: (a * a, a + b, torch.ones(2)), [a, b])
    assert torch.equal(rows[0][0], 2 * a)
    assert rows[0][1] is None
    assert torch.equal(rows[1][0], torch.ones(2))
    assert torch.equal(rows[1][1], torch.ones(2))
    assert rows[2] == [None, None]


def linear():
    h = State("h")
    e = Preactivation("e", h)
    return Cell("linear", update={h: e})


def test_a_linear_orthogonal_network_has_one_singular_value():
    cell = linear()
    ensemble = cell.ensemble(weights="orthogonal", e={"sigma_w": 0.9})
    for tying in ("tied", "untied"):
        run = simulate(
            cell, ensemble, Inputs(), width=32, networks=2, steps=2, tying=tying,
            jacobian_horizons=(1, 4), spectrum=True, resolvent_points=(2.0, 0.5 + 1j),
            dtype="float64", device="cpu",
        )  # fmt: skip
        for horizon, j in run.jacobian.items():
            value = 0.9**horizon
            assert np.abs(j.singular_values - value).max() < 1e-13
            assert np.abs(j.moments.mean - value ** np.array([2, 4, 6])).max() < 1e-13
            expected = 1 / (np.array([2.0, 0.5 + 1j]) - value**2)
            assert np.abs(j.resolvent.mean - expected).max() < 1e-13


def test_a_linear_gaussian_network_has_wishart_moments():
    """64 networks of width 48. Exactly, E tr (W W^T)^k / N = 1, 2 + 1/N, 5 + 6/N + 4/N^2.

    Control: 2 % more weight (m_k moves by 1.02^{2k}), and the moments at infinite width.
    """
    run = simulate(
        linear(), linear().ensemble(), Inputs(), width=48, networks=64, steps=1,
        jacobian_horizons=(1,), dtype="float64", device="cpu",
    )  # fmt: skip
    samples = run.jacobian[1].moments.samples
    exact = np.array([1.0, 2 + 1 / 48, 5 + 6 / 48 + 4 / 48**2])
    assert p_value(samples, exact) > FALSE_ALARM
    assert p_value(samples, exact * 1.02 ** np.array([2, 4, 6])) < FALSE_ALARM


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_long_horizons_neither_vanish_nor_overflow(sigma):
    """0.5^300 and 2^300 leave the range of float32, in which the tangent is kept."""
    cell = linear()
    ensemble = cell.ensemble(weights="orthogonal", e={"sigma_w": sigma, "sigma_v": 0.0})
    run = simulate(
        cell, ensemble, Inputs(), width=16, networks=2, steps=1, device="cpu",
        jacobian_horizons=(150, 300), spectrum=True,
    )  # fmt: skip
    assert set(run.jacobian) == {150, 300}
    for horizon, j in run.jacobian.items():
        rounding = horizon * 16 * 2.0**-23  # each product adds N eps at most
        assert np.allclose(j.moments.mean[0], sigma ** (2.0 * horizon), rtol=2 * rounding)
        assert np.allclose(j.singular_values, sigma**horizon, rtol=rounding)


def test_moments_beyond_float64_have_a_status():
    """m_3 = 2^(6 * 200) has no float64; m_1 = 2^400 has."""
    cell = linear()
    ensemble = cell.ensemble(weights="orthogonal", e={"sigma_w": 2.0, "sigma_v": 0.0})
    run = simulate(
        cell, ensemble, Inputs(), width=8, networks=2, steps=1, device="cpu",
        jacobian_horizons=(200,),
    )  # fmt: skip
    moments = run.jacobian[200].moments
    assert moments.status is Status.DIVERGES
    assert "step 201 in network 0, 1" in moments.reason
    assert np.isfinite(moments.mean).tolist() == [True, True, False]


def test_a_dead_network_has_jacobian_zero():
    """tanh saturates to a derivative of 0 in float32: all moments are 0, with status OK."""
    h = State("h")
    e = Preactivation("e", h)
    cell = Cell("saturated", update={h: tanh(e)})
    ensemble = cell.ensemble(e={"mu_b": 1e4})
    run = simulate(
        cell, ensemble, Inputs(), width=8, networks=2, steps=2, jacobian_horizons=(1, 3),
        spectrum=True, device="cpu",
    )  # fmt: skip
    assert set(run.jacobian) == {1, 3}
    for j in run.jacobian.values():
        assert j.status.ok
        assert not j.moments.samples.any()
        assert not j.singular_values.any()


def test_singular_values_come_in_descending_order():
    run = simulate(
        cells.lstm(), cells.lstm().ensemble(), Inputs(), width=12, networks=2, steps=2,
        jacobian_horizons=(1,), spectrum=True, device="cpu",
    )  # fmt: skip
    values = run.jacobian[1].singular_values
    assert values.shape == (2, 24)
    assert all((a >= b).all() for a, b in pairwise(values.T))
