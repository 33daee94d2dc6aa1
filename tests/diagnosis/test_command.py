"""rnnmft diagnose: exit codes, JSON, a page, and one line for bad input."""

from __future__ import annotations

import json

import pytest

from rnnmft.cli import main

NETWORKS = """
import torch
torch.manual_seed(0)
network = torch.nn.RNN(4, 32)
data = torch.randn(40, 6, 4)

def make():
    return network

def sized(n):
    return torch.nn.RNN(4, n)

def failing():
    raise RuntimeError("no weights file\\nin this folder")

def leaving():
    raise SystemExit

class Picky(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(20, 16)

    def forward(self, x, h):
        if len(x) > 20:
            raise KeyError("too many")
        return torch.tanh(self.layer(torch.cat([x, h], 1)))

def not_finite():
    module = torch.nn.GRU(4, 16)
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = float("nan")
    return module

def meta():
    return torch.nn.LSTM(4, 8, device="meta")

complex_data = torch.zeros(20, 3, 4, dtype=torch.complex64)
large_data = torch.full((20, 3, 4), 1e30)
"""


@pytest.fixture(autouse=True)
def networks(tmp_path, monkeypatch):
    (tmp_path / "networks_of_a_user.py").write_text(NETWORKS, encoding="utf-8")
    (tmp_path / "not_python.py").write_text("def make(:", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("length", "code"), [("2", 0), ("12", 1)])
def test_the_exit_code_is_the_verdict(capsys, length, code) -> None:
    assert main(["diagnose", "networks_of_a_user:network", "--length", length, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is (code == 0)
    assert found["length"] == int(length)


def test_a_factory_data_and_a_page(capsys, networks) -> None:
    words = ["diagnose", "networks_of_a_user:make", "--length", "8", "--threshold", "99"]
    words += ["--data", "networks_of_a_user:data", "--output", "page.html"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "6 of the given sequences" in shown.out
    assert "RNN over 8 steps" in (networks / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nothing --length 4", "package.module:name"),
        ("networks_of_a_user:missing --length 4", "cannot import"),
        ("networks_of_a_user:data --length 4", "no torch module"),
        ("networks_of_a_user:sized --length 4", "without arguments"),
        ("networks_of_a_user:failing --length 4", "failed: RuntimeError: no weights file"),
        ("networks_of_a_user:leaving --length 4", "failed: SystemExit"),
        ("networks_of_a_user:Picky --length 4", "KeyError: 'too many'"),
        ("networks_of_a_user:not_finite --length 4", "not finite"),
        ("networks_of_a_user:meta --length 4", "meta device"),
        ("not_python:make --length 4", "SyntaxError"),
        ("networks_of_a_user:make --length 0", "sequence_length"),
        ("networks_of_a_user:make --length 4 --budget 0", "budget"),
        ("networks_of_a_user:make --length 4 --threshold nan", "threshold"),
        ("networks_of_a_user:make --length 4 --data networks_of_a_user:complex_data", "complex"),
        ("networks_of_a_user:make --length 4 --data networks_of_a_user:large_data", "squares"),
        ("networks_of_a_user:make", "--length"),
        ("networks_of_a_user:make --length 4 --output missing/page.html", "No such folder"),
    ],
)
def test_bad_input_is_one_line(capsys, words, sentence) -> None:
    assert main(["diagnose", *words.split()]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert sentence in shown.err
