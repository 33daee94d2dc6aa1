"""Time: what a budget ends, what long sequences cost, and progress."""

from __future__ import annotations

import json
import math
import time

import pytest
import torch

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.deadline import check_deadline, deadline, seconds_left
from rnnmft.diagnosis import diagnose
from rnnmft.errors import OutOfTimeError, ParameterError, RnnmftError
from rnnmft.language import Inputs


def test_deadlines_end_and_nest() -> None:
    check_deadline()
    assert seconds_left() == math.inf
    with deadline(100.0):
        with deadline(0.0), pytest.raises(OutOfTimeError, match="time budget"):
            check_deadline()
        with deadline(1e6, time.process_time):
            assert 0.0 < seconds_left() <= 100.0
        check_deadline()
    assert seconds_left() == math.inf


@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("name", ["lstm", "vanilla", "leaky_rnn"])
def test_long_computations_ask_for_the_time(name, tying) -> None:
    cell = cells.get(name)
    field = MeanField(cell, cell.ensemble(), Inputs(), tying, particles=2048)
    with deadline(0.0), pytest.raises(OutOfTimeError):
        field.jacobian_means(20)


def test_a_budget_ends_everything_with_what_there_is() -> None:
    torch.manual_seed(0)
    found = diagnose(torch.nn.LSTM(8, 32), 50, budget=1e-6)
    (layer,) = found.layers
    assert any(what.startswith("the measurement, after") for what in layer.ended)
    assert "the prediction through its own matrices" in layer.ended
    assert math.isfinite(layer.log10_mean)
    # Of an error that is not known nothing follows.
    assert found.verdict == "borderline"
    assert "ended by the time budget" in found.report()
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_page_of_what_was_ended(tmp_path) -> None:
    torch.manual_seed(0)
    diagnose(torch.nn.RNN(8, 32), 50, budget=1e-6, advice=False).to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Ended by the time budget" in text
    assert "Gradients are borderline" in text


@pytest.mark.slow
@pytest.mark.parametrize("length", [10**4, 10**6])
def test_long_sequences_are_continued_at_their_growth(length) -> None:
    torch.manual_seed(0)
    module = torch.nn.GRU(16, 64)
    (layer,) = diagnose(module, length, advice=False, particles=1024).layers
    value, error = layer.measured.at(length)
    again = diagnose(module, length, advice=False, particles=1024, seed=1).layers[0]
    other, noise = again.measured.at(length)
    assert 0.0 < error < 0.05 * abs(value)
    # Two seeds, at 4 standard errors of their difference.
    assert abs(value - other) < 4.0 * math.hypot(error, noise)
    assert any("followed over 1000 of" in warning for warning in layer.warnings)
    assert layer.verdict == "vanishing"


@pytest.mark.slow
def test_a_power_law_is_not_continued_in_silence() -> None:
    """u uniform up to 1 gives m_1(T) = 1 / (2 T + 1): from 1000 steps to 10^5, two decades."""

    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.V = torch.nn.Linear(16, 512)
            self.u = torch.nn.Parameter((torch.arange(512.0) + 0.5) / 512)

        def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
            return self.V(x) + self.u * h

    found = diagnose(Own(), 5000, advice=False, particles=1024, sequences=4, probes=2, burn_in=0)
    value, error = found.layers[0].measured.at(5000)
    u = Own().u.detach().double()
    truth = math.log10(float((u ** (2 * 5000)).mean()))
    assert abs(value - truth) < 2.0 * error


def test_progress_is_told_part_by_part() -> None:
    seen = []
    diagnose(
        torch.nn.RNN(4, 16, 2),
        5,
        particles=1024,
        advice=False,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(k, 5) for k in range(1, 6)]


@pytest.mark.parametrize("budget", [0, -1.0, math.nan, "long", True])
def test_a_budget_is_a_positive_number(budget) -> None:
    with pytest.raises(ParameterError, match="budget must be a positive number"):
        diagnose(torch.nn.RNN(4, 16), 5, budget=budget)


@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    [
        (3, {}, "module must be a torch.nn.Module"),
        (torch.nn.RNN, {}, "module must be a torch.nn.Module"),
        (torch.nn.RNN(2, 3), {"seed": 1 << 70}, "below 2\\^63"),
        (torch.nn.RNN(2, 3), {"sequence_length": 10**400}, "below 2\\^63"),
        (torch.nn.RNN(2, 3), {"progress": 4}, "progress must be called"),
        (torch.nn.GRUCell(2, 3), {"states": 3}, "states must be names"),
        (torch.nn.GRUCell(2, 3), {"returned": 0.5}, "returned must be places"),
    ],
    ids=["number", "class", "seed", "length", "progress", "states", "returned"],
)
def test_what_is_of_no_use_is_refused_in_a_sentence(module, options, sentence) -> None:
    given = {"sequence_length": 5, **options}
    with pytest.raises(RnnmftError, match=sentence) as found:
        diagnose(module, **given)
    assert "\n" not in str(found.value)
