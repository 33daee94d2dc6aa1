"""Stacks: against PyTorch's stacked modules, against recursions by hand, and what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from rnnmft import cells, errors
from rnnmft.analysis.mean_field import MeanField
from rnnmft.language import Average, Cell, Inputs, Preactivation, State
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import FixedParameters
from rnnmft.simulation.weights import DenseMatrix

N, STEPS, LAYERS = 5, 6, 3
GATES = {"lstm": "ifgo", "gru_torch": "rzn"}


def given_of(module: torch.nn.Module, name: str) -> FixedParameters:
    """PyTorch's tensors as the W, V, b of a stack's preactivations."""
    given: dict[str, tuple[DenseMatrix | None, DenseMatrix | None, torch.Tensor]] = {}

    def matrix(m: torch.Tensor) -> DenseMatrix:
        return DenseMatrix(m.detach()[None], 1.0)

    for layer in range(LAYERS):
        parts = (f"{kind}_l{layer}" for kind in ("weight_hh", "weight_ih", "bias_hh", "bias_ih"))
        w, v, b_h, b_i = (getattr(module, part).chunk(len(GATES[name])) for part in parts)
        for k, gate in enumerate(GATES[name]):
            at = f"{gate}_{layer + 1}"
            bias, nothing = (b_h[k] + b_i[k]).detach()[None, None], torch.zeros(1, 1, N).double()
            if gate == "n":
                fed = (None, matrix(v[k]), b_i[k].detach()[None, None])
                if layer:
                    fed = (matrix(v[k]), None, b_i[k].detach()[None, None])
                given[f"n_x_{layer + 1}"] = fed
                given[f"n_h_{layer + 1}"] = (matrix(w[k]), None, b_h[k].detach()[None, None])
            elif layer:
                given[at] = (matrix(w[k]), None, bias)
                given[f"{at}_below"] = (matrix(v[k]), None, nothing)
            else:
                given[at] = (matrix(w[k]), matrix(v[k]), bias)
    return FixedParameters(given)


@pytest.mark.parametrize(
    ("name", "module"), [("lstm", torch.nn.LSTM), ("gru_torch", torch.nn.GRU)], ids=list(GATES)
)
def test_a_stack_steps_as_its_torch_twin(name: str, module: type[torch.nn.Module]) -> None:
    """Three layers of PyTorch with the same numbers: equal to rounding."""
    torch.manual_seed(0)
    theirs = module(N, N, num_layers=LAYERS, batch_first=True, dtype=torch.float64)
    for parameter in theirs.parameters():
        parameter.data.normal_(std=0.9)
    cell = cells.stack(cells.get(name), LAYERS)
    network = Network(cell, N, torch.device("cpu"), torch.float64)
    parameters, states = given_of(theirs, name), network.zero_state(1, 2)
    x = torch.randn(2, STEPS, N, dtype=torch.float64)
    for t in range(STEPS):
        states, _ = network.step(states, x[None, :, t], parameters)
    _, last = theirs(x)
    h, c = last if name == "lstm" else (last, None)
    by_name = dict(zip((s.name for s in cell.states), states, strict=True))
    for layer in range(LAYERS):
        assert (by_name[f"h_{layer + 1}"][0] - h[layer]).abs().max() <= 1e-12
        if c is not None:
            assert (by_name[f"c_{layer + 1}"][0] - c[layer]).abs().max() <= 1e-12


def test_a_linear_stack_by_hand() -> None:
    """Q_l' = sigma_w^2 Q_l + sigma_v^2 Q_{l-1}' of untied linear layers, Q_0 = R."""
    cell = cells.stack(cells.vanilla(lambda e: e), 3)
    ensemble = cell.ensemble(e={"sigma_w": 0.6, "sigma_v": 0.8}, e_3={"sigma_v": 1.2})
    found = MeanField(cell, ensemble, Inputs(R=0.7, correlation=0.3), "untied").evolve(STEPS)
    second, crossed = [0.0] * 3, [0.0] * 3
    for t in range(STEPS):
        below, below_crossed = 0.7, 0.7 * 0.3
        for layer, sigma_v in enumerate((0.8, 0.8, 1.2)):
            second[layer] = 0.36 * second[layer] + sigma_v**2 * below
            crossed[layer] = 0.36 * crossed[layer] + sigma_v**2 * below_crossed
            below, below_crossed = second[layer], crossed[layer]
            at = f"h_{layer + 1}"
            assert found.second_moment[at][t] == pytest.approx(second[layer], rel=1e-9)
            assert found.cross_moment[at][t] == pytest.approx(crossed[layer], rel=1e-9)


def test_a_layer_is_fed_what_the_one_below_has_become() -> None:
    """An input that enters elementwise is the hidden state below; weights see it new."""
    cell = cells.stack(cells.minimal(), 2)
    h_1, h_2 = cell.states
    e_2 = next(p for p in cell.preactivations if p.name == "e_2_below")
    assert e_2.sees == cell.update[h_1]
    assert not e_2.has_input
    assert cell.update[h_2].has(*cell.update[h_1].free_symbols)
    assert cell.input is not None


def test_averages_and_parameters_are_the_layers_own() -> None:
    h = State("h")
    e = Preactivation("e", h)
    normed = Cell("normed", update={h: e - Average("m", e)})
    both = cells.stack([normed, cells.indrnn()])
    assert [m.name for m in both.averages] == ["m_1"]
    assert [p.name for p in both.parameters] == ["u_2"]
    uniform = cells.Uniform(0, 1)
    assert both.ensemble(parameters={"u": uniform}).parameters == {"u_2": uniform}


def test_one_layer_is_its_cell() -> None:
    """The same numbers, under numbered names."""
    alone, cell = cells.minimal(), cells.stack(cells.minimal(), 1)
    laws = {"sigma_w": 4.0, "mu_b": 0.5}
    one = MeanField(cell, cell.ensemble(e=laws), tying="untied").evolve(4)
    other = MeanField(alone, alone.ensemble(e=laws), tying="untied").evolve(4)
    np.testing.assert_allclose(one.second_moment["h_1"], other.second_moment["h"], rtol=1e-12)


def test_laws_are_given_for_all_layers_or_for_one() -> None:
    cell = cells.stack([cells.gru_torch(), cells.lstm()])
    ensemble = cell.ensemble(
        {"z": "orthogonal", "o_2": "orthogonal"},
        n_x={"sigma_v": 0.3, "mu_b": 0.1},
        o={"sigma_w": 2.0, "sigma_v": 3.0, "sigma_b": 0.4},
        o_2={"sigma_w": 2.5},
    )
    assert list(ensemble) == [p.name for p in cell.preactivations]
    assert ensemble["z_1"].weights == ensemble["o_2"].weights == "orthogonal"
    assert ensemble["o_2_below"].weights == "gaussian"
    assert (ensemble["n_x_1"].sigma_v, ensemble["n_x_1"].mu_b) == (0.3, 0.1)
    assert (ensemble["o_2"].sigma_w, ensemble["o_2"].sigma_b) == (2.5, 0.4)
    assert (ensemble["o_2_below"].sigma_w, ensemble["o_2_below"].sigma_b) == (3.0, 0.0)


def test_a_stack_survives_pickling_and_text() -> None:
    cell = cells.stack([cells.lstm(), cells.gru()])
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert pickle.loads(pickle.dumps(cell)).layers == cell.layers
    assert cells.loads(cell.to_toml()).update == cell.update


def test_what_is_refused() -> None:
    a, b = State("a"), State("b")
    e = Preactivation("e", a + b)
    two = Cell("two", update={a: e, b: a})
    with pytest.raises(errors.CellError, match="has no state 'h' for the layer above"):
        cells.stack(two, 2)
    assert cells.stack(two, 2, output="b").states[2].name == "a_2"
    with pytest.raises(errors.ParameterError, match="layers must be a whole number"):
        cells.stack(cells.lstm(), 0)
    with pytest.raises(errors.ParameterError, match="layers must be absent"):
        cells.stack([cells.lstm()], 2)
    with pytest.raises(errors.ParameterError, match="sequence of them"):
        cells.stack([])
    cell = cells.stack(cells.vanilla(), 2)
    with pytest.raises(errors.ParameterError, match=r"unknown preactivation 'f'; .* e, e_1, e_2"):
        cell.ensemble(f={"sigma_w": 1.0})
    mixed = cells.stack([cells.vanilla(), cells.indrnn()])
    with pytest.raises(errors.ParameterError, match=r"layer 2, indrnn: e\.sigma_w must be 0"):
        mixed.ensemble(parameters={"u": cells.Uniform(0, 1)}, e={"sigma_w": 1.0})
    with pytest.raises(errors.ParameterError, match="must be a mapping"):
        cell.ensemble(e=3.0)  # type: ignore[arg-type]
    with pytest.raises(errors.ParameterError, match="must be 2, one a layer"):
        cell.joined([])
    with pytest.raises(errors.ParameterError, match="ensemble of layer 2 has"):
        cell.joined([cells.vanilla().ensemble(), cells.gru().ensemble()])
