"""`rnnmft reproduce`: it runs, goes on from what is there, and writes a page from the results."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnmft import MeanField
from rnnmft.cli import main
from rnnmft.errors import ParameterError
from rnnmft.experiments import dynamics
from rnnmft.experiments.drift import drifts
from rnnmft.experiments.dynamics import races, schemes
from rnnmft.experiments.recall import recalls
from rnnmft.experiments.reproduce import run_parts
from rnnmft.experiments.signal import propagations
from rnnmft.experiments.starts import run_starts
from rnnmft.experiments.sweep import sweeps
from rnnmft.experiments.training import Course


def run(experiment: str, folder: Path) -> dict:
    words = ["reproduce", experiment, "--scale", "smoke", "--folder", str(folder)]
    assert main(words) == 0
    page = (folder / f"{experiment}-smoke.html").read_text("utf-8")
    assert "<svg" in page or "data:image/svg" in page
    return json.loads((folder / f"{experiment}-smoke.json").read_text("utf-8"))


def test_dynamics(tmp_path: Path) -> None:
    found = run("dynamics", tmp_path)
    (part,) = found["parts"]
    assert set(part["accuracy"]) == set(part["to_80"])
    assert found["provenance"]["command"].startswith("rnnmft reproduce dynamics")
    # What is there is not done again.
    kept = tmp_path / "dynamics-smoke" / "vanilla-16.json"
    before = kept.stat().st_mtime_ns
    assert run("dynamics", tmp_path)["parts"] == found["parts"]
    assert kept.stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment", ["signal", "trainability", "recall", "drift", "language", "reasons"]
)
def test_the_others(tmp_path: Path, experiment: str) -> None:
    assert run(experiment, tmp_path)["parts"]


def test_a_run_that_was_interrupted_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnmft.experiments.digits import sklearn_digits

    (race,), digits = races("smoke"), sklearn_digits(8)
    whole = run_starts(race, digits, tmp_path / "whole")

    def stop(done: float, total: float) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_starts(race, digits, tmp_path / "cut", progress=stop)
    assert run_starts(race, digits, tmp_path / "cut") == whole


def test_every_scale_is_defined() -> None:
    for scale in ("smoke", "small", "full"):
        asked = (*sweeps(scale), *races(scale), *propagations(scale))
        for one in (*asked, *recalls(scale), *drifts(scale)):
            one.made()
    assert [s.ensemble(s.values[0]) for s in sweeps("full")]
    assert [p.ensemble(p.values[0]) for p in propagations("full")]


def test_off_critical_schemes_are_off() -> None:
    found = schemes(races("smoke")[0].made())
    for weights in ("orthogonal", "gaussian"):
        critical, off = found[f"{weights} critical"]["e"], found[f"{weights} off"]["e"]
        assert off.sigma_w == pytest.approx(0.5 * critical.sigma_w)
        assert off.weights == critical.weights == weights


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["signal", "--scale", "huge"],
        ["dynamics", "--data", "/no/such/file.npz"],
        ["language", "--data", "/no/such/file.txt"],
    ],
)
def test_bad_input_is_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *words, "--folder", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_parts_side_by_side_are_those_of_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (race,) = races("smoke")
    two = [replace(race, steps=steps, course=Course(4, every=2)) for steps in (8, 4)]
    monkeypatch.setattr(dynamics, "races", lambda scale: two)
    found = run_parts("dynamics", "smoke", tmp_path / "here")
    steps: list[tuple[float, float]] = []

    def note(done: float, total: float) -> None:
        steps.append((done, total))

    there = tmp_path / "there"
    beside = run_parts("dynamics", "smoke", there, cluster="threads:2", progress=note)
    assert [part["length"] for part in beside] == [8, 4]
    assert beside == found
    assert steps == [(1, 2), (2, 2)]
    with pytest.raises(ParameterError, match="cluster must be"):
        run_parts("dynamics", "smoke", there, cluster=3)


@pytest.mark.slow
def test_some_cells_of_ones_own_digits_in_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of other digits is not taken for theirs."""
    # Nothing is said of the theory's numbers.
    monkeypatch.setitem(MeanField.__init__.__kwdefaults__, "particles", 1 << 12)
    random = np.random.default_rng(0)
    for digit in range(10):
        pixels = random.random(20 * 28 * 28).round(2).tolist()
        content = json.dumps({"data": pixels})
        (tmp_path / "noise").mkdir(exist_ok=True)
        (tmp_path / "noise" / f"{digit}.json").write_text(content, "utf-8")
    words = ["reproduce", "trainability", "--scale", "smoke", "--folder", str(tmp_path)]
    assert main(words) == 0
    # The theory, which knows nothing of digits, is not asked again.
    beside = tmp_path / "trainability-smoke-noise"
    beside.mkdir()
    for theory in (tmp_path / "trainability-smoke").glob("minimal-[!0-9]*.json"):
        shutil.copy(theory, beside)
    assert main([*words, "--data", str(tmp_path / "noise"), "--cell", "minimal"]) == 0
    (whole, own) = (
        json.loads((tmp_path / f"{name}.json").read_text("utf-8"))["parts"]
        for name in ("trainability-smoke", "trainability-smoke-noise")
    )
    assert [part["digits"] for part in (*whole, *own)] == ["scikit-learn digits", "noise"]
    assert whole[0]["accuracy"] != own[0]["accuracy"]
    assert (tmp_path / "trainability-smoke-noise.html").exists()


@pytest.mark.parametrize("experiment", ["trainability", "language"])
def test_a_cell_that_has_no_part(tmp_path: Path, experiment: str) -> None:
    with pytest.raises(ParameterError, match=r"no part for mgu; cells here: (minimal|none)"):
        run_parts(experiment, "smoke", tmp_path, cells=["mgu"])
