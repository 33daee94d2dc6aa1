"""Comparisons in which one thing differs: they ask what the other experiments left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.experiments.digits import sklearn_digits
from rnnmft.experiments.dynamics import races
from rnnmft.experiments.outcome import outcome
from rnnmft.experiments.page import sentences
from rnnmft.experiments.reasons import again, collective, spreads
from rnnmft.experiments.starts import run_starts
from rnnmft.experiments.sweep import sweeps
from rnnmft.experiments.trainability import fits


@pytest.mark.parametrize("scale", ["smoke", "small", "full"])
def test_comparisons_are_those_of_the_experiments(scale: str) -> None:
    vanilla, *_ = (race for race in races(scale) if race.cell == "vanilla")
    for race in spreads(scale):
        assert (race.steps, race.width) == (vanilla.steps, vanilla.width)
    maps = {sweep.cell: sweep for sweep in sweeps(scale)}
    for asked in again(scale):
        known = maps[asked.sweep.cell]
        assert set(asked.sweep.values) <= set(known.values)
        assert set(asked.sweep.lengths) <= set(known.lengths)
        assert asked.tried == known.course.iterations
        more = asked.sweep.course.iterations > asked.tried, asked.sweep.width > known.width
        # One thing differs.
        assert sum(more) == 1
        # The map's last look is one of the longer run's.
        assert asked.tried % asked.sweep.course.every == 0


@pytest.mark.parametrize("scale", ["small", "full"])
def test_the_map_over_sigma_w_is_the_other_maps_where_it_meets_it(scale: str) -> None:
    """At sigma_w = 1, the default, it has the ensemble of the map over the bias; elsewhere not."""
    known = {sweep.cell: sweep for sweep in sweeps(scale)}["lstm"].ensemble(3.0)
    (sweep,) = collective(scale)
    assert sweep.parameter == "i+f+g+o.sigma_w"
    assert [sweep.ensemble(value) == known for value in sweep.values] == [False, True]


def test_what_is_trained_again_is_told_beside_the_map(tmp_path: Path) -> None:
    (asked,) = again("smoke")
    found = run_starts(asked, sklearn_digits(8), tmp_path)
    assert found["steps"][-1] == asked.sweep.course.iterations
    (name,) = found["accuracy"]
    table = np.array(found["accuracy"][name])
    (told,) = (s for s in sentences(found) if "after" in s)
    assert f"{table[-1].mean():.2f} after {found['steps'][-1]} steps" in told
    assert f"after {asked.tried} steps" in told
    assert not list(tmp_path.glob("*.npz"))


def over_two_values(lengths: list[list[float]]) -> dict[str, Any]:
    """A part of two values at which T* of each network is as given, exactly."""
    asked = [10.0, 20.0, 40.0, 80.0]
    accuracy = [[[1.0 if t < x else 0.0 for x in row] for row in lengths] for t in asked]
    part = {
        "cell": "lstm",
        "parameter": "e.sigma_w",
        "values": [0.5, 1.0],
        "lengths": asked,
        "accuracy": accuracy,
        "xi": {"tied": [2.0, 6.0], "untied": [2.0, 2.0]},
        "left": [[1.0, 0.5], [1.0, 0.5]],
    }
    return {**part, **fits([part])}


def test_two_values_show_a_factor_and_no_trend() -> None:
    part = over_two_values([[15.0, 15.0, 30.0], [30.0, 30.0, 60.0]])
    for fit in part["fit"].values():
        assert np.isnan(np.array([fit["rank"], *fit["rank_interval"]], float)).all()
    verdict, told = outcome(part)
    # Every T* is doubled: 2, without any spread.
    assert verdict.endswith("by a factor of 2, 95 % interval 2 to 2.")
    assert "tied xi 3, untied xi 1" in told
    assert not any("rank" in s or "spread" in s for s in sentences(part))
    # Where one network learns all lengths there is no factor.
    beyond = over_two_values([[15.0, 15.0, 30.0], [30.0, 30.0, 100.0]])
    assert outcome(beyond)[0] == "nothing to compare."


def test_a_race_of_spreads_is_told_by_directions_and_ratios() -> None:
    part = {
        "steps": [10, 60],
        "length": 100,
        "width": 64,
        "accuracy": {"a": [[0.9] * 4, [0.9] * 4], "b": [[0.1] * 4, [0.9] * 4]},
        "to_80": {"a": [10] * 4, "b": [60] * 4},
        "directions": {"a": [0.5, 0.0], "b": [0.25, 0.0]},
    }
    told = list(sentences(part))
    assert any(s.startswith("a: 32 of 64 directions") for s in told)
    assert any(
        s.startswith("b: 0.167 times as soon as a, 95 % interval 0.167 to 0.167") for s in told
    )
