"""`rnnmft lyapunov`: known exponents, what it prints and draws, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnmft.cli import main

CHAOS = ["lyapunov", "vanilla", "--set", "e.sigma_w=3", "-R", "0", "--start", "1"]


def test_the_largest_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CHAOS, "--step", "0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["largest"]["value"] == pytest.approx(2 * 0.3102493, abs=1e-6)
    assert found["largest"]["unit"] == "per unit of time"
    assert "autonomous" in found["largest"]["name"]
    assert "spectrum" not in found


def test_all_of_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*CHAOS, "--spectrum", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["spectrum"]
    assert found["positive_fraction"]["value"] == pytest.approx(0.1529, abs=5e-5)
    assert found["setting"] == "autonomous"
    file = tmp_path / "exponents.svg"
    assert main([*CHAOS, "--output", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "S-transform of one step" in shown
    assert "positive_fraction" in shown
    assert "fraction below" in shown
    assert "nan" not in shown
    assert file.read_text(encoding="utf-8").startswith("<svg")


def test_under_input_they_are_conditional(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lyapunov", "vanilla"]) == 0
    assert "conditional on the input" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "Missing argument"),
        ("nothing", "no cell named 'nothing'"),
        ("vanilla --step 0", "step must be"),
        ("vanilla --spectrum --burn-in -1", "burn_in must be"),
        ("vanilla --tying loose", "tying must be"),
        ("min_gru", "no recurrent weights"),
        ("vanilla --output no/such/folder/e.svg", "No such folder"),
    ],
)
def test_bad_input_is_one_line(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lyapunov", *words.split()]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert sentence in found.err
    assert found.err.count("\n") == 1


def test_networks_measure_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "vanilla", "--width", "16", "--networks", "2", "--lyapunov", "2"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "lambda_2" in shown
    assert "lambda_3" not in shown
