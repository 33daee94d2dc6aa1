"""Recall: it can be learnt, not from shuffled symbols; interrupted runs end alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.experiments.digits import Digits
from rnnmft.experiments.outcome import outcome
from rnnmft.experiments.page import sentences
from rnnmft.experiments.recall import CRITICAL, Recall, symbols
from rnnmft.experiments.starts import run_starts
from rnnmft.experiments.store import save
from rnnmft.experiments.tasks import ImageThenNoise
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train

ASKED = Recall("gru", 6, 1, 16, Course(20, batch=8, every=5), noise=1.0)


def networks(name: str = "lstm", width: int = 24) -> Trainees:
    cell = getattr(cells, name)()
    ensembles = [cell.ensemble(), cell.ensemble()]
    return Trainees(cell, ensembles, width=width, features=width, classes=8)


def prepared(folder: Path) -> Path:
    """A folder that holds critical ensembles already, so that none is solved for."""
    ensemble = cells.gru().ensemble(z={"mu_b": 2.0}).to_dict()
    save(folder / "gru-6-critical.json", dict.fromkeys(CRITICAL.values(), ensemble))
    return folder


def test_symbols_are_inputs_of_second_moment_one() -> None:
    found = symbols(64, 0)
    patterns = np.unique(found.images, axis=0)
    assert len(patterns) == 8
    assert float(np.square(patterns).mean()) == pytest.approx(1.0, rel=0.02)
    for image, label in zip(found.test_images, found.test_labels, strict=True):
        assert np.array_equal(image, found.images[found.labels == label][0])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_one_batch_is_learnt_by_heart(name: str) -> None:
    whole = symbols(24, 0)
    images, labels = whole.images[:16], whole.labels[:16]
    few = Digits(images, labels, images, labels, "few")
    course = Course(120, batch=16, rate=1e-2, every=120)
    seen = train(networks(name), ImageThenNoise(5, noise=0.0), few, course)
    assert min(seen.accuracy[-1]) == 1.0


def test_shuffled_symbols_teach_nothing() -> None:
    """The control: 128 tests are right by chance 16 +- 3.7 times; 5 standard errors."""
    course = Course(80, rate=1e-2, every=80)
    task = ImageThenNoise(4)
    taught, untaught = (
        train(networks(), task, symbols(24, 0, shuffled), course).accuracy[-1]
        for shuffled in (False, True)
    )
    assert max(untaught) < 1 / 8 + 5 * 0.029 < min(taught)


def test_every_start_has_networks_of_its_own(tmp_path: Path) -> None:
    found = ASKED.starts(symbols(16, 0), prepared(tmp_path)).draw()
    w, bias = (found.parameters[name].detach() for name in ("W_z", "b_z"))
    assert len({tuple(row.ravel().tolist()) for row in w}) == 5
    means = bias.mean(1).tolist()
    # Two critical ones, PyTorch's default, forget bias 1, chrono: log of 1 to T - 1 = 5.
    assert means[:2] == [2.0, 2.0]
    assert abs(means[2]) < 0.3
    assert means[3] == 1.0
    assert 0.0 < means[4] < np.log(5.0)


def test_a_run_that_was_interrupted_gives_the_same(tmp_path: Path) -> None:
    whole = run_starts(ASKED, symbols(16, 0), prepared(tmp_path / "whole"))

    def stop(done: float, total: float) -> None:
        if done == 13:
            raise KeyboardInterrupt

    cut = prepared(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        run_starts(ASKED, symbols(16, 0), cut, progress=stop)
    assert run_starts(ASKED, symbols(16, 0), cut) == whole
    paths = [tmp_path / kind / f"{ASKED.name}.json" for kind in ("whole", "cut")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    # Nothing follows from 20 steps, and the page says so of every start.
    assert len(list(sentences(whole))) == 5


def part(steps: dict[str, list[float]]) -> dict[str, Any]:
    return {"cell": "gru", "steps": [300], "to_80": steps, "reference": CRITICAL["tied"]}


def test_the_verdict_follows_the_numbers() -> None:
    tied, untied = CRITICAL.values()
    never, always = [np.inf] * 5, [50.0] * 5
    verdict, told = outcome(part({tied: always, untied: always, "a": never, "b": never}))
    assert f"{tied} and {untied} in every network; a and b in none" in verdict
    assert told.endswith(f"than {tied}: a and b later.")
    verdict, told = outcome(part({tied: never, untied: never, "a": always}))
    assert f"a in every network; {tied} and {untied} in none" in verdict
    assert told.endswith(f"than {tied}: a sooner.")
    verdict, told = outcome(part({tied: always, untied: always, "a": [50.0] * 4 + [np.inf]}))
    assert "a in some networks" in verdict
    assert told.startswith("No start took other steps")
