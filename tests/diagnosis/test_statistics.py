"""What is read of parameters and of sample data, against direct sums and known processes."""

from __future__ import annotations

import math

import pytest
import torch

from rnnmft import cells
from rnnmft.cells import Empirical, Inputs, Normal
from rnnmft.diagnosis.sequences import estimated_inputs, given_sequences, white_sequences
from rnnmft.diagnosis.statistics import gate_statistics, measured_ensemble
from rnnmft.errors import ParameterError
from rnnmft.initialization.modules import apply_
from rnnmft.tracing import recurrent_layers
from tests.tracing import modules as users


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_gates_numbers_are_those_of_its_block() -> None:
    torch.manual_seed(0)
    module = torch.nn.GRU(10, 32)
    (layer,) = recurrent_layers(module)
    gates = {g.name: g for g in gate_statistics(layer)}
    w, v = module.weight_hh_l0.detach().double(), module.weight_ih_l0.detach().double()
    b_ih, b_hh = module.bias_ih_l0.detach().double(), module.bias_hh_l0.detach().double()
    z, n = slice(32, 64), slice(64, 96)
    assert gates["z"].sigma_w == pytest.approx(float(w[z].square().sum() / 32) ** 0.5)
    assert gates["z"].sigma_v == pytest.approx(float(v[z].square().sum() / 32) ** 0.5)
    assert gates["z"].mu_b == pytest.approx(float((b_ih + b_hh)[z].mean()))
    assert gates["n_h"].sigma_b == pytest.approx(float(b_hh[n].std(correction=0)))
    assert gates["n_x"].mu_b == pytest.approx(float(b_ih[n].mean()))
    assert (gates["n_x"].sigma_w, gates["n_x"].spread, gates["n_h"].sigma_v) == (0.0, None, 0.0)
    ensemble = measured_ensemble(layer, gate_statistics(layer))
    assert {n: law.sigma_w for n, law in ensemble.items()} == {
        n: g.sigma_w for n, g in gates.items()
    }


def test_orthogonal_and_gaussian_matrices_are_told_apart() -> None:
    ensemble = cells.lstm().ensemble({"i": "orthogonal", "g": "orthogonal"}, i={"sigma_w": 1.7})
    (layer,) = recurrent_layers(apply_(ensemble, torch.nn.LSTM(8, 256), seeded()))
    gates = {g.name: g for g in gate_statistics(layer)}
    assert {n: g.weights for n, g in gates.items()} == {n: ensemble[n].weights for n in gates}
    for name, gate in gates.items():
        if ensemble[name].weights == "orthogonal":
            assert gate.orthogonality < 1e-5
        else:
            # The variance of a squared singular value over a Marchenko-Pastur law is 1 + O(1/N).
            assert abs(gate.spread - 1.0) < 8.0 / 256
            assert gate.shift < 4.0 / math.sqrt(256)
        assert gate.remarks == []
    assert measured_ensemble(layer, gate_statistics(layer))["i"].weights == "orthogonal"


def test_what_is_no_random_matrix_is_said() -> None:
    module = torch.nn.RNN(4, 64)
    with torch.no_grad():
        module.weight_hh_l0 += 3.0 / 64
    (gate,) = gate_statistics(recurrent_layers(module)[0])
    for part in ("dominating singular values", "common mean", "outside of the circle"):
        assert any(part in remark for remark in gate.remarks)


def test_gates_that_share_a_matrix_are_said() -> None:
    module = torch.nn.GRU(4, 64)
    assert all(g.alike == () for g in gate_statistics(recurrent_layers(module)[0]))
    with torch.no_grad():
        module.weight_hh_l0[64:128] = -module.weight_hh_l0[:64]
    gates = {g.name: g for g in gate_statistics(recurrent_layers(module)[0])}
    ((other, value),) = gates["z"].alike
    assert (other, value) == ("W of r", pytest.approx(-1.0))
    assert any("not independent of W of r" in remark for remark in gates["z"].remarks)
    assert gates["n_h"].alike == ()
    with torch.no_grad():
        module.weight_hh_l0[64:128] = module.weight_hh_l0[:64].T
    gates = {g.name: g for g in gate_statistics(recurrent_layers(module)[0])}
    assert [other for other, _ in gates["z"].alike] == ["W of r"]


def test_a_w_that_is_the_v_too_is_said() -> None:
    module = torch.nn.RNN(64, 64)
    module.weight_ih_l0 = module.weight_hh_l0
    (gate,) = gate_statistics(recurrent_layers(module)[0])
    assert any("W of e is not independent of V of e" in remark for remark in gate.remarks)


