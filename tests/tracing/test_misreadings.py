"""What could be read as another cell is read right, or refused: outputs, doubled states, gradients.

The controls are the same modules without what misleads: they are read as they are.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rnnmft import CellError, Inputs, MeanField, Status
from rnnmft.cells import from_torch
from rnnmft.initialization.matching import same_cell
from rnnmft.tracing import recurrent_layers, trace
from rnnmft.tracing.beside import agree

N_IN, N = 3, 4


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.i, self.h, self.read = nn.Linear(N_IN, N), nn.Linear(N, N), nn.Linear(N, N)

    def new(self, x, h):
        z = torch.sigmoid(self.h(h))
        return z * h + (1 - z) * torch.tanh(self.i(x)), z


class Plain(Base):
    def forward(self, x, h):
        return self.new(x, h)[0]


class OutputBehind(Base):
    def forward(self, x, h):
        h, _ = self.new(x, h)
        return h, self.read(h)


class OutputBefore(Base):
    def forward(self, x, state):
        new_state, _ = self.new(x, state)
        return self.read(new_state), new_state


class GateLogged(Base):
    def forward(self, x, h_prev):
        h_next, gate = self.new(x, h_prev)
        return h_next, gate


class GateInADictionary(Base):
    def forward(self, x, h):
        h, gate = self.new(x, h)
        return {"gate": gate, "h": h}


class Doubled(Base):
    def forward(self, x, state):
        new = self.new(x, state[0])[0]
        return new, [new]


class OutputAndList(Base):
    def forward(self, x, state):
        new = self.new(x, state[0])[0]
        return self.read(new), [new]


class Decoder(Base):
    """The context is wide as the state, and as many tensors come back."""

    def forward(self, x, hidden, context=None):
        hidden, _ = self.new(x, hidden)
        return self.read(hidden), hidden


READ = (OutputBehind, OutputBefore, GateLogged, GateInADictionary, Doubled, OutputAndList, Decoder)


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.__name__)
def test_the_state_is_told_from_outputs(kind):
    read = from_torch(kind(), states=("h",), name="cell")
    assert same_cell(read, from_torch(Plain(), name="cell"))
    assert trace(kind()).states == ("h",)


class Unnamed(Base):
    def forward(self, x, h):
        return self.read(h), self.new(x, h)[0]


def test_where_nothing_tells_nothing_is_guessed():
    with pytest.raises(
        CellError, match=r"0, 1 .* could all be the new state; say which .*returned"
    ):
        from_torch(Unnamed())
    assert same_cell(from_torch(Unnamed(), returned=1), from_torch(Plain()))
    read = trace(Unnamed(), returned=0).cell
    assert [p.name for p in read.preactivations] == ["read"]


def test_what_is_ambiguous_is_refused_soon():
    """Calls with more states, of other widths, would be thousands, and tell no more."""
    asked = []

    class Counted(Unnamed):
        def forward(self, x, h):
            asked.append(1)
            return super().forward(x, h)

    with pytest.raises(CellError, match="could all be the new state"):
        from_torch(Counted())
    assert 0 < len(asked) < 1000


class Delay(Base):
    """The old state is kept for one step more."""

    def forward(self, x, h, d):
        return self.new(x, h)[0] + self.read(d), h


class DelayBefore(Base):
    def forward(self, x, late, h):
        return h, self.new(x, h)[0] + self.read(late)


class FurtherOutput(Base):
    """As many tensors as arguments, and none of them is an old state."""

    def forward(self, x, h, d):
        new, gate = self.new(x, h)
        return new + self.read(d), gate


@pytest.mark.parametrize(
    ("kind", "hint", "late"),
    [(Delay, None, "d"), (Delay, ("h", "d"), "d"), (DelayBefore, None, "late")],
    ids=["without a hint", "named", "before the state"],
)
def test_a_state_may_be_the_old_one_of_another(kind, hint, late):
    cell = from_torch(kind(), states=hint)
    update = {s.name: e for s, e in cell.update.items()}
    assert set(update) == {"h", late}
    assert str(update[late]) == "h"
    assert len(cell.preactivations) == 3


def test_a_delay_has_moments_from_the_step_after_the_first():
    cell = from_torch(Delay())
    field = MeanField(cell, cell.ensemble(), Inputs(R=0.5), tying="untied")
    path = field.evolve(6)
    assert path.status is Status.OK
    h, d = (path.second_moment[name] for name in ("h", "d"))
    assert d[0] == 0.0
    np.testing.assert_allclose(d[1:], h[:-1], rtol=1e-9)


def test_a_further_output_is_no_state_of_a_further_argument():
    with pytest.raises(CellError, match=r"further argument .d., .*states=\(.h., .d.\)"):
        from_torch(FurtherOutput())


class Passing(Base):
    """The context comes back for the next call."""

    def forward(self, x, h, context):
        return self.new(x, h)[0] + self.read(context), context


class PassingInATuple(Base):
    def forward(self, x, state):
        h, context = state
        return self.new(x, h)[0] + self.read(context), context


def test_what_comes_back_as_it_went_in_is_no_state():
    with pytest.raises(CellError, match=r"'context' as it was given.*arguments=\{'context': 1.0"):
        from_torch(Passing())
    with pytest.raises(CellError, match=r"'context' as it was given.*states=\('h', 'context'\)"):
        from_torch(PassingInATuple())
    traced = trace(Passing(), states=("h",), arguments={"context": 1.0})
    assert traced.states == ("h",)
    assert len(trace(Passing(), states=("h", "context")).states) == 2


class SomeOfTheUnits(nn.Module):
    """A range of units, that would hold all of a small batch."""

    def __init__(self, first):
        super().__init__()
        self.i, self.h, self.first = nn.Linear(3, 40), nn.Linear(40, 40), first

    def forward(self, x, h):
        e = self.i(x) + self.h(h)
        e[:, : self.first] = torch.relu(e[:, : self.first])
        return e


def test_a_range_of_units_is_no_range_of_the_batch():
    halves = from_torch(SomeOfTheUnits(20), states={"a": 20, "b": 20}, input=3)
    kinds = sorted(type(e).__name__ for e in halves.update.values())
    assert kinds == ["Add", "relu"]
    with pytest.raises(CellError, match="the units 0:15 of 40"):
        from_torch(SomeOfTheUnits(15), states=("h",))


class BothTheSame(Base):
    def forward(self, x, h, c):
        h = self.new(x, h)[0] + c
        return h, h


def test_two_states_have_two_values():
    with pytest.raises(CellError, match="one tensor as the new value of two states"):
        from_torch(BothTheSame())


class Damped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.view_as(h)

    @staticmethod
    def backward(ctx, gradient):
        return 0.1 * gradient


class Faithful(Damped):
    @staticmethod
    def backward(ctx, gradient):
        return gradient


class OwnBackward(Base):
    function = Damped

    def forward(self, x, h):
        return self.new(x, self.function.apply(h))[0]


class OwnFaithfulBackward(OwnBackward):
    function = Faithful


class Hooked(Base):
    def forward(self, x, h):
        new = self.new(x, h)[0]
        if new.requires_grad:
            new.register_hook(lambda gradient: 2 * gradient)
        return new


class Clipped(Base):
    """Gradients are cut at a size that those of one step do not reach."""

    def forward(self, x, h):
        new = self.new(x, h)[0]
        if new.requires_grad:
            new.register_hook(lambda gradient: gradient.clamp(-100, 100))
        return new


class StraightThrough(Base):
    """Rounded forwards, the identity backwards."""

    def forward(self, x, h):
        return (torch.sign(self.new(x, h)[0]) - h).detach() + h


@pytest.mark.parametrize("kind", [OwnBackward, Hooked, Clipped], ids=lambda kind: kind.__name__)
def test_a_backward_that_is_no_derivative_is_refused(kind):
    with pytest.raises(
        CellError, match=r"gradients of .* not the derivative .* module has .* cell"
    ):
        from_torch(kind())


def test_a_straight_through_gradient_is_refused():
    with pytest.raises(CellError, match="cuts the gradient"):
        from_torch(StraightThrough())


def test_control_a_faithful_backward_is_read():
    assert same_cell(from_torch(OwnFaithfulBackward()), from_torch(Plain()))


class Pushing(nn.LSTM):
    """Gates that see five times the input: another network with the LSTM's parameters."""

    def forward(self, x, hx=None):
        return super().forward(5.0 * x, hx)


