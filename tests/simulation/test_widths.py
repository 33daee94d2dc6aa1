"""Networks of several widths: the shapes and laws of their matrices, and PyTorch's own projection.

FALSE_ALARM is that of `false_alarms`; the control of the variances is 3 % off.
"""

import numpy as np
import pytest
import torch

from rnnmft import Cell, Inputs, Preactivation, State, cells, simulate
from rnnmft.cells import Average, Constant, Input, RandomParameter
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import (
    FixedParameters,
    Generators,
    TiedParameters,
    UntiedParameters,
)
from rnnmft.simulation.weights import DenseMatrix
from tests.simulation.false_alarms import FALSE_ALARM, p_value

CPU, N = torch.device("cpu"), 8


def test_a_network_of_the_cell_is_torchs_lstm_with_a_projection():
    torch.manual_seed(0)
    layer = torch.nn.LSTM(5, N, proj_size=N // 4, dtype=torch.float64)
    cell = cells.get("projection_lstm")
    rows = dict(zip("ifgo", range(4), strict=True))
    given = {
        name: (
            DenseMatrix(layer.weight_hh_l0.detach()[None, k * N : (k + 1) * N], 1.0),
            DenseMatrix(layer.weight_ih_l0.detach()[None, k * N : (k + 1) * N], 1.0),
            (layer.bias_ih_l0 + layer.bias_hh_l0).detach()[None, None, k * N : (k + 1) * N],
        )
        for name, k in rows.items()
    }
    given["p"] = (DenseMatrix(layer.weight_hr_l0.detach()[None], 1.0), None, torch.zeros(()))
    network = Network(cell, N, CPU, torch.float64)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    states = network.zero_state(1, 3)
    for t in range(4):
        states, _ = network.step(states, x[t][None], FixedParameters(given))
    _, (h, c) = layer(x)
    assert [s.shape for s in states] == [(1, 3, N), (1, 3, N // 4)]
    assert torch.allclose(states[0], c.detach(), atol=1e-14)
    assert torch.allclose(states[1], h.detach(), atol=1e-14)


def matrices(weights, networks=1, width=64):
    cell = cells.get("projection_lstm")
    ensemble = cell.ensemble(weights, **{p.name: {"sigma_w": 1.5} for p in cell.preactivations})
    source = UntiedParameters(
        cell, ensemble, width, Generators(3, 0, networks, CPU).parameters, torch.float64
    )
    for p in cell.preactivations:
        matrix = source.recurrent(p)
        yield p, matrix.entries * matrix.scale


def test_entries_have_the_variance_of_what_they_see():
    for p, entries in matrices("gaussian", networks=200):
        rows, columns = (16, 64) if p.name == "p" else (64, 16)
        assert entries.shape == (200, rows, columns)
        squares = entries.square().mean((1, 2)).numpy() * columns
        assert p_value(squares, 2.25) > FALSE_ALARM
        assert p_value(squares, 2.25 * 1.03) < FALSE_ALARM


def test_orthogonal_rectangles_have_orthonormal_rows_or_columns():
    for p, entries in matrices("orthogonal"):
        w = entries[0] / 1.5
        tall = p.name != "p"
        gram = w.T @ w * (16 / 64) if tall else w @ w.T
        assert torch.allclose(gram, torch.eye(16, dtype=torch.float64), atol=1e-5)


def everything():
    """Two widths, an input and a parameter at the narrow one, averages of one seen at the other."""
    h, c, x, u = State("h", width=0.25), State("c"), Input("x"), RandomParameter("u")
    m = Average("m", h**2)
    e = Preactivation("e", h * (1 + m))
    p = Preactivation("p", c * m, width=0.25)
    return Cell("everything", {c: 0.5 * c + e / (1 + m), h: p + u * x})


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_inputs_parameters_and_averages_have_their_width(tying):
    cell = everything()
    law = cell.ensemble(e={"sigma_w": 1.0}, p={"sigma_w": 1.0}, parameters={"u": Constant(2.0)})
    run = simulate(
        cell,
        law,
        Inputs(R=0.5),
        width=400,
        networks=4,
        steps=4,
        tying=tying,
        jacobian_horizons=(1,),
        jacobian_networks=1,
        spectrum=True,
        device="cpu",
    )
    first = run.second_moment["h"].samples[:, 0]  # p is V x alone, of N_in = N/4 numbers
    assert first.mean() == pytest.approx(0.5 * (1 + 4), rel=0.2)
    assert run.jacobian[1].singular_values.shape[-1] == 500


def test_the_tangent_is_the_jacobian_of_a_network_of_two_widths():
    """Averages, which are numbers at both widths, included."""
    cell = everything()
    law = cell.ensemble(e={"sigma_w": 1.0}, p={"sigma_w": 1.0}, parameters={"u": Constant(2.0)})
    parameters = TiedParameters(
        cell, law, N, Generators(1, 0, 1, CPU).parameters, torch.float64, N // 4
    )
    network = Network(cell, N, CPU, torch.float64)
    torch.manual_seed(1)
    states = [torch.randn(1, 1, n, dtype=torch.float64) for n in network.sizes.values()]
    x = torch.randn(1, 1, N // 4, dtype=torch.float64)
    tangent = network.tangent(1)
    network.step(states, x, parameters, tangent)
    blocks = torch.autograd.functional.jacobian(
        lambda *s: tuple(network.step(s, x, parameters)[0]), tuple(states)
    )
    whole = torch.cat([torch.cat([b[0, 0, :, 0, 0] for b in row], 1) for row in blocks])
    pushed = tangent.jacobian()[0] * tangent.log_scale.exp()
    assert (pushed - whole).abs().max() < 1e-12
    started = network.start_state({"c": 1.0, "h": 1.0}, 1.0, Generators(1, 0, 2, CPU).states)
    assert [s.shape for s in started] == [(2, 2, N), (2, 2, N // 4)]


def test_blocks_are_per_unit_and_add_up_to_m_1():
    cell = cells.get("projection_lstm")
    law = cell.ensemble(**{p.name: {"sigma_w": 1.5} for p in cell.preactivations})
    run = simulate(
        cell,
        law,
        Inputs(),
        width=40,
        networks=2,
        steps=3,
        device="cpu",
        jacobian_horizons=(2,),
        dtype="float64",
    )
    blocks, moments = run.jacobian[2].blocks, run.jacobian[2].moments
    shares = np.array([0.8, 0.2])
    assert shares @ blocks.mean.sum(1) == pytest.approx(moments.mean[0], rel=1e-12)
