"""The command line: every command, JSON alone on standard output, one line for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.phase_dataset import open_phase_diagram
from rnnmft.cli import main
from rnnmft.cli.output import announced
from rnnmft.cli.setting import resolve_cell, resolve_setting
from rnnmft.solvers.results import Trajectory

NETWORKS = ["--widths", "8,16,32", "--networks", "3", "--steps", "3", "--device", "cpu"]


def output(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command prints; nothing on standard error."""
    assert main(words) == code
    found = capsys.readouterr()
    assert found.err == ""
    return found.out


def printed_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(output(capsys, *words, "--json"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on standard error; nothing on standard output, exit code 2."""
    assert main(words) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.endswith("\n")
    assert found.err.count("\n") == 1
    assert found.err.startswith("rnnmft: ")
    assert "Traceback" not in found.err
    return found.err


def test_cells_lists_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(printed_json(capsys, "cells")) == set(cells.names())
    shown = output(capsys, "cells")
    assert all(name in shown for name in cells.names())


def test_derive_gives_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed_json(capsys, "derive", "minimal")
    assert found["cell"] == "minimal"
    assert all(step["equations"] for step in found["steps"])
    assert "## 1." in output(capsys, "derive", "minimal")
    assert r"\mathbb{E}" in output(capsys, "derive", "minimal", "--latex")


def test_evolve_agrees_with_the_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same few units on both sides.
    monkeypatch.setitem(MeanField.__init__.__kwdefaults__, "particles", 1 << 13)
    words = [
        "evolve",
        "minimal",
        "--set",
        "e.sigma_w=4",
        "--set",
        "e.mu_b=0.5",
        "-R",
        "0.5",
        "--correlation",
        "0.2",
    ]
    found = printed_json(capsys, *words, "--steps", "5")
    s = resolve_setting("minimal", ["e.sigma_w=4", "e.mu_b=0.5"], R=0.5, correlation=0.2)
    want = MeanField(s.cell, s.ensemble, s.inputs).evolve(5)
    np.testing.assert_array_equal(found["second_moment"]["h"], want.second_moment["h"])
    assert "E[h^2]" in output(capsys, *words)


def test_evolve_starts_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evolve", "vanilla", "--set", "e.sigma_w=2", "-R", "0", "--steps", "3"]
    zero = printed_json(capsys, *words)["second_moment"]["h"]
    assert zero == [0.0, 0.0, 0.0]
    s = resolve_setting("vanilla", ["e.sigma_w=2"], R=0.0, start=["h=0.5"])
    want = MeanField(s.cell, s.ensemble, s.inputs, start=s.start).evolve(3).second_moment["h"]
    for given in ("0.5", "h=0.5"):
        found = printed_json(capsys, *words, "--start", given)
        np.testing.assert_array_equal(found["second_moment"]["h"], want)
    assert want[0] > 0.1


def test_every_setting_has_a_start(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    setting = ["-R", "0", "--set", "e.sigma_w=2", "--start", "1"]
    found = printed_json(capsys, "phase", "vanilla", "--vary", "e.sigma_b=0,0.1", *setting)
    assert found["attrs"]["start_h"] == 1.0
    assert all(v > 0.3 for v in found["data_vars"]["second_moment"]["data"][0])
    small = ["--width", "8", "--networks", "2", "--steps", "2", "--device", "cpu"]
    assert printed_json(capsys, "simulate", "vanilla", *setting, *small)["start"] == {"h": 1.0}
    page = tmp_path / "page.html"
    words = ["validate", "vanilla", *setting, *NETWORKS, "--html", str(page)]
    assert printed_json(capsys, *words)["start"] == {"h": 1.0}
    assert "states of standard deviation 1 (h)" in page.read_text(encoding="utf-8")
    found = printed_json(capsys, "spectrum", "vanilla", *setting, "--points", "0")
    assert found["setting"]["start"] == {"h": 1.0}


def test_evolve_says_which_theory(capsys: pytest.CaptureFixture[str]) -> None:
    for tying in ("tied", "untied"):
        assert printed_json(capsys, "evolve", "vanilla", "--tying", tying)["tying"] == tying


def test_phase_sweeps_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["phase", "vanilla", "--vary", "e.sigma_w=0.5:1.5:3", "--vary", "R=0.1,-1"]
    found = printed_json(capsys, *words, "--quantity", "gradient_growth")
    assert found["data_vars"]["status"]["data"] == [[["OK", "INVALID"]] * 3]
    assert found["coords"]["e.sigma_w"]["data"] == [0.5, 1.0, 1.5]
    assert "INVALID" in output(capsys, *words)


@pytest.mark.slow
def test_a_map_that_is_drawn_is_of_both_theories(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot, data = tmp_path / "map.svg", tmp_path / "map.nc"
    words = ["phase", "minimal", "--vary", "e.sigma_w=5,8", "--vary", "e.mu_b=0,1", "--set"]
    words += ["e.sigma_v=1.39", "-R", "0.4616", "--plot", str(plot), "--output", str(data)]
    found = printed_json(capsys, *words)
    assert found["attrs"]["tying"] == open_phase_diagram(data).attrs["tying"] == "both"
    assert "critical, tied weights" in plot.read_text(encoding="utf-8")
    tied = printed_json(capsys, *words[:-2], "--tying", "tied")
    assert tied["attrs"]["tying"] == "tied"


def test_phase_draws_and_writes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figure, data = tmp_path / "map.svg", tmp_path / "map.nc"
    words = ["phase", "vanilla", "--vary", "e.sigma_w=0.5:3:4", "--vary", "R=0.5,1"]
    found = output(capsys, *words, "--plot", str(figure), "--output", str(data))
    # Piped, every point is printed as well.
    assert found.count("OK") == 8
    assert "<svg" in figure.read_text(encoding="utf-8")
    written = open_phase_diagram(data)
    assert set(written["quantity"].values) == {"gradient_growth", "second_moment", "xi_c"}
    assert written.fixed_point_count.values.tolist() == [[1, 1]] * 4
    assert written.attrs["command"].startswith("rnnmft phase vanilla --vary")
    assert "No such folder" in refused(capsys, *words, "--output", "no/such/map.nc")


def test_a_terminal_gets_a_summary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["phase", "vanilla", "--vary", "e.sigma_w=0.5:3:30", "--quantity", "chi_1"]
    monkeypatch.setattr("rnnmft.cli.phase.on_terminal", lambda: True)
    assert "30 of 30" in output(capsys, *words)
    assert output(capsys, *words, "--table").count("OK") == 30


def test_a_long_sweep_says_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[float, float]] = []
    for seconds, lines in ((-1.0, 1), (1e9, 0)):
        progress = announced(lambda *at: seen.append(at), "points, one by one", seconds)
        for done in (1, 2, 3):
            progress(done, 3)
        said = capsys.readouterr().err
        assert said.count("\n") == lines
        assert said.startswith("rnnmft: 3 points, one by one: about 0 s") is bool(lines)
    assert seen == 2 * [(1, 3), (2, 3), (3, 3)]


def test_every_command_is_about_networks_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(capsys, "evolve", "minimal", "--steps", "2")["tying"] == "tied"
    found = printed_json(capsys, "phase", "vanilla", "--vary", "R=1")
    assert found["attrs"]["tying"] == "tied"
    found = printed_json(capsys, "spectrum", "vanilla", "--points", "0")
    assert found["setting"]["tying"] == "tied"
    assert printed_json(capsys, "critical", "vanilla")["tying"] == "tied"
    assert printed_json(capsys, "derive", "minimal")["tying"] == "untied"
    assert "(untied weights)" in output(capsys, "derive", "minimal")


def test_simulate_runs_networks(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "simulate",
        "minimal",
        "--width",
        "16",
        "--networks",
        "3",
        "--steps",
        "4",
        "--horizon",
        "1",
        "--device",
        "cpu",
    ]
    found = printed_json(capsys, *words)
    assert (found["width"], found["networks"], found["tying"]) == (16, 3, "tied")
    assert len(found["second_moment"]["h"]["mean"]) == 4
    assert "m_1(1)" in output(capsys, *words)


def test_validate_writes_json_and_a_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    words = ["validate", "vanilla", *NETWORKS, "--html", str(page), "--output", str(data)]
    assert "claims hold" in output(capsys, *words)
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["provenance"]["command"].startswith("rnnmft validate vanilla --widths 8,16,32")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert printed_json(capsys, *words)["cell"] == "vanilla"


class Broken(MeanField):
    """A theory that is off by a factor of 2."""

    def evolve(self, steps: int) -> Trajectory:
        found = super().evolve(steps)
        for values in found.second_moment.values():
            values *= 2
        return found


def test_a_rejected_claim_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Broken)
    words = ["--widths", "16,32,64", "--networks", "200", "--steps", "3"]
    assert "Rejected" in output(capsys, "validate", "vanilla", *words, code=1)
    claims = tmp_path / "claims"
    claims.mkdir()
    (claims / "v.toml").write_text(
        'cell = "vanilla"\nwidths = [16, 32, 64]\nnetworks = 200\nseed = 1\nsteps = 3\n'
    )
    assert "Rejected" in output(capsys, "validate", "--claims", str(claims), code=1)
    found = json.loads((tmp_path / "results" / "v.json").read_text(encoding="utf-8"))
    assert found["passed"] is False


def test_report_writes_one_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    words = ["report", "vanilla", "--quick", "--steps", "3", "--output", str(path)]
    found = printed_json(capsys, *words)
    assert found["path"] == str(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    numbers = json.loads(Path(found["numbers"]).read_text(encoding="utf-8"))
    numbers["validation"].pop("figures")
    assert numbers["validation"] == found["validation"]


CELL = """
name = "own"
states = ["h"]
[preactivations]
e = { sees = "h" }
[update]
h = "tanh(e)"
"""


def test_a_cell_is_a_zoo_name_a_file_or_a_python_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve_cell("lstm") == cells.lstm()
    file = tmp_path / "own.toml"
    file.write_text(CELL, encoding="utf-8")
    assert resolve_cell(str(file)).name == "own"
    assert resolve_cell("rnnmft.cells:gru") == cells.gru()
    assert resolve_cell("torch.nn:LSTMCell") == cells.lstm()
    (tmp_path / "beside.py").write_text(
        "import torch\nfrom rnnmft import cells\n"
        "mine = cells.mgu()\ncell = torch.nn.LSTMCell(3, 4)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert resolve_cell("beside:mine") == cells.mgu()
    assert resolve_cell("beside:cell") == cells.lstm()


def test_options_reach_the_ensemble() -> None:
    s = resolve_setting(
        "gru", ["z.mu_b=1"], ["n=orthogonal"], R=2.0, correlation=0.1, temporal="1,0.5"
    )
    assert s.ensemble["z"].mu_b == 1.0
    assert [s.ensemble[n].weights for n in "rzn"] == ["gaussian", "gaussian", "orthogonal"]
    assert s.inputs.temporal == (1.0, 0.5)
    assert resolve_setting("indrnn").ensemble.parameters == cells.typical_laws("indrnn")
    given = resolve_setting("indrnn", laws=["u=constant:0.5"]).ensemble.parameters
    assert given["u"].to_dict() == {"law": "constant", "value": 0.5}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("evolve", "Missing argument"),
        ("evolve nothing", "no cell named 'nothing'"),
        ("evolve nothing.toml", "No such file"),
        ("evolve no_such_module:cell", "cannot import"),
        ("evolve math:pi", "torch.nn.Module"),
        ("evolve minimal --set e.sigma_w", "needs name=value"),
        ("evolve minimal --set sigma_w=1", "preactivation.parameter"),
        ("evolve minimal --set e.sigma_w=much", "must be a number"),
        ("evolve minimal --set e.sigma_w=-1", "a finite number >= 0"),
        ("evolve minimal --set e.sigma_w=nan", "a finite number >= 0"),
        ("evolve minimal --set f.sigma_w=1", "unknown preactivation 'f'"),
        ("evolve minimal --set e.sigma=1", "unknown parameter e.sigma"),
        ("evolve minimal --weights unitary", "weights must be one of"),
        ("evolve minimal --weights gaussian --weights orthogonal", "takes one kind"),
        ("evolve minimal --law u=uniform:0,1", "unknown parameter 'u'"),
        ("evolve indrnn --law u=cauchy", "unknown law 'cauchy'"),
        ("evolve indrnn --law u=uniform:0,1,2", "too many numbers"),
        ("evolve minimal -R -1", "R must be"),
        ("evolve minimal -R many", "-R"),
        ("evolve minimal --correlation 2", "correlation must be"),
        ("evolve minimal --temporal often", "must be a number"),
        ("evolve minimal --temporal 1,0.9,-0.9", "positive semidefinite"),
        ("evolve minimal --start x=1", "start names unknown state 'x'"),
        ("evolve minimal --start -1", "start must be a finite number >= 0"),
        ("evolve minimal --start h=nan", "a finite number >= 0"),
        ("evolve minimal --start much", "--start must be a number"),
        ("evolve minimal --start 1 --start 2", "takes one number"),
        ("evolve minimal --steps 0", "steps must be"),
        ("evolve minimal --tying loose", "tying must be"),
        ("evolve minimal --frobnicate", "No such option"),
        ("frobnicate", "No such command"),
        ("phase minimal", "Missing option"),
        ("phase minimal --vary e.sigma_w", "needs name=value"),
        ("phase minimal --vary e.sigma_w=0:1", "must be FROM:TO:COUNT or values"),
        ("phase minimal --vary R=1 --output no/such/folder/a.nc", "No such folder"),
        ("phase minimal --vary e.sigma_w=0:1:1", "2 to 10000 values"),
        ("phase minimal --vary x.sigma_w=0:1:3", "no x.sigma_w"),
        ("phase minimal --vary R=1 --quantity beauty", "unknown quantity"),
        ("simulate minimal --width 0", "width must be"),
        ("simulate minimal --device abacus", "device must be"),
        ("validate minimal --widths 8,16", "three different widths"),
        ("validate minimal --widths 8,16,1.5", "whole numbers"),
        ("validate --claims no/such/folder", "No such file"),
        ("report minimal --output no/such/folder/page.html", "No such folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, *words.split())


def test_a_text_cell_that_is_none_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(CELL.replace("tanh(e)", "tanh(e"), encoding="utf-8")
    assert "line" in refused(capsys, "derive", str(file))


@pytest.mark.parametrize("words", [["--help"], ["evolve", "--help"]])
def test_help_is_no_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "Usage" in capsys.readouterr().out


def test_the_module_runs_as_the_command() -> None:
    command = [sys.executable, "-W", "error", "-m", "rnnmft", "evolve", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("rnnmft: no cell named 'nothing'")
