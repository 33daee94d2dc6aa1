"""States as people hold them: every module here is one LSTM, or one vanilla cell, in other clothes.

The reference is the cell itself, step for step and derivative for derivative: `trace` compares
the module with what it read. The tests ask that the right cell was read, under the right names.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import nn

from rnnmft import CellError, cells
from rnnmft.activations import tanh as act_tanh
from rnnmft.cells import from_torch
from rnnmft.language.laws import Normal, Uniform
from rnnmft.tracing import trace
from rnnmft.tracing.beside import traced_step

N_IN, N, BATCH = 3, 4, 5


class Gates(nn.Module):
    """The LSTM's equations; the subclasses hold its states."""

    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(N_IN, 4 * N), nn.Linear(N, 4 * N)

    def new(self, x, h, c):
        i, f, g, o = (self.i(x) + self.h(h)).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Joined(Gates):
    def forward(self, x, state):
        h, c = state.chunk(2, 1)
        return torch.cat(self.new(x, h, c), 1)


class Stacked(Gates):
    def forward(self, x, state):
        return torch.stack(self.new(x, state[0], state[1]))


class Beside(Gates):
    def forward(self, x, state):
        h, c = state.unbind(1)
        return torch.stack(self.new(x, h, c), 1)


class InADictionary(Gates):
    def forward(self, x, state):
        h, c = self.new(x, state["h"], state["c"])
        return h, {"c": c, "h": h}


