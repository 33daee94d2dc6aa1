"""Training of many networks at once: it learns, it resumes to the bit, noise teaches nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from rnnmft import cells
from rnnmft.errors import ParameterError
from rnnmft.experiments.digits import Digits, sklearn_digits
from rnnmft.experiments.tasks import ImageThenNoise, Pixels, generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train
from rnnmft.language.laws import Normal

DIGITS = sklearn_digits(8)


def networks(name: str = "minimal", count: int = 2, **options: Any) -> Trainees:
    cell = getattr(cells, name)()
    ensembles = [cell.ensemble() for _ in range(count)]
    settings: dict[str, Any] = {"width": 16, "features": 64, "classes": 10}
    return Trainees(cell, ensembles, **(settings | options))


def few(count: int, labels: np.ndarray | None = None) -> Digits:
    """A set of so many images that is its own test set."""
    images = DIGITS.images[:count]
    known = DIGITS.labels[:count] if labels is None else labels
    return Digits(images, known, images, known, "few")


@pytest.mark.parametrize("name", ["vanilla", "minimal", "gru", "lstm"])
def test_a_step_is_the_cells(name: str) -> None:
    """Against the update written out by SymPy, unit by unit, at one network of the two."""
    found = networks(name, dtype=torch.float64)
    cell = found.cell
    generated = torch.Generator().manual_seed(0)
    states = [torch.randn(2, 3, 16, generator=generated, dtype=torch.float64) for _ in cell.states]
    x = torch.randn(3, 64, generator=generated, dtype=torch.float64)
    new = found.step(states, x)
    own = {n: p.detach()[1].numpy() for n, p in found.parameters.items()}
    values: dict[Any, np.ndarray] = {
        s: v[1, 0].numpy() for s, v in zip(cell.states, states, strict=True)
    }
    entering = x[0].numpy()
    if cell.input is not None:
        entering = own["embedding"] @ entering
        values[cell.input] = entering

    def at(expression: Any, unit: int) -> float:
        numbers = {s: sp.Float(float(v[unit]), 30) for s, v in values.items()}
        return float(expression.xreplace(numbers).evalf())

    for p, sees in cell.sees.items():
        e = own[f"V_{p.name}"] @ entering + own[f"b_{p.name}"]
        if f"W_{p.name}" in own:
            e = e + own[f"W_{p.name}"] @ np.array([at(sees, j) for j in range(16)])
        values[p] = e
    for state, result in zip(cell.states, new, strict=True):
        for unit in (0, 7):
            expected = at(cell.update[state], unit)
            assert float(result[1, 0, unit].detach()) == pytest.approx(expected, abs=1e-12)


def test_one_batch_is_learnt_by_heart() -> None:
    digits = few(16)
    course = Course(150, batch=16, rate=1e-2, every=150)
    seen = train(networks(width=32), ImageThenNoise(3, noise=0.0), digits, course)
    assert min(seen.accuracy[-1]) == 1.0


def test_shuffled_labels_teach_nothing() -> None:
    """The control: labels drawn anew; 359 test images are right 36 +- 5.7 times by chance."""
    labels = np.random.default_rng(0).permutation(DIGITS.labels)
    shuffled = dataclasses.replace(DIGITS, labels=labels)
    course = Course(60, every=60)
    taught = train(networks(), ImageThenNoise(2), DIGITS, course).accuracy[-1]
    untaught = train(networks(), ImageThenNoise(2), shuffled, course).accuracy[-1]
    assert max(untaught) < 0.1 + 5 * 0.016 < min(taught)


def test_a_run_that_goes_on_is_the_uninterrupted_one_to_the_bit(tmp_path: Path) -> None:
    task, whole = ImageThenNoise(4), networks()
    one = train(whole, task, DIGITS, Course(30, every=10))
    kept = tmp_path / "kept.npz"
    train(networks(), task, DIGITS, Course(20, every=10), checkpoint=kept)
    # Nothing of the first part is in memory any more.
    again = networks(seed=9)
    two = train(again, task, DIGITS, Course(30, every=10), checkpoint=kept)
    assert one == two
    for name, value in whole.parameters.items():
        assert torch.equal(value, again.parameters[name])


def test_a_network_of_a_longer_list_is_the_same() -> None:
    short, long = networks(count=1), networks(count=3)
    for name, value in short.parameters.items():
        assert torch.equal(value[0], long.parameters[name][0])


def test_networks_learn_apart() -> None:
    """A neighbour whose gradients explode leaves the others as they are."""
    cell = cells.vanilla()
    wild = cell.ensemble(e={"sigma_w": 50.0})
    options: dict[str, Any] = {"width": 16, "features": 64, "classes": 10}
    alone = Trainees(cell, [cell.ensemble()], **options)
    beside = Trainees(cell, [cell.ensemble(), wild], **options)
    for each in (alone, beside):
        train(each, ImageThenNoise(6), DIGITS, Course(3, every=3))
    for name, value in alone.parameters.items():
        torch.testing.assert_close(value[0], beside.parameters[name][0], rtol=1e-5, atol=1e-6)


def test_a_network_that_diverges_is_named(tmp_path: Path) -> None:
    """A readout that overflows: no gradient is finite from the first step on, and it is kept."""
    found, course = networks(), Course(4, every=2)
    with torch.no_grad():
        found.parameters["U"][1] = torch.inf
    kept = tmp_path / "kept.npz"
    assert train(found, ImageThenNoise(2), DIGITS, course, checkpoint=kept).diverged == [0, 1]
    longer = Course(6, every=2)
    assert train(networks(), ImageThenNoise(2), DIGITS, longer, checkpoint=kept).diverged == [0, 1]


def test_early_stop() -> None:
    seen = train(networks(width=32), ImageThenNoise(2), DIGITS, Course(400, every=20, enough=0.5))
    assert seen.steps[-1] < 400
    assert min(seen.accuracy[-1]) >= 0.5


def test_tasks() -> None:
    images = torch.arange(12.0).reshape(1, 12)
    pieces = list(Pixels(4).inputs(images, generator(0, 0)))
    assert [p.tolist() for p in pieces] == [[[0, 1, 2]], [[3, 4, 5]], [[6, 7, 8]], [[9, 10, 11]]]
    noisy = list(ImageThenNoise(3).inputs(images, generator(0, 1)))
    assert torch.equal(noisy[0], images)
    assert len(noisy) == 3
    with pytest.raises(ParameterError, match="do not fall into 5 equal pieces"):
        Pixels(5).features(12)


def test_what_does_not_train_is_refused() -> None:
    cell = cells.indrnn()
    with pytest.raises(ParameterError, match="random parameters"):
        Trainees(
            cell,
            [cell.ensemble(parameters={p.name: Normal(0, 1) for p in cell.parameters})],
            width=4,
            features=2,
            classes=2,
        )
