"""What nobody means to give: one sentence each, of the package's own errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import rnnmft as mft
from rnnmft import cells
from rnnmft.errors import CellError, ParameterError
from rnnmft.initialization.modules import apply_
from tests.tracing.modules import Simple

FEW: dict[str, Any] = {"advice": False, "sequences": 16, "probes": 2, "particles": 1024}


class CallsItself(Simple):
    def forward(self, x, h):
        return self.forward(x, h)


class Leaves(Simple):
    def forward(self, x, h):
        sys.exit(3)


class Yields(Simple):
    def forward(self, x, h):
        yield torch.tanh(self.pre(x, h))


class ConvolvingLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates = nn.Conv2d(3 + 8, 32, 3, padding=1)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class OfTokens(Simple):
    def __init__(self):
        super().__init__(3, 4)
        self.table = nn.Embedding(20, 3)

    def forward(self, x, h):
        return torch.tanh(self.pre(self.table(x), h))


class Stubborn(Simple):
    def __deepcopy__(self, memory):
        raise RuntimeError("no copies")


def in_a_circle() -> nn.Module:
    module = nn.Sequential(nn.RNNCell(3, 4))
    module.add_module("again", nn.Sequential(module))
    return module


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Simple(3, 4).to(torch.complex64), "is complex, and the units of a cell are real"),
        (lambda: Simple(3, 0), "has no entries"),
        (lambda: Simple(0, 4), "has no entries"),
        (in_a_circle, "Sequential is a part of itself"),
        (lambda: CallsItself(3, 4), "its forward calls itself without end"),
        (lambda: Leaves(3, 4), r"raises SystemExit \(3\)"),
        (lambda: Yields(3, 4), "it returns no tensor"),
        (ConvolvingLSTM, r"gates convolves \(Conv2d\)"),
        (OfTokens, "looks up embeddings of what it is given"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors", "ignore:Complex modules")
def test_it_is_refused_by_name(make, sentence) -> None:
    module = make()
    for read in (cells.from_torch, lambda m: mft.diagnose(m, 10, **FEW)):
        with pytest.raises(CellError, match=sentence):
            read(module)


@pytest.fixture
def without_numbers() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device("cpu")


@pytest.mark.usefixtures("without_numbers")
def test_a_default_device_without_numbers_is_named() -> None:
    module, ensemble = nn.RNNCell(3, 4, device="cpu"), cells.vanilla().ensemble()
    for call in (
        lambda: cells.from_torch(module),
        lambda: mft.diagnose(module, 10, **FEW),
        lambda: apply_(ensemble, module),
    ):
        with pytest.raises(ParameterError, match="default device is meta"):
            call()


def test_a_place_beyond_what_is_returned() -> None:
    with pytest.raises(CellError, match="returned names the place 7"):
        cells.from_torch(Simple(3, 4), returned=7)


def test_more_sequences_than_memory_has() -> None:
    with pytest.raises(ParameterError, match="do not fit into memory"):
        mft.diagnose(nn.RNN(3, 4), 10, **{**FEW, "sequences": 1 << 50})


def test_sparse_data_are_data() -> None:
    x = torch.randn(40, 4, 8, generator=torch.Generator().manual_seed(0))
    module = nn.RNN(8, 16)
    one, other = (mft.diagnose(module, 10, data=d, **FEW) for d in (x, x.to_sparse()))
    assert one.layers[0].log10_mean == other.layers[0].log10_mean


def test_what_cannot_be_copied_gets_advice_that_was_not_tried() -> None:
    (advice,) = mft.diagnose(Stubborn(16, 32), 30, **{**FEW, "advice": True}).advice
    assert "the module cannot be copied (no copies)" in advice.sentence
    assert advice.initialization is not None
    assert advice.log10_mean == ()


def aliased() -> nn.Module:
    module = nn.LSTM(8, 8)
    module.bias_hh_l0 = module.bias_ih_l0
    return module


def overlapping() -> nn.Module:
    module, flat = nn.RNN(8, 8), torch.zeros(100)
    module.weight_hh_l0 = nn.Parameter(flat[:64].view(8, 8))
    module.weight_ih_l0 = nn.Parameter(flat[30:94].view(8, 8))
    return module


def expanded() -> nn.Module:
    module = nn.RNN(8, 8)
    module.weight_hh_l0 = nn.Parameter(torch.zeros(1, 1).expand(8, 8))
    return module


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (aliased, "'bias_ih' and 'bias_hh' of layer 0 share their memory"),
        (overlapping, "share their memory"),
        (expanded, "holds one number in several places"),
    ],
)
def test_what_cannot_be_drawn_apart_is_not_drawn(make, sentence) -> None:
    module = make()
    cell = cells.lstm() if isinstance(module, nn.LSTM) else cells.vanilla()
    before = [p.clone() for p in module.parameters()]
    with pytest.raises(ParameterError, match=sentence):
        apply_(cell.ensemble(), module)
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))


def test_one_matrix_under_two_names_is_drawn_once() -> None:
    module = Simple(8, 16)
    module.again = module.recurrent
    apply_(cells.vanilla().ensemble(e={"sigma_w": 2.0}), module, cell=cells.vanilla())
    # 256 entries: their mean square is off by 9 %, at 5 standard errors.
    assert (
        abs(float(module.recurrent.weight.detach().square().mean()) * 16 - 4.0) < 4.0 * 5.0 * 0.088
    )


def test_drawing_works_without_gradients_too() -> None:
    module = nn.RNNCell(8, 16)
    with torch.inference_mode():
        apply_(cells.vanilla().ensemble(e={"mu_b": 1.0}), module)
    assert module.bias_ih.eq(1.0).all()


def test_a_generator_is_one() -> None:
    with pytest.raises(ParameterError, match=r"generator must be a torch\.Generator, got 3"):
        apply_(cells.vanilla().ensemble(), nn.RNN(8, 16), 3)
