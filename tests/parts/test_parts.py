"""Parts of models: found, fed with what they get, named where they cannot be read."""

from __future__ import annotations

from typing import Any

import ncps.torch
import pytest
import torch
import torchrecurrent
from torch import nn

from rnnmft.errors import CellError, ParameterError
from rnnmft.parts.find import recurrent_parts, single_layers
from rnnmft.tracing.effective import plain, write_back
from rnnmft.tracing.wrappers import check_numbers, unwrapped
from tests.parts.models import (
    CharacterModel,
    Inline,
    Loop,
    OwnCell,
    Packed,
    Translator,
    in_parallel,
)

TOKENS = torch.randint(50, (4, 30), generator=torch.Generator().manual_seed(0))
X = torch.randn(4, 20, 8, generator=torch.Generator().manual_seed(1))

CASES: list[Any] = [
    ("language model", CharacterModel, TOKENS, ["rnn"]),
    ("by name", CharacterModel, {"tokens": TOKENS}, ["rnn"]),
    ("cell in a loop", Loop, X, ["cell"]),
    ("encoder and decoder", Translator, (X, X), ["encoder", "decoder"]),
    ("packed", Packed, (X, torch.tensor([20, 12, 8, 20])), ["rnn"]),
]


@pytest.mark.parametrize(
    ("kind", "example", "paths"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_parts_are_found(kind: type[nn.Module], example: Any, paths: list[str]) -> None:
    found = recurrent_parts(kind(), example)
    assert [part.path for part in found.parts] == paths
    assert found.unread == ()
    # Without an example the same are seen.
    assert [part.path for part in recurrent_parts(kind()).parts] == paths


def test_a_part_gets_what_the_model_gives_it() -> None:
    model = CharacterModel()
    (part,) = recurrent_parts(model, TOKENS).parts
    assert part.sequences is not None
    expected = model.emb(TOKENS).transpose(0, 1).double()
    torch.testing.assert_close(part.sequences, expected)
    loop = Loop().eval()
    (cell,) = recurrent_parts(loop, X).parts
    # In single precision, as it was run: sums of a step and of all steps round differently.
    torch.testing.assert_close(cell.sequences.float(), loop.block(X).transpose(0, 1))


def test_what_is_uncertain_is_said() -> None:
    hidden = (torch.ones(1, 4, 16), torch.zeros(1, 4, 16))
    (part,) = recurrent_parts(CharacterModel(), (TOKENS, hidden)).parts
    assert any("state of its own" in r for r in part.remarks)
    (packed,) = recurrent_parts(Packed(), (X, torch.tensor([20, 12, 8, 20]))).parts
    assert packed.sequences is not None
    # The median of 8, 12, 20, 20 as PyTorch has it is 12: one is shorter.
    assert packed.sequences.shape == (12, 3, 8)
    assert any("1 that are shorter" in r for r in packed.remarks)
    assert recurrent_parts(CharacterModel(), TOKENS).parts[0].remarks == ()


class Masked(nn.Module):
    """Steps that a mask leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 16)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(len(x), 16)
        for t in range(x.shape[1]):
            m = mask[:, t, None]
            h = m * self.cell(x[:, t], h) + (1.0 - m) * h
        return h


def test_a_state_that_a_loop_changes_is_said() -> None:
    mask = torch.ones(4, 20)
    assert recurrent_parts(Masked(), (X, mask)).parts[0].remarks == ()
    mask[1, 12:] = 0.0
    ((remark,),) = (part.remarks for part in recurrent_parts(Masked(), (X, mask)).parts)
    # What the thirteenth call made is masked before the fourteenth, and so on.
    assert "changes the state that it hands back (7 of 19 times" in remark


class OfPacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(8, 16)

    def forward(self, packed: nn.utils.rnn.PackedSequence) -> Any:
        return self.rnn(packed)[0]


def test_packed_sequences_are_one_argument() -> None:
    packed = nn.utils.rnn.pack_sequence([X[0], X[1]])
    (part,) = recurrent_parts(OfPacked(), packed).parts
    torch.testing.assert_close(part.sequences, X[:2].transpose(0, 1).double())


class ByName(nn.Module):
    """A cell whose forward is called past the hooks, as published packages do."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = OwnCell()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(len(x), 16)
        for t in range(x.shape[1]):
            h = self.cell.forward(x[:, t], h)
        return h


def test_a_cell_whose_forward_is_called_by_name_is_seen() -> None:
    model = ByName()
    (part,) = recurrent_parts(model, X).parts
    assert part.path == "cell"
    assert part.sequences is not None
    torch.testing.assert_close(part.sequences, X.transpose(0, 1).double())
    assert "forward" not in vars(model.cell)


class Published(nn.Module):
    """A package's layer in a model."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rnn, self.out = layer, nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize("name", ["MGU", "LEM", "UGRNN", "CfC"])
def test_published_layers_in_a_model(name: str) -> None:
    layer = ncps.torch.CfC(8, 16) if name == "CfC" else getattr(torchrecurrent, name)(8, 16)
    found = recurrent_parts(Published(layer), X.transpose(0, 1) if name != "CfC" else X)
    (part,) = found.parts
    assert part.path == ("rnn.rnn_cell" if name == "CfC" else "rnn.cells.0")
    assert part.sequences is not None
    torch.testing.assert_close(part.sequences, X.transpose(0, 1).double())


class Generator(nn.Module):
    """A layer that is called one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(8, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = None
        for t in range(x.shape[1]):
            _, h = self.rnn(x[:, t : t + 1], h)
        return h


def test_a_layer_called_step_by_step_has_one_sequence() -> None:
    (part,) = recurrent_parts(Generator(), X).parts
    assert part.sequences is not None
    torch.testing.assert_close(part.sequences, X.transpose(0, 1).double())
    assert part.remarks == ()


class Skipping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.GRU(8, 16), nn.GRU(8, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.used(x)[0]


def test_a_part_that_is_not_called_is_named() -> None:
    found = recurrent_parts(Skipping(), X)
    assert [p.path for p in found.parts] == ["used"]
    assert found.unread == ("spare is not called by this example",)


@pytest.mark.parametrize("model", [Inline(), nn.Sequential(nn.Linear(8, 8), nn.ReLU())])
def test_a_model_without_parts_names_its_sub_modules(model: nn.Module) -> None:
    for example in (None, X):
        with pytest.raises(CellError, match=r"sub-modules are .*\(Linear\)"):
            recurrent_parts(model, example)


def test_a_wrong_call_is_one_sentence_with_the_models_own_error() -> None:
    with pytest.raises(ParameterError, match="cannot be called with the example in data: Runtime"):
        recurrent_parts(CharacterModel(), X)


def test_nothing_of_a_model_changes() -> None:
    model = Loop().train()
    before = {n: p.clone() for n, p in model.state_dict().items()}
    recurrent_parts(model, X)
    assert model.training
    assert all(torch.equal(before[n], p) for n, p in model.state_dict().items())
    # No hook is left: a second look counts the same calls.
    (part,) = recurrent_parts(model, X).parts
    assert part.sequences is not None
    assert len(part.sequences) == X.shape[1]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_wrappers_are_taken_off() -> None:
    rnn = nn.LSTM(3, 4)
    assert unwrapped(in_parallel(rnn)) is rnn
    assert unwrapped(torch.compile(rnn)) is rnn
    assert unwrapped(rnn) is rnn


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_module_is_refused() -> None:
    with pytest.raises(CellError, match="Linear is scripted"):
        unwrapped(torch.jit.script(nn.Linear(2, 2)))


def test_single_layers_are_told_from_models() -> None:
    assert single_layers(nn.GRU(2, 3)) is not None
    assert single_layers(OwnCell()) is not None
    assert single_layers(CharacterModel()) is None
    with pytest.raises(CellError):
        single_layers(nn.ReLU())
    with pytest.raises(CellError):
        single_layers(CharacterModel(), states=["h"])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRUCell])
def test_weight_norm_is_read_and_written_through(kind: Any) -> None:
    name = "weight_hh_l0" if kind is nn.LSTM else "weight_hh"
    module = nn.utils.parametrizations.weight_norm(kind(4, 6), name)
    copied: Any = plain(module)
    assert torch.equal(getattr(copied, name), getattr(module, name))
    assert type(copied) is kind
    assert hasattr(module, "parametrizations")
    x = torch.randn(3, 4)
    torch.testing.assert_close(copied(x)[0], module(x)[0])
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    write_back(copied, module)
    torch.testing.assert_close(getattr(module, name), getattr(copied, name))
    torch.testing.assert_close(module(x)[0], copied(x)[0])


def test_spectral_norm_cannot_be_written_and_stays() -> None:
    module = nn.utils.parametrizations.spectral_norm(nn.GRUCell(4, 6), "weight_hh").eval()
    before = module.weight_hh.clone()
    copied: Any = plain(module)
    with torch.no_grad():
        copied.weight_hh.mul_(3.0)
    with pytest.raises(ParameterError, match="does not become what is written"):
        write_back(copied, module)
    torch.testing.assert_close(module.weight_hh, before)


def test_plain_modules_are_themselves() -> None:
    module = nn.GRU(2, 3)
    assert plain(module) is module
    write_back(module, module)


def test_shapes_without_numbers_are_refused() -> None:
    check_numbers(nn.GRU(2, 3))
    with pytest.raises(ParameterError, match="has no numbers"):
        check_numbers(nn.GRU(2, 3, device="meta"))


def test_numbers_without_gradients_are_refused() -> None:
    with torch.inference_mode():
        made = nn.GRU(2, 3)
    with pytest.raises(ParameterError, match=r"made in torch.inference_mode"):
        check_numbers(made)
