"""W through an orthonormal basis: orthonormal whatever is seen, and a gaussian matrix in law."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmft.units.columns import Columns
from rnnmft.units.orthonormal_basis import OrthonormalBasis
from rnnmft.units.weight_action import WeightAction
from tests.stand_in_device import GPU

REPETITIONS, UNITS = 3, 256
DTYPES = (torch.float64, torch.float32)
#: By how much a slow vector moves a step: above what each precision resolves.
MOVES = {torch.float64: 1e-4, torch.float32: 2e-3}


def like(dtype=torch.float64, device="cpu"):
    return torch.zeros((), dtype=dtype, device=device)


def vectors(count, seed=0, units=UNITS, repetitions=REPETITIONS):
    """Random vectors, (R, count, M)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(repetitions, count, units, generator=generator, dtype=torch.float64)


def gram_of(basis):
    rows = torch.cat([b[:, :n] for b, n in _filled(basis.columns)], 1).double().cpu()
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def _filled(columns):
    left = columns.count
    for block in columns.blocks:
        yield block, min(block.shape[1], left)
        left -= block.shape[1]


def action(units=UNITS, repetitions=REPETITIONS, seed=1):
    generator = torch.Generator().manual_seed(seed)

    def normals(count):
        shape = (repetitions, count, units)
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return WeightAction(like(), repetitions, units, normals)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_basis_of_a_slow_process_is_orthonormal_to_rounding(dtype):
    """200 steps, each a small part of y."""
    steps, noise = 200, vectors(200)
    y, basis = vectors(1, seed=9), OrthonormalBasis(like(dtype), REPETITIONS, UNITS)
    for t in range(steps):
        y = y + MOVES[dtype] * noise[:, t : t + 1]
        basis.coordinates(y.to(dtype))
    rounding = torch.finfo(dtype).eps
    assert basis.count == steps
    defect = (gram_of(basis) - torch.eye(steps)).abs().max()
    assert defect < 64 * rounding
    assert basis.defect() <= 64 * rounding


def test_one_projection_would_lose_orthogonality(monkeypatch):
    """The control: without the second projection the same basis is not even orthonormal to 1e-6."""
    monkeypatch.setattr("rnnmft.units.orthonormal_basis.CANCELS", 0.0)
    noise, y = vectors(200), vectors(1, seed=9)
    basis = OrthonormalBasis(like(), REPETITIONS, UNITS)
    for t in range(200):
        y = y + 1e-4 * noise[:, t : t + 1]
        basis.coordinates(y)
    assert (gram_of(basis) - torch.eye(basis.count)).abs().max() > 1e-6
    assert basis.defect() > 1e-6


def test_coordinates_rebuild_what_was_seen_and_never_exceed_it():
    basis = OrthonormalBasis(like(), REPETITIONS, UNITS)
    for t in range(40):
        y = vectors(2, seed=t) * 10.0 ** (t % 7 - 3)
        a = basis.coordinates(y)
        rebuilt = basis.columns.add(torch.zeros_like(y), a)
        size = y.square().mean(2)
        assert torch.allclose(rebuilt, y, rtol=0, atol=1e-13 * float(y.abs().max()))
        assert (a.square().sum(2) <= size * (1 + 1e-13)).all()
    assert basis.count == 80


def test_what_was_seen_before_adds_no_direction():
    """A repetition, a multiple, a sum of earlier vectors, and zero."""
    basis, y = OrthonormalBasis(like(), REPETITIONS, UNITS), vectors(2)
    basis.coordinates(y)
    for again in (y, -3.0 * y, y[:, :1] + y[:, 1:], 0.0 * y[:, :1]):
        basis.coordinates(again)
    assert basis.count == 2


def test_a_direction_that_one_repetition_lacks_is_zero_there():
    y = vectors(1)
    y[1] = 0.0
    basis = OrthonormalBasis(like(), REPETITIONS, UNITS)
    basis.coordinates(y)
    basis.coordinates(vectors(1, seed=2))
    gram = gram_of(basis)
    assert torch.allclose(gram[0], torch.eye(2, dtype=torch.float64), atol=1e-14)
    assert gram[1, 0, 0] == 0.0
    assert abs(gram[1, 1, 1] - 1.0) < 1e-14
    assert basis.defect() < 1e-14


def test_a_full_space_has_as_many_directions_as_units():
    basis = OrthonormalBasis(like(), 2, 16)
    for t in range(40):
        basis.coordinates(vectors(1, seed=t, units=16, repetitions=2))
    assert basis.count == 16