class Renamed(nn.LSTM):
    def forward(self, x, hx=None):
        return super().forward(x, hx)


class Taking(nn.GRU):
    def forward(self, x, lengths):
        return super().forward(x[: max(lengths)])


def patched():
    module = nn.RNN(N_IN, N)
    module.register_forward_pre_hook(lambda _, given: (2 * given[0], *given[1:]))
    return module


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pushing(N_IN, N), r"Pushing is not torch.nn.LSTM .* module has .* cells"),
        (lambda: Taking(N_IN, N), "cannot be called as torch.nn.GRU's"),
        (patched, "RNN is not torch.nn.RNN with its parameters"),
        (lambda: Pushing(N_IN, N, device="meta"), "cannot be run on its device, meta"),
    ],
    ids=["other forward", "other arguments", "hook", "meta"],
)
def test_a_layer_with_a_forward_of_its_own_is_refused(make, message):
    with pytest.raises(CellError, match=message):
        recurrent_layers(make())


def test_control_a_forward_that_does_the_same_is_read():
    module = Renamed(N_IN, N, 2, bidirectional=True, batch_first=True)
    assert len(recurrent_layers(module)) == 4
    assert len(recurrent_layers(nn.LSTM(N_IN, N, device="meta"))) == 1


def test_large_numbers_make_no_forward_of_its_own():
    """Rounding decides which units of a ReLU are on."""
    module = nn.RNN(8, 32, nonlinearity="relu")
    module.weight_hh_l0.data.mul_(1e20)
    assert len(recurrent_layers(module)) == 1


