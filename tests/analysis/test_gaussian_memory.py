"""GaussianMemory against known Gaussian processes; degenerate kernels need no jitter.

With matched normals the covariance over the units of a repetition equals the kernel to rounding, so
these tests are exact: tolerances are a few hundred roundings, and no false alarms occur.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnmft.analysis.units.columns import Columns
from rnnmft.analysis.units.gaussian_memory import GaussianMemory
from rnnmft.analysis.units.normals import Draws, StandardNormals
from rnnmft.errors import ParameterError
from rnnmft.sampling import Sampling

REPETITIONS, UNITS = 3, 512
EPS = torch.finfo(torch.float64).eps


def memory(normals="matched", dtype=torch.float64, units=UNITS, seed=1):
    sampling = Sampling(units * REPETITIONS, REPETITIONS, seed, "cpu", normals=normals)
    draws = Draws(sampling, range(REPETITIONS), torch.zeros((), dtype=dtype))
    return GaussianMemory(StandardNormals(draws, normals == "matched"))


def draw_all(kernels, block=1, **options):
    """Draw a process with the kernels (R, n, n), `block` variables at once: values (R, n, M)."""
    kernels = torch.as_tensor(np.asarray(kernels))
    of = memory(**options)
    values = []
    for first in range(0, kernels.shape[1], block):
        new = slice(first, first + block)
        past = kernels[:, new][:, :, of.columns]
        values.append(of.draw(past, kernels[:, new, new]))
    return torch.cat(values, 1), of


def covariance(values):
    return (values @ values.transpose(1, 2) / values.shape[2]).numpy()


def random_kernels(size, rank, seed):
    """Kernels (R, n, n) of given rank, not the same in different repetitions."""
    roots = np.random.default_rng(seed).normal(size=(REPETITIONS, size, rank))
    return roots @ roots.transpose(0, 2, 1)


@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_full_rank_kernel_is_met_exactly(block):
    """More variables than one block of normals holds, one, two or four at a time."""
    kernels = random_kernels(40, 60, seed=block)
    values, of = draw_all(kernels, block)
    assert of.count == 40
    error = np.abs(covariance(values) - kernels).max()
    assert error < 1e3 * EPS * np.abs(kernels).max()
    assert float(values.mean(2).abs().max()) < 1e3 * EPS * np.sqrt(np.abs(kernels).max())


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_a_rank_deficient_kernel_gets_as_many_columns_as_its_rank(rank):
    kernels = random_kernels(12, rank, seed=rank)
    values, of = draw_all(kernels)
    assert of.columns == list(range(rank))
    # A pivot below the tolerance is dropped: its standard deviation may be missing.
    assert (
        np.abs(covariance(values) - kernels).max() < np.sqrt(of.tolerance) * np.abs(kernels).max()
    )


def test_a_variable_that_repeats_an_earlier_one_repeats_its_values():
    """Constant input without recurrent weights; two identical trajectories."""
    root = np.random.default_rng(0).normal(size=(4, 6))
    repeated = root[[0, 1, 1, 0, 2, 3, 2]]
    kernels = np.stack([repeated @ repeated.T] * REPETITIONS)
    values, of = draw_all(kernels)
    assert of.columns == [0, 1, 4, 5]
    for first, second in ((1, 2), (0, 3), (4, 6)):
        assert torch.allclose(values[:, first], values[:, second], rtol=0, atol=1e-7)
    assert np.abs(covariance(values) - kernels).max() < 1e3 * EPS * kernels.max()


def test_zero_variance_gives_zeros_and_no_column():
    kernels = np.zeros((REPETITIONS, 3, 3))
    kernels[:, 1, 1] = 2.0
    values, of = draw_all(kernels)
    assert of.columns == [1]
    assert not values[:, 0].any()
    assert not values[:, 2].any()
    assert np.abs(covariance(values) - kernels).max() < 1e3 * EPS


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_one_repetition_may_be_degenerate_while_others_are_not(scale):
    """The column that the others need leaves the degenerate one alone, at any scale."""
    kernels = random_kernels(6, 8, seed=5) * scale
    lonely = np.random.default_rng(6).normal(size=(6, 2))
    kernels[1] = lonely @ lonely.T * scale
    kernels[2] = 0.0
    values, of = draw_all(kernels)
    assert of.count == 6
    assert np.abs(covariance(values) - kernels).max() < 1e-6 * scale
    assert not values[2].any()


def test_a_nearly_degenerate_kernel_keeps_its_small_directions():
    """A trajectory that differs from another by 1e-5 standard deviations: no jitter hides it."""
    gap = 1e-5
    root = np.array([[1.0, 0.0], [np.sqrt(1 - gap**2), gap]])
    kernels = np.stack([root @ root.T] * REPETITIONS)
    values, of = draw_all(kernels)
    assert of.count == 2
    apart = (values[:, 0] - values[:, 1]).square().mean(1).sqrt().numpy()
    # 1 - sqrt(1 - gap^2) is rounded to eps, the gap to eps / gap^2 of itself.
    assert np.abs(apart / gap - 1).max() < 10 * EPS / gap**2


def test_a_jitter_would_be_seen():
    """The control: the smallest usual jitter moves the nearly degenerate kernel's gap."""
    gap = 1e-5
    root = np.array([[1.0, 0.0], [np.sqrt(1 - gap**2), gap]])
    kernels = np.stack([root @ root.T + 1e-10 * np.eye(2)] * REPETITIONS)
    values, _ = draw_all(kernels)
    apart = (values[:, 0] - values[:, 1]).square().mean(1).sqrt().numpy()
    assert np.abs(apart / gap - 1).min() > 0.1


