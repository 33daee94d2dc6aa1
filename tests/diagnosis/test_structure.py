"""What tells structured recurrent matrices from random ones: no false alarm, and no miss."""

from __future__ import annotations

import math

import pytest
import torch

from rnnmft.diagnosis.structure import structure_of

WIDTH = 128


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(width=WIDTH, seed=0):
    return torch.randn(width, width, generator=seeded(seed)) / math.sqrt(width)


def orthogonal(width=WIDTH, seed=0):
    q, r = torch.linalg.qr(gaussian(width, seed).double())
    return q * r.diagonal().sign()  # without the signs it is not uniform


def circulant():
    lag = torch.arange(WIDTH)[:, None] - torch.arange(WIDTH)[None]
    return torch.randn(WIDTH, generator=seeded())[lag % WIDTH]


RANDOM = {
    "gaussian": gaussian,
    "uniform": lambda width, seed: torch.rand(width, width, generator=seeded(seed)) - 0.5,
    "orthogonal": orthogonal,
    "half of it zeros": lambda width, seed: (
        gaussian(width, seed) * (torch.rand(width, width, generator=seeded(seed + 1)) < 0.5)
    ),
}
STRUCTURED = {
    "identity": (lambda: 0.7 * torch.eye(WIDTH), "common diagonal of +1 sigma_w"),
    "near a multiple of the identity": (
        lambda: gaussian() + 0.1 * torch.eye(WIDTH),
        "common diagonal",
    ),
    "symmetric": (lambda: gaussian() + gaussian().T, "W of e is symmetric:"),
    "antisymmetric": (lambda: gaussian() - gaussian().T, "W of e is antisymmetric:"),
    "a part of it symmetric": (lambda: gaussian() + 0.1 * gaussian().T, "symmetric by 2"),
    "triangular": (lambda: gaussian().triu(), "100% of its weight in the upper triangle"),
    "a permutation": (
        lambda: torch.eye(WIDTH)[torch.randperm(WIDTH, generator=seeded())],
        "about 1 connections",
    ),
    "sparse": (
        lambda: gaussian() * (torch.rand(WIDTH, WIDTH, generator=seeded(1)) < 0.05),
        "connections a unit",
    ),
    "of low rank": (lambda: gaussian()[:, :4] @ gaussian(seed=1)[:4], "rank 4 of 128"),
    "orthogonal, trained": (
        lambda: orthogonal() + 0.3 * gaussian(seed=1),
        "do not follow the circular law",
    ),
    "circulant": (circulant, "singular vectors of W of e are not independent"),
    "block diagonal": (
        lambda: torch.block_diag(*(gaussian(WIDTH // 4, seed) for seed in range(4))),
        "networks of 32 units at most",
    ),
    "an outlier": (
        lambda: gaussian() + 2.0 / WIDTH,
        "outside of the circle",
    ),
    "rows of several sizes": (
        lambda: torch.linspace(0.5, 1.5, WIDTH)[:, None] * gaussian(),
        "units differ in the size",
    ),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_random_matrices_raise_no_alarm(kind) -> None:
    # 11 statistics of 40 matrices at 5 standard errors, for four kinds: 1e-3 in all.
    for seed in range(10):
        for width in (8, 20, 50, 100):
            found = structure_of(RANDOM[kind](width, seed))
            assert list(found.remarks("e")) == []


@pytest.mark.parametrize("kind", STRUCTURED)
def test_structure_is_said(kind) -> None:
    make, sentence = STRUCTURED[kind]
    found = list(structure_of(make()).remarks("e"))
    assert any(sentence in remark for remark in found), found


def test_statistics_are_those_of_their_formulas() -> None:
    w = gaussian(12).double()
    found = structure_of(w)
    sigma2 = float(w.square().sum()) / 12
    values = torch.linalg.eigvals(w).abs()
    left, right = w @ w.T / sigma2, w.T @ w / sigma2
    assert found.symmetry == pytest.approx(float((w @ w).trace()) / (12 * sigma2))
    assert found.overlap == pytest.approx(float((right @ left).trace()) / 12 - 1.0)
    assert found.normality == pytest.approx(float(values.square().mean()) / sigma2)
    assert found.spread == pytest.approx(float((right @ right).trace()) / 12 - 1.0)
    assert found.rank == 12
    assert structure_of(torch.zeros(3, 3)) is None


@pytest.mark.slow
def test_wide_matrices_are_seen_through_random_vectors() -> None:
    a = gaussian(2100)
    assert list(structure_of(a).remarks("e")) == []
    # 14 sigma^8 is the eighth moment: (28 / (64 * 2100))^(1/2) = 1.4 % a standard error.
    assert abs(structure_of(a).spread - 1.0) < 4.0 * 0.0145 + 1.0 / 2100
    found = list(structure_of(a + a.T).remarks("e"))
    assert any("singular vectors" in remark for remark in found)
    assert any("symmetric" in remark for remark in found)


def test_one_unit_has_no_structure() -> None:
    """A W of one entry is symmetric, diagonal and of full rank, whatever it is."""
    assert list(structure_of(torch.full((1, 1), -0.3)).remarks("e")) == []
