"""One step of many networks, against the cells' equations typed by hand."""

import torch
from torch import sigmoid, tanh

from rnnmft import Cell, Preactivation, State, cells
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import Generators, TiedParameters

NETWORKS, N = 3, 6
ROUNDING = 40 * 2.0**-52


def setting(cell):
    """A network, its parameters, a state and an input, in float64."""
    generators = Generators(1, 0, NETWORKS, torch.device("cpu")).parameters
    law = {p.name: {"sigma_b": 0.5, "mu_b": 0.3} for p in cell.preactivations}
    parameters = TiedParameters(cell, cell.ensemble(**law), N, generators, torch.float64)
    torch.manual_seed(2)
    states = [torch.randn(NETWORKS, 2, N, dtype=torch.float64) for _ in cell.states]
    x = torch.randn(NETWORKS, 2, N, dtype=torch.float64)
    return Network(cell, N, torch.device("cpu"), torch.float64), parameters, states, x


def affine(parameters, p, y, x):
    """W y + V x + b unit by unit."""
    (w, v), b = (m.dense() for m in parameters.given[p.name][:2]), parameters.bias(p)
    terms = zip((w, v), (y, x), strict=True)
    return sum(m.scale * torch.einsum("nij,nrj->nri", m.entries, u) for m, u in terms) + b


def test_minimal_uses_one_input_twice():
    cell = cells.minimal()
    network, parameters, (h,), x = setting(cell)
    (new,), (e,) = network.step([h], x, parameters)
    by_hand = affine(parameters, cell.preactivations[0], h, x)
    assert (e - by_hand).abs().max() < ROUNDING
    u = sigmoid(by_hand)
    assert (new - (u * h + (1 - u) * x)).abs().max() < ROUNDING


def test_gru_resets_before_the_product():
    cell = cells.gru()
    network, parameters, (h,), x = setting(cell)
    (new,), _ = network.step([h], x, parameters)
    r, z, n = cell.preactivations
    gate = sigmoid(affine(parameters, z, h, x))
    reset = sigmoid(affine(parameters, r, h, x))
    candidate = tanh(affine(parameters, n, reset * h, x))
    assert (new - (gate * h + (1 - gate) * candidate)).abs().max() < ROUNDING


def test_updates_are_simultaneous_and_constants_keep_their_shape():
    a, b = State("a"), State("b")
    e = Preactivation("e", a + b)
    cell = Cell("swap", update={a: b, b: 2.0 + 0 * e})
    network, parameters, (old_a, old_b), x = setting(cell)
    (new_a, new_b), _ = network.step([old_a, old_b], x, parameters)
    assert torch.equal(new_a, old_b)
    assert new_b.shape == x.shape
    assert new_b.unique().tolist() == [2.0]