@pytest.mark.parametrize("normals", ["sobol", "random"])
def test_other_normals_meet_the_kernel_within_their_noise(normals):
    """A covariance of M products has error at most |k| sqrt(2 / M); |z| < 6 for 192 numbers.

    False alarms below 4e-7 (plain numbers; Sobol numbers are less noisy).
    """
    kernels = random_kernels(8, 8, seed=3)
    values, _ = draw_all(kernels, units=4096, normals=normals)
    scale = np.sqrt(np.einsum("rii,rjj->rij", kernels, kernels))
    z = (covariance(values) - kernels) / scale * np.sqrt(4096 / 2)
    assert np.abs(z).max() < 6
    assert np.abs((covariance(values) - 1.2 * kernels) / scale * np.sqrt(4096 / 2)).max() > 6


def test_single_precision_meets_the_kernel_to_its_rounding():
    kernels = random_kernels(10, 12, seed=4)
    values, of = draw_all(kernels, dtype=torch.float32)
    assert values.dtype == torch.float32
    assert of.count == 10
    eps = torch.finfo(torch.float32).eps
    assert np.abs(covariance(values) - kernels).max() < 1e2 * eps * np.abs(kernels).max()


def test_matched_normals_need_more_units_than_directions():
    of = memory(units=64)
    with pytest.raises(ParameterError, match="too few"):
        of.normals.reserve(32)


def test_columns_overlap_and_combine_over_blocks():
    like = torch.zeros(2, 5, dtype=torch.float64)
    columns = Columns(like, block=3)
    rows = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i in range(7):
        columns.append(rows[:, i])
    one, two = rows[:, :1] + 1, rows[:, :2] - 3
    for now in (one, two):
        expected = torch.einsum("rpm,rnm->rpn", now, rows) / 5
        assert torch.allclose(columns.overlap(now), expected, rtol=1e-13)
    weights = torch.ones(2, 2, 4, dtype=torch.float64)
    total = rows[:, :4].sum(1, keepdim=True).expand(2, 2, 5)
    assert torch.allclose(columns.combine(weights), total)
