"""`rnnmft eigenvalues`: numbers, the figure, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnmft.cli import main
from rnnmft.errors import Status

VANILLA = ["eigenvalues", "vanilla", "--set", "e.sigma_w=1.5"]


def test_it_prints_radius_and_masses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*VANILLA, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["eigenvalues"]["radius"]["value"] == pytest.approx(0.86777, abs=1e-4)
    assert [m["status"] for m in found["masses"]] == [Status.OK.value] * 5
    assert main(VANILLA) == 0
    assert "spectral radius" in capsys.readouterr().out


def test_it_draws_a_network_under_the_boundary(tmp_path: Path) -> None:
    file = tmp_path / "cloud.svg"
    assert main([*VANILLA, "--width", "16", "--output", str(file)]) == 0
    assert file.read_text(encoding="utf-8").lstrip().startswith("<svg")


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "no" / "cloud.svg")
    for words in (["--width", "-1"], ["--units", "0"], ["--output", missing]):
        assert main([*("eigenvalues", "minimal"), *words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