def test_agreement_is_within_rounding():
    a = torch.tensor([1.0, float("nan"), 1e3], dtype=torch.float64)
    assert agree(a, a + 1e-9) is None
    assert agree(a, a + torch.tensor([0.0, 0.0, 1.0])) == (2,)
    assert agree(a, torch.tensor([1.0, 0.0, 1e3], dtype=torch.float64)) == (1,)


class Checked(Base):
    """Checks and prints of the data, which choose nothing."""

    def forward(self, x, h):
        assert not torch.isnan(x).any(), f"nan in {x.shape}"
        if not torch.isfinite(h).all():
            raise ValueError("the state is not finite")
        print(f"{h.mean():.3f}", x.max().item())
        torch._assert(x.ndim == 2, "a batch")
        torch._assert(h.isfinite().all(), "finite")
        return self.new(x, h)[0]


def test_checks_and_prints_are_no_choices():
    assert same_cell(from_torch(Checked()), from_torch(Plain()))


def test_a_scripted_module_is_named():
    class Scripted(torch.jit.ScriptModule):
        original_name = "Mine"

    with pytest.raises(CellError, match=r"Mine is scripted.*before torch.jit.script"):
        from_torch(Scripted())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_wrapped_and_parametrized_modules_are_read_as_what_they_hold():
    plain = from_torch(Plain())
    normed = Plain()
    nn.utils.parametrizations.weight_norm(normed.h)
    pruned = Plain()
    nn.utils.prune.random_unstructured(pruned.h, "weight", 0.5)
    for module in (torch.compile(Plain()), normed, pruned):
        assert same_cell(from_torch(module), plain)
