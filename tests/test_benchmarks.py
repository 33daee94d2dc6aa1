"""Committed benchmarks: the page finds every comparison, and a ratio that falls is named."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest

from benchmarks.compare import fallen, main
from benchmarks.comparisons import LISTED, RESULTS, machine, ratios, read_results

ROOT = Path(__file__).parents[1]


def test_every_benchmark_has_results_and_says_on_what() -> None:
    files = {p.stem for p in (ROOT / "benchmarks").glob("*.py")} - {"compare", "comparisons"}
    found = read_results()
    assert {file for file, *_ in LISTED} <= files
    assert set(found) <= files
    assert all(machine(content) != "not noted" for content in found.values())


def test_a_ratio_is_the_yardstick_over_ours() -> None:
    found = {one.what: one for one in ratios(read_results()) if not math.isnan(one.ours)}
    assert len(found) > 8
    for one in found.values():
        assert one.ratio == pytest.approx(one.theirs / one.ours)


def test_what_fell_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_results()
    slower = copy.deepcopy(before)
    times = slower["maps"]["minimal, sigma_w x mu_b"]["seconds"]
    times["ours, first"] *= 1.2
    assert fallen(slower, before) == [], "a fall by 17 % is passed over"
    times["ours, first"] *= 1.1
    names = {(one.file, one.yardstick) for one, _ in fallen(slower, before)}
    assert {file for file, _ in names} == {"maps"}
    assert len(names) == 2
    assert fallen(before, slower) == []
    (tmp_path / "maps.json").write_text(json.dumps(slower["maps"]), encoding="utf-8")
    assert main(["--fresh", str(tmp_path), "--against", str(RESULTS)]) == 1
    assert "vectorised NumPy Picard" in capsys.readouterr().out
    assert main(["--against", str(RESULTS)]) == 0
