"""`rnnmft bench`: every task is timed; what does not exist is a status; bad input is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnmft.cli import main

TASKS = ["derive", "evolve, 5 steps", "fixed point", "gradient growth", "m_1 to m_4", "density at"]


def test_bench_times_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "vanilla", "--set", "e.sigma_w=0.9", "--steps", "5", "--json"]
    words += ["--tying", "untied"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert all(t["task"].startswith(x) for t, x in zip(found["timings"], TASKS, strict=True))
    assert all(t["seconds"] > 0 and t["status"] == "OK" for t in found["timings"])
    assert found["provenance"]["versions"]["numpy"]
    assert found["setting"]["tying"] == "untied"


GROWING = """
name = "growing"
states = ["h"]
[preactivations]
e = { sees = "h" }
[update]
h = "3/2*h + tanh(e)"
"""


def test_what_does_not_exist_is_a_status(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A second moment that diverges: its fixed point has none, the other tasks are timed."""
    file = tmp_path / "growing.toml"
    file.write_text(GROWING, encoding="utf-8")
    assert main(["bench", str(file), "--steps", "5", "--tying", "untied"]) == 0
    shown = capsys.readouterr().out
    assert all(task in shown for task in TASKS)
    (line,) = [line for line in shown.splitlines() if line.startswith("fixed point")]
    assert "grows without bound" in line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("bench", "Missing argument"),
        ("bench nothing", "no cell named 'nothing'"),
        ("bench vanilla --tying loose", "tying must be"),
        ("bench vanilla --steps 0", "steps must be"),
        ("bench vanilla --horizon -1", "horizon must be"),
    ],
)
def test_bad_input_is_one_line(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert sentence in found.err
    assert found.err.count("\n") == 1
