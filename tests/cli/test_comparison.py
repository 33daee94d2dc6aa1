"""`rnnmft report` of two: which settings it compares, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnmft import cells
from rnnmft.cli import main
from rnnmft.validation.files import is_setting, read_setting

SETTING = """
cell = "minimal"
weights = "orthogonal"
start = 0.5

[ensemble.e]
sigma_w = 3.0

[inputs]
R = 0.25
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "strong.toml"
    path.write_text(SETTING, encoding="utf-8")
    return path


def test_a_setting_is_read(file: Path, tmp_path: Path) -> None:
    assert is_setting(file)
    found = read_setting(file, cells.get)
    assert found.ensemble["e"].sigma_w == 3.0
    assert found.ensemble["e"].weights == "orthogonal"
    assert found.inputs.R == 0.25
    assert found.options == {"start": 0.5}
    cell = tmp_path / "cell.toml"
    cell.write_text(cells.minimal().to_toml(), encoding="utf-8")
    assert not is_setting(cell)


def test_options_that_a_setting_answers_are_refused(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--set", "e.sigma_w=1"], ["-R", "1"], ["-R2"], ["--correlation=0.1"]):
        assert main(["report", str(file), "--quick", *words]) == 2
        assert "is a setting" in capsys.readouterr().err


def test_three_are_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "vanilla", "minimal", "gru"]) == 2
    assert "two side by side" in capsys.readouterr().err


@pytest.mark.slow
def test_two_settings_of_one_cell_have_the_names_of_their_files(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "weak.toml"
    other.write_text(SETTING.replace("3.0", "0.5"), encoding="utf-8")
    page = tmp_path / "page.html"
    words = ["report", str(file), str(other), "--quick", "--steps", "5", "--device", "cpu"]
    assert main([*words, "--output", str(page)]) == 0
    assert "strong: " in capsys.readouterr().out
    assert "<h1>strong and weak</h1>" in page.read_text(encoding="utf-8")
    assert page.with_suffix(".json").is_file()