def test_a_nearly_equal_trajectory_stays_apart():
    """Two vectors at a distance of 1e-6 of their length: W keeps it to the rounding of 1e-16."""
    weights, y = action(), vectors(2)
    y[:, 1] = y[:, 0] + 1e-6 * y[:, 1]
    weights.see(y)
    out = weights.product("e", 2.0, torch.zeros_like(y))
    apart = (out[:, 1] - out[:, 0]).square().mean(1) / (y[:, 1] - y[:, 0]).square().mean(1)
    # E = 4; a chi-squared number of 256 units each.
    assert (apart / 4 - 1).abs().max() < 6 * np.sqrt(2 / UNITS)


def test_it_acts_as_a_gaussian_matrix_does():
    """W y of 4,000 little networks of width 16 against W drawn whole, over three vectors.

    Kolmogorov-Smirnov of four linear and quadratic statistics, 4,000 against 4,000 networks: false
    alarms 1e-5 each. W with a standard deviation 10 % larger is rejected.
    """
    networks, width = 4000, 16
    fixed = vectors(3, units=width, repetitions=1).expand(networks, 3, width)
    weights = action(width, networks)
    ours = []
    for t in (0, 1, 0, 2):
        weights.see(fixed[:, t : t + 1])
        ours.append(weights.product("e", 1.0, torch.zeros(networks, 1, width).double())[:, 0])
    w = np.random.default_rng(0).normal(size=(networks, width, width)) / np.sqrt(width)
    theirs = [torch.as_tensor(w @ fixed[0, t].numpy()) for t in (0, 1, 0, 2)]
    assert torch.allclose(ours[0], ours[2], rtol=1e-12, atol=1e-12)

    def statistics(rows):
        a, b, _, c = (r.double() for r in rows)
        return [a[:, 0], (a * b).mean(1), (b * c).mean(1), (c * c).mean(1)]

    for mine, other in zip(statistics(ours), statistics(theirs), strict=True):
        assert stats.ks_2samp(mine.numpy(), other.numpy()).pvalue > 1e-5
    wide = statistics([1.1 * r for r in theirs])[3]
    assert stats.ks_2samp(statistics(ours)[3].numpy(), wide.numpy()).pvalue < 1e-5


def test_matrices_that_see_the_same_are_independent():
    """<W_1 y, W_2 y> / M of 8 repetitions of 4,096 units: |z| < 6 (false alarms 2e-8)."""
    weights = action(4096, 8)
    y = vectors(1, units=4096, repetitions=8)
    weights.see(y)
    first, second = (weights.product(n, 1.0, torch.zeros_like(y)) for n in "ab")
    assert weights.basis.count == 1
    size = y.square().mean(2)[:, 0]
    correlation = (first * second).mean((1, 2)) / size * np.sqrt(4096)
    assert correlation.abs().max() < 6
    assert (first * first).mean((1, 2)).div(size).mul(np.sqrt(4096)).min() > 6
    assert torch.allclose(weights.variance(3.0)[:, 0], 9.0 * size)


def test_columns_overlap_and_add_over_blocks():
    columns = Columns(like(), 2, 5)
    rows = torch.randn(2, 70, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i in range(70):
        columns.append(rows[:, i])
    assert [b.shape[1] for b in columns.blocks] == [16, 16, 32, 64]
    for now in (rows[:, :1] + 1, rows[:, :2] - 3):
        expected = torch.einsum("rpm,rnm->rpn", now, rows) / 5
        assert torch.allclose(columns.overlap(now), expected, rtol=1e-13)
    weights = torch.ones(2, 2, 40, dtype=torch.float64)
    total = rows[:, :40].sum(1, keepdim=True).expand(2, 2, 5)
    assert torch.allclose(columns.add(torch.ones(2, 2, 5).double(), weights, 2.0), 1 + 2 * total)
    assert torch.equal(columns.last(3), rows[:, 67:])


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_gpu_keeps_the_basis_orthonormal(dtype):
    y, noise = vectors(1, seed=9), vectors(60)
    basis = OrthonormalBasis(like(dtype, GPU), REPETITIONS, UNITS)
    for t in range(60):
        y = y + MOVES[dtype] * noise[:, t : t + 1]
        basis.coordinates(y.to(dtype).to(GPU))
    assert (gram_of(basis) - torch.eye(60)).abs().max() < 64 * torch.finfo(dtype).eps