def test_numbers_that_are_not_finite_are_refused() -> None:
    module = torch.nn.RNN(4, 8)
    with torch.no_grad():
        module.weight_ih_l0[2, 1] = math.nan
    with pytest.raises(ParameterError, match="V of 'e' holds numbers that are not finite"):
        gate_statistics(recurrent_layers(module)[0])


def test_elementwise_parameters_become_their_own_law() -> None:
    """Uniform numbers stay uniform: a normal law of the same deviation has growing units."""
    module = users.IndRNN(3, 50)
    module.u.data.uniform_(0.0, 1.0, generator=seeded())
    (layer,) = recurrent_layers(module)
    (values,) = layer.traced.elementwise_parameters(layer.module).values()
    ensemble = measured_ensemble(layer, gate_statistics(layer))
    (law,) = ensemble.parameters.values()
    assert law == Empirical(tuple(values.double().tolist()))
    assert law.support[1] <= 1.0 < Normal(law.mean, law.variance**0.5).quantile(0.99)


# --- sequences -----------------------------------------------------------------------------------

STEPS, SEQUENCES, FEATURES = 200, 20, 30
NUMBERS = STEPS * SEQUENCES * FEATURES


def test_white_noise_is_taken_for_white() -> None:
    x = 1.5 * white_sequences((STEPS, SEQUENCES, FEATURES), seeded())
    found = estimated_inputs(x)
    assert found.temporal == "white"
    # A mean square of n normal numbers has a relative standard error of (2 / n)^(1/2).
    assert abs(found.R / 2.25 - 1.0) < 4.0 * math.sqrt(2.0 / NUMBERS)


def test_what_does_not_change_is_constant() -> None:
    x = torch.randn(1, SEQUENCES, FEATURES, generator=seeded()).expand(STEPS, -1, -1)
    assert estimated_inputs(x.double()).temporal == "constant"
    assert estimated_inputs(torch.zeros(STEPS, 2, 3)) == Inputs(R=0.0)


def test_a_decaying_correlation_is_found() -> None:
    rho, random = 0.7, seeded()
    x = torch.randn(STEPS, SEQUENCES, FEATURES, generator=random, dtype=torch.float64)
    for t in range(1, STEPS):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho**2) * x[t]
    found = estimated_inputs(x)
    for lag in range(1, 6):
        # The taper, the average that is removed, and 4 standard errors of a correlated sample.
        bound = 0.1 * rho**lag + 0.05 + 4.0 * math.sqrt((1 + rho**2) / (1 - rho**2) / NUMBERS)
        assert abs(found.kappa(lag) - rho**lag) < bound


def test_a_constant_part_stays_for_ever() -> None:
    random = seeded()
    x = torch.randn(STEPS, SEQUENCES, FEATURES, generator=random, dtype=torch.float64)
    x += torch.randn(1, SEQUENCES, FEATURES, generator=random, dtype=torch.float64)
    found = estimated_inputs(x)
    # Half of R does not change; the taper takes a quarter of it over the whole length. The sample
    # has 600 constants: their mean square S has a standard error of (2 / 600)^(1/2), and
    # S / (S + 1) a quarter of it.
    for lag in (1, 10, 100):
        expected = 0.5 * (1 - lag / (4 * STEPS))
        assert abs(found.kappa(lag) - expected) < 4.0 * math.sqrt(2.0 / 600) / 4


def test_data_are_taken_as_the_module_takes_them() -> None:
    data = torch.arange(5 * 6 * 3.0).view(5, 6, 3)
    assert given_sequences(data, 3, False, 10, seeded()).shape == (5, 6, 3)
    assert torch.equal(given_sequences(data, 3, True, 10, seeded()), data.transpose(0, 1).double())
    assert given_sequences(data[:, 0], 3, True, 10, seeded()).shape == (5, 1, 3)
    assert given_sequences(data, 3, False, 4, seeded()).shape == (5, 4, 3)
    assert given_sequences(data.numpy(), 3, False, 4, seeded()).shape == (5, 4, 3)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (torch.zeros(5, 6, 4), "with 3 features"),
        (torch.zeros(3, 6, 3), "at least 4 steps"),
        (torch.full((5, 6, 3), math.inf), "must be finite"),
        ("some text", "array of numbers"),
        (torch.zeros(5), "must have shape"),
    ],
)
def test_other_data_are_refused(data, sentence) -> None:
    with pytest.raises(ParameterError, match=sentence):
        given_sequences(data, 3, False, 4, seeded())
