"""`--store`, `--cluster`, `--chunk` of phase and validate: a command goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnnmft.analysis.phase_dataset import open_phase_diagram
from rnnmft.cli import main
from tests.campaigns.work import bytes_of

PHASE = ("phase", "vanilla", "--vary", "e.sigma_w=0.5:1.5:4", "--quantity", "chi_1", "--chunk", "2")
VALIDATE = (
    *("validate", "vanilla", "--widths", "6,8,10", "--networks", "3", "--steps", "2"),
    *("--horizon", "1", "--tying", "untied", "--device", "cpu", "--chunk", "2"),
)


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command prints as JSON; three networks decide nothing, so that it may fail."""
    assert main([*words, "--json"]) in (0, 1)
    found = capsys.readouterr()
    assert found.err == ""
    return json.loads(found.out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    found = capsys.readouterr()
    assert (found.out, found.err.count("\n")) == ("", 1)
    return found.err


@pytest.mark.parametrize(
    ("words", "more"),
    [(PHASE, ("--start", "0.5")), (VALIDATE, ("--seed", "1"))],
    ids=["phase", "validate"],
)
def test_a_command_goes_on_in_its_store(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    more: tuple[str, ...],
) -> None:
    store = tmp_path / "store"
    ran(capsys, *words, "--store", str(store))
    before = bytes_of(store)
    *kept, lost = sorted(store.glob("checksums/*[0-9].json"))
    lost.unlink()
    times = {p: p.stat().st_mtime_ns for p in kept}
    ran(capsys, *words, "--store", str(store), "--cluster", "threads:2")
    assert bytes_of(store) == before
    assert times == {p: p.stat().st_mtime_ns for p in kept}
    assert "another campaign" in refused(capsys, *words, *more, "--store", str(store))
    assert "cluster must be" in refused(capsys, *words, "--cluster", "processes:none")


def test_a_map_of_the_command_is_opened(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = ran(capsys, *PHASE, "--store", str(tmp_path / "store"))
    values = open_phase_diagram(tmp_path / "store").chi_1.values.ravel().tolist()
    assert found["data_vars"]["chi_1"]["data"] == pytest.approx(values)


def test_each_file_of_claims_has_its_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    claims = tmp_path / "claims"
    claims.mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        (claims / f"{name}.toml").write_text(
            f'cell = "vanilla"\nseed = {seed}\nsteps = 2\nwidths = [6, 8, 10]\nnetworks = 3\n'
            'tyings = ["untied"]\nhorizons = [1]\nlags = [1]\nkinds = ["moments"]\n',
            encoding="utf-8",
        )
    store = tmp_path / "store"
    ran(capsys, "validate", "--claims", str(claims), "--store", str(store), "--device", "cpu")
    assert sorted(p.name for p in store.iterdir()) == ["one", "two"]
    assert all((store / n / "campaign.json").is_file() for n in ("one", "two"))
