"""How many units are drawn: what was asked for, what a run's work and memory allow, never fewer."""

from __future__ import annotations

import pytest

from rnnmft.errors import ParameterError
from rnnmft.sampling import FEWEST, Sampling, check_particles


@pytest.mark.parametrize("units", [1 << 12, 5000, 100_000])
def test_units_are_divided_among_repetitions(units: int) -> None:
    random, sobol = (Sampling(units, 16, normals=normals) for normals in ("random", "sobol"))
    assert random.total <= units < random.total + 16
    # A power of two, the next one above what was asked for.
    assert sobol.per_repetition & (sobol.per_repetition - 1) == 0
    assert units // 16 <= sobol.per_repetition < 2 * (units // 16)


@pytest.mark.parametrize("steps", [1, 10, 100, 1000, 10_000])
def test_the_work_of_a_run_is_not_exceeded_but_by_the_fewest_units(steps: int) -> None:
    asked = Sampling(1 << 19, 16, work=4e9)
    found = asked.for_steps(steps)
    assert found.per_repetition >= 1024
    assert found.total <= asked.total
    if found.total > FEWEST:
        assert found.total * steps * steps <= 4e9
        # And not less than half of what it allows.
        assert found.total == asked.total or 2 * found.total * steps * steps > 2e9
    else:
        assert (found.repetitions, found.total) == (8, FEWEST)


def test_directions_that_stay_few_allow_more_units() -> None:
    asked = Sampling(1 << 19, 16, work=4e9)
    assert asked.for_steps(1000, directions=100).total == 4 * asked.for_steps(1000).total > FEWEST
    assert asked.for_steps(1000, directions=2000) == asked.for_steps(1000)
    # A wanted tolerance decides itself, and so does whoever sets no limit.
    for free in (Sampling(1 << 19, 16, work=4e9, tolerance=1e-3), Sampling(1 << 19, 16)):
        assert free.for_steps(10_000) is free


def test_memory_is_what_was_said_or_half_of_what_is_free() -> None:
    assert Sampling(memory=1 << 25).batch_memory(1 << 40) == 1 << 25
    assert Sampling().batch_memory(1 << 33) == 1 << 32
    assert Sampling().batch_memory() == 1 << 29


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"units": 255}, "units"),
        ({"max_units": 255}, "max_units"),
        ({"repetitions": 1}, "repetitions"),
        ({"seed": -1}, "seed"),
        ({"work": 0.0}, "work"),
        ({"work": float("inf")}, "work"),
        ({"memory": 1 << 19}, "memory"),
        ({"normals": "halton"}, "normals"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_what_cannot_be_sampled_is_refused_by_name(options: dict, named: str) -> None:
    with pytest.raises(ParameterError, match=f"^{named}"):
        Sampling(**options)
    check_particles(16, particles=256)
    with pytest.raises(ParameterError, match=r"^particles"):
        check_particles(16, particles=255)