class Pair(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


class InANamedTuple(Gates):
    def forward(self, x, state):
        return Pair(*self.new(x, state.h, state.c))


class InAList(Gates):
    def forward(self, x, state):
        assert isinstance(state, list)
        h, c = self.new(x, *state)
        return h, [h, c]


class ByKeyword(Gates):
    def forward(self, x, *, h, c):
        return self.new(x, h, c)


class Optional(Gates):
    def forward(self, x, hx=None):
        h, c = (x.new_zeros(len(x), N),) * 2 if hx is None else hx
        return self.new(x, h, c)


class AsLayers(Gates):
    """(1, B, N) each, as nn.LSTM has them, and a sequence of one step."""

    def forward(self, x, state):
        h, c = self.new(x[0], state[0][0], state[1][0])
        return h[None], (h[None], c[None])


class OtherOrder(Gates):
    def forward(self, x, h, c):
        h_new, c_new = self.new(x, h, c)
        return c_new, h_new


LSTMS = (
    Joined,
    Stacked,
    Beside,
    InADictionary,
    InANamedTuple,
    InAList,
    ByKeyword,
    Optional,
    AsLayers,
    OtherOrder,
)


@pytest.mark.parametrize("kind", LSTMS, ids=lambda kind: kind.__name__)
def test_the_lstm_in_other_clothes(kind):
    cell, zoo = from_torch(kind()), cells.lstm()
    gates = {f"i_{j}": gate for j, gate in enumerate("ifgo")}
    ours = {s.name: str(f) for s, f in cell.update.items()}
    for mine, theirs in gates.items():
        ours = {name: f.replace(mine, theirs) for name, f in ours.items()}
    assert ours == {s.name: str(f) for s, f in zoo.update.items()}
    assert {gates[p.name]: str(y) for p, y in cell.sees.items()} == dict.fromkeys("ifgo", "h")


class Vanilla(nn.Module):
    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(N_IN, N), nn.Linear(N, N)

    def new(self, x, h):
        return torch.tanh(self.i(x) + self.h(h))


class OneLayer(Vanilla):
    def forward(self, x, h):
        return self.new(x, h[0])[None]


class OneBeside(Vanilla):
    """A state (B, 1, N) and an input (B, N_in)."""

    def forward(self, x, h):
        return self.new(x, h[:, 0])[:, None]


class OneInAList(Vanilla):
    def forward(self, x, state):
        h = self.new(x, state[0])
        return h, [h]


class FromTheLeft(nn.Module):
    def __init__(self):
        super().__init__()
        self.W, self.V = nn.Parameter(torch.randn(N, N)), nn.Parameter(torch.randn(N, N_IN))
        self.b = nn.Parameter(torch.randn(N, 1))

    def forward(self, x, h):
        return torch.tanh(self.W @ h + self.V @ x + self.b)


HELD = (OneLayer, OneBeside, OneInAList, FromTheLeft)


@pytest.mark.parametrize("kind", HELD, ids=lambda k: k.__name__)
def test_the_vanilla_cell_in_other_clothes(kind):
    traced = trace(kind())
    (update,) = traced.cell.update.values()
    (e,) = traced.cell.preactivations
    assert traced.states == ("h",)
    assert (e.is_recurrent, e.has_input) == (True, True)
    assert type(update).__name__ == "tanh"


class TwoLayers(nn.Module):
    """A list of pairs, one a layer; and the same as one tensor (L, B, N) of two vanilla layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LSTMCell(N_IN, N), nn.LSTMCell(N, N)

    def forward(self, x, states):
        h, c = self.first(x, states[0])
        y, d = self.second(h, states[1])
        return y, [(h, c), (y, d)]


class TwoVanilla(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.RNNCell(N_IN, N), nn.RNNCell(N, N)

    def forward(self, x, hidden):
        h = self.first(x, hidden[0])
        return torch.stack([h, self.second(h, hidden[1])])


def test_layers_are_states():
    assert trace(TwoLayers()).states == ("h_1", "c_1", "h_2", "c_2")
    traced = trace(TwoVanilla(), states=("low", "high"))
    assert traced.states == ("low", "high")
    low, high = traced.cell.states
    seen = [y for y in traced.cell.sees.values() if high in y.free_symbols]
    assert seen == [high]
    assert traced.cell.update[high].atoms(type(low)) == set()


class Zipped(nn.Module):
    """Cells that are called with their states one behind the other, by zip."""

    def __init__(self):
        super().__init__()
        self.cells = nn.ModuleList([nn.RNNCell(N_IN, N), nn.RNNCell(N, N), nn.RNNCell(N, N)])
        self.unused = nn.Parameter(torch.zeros(N))

    def forward(self, x, states):
        new = []
        for cell, h in zip(self.cells, states, strict=False):
            x = cell(x, h)
            new.append(x)
        return x, new


def test_cells_that_are_zipped_with_their_states_are_all_read():
    traced = trace(Zipped())
    assert traced.states == ("h_1", "h_2", "h_3")
    assert len(traced.bindings) == 5  # of the layers above, W and V see different things


class ThreeJoined(nn.Module):
    """One matrix of the input and two states, joined."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(N_IN + 2 * N, N)

    def forward(self, x, h, c):
        new = torch.tanh(self.layer(torch.cat([x, h, c], 1)))
        return new, torch.tanh(0.5 * c + new)


def test_sizes_of_several_joined_states_are_found():
    traced = trace(ThreeJoined())
    assert (traced.width, traced.input_width, traced.states) == (N, N_IN, ("h", "c"))


class WithContext(nn.Module):
    """A decoder's cell: the gates see the input and a context, joined; one sees the context."""

    def __init__(self):
        super().__init__()
        self.gates, self.of_context = nn.Linear(N_IN + 2 * N, 2 * N), nn.Linear(N, N)

    def forward(self, x, h, context):
        a, b = self.gates(torch.cat([x, context, h], 1)).chunk(2, 1)
        return a.sigmoid() * h + b.tanh() * self.of_context(context).sigmoid()


def test_several_arguments_are_one_input():
    module = WithContext()
    traced = trace(module, input={"x": N_IN, "context": N})
    assert traced.input_width == N_IN + N
    before = traced.parameters(module)
    assert torch.equal(before["a"][1], module.gates.weight.detach()[:N, : N_IN + N])
    alone = before["of_context"][1]
    assert torch.equal(alone[:, N_IN:], module.of_context.weight.detach())
    assert not alone[:, :N_IN].any()
    traced.write_(module, before)
    assert all(torch.equal(v, before[n][1]) for n, (_, v, _) in traced.parameters(module).items())


def test_an_input_that_a_gate_does_not_see_leaves_it_its_variance():
    module = WithContext()
    traced = trace(module, input={"x": N_IN, "context": N})
    v = torch.randn(N, N_IN + N, generator=torch.Generator().manual_seed(0))
    traced.write_(module, dict.fromkeys(traced.bindings, (None, v, None)))
    after = traced.parameters(module)
    assert torch.equal(after["a"][1], v)
    wanted = v[:, N_IN:] * ((N_IN + N) / N) ** 0.5
    assert torch.allclose(after["of_context"][1][:, N_IN:], wanted)


class Elementwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(N_IN, N)

    def forward(self, x, h, mask):
        return mask * self.cell(x, h)


def test_one_of_several_inputs_acts_by_matrices_alone():
    with pytest.raises(CellError, match="acts on the units one by one, and not by a matrix"):
        trace(Elementwise(), input={"x": N_IN, "mask": N})


class Autonomous(Vanilla):
    def forward(self, h):
        return torch.tanh(self.h(h))


def test_without_an_input():
    traced = trace(Autonomous())
    assert traced.input_width == 0
    assert not any(p.has_input for p in traced.cell.preactivations)
    (new,) = traced.step(Autonomous(), None, [torch.zeros(BATCH, N)])
    assert new.shape == (BATCH, N)


class OneNumber(nn.Module):
    """The input is one number, pixel by pixel."""

    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(1, N), nn.Linear(N, N)

    def forward(self, x, h):
        return torch.tanh(self.i(x) + self.h(h))


@pytest.mark.parametrize(
    "make",
    [OneNumber, lambda: nn.GRUCell(1, N), lambda: nn.LSTMCell(1, N)],
    ids=["own", "gru", "lstm"],
)
def test_an_input_of_one_number(make):
    module = make()
    traced = trace(module)
    assert traced.input_width == 1
    assert all(v.shape == (N, 1) for _, v, _ in traced.parameters(module).values() if v is not None)


class OneUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(N_IN, 1), nn.Linear(1, 1)

    def forward(self, x, h):
        return torch.tanh(self.i(x) + self.h(h))


@pytest.mark.parametrize(
    ("make", "states"),
    [(lambda: nn.GRUCell(3, 1), None), (OneUnit, None), (OneUnit, {"h": 1})],
    ids=["gru", "own", "own with its width"],
)
def test_one_unit_is_no_mean_field(make, states):
    with pytest.raises(CellError, match=r"has one unit, .* the limit of many"):
        trace(make(), states=states)


class Timed(Vanilla):
    """A further argument, as wide as a state, and as many tensors returned as there would be."""

    def forward(self, x, h, ts):
        h = torch.tanh(self.i(x) + self.h(h)) * torch.sigmoid(ts)
        return h, h


class Masked(Vanilla):
    def forward(self, x, h, mask):
        return mask * self.new(x, h) + (1 - mask) * h


def test_a_further_argument_is_asked_for():
    with pytest.raises(
        CellError, match=r"argument 'ts'.*arguments=\{'ts': 1.0\}.*states=\('h', 't"
    ):
        trace(Timed())


def test_a_further_argument_is_a_number():
    cell = from_torch(Timed(), arguments={"ts": 0.0})
    (h,) = cell.states
    (e,) = cell.preactivations
    assert cell.update[h] == act_tanh(e) / 2
    assert from_torch(Timed(), arguments={"ts": 3.0}) != cell


def test_a_further_argument_has_a_law():
    module = Masked()
    traced = trace(module, arguments={"mask": Uniform(0.2, 0.8)})
    assert [p.name for p in traced.cell.parameters] == ["mask"]
    mask = traced.elementwise_parameters(module)["mask"]
    assert sorted(mask.tolist()) == pytest.approx([0.275, 0.425, 0.575, 0.725])
    x, h = torch.randn(BATCH, N_IN), torch.randn(BATCH, N)
    (ours,) = traced_step(traced, module, x, [h])
    assert torch.allclose(ours, module(x, h, mask.float()), atol=1e-6)
    assert not torch.allclose(ours, module(x, h, 1 - mask.float()), atol=1e-3)
    before = module.h.weight.detach().clone()
    traced.write_(module, {}, {"mask": torch.zeros(N)})
    assert torch.equal(before, module.h.weight)
    ensemble = traced.cell.ensemble(parameters={"mask": Normal(0.5, 0.1)})
    assert set(ensemble.parameters) == {"mask"}


WRONG_HINTS = {
    "unknown argument": ({"arguments": {"dt": 1.0}}, "'dt', which Timed.forward does not take"),
    "no number": ({"arguments": {"ts": "1"}}, "must be a number or a law"),
    "no mapping": ({"arguments": 3}, "arguments must be {name: number or law}"),
    "no width": ({"input": 0}, "whole number of at least 1"),
    "no input": ({"input": "z", "arguments": {"ts": 1}}, "input names 'z'"),
    "no place": ({"returned": -1}, "places counted from 0"),
    "no name": ({"states": ("a b",)}, "identifiers"),
}


@pytest.mark.parametrize("case", WRONG_HINTS)
def test_wrong_hints_are_refused(case):
    hints, message = WRONG_HINTS[case]
    with pytest.raises(CellError, match=message):
        from_torch(Timed(), **hints)


def test_the_closest_attempt_is_shown():
    with pytest.raises(CellError) as caught:
        from_torch(OneLayer(), input=9)
    message = str(caught.value)
    assert "the closest is forward(x of shape" in message
    assert "from_torch(module, states={'h': " in message
