"""Bottlenecks and states of several widths as people write them; PyTorch's LSTM with a projection.

That a traced cell steps, and has the derivatives, of its module is checked by every trace.
"""

import pytest
import sympy as sp
import torch
from torch import nn

from rnnmft import cells
from rnnmft.errors import CellError
from rnnmft.tracing import recurrent_layers
from rnnmft.tracing.traced import trace

N, N_IN = 24, 5


class LowRank(nn.Module):
    def __init__(self, n=N, rank=6):
        super().__init__()
        self.hidden_size = n
        self.down, self.up = nn.Linear(n, rank, bias=False), nn.Linear(rank, n)
        self.input = nn.Linear(N_IN, n)

    def forward(self, x, h):
        return torch.tanh(self.up(self.down(h)) + self.input(x))


class Bottleneck(nn.Module):
    """A hidden layer of another width, and gates, in the loop."""

    def __init__(self, inner=10):
        super().__init__()
        self.hidden_size = N
        self.down, self.up = nn.Linear(N + N_IN, inner), nn.Linear(inner, 2 * N)

    def forward(self, x, h):
        z, n = self.up(torch.relu(self.down(torch.cat([x, h], -1)))).chunk(2, -1)
        z = torch.sigmoid(z)
        return z * h + (1 - z) * torch.tanh(n)


class NarrowGates(nn.Module):
    """Fused gates of N/4 each, which together have N rows."""

    def __init__(self):
        super().__init__()
        self.hidden_size = N
        self.gates, self.up = nn.Linear(N + N_IN, N), nn.Linear(N // 4, N)

    def forward(self, x, h):
        a, b, c, d = self.gates(torch.cat([x, h], -1)).split(N // 4, -1)
        return torch.tanh(self.up(a * torch.sigmoid(b) + c * torch.sigmoid(d)))


class Projected(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.hidden_size = N
        self.gates = nn.Linear(width + N_IN, 4 * N)
        self.out = nn.Linear(N, width, bias=False)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], -1)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = self.out(torch.sigmoid(o) * torch.tanh(c))
        return h, (h, c)


class Previous(nn.Module):
    """Its second state is the input before, of N_in numbers."""

    def __init__(self, inputs=12):
        super().__init__()
        self.hidden_size, self.input_size = N, inputs
        self.w, self.now, self.before = nn.Linear(N, N), nn.Linear(inputs, N), nn.Linear(inputs, N)

    def forward(self, x, h, last):
        return torch.tanh(self.w(h) + self.now(x) + self.before(last)), x


def widths(traced):
    return {s.name: w for s, w in traced.cell.widths.items() if w != 1}


def test_a_product_of_two_matrices_is_a_bottleneck():
    traced = trace(LowRank())
    assert widths(traced) == {"down": sp.Rational(1, 4)}
    (down, up) = traced.cell.preactivations
    assert (up.sees, traced.cell.seen_widths[up]) == (down, sp.Rational(1, 4))
    assert traced.bindings["down"].recurrent[0].shape == (6, N)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Bottleneck(), {"down": sp.Rational(10, N)}),
        (Bottleneck(3 * N // 2), {"down": sp.Rational(3, 2)}),
        (NarrowGates(), dict.fromkeys("abcd", sp.Rational(1, 4))),
    ],
    ids=["bottleneck", "wider", "fused gates"],
)
def test_inner_layers_have_their_width(module, expected):
    assert widths(trace(module)) == expected


@pytest.mark.parametrize(
    "hints", [{}, {"states": {"h": 6, "c": N}, "input": N_IN}], ids=["found", "given"]
)
def test_a_projection_written_by_hand(hints):
    traced = trace(Projected(), **hints)
    assert traced.widths == (6, N)
    assert traced.width == N
    assert {s.name: s.width for s in traced.cell.states} == {"h": sp.Rational(1, 4), "c": 1}
    new = traced.step(Projected(), torch.zeros(3, N_IN), [torch.zeros(3, n) for n in traced.widths])
    assert [tuple(s.shape) for s in new] == [(3, 6), (3, N)]


def test_a_state_as_wide_as_the_input():
    traced = trace(Previous(), states=("h", "last"))
    assert traced.widths == (N, 12)
    assert widths(traced) == {"last": sp.S.Half, "x": sp.S.Half}


@pytest.mark.parametrize(
    ("n", "rank", "refused"),
    [(256, 2, True), (64, 7, True), (24, 1, True), (256, 8, False), (24, 6, False), (8, 2, False)],
)
def test_a_fixed_rank_is_no_width(n, rank, refused):
    if not refused:
        assert widths(trace(LowRank(n, rank))) == {"down": sp.Rational(rank, n)}
        return
    with pytest.raises(CellError, match=rf"makes {rank} numbers? of all units: a rank that stays"):
        trace(LowRank(n, rank))


@pytest.mark.parametrize("bias", [True, False])
def test_torchs_lstm_with_a_projection_is_the_zoos(bias):
    module = nn.LSTM(N_IN, N, 2, bias=bias, proj_size=N // 4, bidirectional=True)
    layers = recurrent_layers(module)
    assert len(layers) == 4
    for layer in layers:
        assert layer.traced.cell == cells.get("projection_lstm")
        w, v, b = layer.parameters()["p"]
        assert (w.shape, v, b.shape) == ((N // 4, N), None, (N // 4,))
        assert layer.parameters()["f"][0].shape == (N, N // 4)
    above = layers[2].parameters()["i"][1]
    assert above.shape == (N, N // 2)
