"""Starts that people use: the numbers that PyTorch itself draws, gates open, times as long as T."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest

from rnnmft import cells
from rnnmft.errors import ParameterError
from rnnmft.experiments.baselines import chrono, default, forget_bias_one
from rnnmft.experiments.trainees import Trainees

WIDTH, FEATURES = 64, 16


def networks(name: str) -> Trainees:
    cell = getattr(cells, name)()
    ensembles = [cell.ensemble()] * 2
    return Trainees(cell, ensembles, width=WIDTH, features=FEATURES, classes=3)


def own(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_default_has_the_law_of_torchs_own_layer() -> None:
    """Kolmogorov and Smirnov, against what `torch.nn.LSTM` draws; a false alarm in 1e4."""
    trainees = networks("lstm")
    default(trainees, 0, 10, own())
    torch.manual_seed(1)
    layer = torch.nn.LSTM(FEATURES, WIDTH)
    drawn = {name: p.detach() for name, p in layer.named_parameters()}
    theirs = {"W": drawn["weight_hh_l0"], "V": drawn["weight_ih_l0"]}
    theirs["b"] = drawn["bias_ih_l0"] + drawn["bias_hh_l0"]
    for kind, expected in theirs.items():
        ours = torch.cat([trainees.parameters[f"{kind}_{gate}"][0] for gate in "ifgo"])
        both = (x.detach().double().numpy().ravel() for x in (ours, expected))
        assert kstest(*both).pvalue > 1e-4
    # The control: what was drawn before has another law.
    before = trainees.parameters["W_i"][1].detach().numpy().ravel()
    assert kstest(before, theirs["W"].numpy().ravel()).pvalue < 1e-4


def test_one_network_is_overwritten_and_no_other() -> None:
    trainees, kept = networks("gru"), networks("gru")
    default(trainees, 1, 10, own())
    for name, value in kept.parameters.items():
        assert torch.equal(trainees.parameters[name][0], value[0])
        readout = name in ("U", "c")
        assert torch.equal(trainees.parameters[name][1], value[1]) == readout


@pytest.mark.parametrize(("name", "gate"), [("lstm", "f"), ("gru", "z"), ("minimal", "e")])
def test_forget_bias_one(name: str, gate: str) -> None:
    plain, biased = networks(name), networks(name)
    default(plain, 0, 10, own())
    forget_bias_one(biased, 0, 10, own())
    changed = [k for k, v in plain.parameters.items() if not torch.equal(v, biased.parameters[k])]
    assert changed == [f"b_{gate}"]
    assert torch.equal(biased.parameters[f"b_{gate}"][0], torch.ones(WIDTH))


def test_chrono_times_are_uniform_up_to_the_length() -> None:
    trainees = networks("lstm")
    chrono(trainees, 0, 100, own())
    keeps, enters = (trainees.parameters[f"b_{gate}"][0].detach().double() for gate in "fi")
    times = keeps.exp().numpy()
    assert torch.equal(enters, -keeps)
    assert times.min() >= 1.0
    assert times.max() <= 99.0
    assert kstest(times, "uniform", args=(1.0, 98.0)).pvalue > 1e-4
    assert kstest(times, "uniform", args=(1.0, 198.0)).pvalue < 1e-4


def test_a_cell_without_a_gate_is_refused() -> None:
    trainees = networks("vanilla")
    default(trainees, 0, 10, own())
    bound = 1 / math.sqrt(WIDTH)
    assert float(trainees.parameters["W_e"][0].detach().abs().max()) <= bound
    for start in (forget_bias_one, chrono):
        with pytest.raises(ParameterError, match="vanilla has no gate"):
            start(trainees, 0, 10, own())
