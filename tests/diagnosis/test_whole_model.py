"""`diagnose` and `apply_` of whole models: a line a part, on what it gets; the right ones drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from rnnmft import Inputs, cells, critical, diagnose
from rnnmft.errors import CellError, ParameterError
from rnnmft.initialization.initialization import Initialization
from tests.parts.models import CharacterModel, Inline, Loop, Translator, in_parallel

X = torch.randn(4, 20, 8, generator=torch.Generator().manual_seed(1))
FAST: Any = {"advice": False, "particles": 1024, "sequences": 4, "probes": 1}


def test_every_part_is_a_line_with_what_it_gets() -> None:
    found = diagnose(Translator(), 10, data=(3.0 * X, X), **FAST)
    assert [layer.layer for layer in found.layers] == ["encoder", "decoder"]
    assert pytest.approx(9.0, rel=0.2) == found.layers[0].inputs.R
    assert pytest.approx(1.0, rel=0.2) == found.layers[1].inputs.R
    assert any("state of its own" in w for w in found.layers[1].warnings)
    assert "what each part gets" in found.report()
    assert found.verdict in ("healthy", "borderline", "unhealthy")


def test_the_part_alone_says_the_same() -> None:
    """The line of a model's part is the diagnosis of the part on the same sequences."""
    model = CharacterModel()
    tokens = torch.randint(50, (4, 30), generator=torch.Generator().manual_seed(0))
    whole = diagnose(model, 10, data=tokens, burn_in=5, **FAST).layers[0]
    alone = diagnose(model.rnn, 10, data=model.emb(tokens).detach(), burn_in=5, **FAST).layers[0]
    assert whole.log10_mean == pytest.approx(alone.log10_mean, abs=1e-12)
    assert pytest.approx(alone.inputs.R) == whole.inputs.R


def test_without_an_example_parts_run_on_white_noise() -> None:
    found = diagnose(Loop(), 8, **FAST)
    assert [layer.layer for layer in found.layers] == ["cell"]
    assert "no example was given" in found.source


def test_wrapped_and_parametrized_modules() -> None:
    rnn = nn.RNN(4, 8)
    plain = diagnose(rnn, 8, **FAST).layers[0]
    wrapped = diagnose(in_parallel(rnn), 8, **FAST).layers[0]
    assert wrapped.log10_mean == plain.log10_mean
    normed = nn.utils.parametrizations.weight_norm(rnn, "weight_hh_l0")
    assert diagnose(normed, 8, **FAST).layers[0].log10_mean == pytest.approx(plain.log10_mean)


def test_what_cannot_be_done_names_what_to_give() -> None:
    with pytest.raises(CellError, match=r"give the module that makes one step; .* w \(Linear\)"):
        diagnose(Inline(), 8, data=X)


@pytest.fixture(scope="module")
def init() -> Initialization:
    return critical(cells.lstm(), Inputs(), tying="untied")


def test_apply_draws_the_parts_that_fit(init: Initialization) -> None:
    model = CharacterModel()
    embedding = model.emb.weight.clone()
    init.apply_(model, generator=torch.Generator().manual_seed(0))
    alone = nn.LSTM(8, 16, batch_first=True)
    init.apply_(alone, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.rnn.weight_hh_l0, alone.weight_hh_l0)
    assert torch.equal(model.emb.weight, embedding)
    with pytest.raises(ParameterError, match="no part of Loop fits: cell:"):
        init.apply_(Loop())


def test_shared_and_missing_numbers_are_refused(init: Initialization) -> None:
    with pytest.raises(ParameterError, match="has no numbers"):
        init.apply_(nn.LSTM(4, 8, device="meta"))
    stack = nn.LSTM(8, 8, 2)
    stack.weight_hh_l1 = stack.weight_hh_l0
    with pytest.raises(ParameterError, match="layer 0 and layer 1 share 'weight_hh'"):
        init.apply_(stack)
