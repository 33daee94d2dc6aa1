"""`rnnmft autonomous`: fixed points, transitions, a map, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnmft.cli import main

GRU = ["autonomous", "gru", "--set", "n.sigma_w=1.8", "--set", "r.sigma_w=20"]


def test_it_prints_the_fixed_points(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(GRU) == 0
    text = capsys.readouterr().out
    assert "coexistence" in text
    assert text.count("unstable") == 2
    assert main([*GRU, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["autonomous"]
    assert [p["stable"] for p in found["fixed_points"]] == [True, False, False]


def test_it_finds_transitions_and_draws_a_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "map.png"
    words = ["--transition", "n.sigma_w=1.9:2.1:2", "--vary", "n.sigma_w=1,1.9,3"]
    assert main([*GRU, *words, "--plot", str(file)]) == 0
    text = capsys.readouterr().out
    assert "n.sigma_w = 2 +-" in text
    assert "coexistence 33%" in text
    assert file.exists()


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "no" / "map.svg")
    some = ["--vary", "n.sigma_w=1,2"]
    for words in (["--plot", "a.png"], [*some, "--plot", missing], ["--vary", "R=1,2"]):
        assert main([*GRU, *words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["autonomous", "indrnn"]) == 2
    assert "not linear" in capsys.readouterr().err
