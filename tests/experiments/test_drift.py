"""Drift: looks are kept, an interrupted run ends alike, and the verdict follows the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.experiments.departure import departures
from rnnmft.experiments.drift import Drift, run_drift
from rnnmft.experiments.outcome import outcome
from rnnmft.experiments.page import draw, sentences
from rnnmft.experiments.training import Course

ASKED = Drift("vanilla", 4, 3, 2, 16, Course(8, batch=8, every=4))


def test_a_run_that_was_interrupted_gives_the_same(tmp_path: Path) -> None:
    whole = run_drift(ASKED, tmp_path / "whole")

    def stop(done: float, total: float) -> None:
        # Of the second start, between its first and its last look.
        if done == 8 + 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_drift(ASKED, tmp_path / "cut", progress=stop)
    assert (tmp_path / "cut" / "vanilla-1-4.json").exists()
    assert run_drift(ASKED, tmp_path / "cut") == whole
    for name in ("vanilla-0.json", "vanilla-1.json"):
        one, two = ((tmp_path / kind / name).read_bytes() for kind in ("whole", "cut"))
        assert one == two
    assert [look["step"] for look in whole["looks"]["critical, tied"]] == [0, 4, 8]
    # Before training there is nothing but the ensemble: 2 networks of 16 units.
    start = whole["looks"]["critical, tied"][0]["ensemble"]["e"]
    assert start["sigma_w"] == pytest.approx(1.0, rel=0.5)
    assert "vanilla networks" in draw(whole).alt
    assert len(list(sentences(whole))) == 2 * 4


def look(step: int, trained: float, redrawn: float, theory: float) -> dict[str, Any]:
    """Eight networks whose log m_1 scatters by .1 around a value."""
    scatter = np.exp(np.array([-0.1, 0.1] * 4))
    kinds = {"trained": trained, "redrawn": redrawn}
    found = {k: {"m_1": (at * scatter).tolist()} for k, at in kinds.items()}
    return {"step": step, "theory": {"m_1": theory, "error": 0.0}, **found}


def test_gaps_are_logarithms_with_errors() -> None:
    trained, redrawn = departures([look(5, 8.0, 1.0, 1.0)])
    assert trained.gap == pytest.approx(np.log(8.0))
    assert trained.error == pytest.approx(0.1 / np.sqrt(7))
    assert (trained.agrees, redrawn.agrees) == (False, True)
    # All above all others; where both moved alike there is no structure.
    assert trained.more
    assert not any(row.more for row in departures([look(5, 1.5, 1.5, 1.0)]))


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ([1.0, 1.2, 0.9], "up to step 9 of 9"),
        ([1.0, 1.2, 50.0], "up to step 5 of 9"),
        ([0.01, 1.0, 1.0], "at no step"),
        ([1.0, 50.0, 1.0], "up to step 0 of 9"),
    ],
    ids=["always", "not at the end", "never at first", "not between"],
)
def test_the_verdict_follows_the_numbers(trained: list[float], said: str) -> None:
    looks = [look(t, x, 1.0, 1.0) for t, x in zip((0, 5, 9), trained, strict=True)]
    part = {"cell": "gru", "horizon": 30, "looks": {"critical, tied": looks}}
    verdict, told = outcome(part)
    assert f"within a factor of 2 (critical, tied: {said}" in verdict
    apart = [str(t) for t, x in zip((0, 5, 9), trained, strict=True) if abs(np.log(x)) > 1]
    assert (f"at step {apart[0]}" if apart else "at no step") in told
