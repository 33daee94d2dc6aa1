"""What helps at the start: the screen without a command, near names, completion, figures."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rnnmft.cli import main
from rnnmft.cli.app import app
from rnnmft.cli.options import complete_cells


def test_without_a_command_it_says_what_one_would_do_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    # Every command that it names exists, and says what it does.
    named = re.findall(r"^  rnnmft (\w+)", shown, flags=re.MULTILINE)
    known = {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}
    assert len(named) >= 4
    assert set(named) <= known


@pytest.mark.parametrize(
    ("command", "near"),
    [
        ("evolve lsmt", "did you mean 'lstm'?"),
        ("evolve Vanila", "did you mean 'vanilla'?"),
        ("evolve vanilla --set e.sigmaw=2", "did you mean 'sigma_w'?"),
        ("evolve vanilla --set E.sigma_w=2", "did you mean 'e'?"),
        ("evolve indrnn --law u=unifrom:0,1", "did you mean 'uniform'?"),
        ("phase vanilla --vary e.sigma_w=1,2 --quantity chi1", "did you mean 'chi_1'?"),
        ("evlove vanilla", "evolve"),
        ("evolve vanilla --stepz 3", "--steps"),
    ],
    ids=["cell", "case", "parameter", "preactivation", "law", "quantity", "command", "option"],
)
def test_a_wrong_name_is_told_the_nearest(
    command: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert near in capsys.readouterr().err


def test_a_name_that_is_near_nothing_is_told_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evolve", "qqqq"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_cells_are_completed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complete_cells("min") == ["minimal", "min_gru", "min_lstm"]
    monkeypatch.setenv("_RNNMFT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rnnmft evolve mini")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        main([])
    assert "minimal" in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("command", "series"),
    [
        ("evolve vanilla --steps 4", {"E[h^2]", "c_h"}),
        ("simulate vanilla --width 16 --networks 3 --steps 4 --device cpu", {"E[h^2]", "c_h"}),
        ("spectrum vanilla --points 9", {"vanilla, T = 1"}),
        ("lyapunov vanilla", {"vanilla"}),
    ],
    ids=["evolve", "simulate", "spectrum", "lyapunov"],
)
def test_a_figure_shows_its_values(
    command: str, series: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figure.svg"
    assert main([*command.split(), "--plot", str(file)]) == 0
    assert not capsys.readouterr().err
    tree = ElementTree.parse(file)
    titles = [e.text or "" for e in tree.iter("{http://www.w3.org/2000/svg}title")][1:]
    shown = {line.partition(": ")[0] for t in titles for line in t.splitlines()[1:]}
    assert shown == series
    assert all(re.search(r"\d", t) for t in titles)


@pytest.mark.parametrize("command", ["evolve", "simulate", "spectrum", "lyapunov", "eigenvalues"])
def test_a_figure_of_another_kind_is_refused_first(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figure.gif"
    assert main([command, "vanilla", "--plot", str(file)]) == 2
    assert "written as .svg" in capsys.readouterr().err
