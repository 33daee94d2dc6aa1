"""Normal and quasi-random numbers: their laws, their seeds, and torch's own Sobol points."""

from __future__ import annotations

import pytest
import torch
from scipy import special, stats

from rnnmft.errors import ParameterError
from rnnmft.sampling import NORMALS, Sampling
from rnnmft.units.normals import QUASI, Draws
from rnnmft.units.sobol import DIMENSIONS, sobol_points

CPU = torch.device("cpu")
LIKE = torch.zeros((), dtype=torch.float64)


def draws(normals="sobol", repetitions=range(4), units=256, seed=0, like=LIKE):
    sampling = Sampling(units * 16, 16, seed, "cpu", normals=normals)
    return Draws(sampling, repetitions, like)


def test_the_points_are_torchs_sobol_points():
    engine = torch.quasirandom.SobolEngine(40, scramble=False)
    theirs = engine.draw(128, dtype=torch.float64)
    ours = sobol_points(0, 40, 128, [None], CPU)[0] - 0.5 * 2.0**-30
    assert sorted(map(tuple, ours.T.tolist())) == sorted(map(tuple, theirs.tolist()))


def test_any_dimensions_of_the_sequence_can_be_drawn():
    whole = sobol_points(0, 30, 64, [None], CPU)
    assert torch.equal(sobol_points(11, 7, 64, [None], CPU), whole[:, 11:18])
    sobol_points(DIMENSIONS - 1, 1, 4, [None], CPU)


def test_scrambled_points_stay_a_net_and_are_fresh_for_each_generator():
    """One point in each of 2^k equal intervals, in every dimension, and in 2-d of the first two."""
    generators = [torch.Generator().manual_seed(s) for s in (1, 2)]
    first, second = sobol_points(0, 6, 256, generators, CPU)
    assert not torch.equal(first, second)
    for row in first:
        assert torch.equal(torch.sort((row * 256).long())[0], torch.arange(256))
    cells = {(int(a * 16), int(b * 16)) for a, b in zip(first[0], first[1], strict=True)}
    assert len(cells) == 256


def test_a_scrambled_point_is_uniform():
    """Kolmogorov-Smirnov of one point over 500 scrambles: false alarms 1e-6 in each of 6."""
    generator = torch.Generator().manual_seed(5)
    points = sobol_points(3, 2, 4, [generator] * 500, CPU)
    for dimension in range(2):
        for point in (0, 1, 3):
            assert stats.kstest(points[:, dimension, point].numpy(), "uniform").pvalue > 1e-6


@pytest.mark.parametrize("normals", NORMALS)
def test_normals_are_standard(normals):
    """Kolmogorov-Smirnov of 2^18 numbers: false alarms 1e-6; 3 % more is rejected."""
    values = draws(normals, units=1024).normal(64).numpy().ravel()
    assert stats.kstest(values, "norm").pvalue > 1e-6
    assert stats.kstest(1.03 * values, "norm").pvalue < 1e-6


def test_normals_are_the_points_through_the_inverse_distribution_function():
    """By SciPy's; far out the two differ by what 2^-53 moves: 1e-7 at 5.6 standard deviations."""
    numbers, points = draws(units=1 << 14).normal(16), draws(units=1 << 14).uniform(16)
    expected = torch.as_tensor(special.ndtri(points.numpy()))
    assert torch.allclose(numbers, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("normals", NORMALS)
def test_a_repetition_does_not_depend_on_its_company(normals):
    together, alone = draws(normals), draws(normals, repetitions=[2])
    assert torch.equal(together.normal(3)[2:3], alone.normal(3))
    assert torch.equal(together.uniform(2)[2:3], alone.uniform(2))
    again, other = draws(normals), draws(normals, seed=1)
    first = again.normal(3)
    assert torch.equal(first, draws(normals).normal(3))
    assert not torch.equal(first, other.normal(3))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("normals", NORMALS)
def test_uniform_numbers_are_stratified(normals):
    values = draws(normals).uniform(2)
    assert values.min() > 0
    assert values.max() < 1
    strata = torch.sort((values * 256).long(), 2)[0]
    assert torch.equal(strata, torch.arange(256).expand_as(strata))


def test_single_precision_uniforms_stay_inside():
    values = draws(like=torch.zeros((), dtype=torch.float32), units=1 << 14).uniform(64)
    assert values.dtype == torch.float32
    assert 0 < values.min() <= values.max() < 1
    assert torch.isfinite(draws(like=values[0, 0, 0], units=1 << 14).normal(8)).all()


def test_pseudo_random_numbers_take_over_after_the_last_dimension():
    source = draws()
    source.dimension = QUASI - 2
    assert torch.equal(torch.sort((source.uniform(2)[0, 0] * 256).long())[0], torch.arange(256))
    assert torch.isfinite(source.normal(3)).all()
    assert source.dimension == QUASI


def test_numbers_do_not_depend_on_how_many_are_taken_at_a_time():
    one, many = draws(), draws()
    taken = torch.cat([one.normal(1) for _ in range(20)], 1)
    assert torch.equal(taken, many.normal(20))
    assert torch.equal(one.normal(30), many.normal(30))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("units", 8),
        ("units", 1000.5),
        ("repetitions", 1),
        ("seed", -1),
        ("normals", "halton"),
        ("tolerance", 0.0),
        ("tolerance", -1.0),
        ("tolerance", float("nan")),
        ("max_units", 0),
        ("memory", 10),
    ],
)
def test_a_sampling_refuses_what_is_outside_its_domain(argument, value):
    with pytest.raises(ParameterError, match=argument):
        Sampling(**{argument: value})


def test_sobol_repetitions_have_a_power_of_two_units():
    assert Sampling(100_000, 16).per_repetition == 8192
    assert Sampling(100_000, 16).total == 131_072
    assert Sampling(100_000, 16, normals="random").per_repetition == 6250
