"""Built-in cells against PyTorch's modules of the same name, with the same weights, in float64."""

import pytest
import torch

from rnnmft import cells
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import FixedParameters
from rnnmft.simulation.weights import DenseMatrix

N, N_IN, TRAJECTORIES, STEPS = 7, 7, 3, 12
# PyTorch's order of the gates in weight_ih and weight_hh.
GATES = {"vanilla": "e", "gru_torch": "rzn", "lstm": "ifgo"}
MODULES = {
    "vanilla": torch.nn.RNNCell,
    "gru_torch": torch.nn.GRUCell,
    "lstm": torch.nn.LSTMCell,
}


def parameters_of(module, name):
    """The module's tensors as {preactivation: (W, V, b)}, one network."""
    count = len(GATES[name])
    w, v, b_h, b_i = (
        tensor.detach().chunk(count)
        for tensor in (module.weight_hh, module.weight_ih, module.bias_hh, module.bias_ih)
    )
    matrices = [[DenseMatrix(m[None], 1.0) for m in group] for group in (w, v)]
    given = {
        gate: (matrices[0][k], matrices[1][k], (b_h[k] + b_i[k])[None, None])
        for k, gate in enumerate(GATES[name])
    }
    if name == "gru_torch":  # the candidate's recurrent part is multiplied by r before it is added
        del given["n"]
        given["n_x"] = (None, matrices[1][2], b_i[2][None, None])
        given["n_h"] = (matrices[0][2], None, b_h[2][None, None])
    return FixedParameters(given)


@pytest.mark.parametrize("name", GATES)
def test_a_cell_steps_as_its_torch_twin(name):
    """Equal to rounding: 12 steps of contracting maps keep it below 1e-12."""
    torch.manual_seed(0)
    module = MODULES[name](N_IN, N, dtype=torch.float64)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.9)
    cell = cells.get(name)
    network = Network(cell, N, torch.device("cpu"), torch.float64)
    parameters = parameters_of(module, name)
    states = network.zero_state(1, TRAJECTORIES)
    hidden = torch.zeros(TRAJECTORIES, N, dtype=torch.float64)
    theirs = (hidden, hidden) if name == "lstm" else hidden
    for _ in range(STEPS):
        x = torch.randn(TRAJECTORIES, N_IN, dtype=torch.float64)
        states, _ = network.step(states, x[None], parameters)
        theirs = module(x, theirs)
        by_name = dict(zip((s.name for s in cell.states), states, strict=True))
        expected = dict(zip("hc", theirs, strict=True)) if name == "lstm" else {"h": theirs}
        for state, value in expected.items():
            assert (by_name[state][0] - value).abs().max() <= 1e-12


def test_the_twin_test_tells_the_two_grus_apart():
    """Control: GRU with the reset before the product is not nn.GRUCell."""
    torch.manual_seed(0)
    module = torch.nn.GRUCell(N_IN, N, dtype=torch.float64)
    w, v, b = (t.detach().chunk(3) for t in (module.weight_hh, module.weight_ih, module.bias_ih))
    given = {
        gate: (DenseMatrix(w[k][None], 1.0), DenseMatrix(v[k][None], 1.0), b[k][None, None])
        for k, gate in enumerate("rzn")
    }
    module.bias_hh.data.zero_()
    network = Network(cells.gru(), N, torch.device("cpu"), torch.float64)
    h, x = torch.randn(1, N, dtype=torch.float64), torch.randn(1, N_IN, dtype=torch.float64)
    (stepped,), _ = network.step([h[None]], x[None], FixedParameters(given))
    assert (stepped[0] - module(x, h)).abs().max() > 1e-3
