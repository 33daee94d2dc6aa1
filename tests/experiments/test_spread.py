"""Starts that differ in the spread of singular values: the law they should have, and no more."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from rnnmft import MeanField, cells, identity
from rnnmft.experiments.spread import Spread, directions, same_but_spread
from rnnmft.experiments.trainees import Trainees

WIDTH, SEEDS = 64, 20
STARTS = tuple(Spread(Fraction(1), a) for a in (Fraction(1), Fraction(1, 4), Fraction(0)))
CELL = cells.vanilla()
CRITICAL = CELL.ensemble(e={"sigma_w": 1.2, "sigma_v": 0.1})


@pytest.fixture(scope="module")
def trainees() -> Trainees:
    starts = len(STARTS) * SEEDS
    found = Trainees(CELL, [CRITICAL] * starts, width=WIDTH, features=4, classes=3)
    same_but_spread(found, STARTS)
    return found


def second_moments(trainees: Trainees) -> np.ndarray:
    """tr (W W^T)^2 / N at sigma_w = 1, by start and network."""
    w = trainees.parameters["W_e"].detach().double()
    squares = torch.linalg.svdvals(w).square()
    squares = squares / squares.mean(1, keepdim=True)
    return squares.square().mean(1).reshape(len(STARTS), SEEDS).numpy()


def test_moments_are_those_of_the_theory(trainees: Trainees) -> None:
    """1 + a, up to 1/N: within 5 standard errors of 20 networks and 1/N; a control of 2 a fails."""
    linear = cells.vanilla(identity)
    for start, measured in zip(STARTS, second_moments(trainees), strict=True):
        ensemble = start.ensemble(linear, linear.ensemble(e={"sigma_w": 1.0}))
        theory = MeanField(linear, ensemble, tying="untied").jacobian().moments(2)
        assert theory[1] == pytest.approx(1 + float(start.variance), rel=1e-9)
        away = abs(measured.mean() - theory[1])
        allowed = 5 * measured.std(ddof=1) / SEEDS**0.5 + 2 * theory[1] / WIDTH
        assert away <= allowed
        if start.variance:
            assert abs(measured.mean() - (1 + 2 * float(start.variance))) > allowed


def test_nothing_else_differs(trainees: Trainees) -> None:
    for name, values in trainees.parameters.items():
        first, *others = values.detach().reshape(len(STARTS), SEEDS, *values.shape[1:])
        for other in others:
            if name != "W_e":
                assert torch.equal(first, other)
                continue
            # One basis of singular vectors makes both W diagonal.
            left, _, right = torch.linalg.svd(first)
            within = left.mT @ other @ right.mT
            off = within - torch.diag_embed(torch.diagonal(within, dim1=-2, dim2=-1))
            assert off.abs().max() < 1e-4


def test_the_scale_is_that_of_sigma_w() -> None:
    starts = (Spread(Fraction(1), Fraction(0)), Spread(Fraction(1, 2), Fraction(0)))
    found = Trainees(CELL, [CRITICAL] * 2, width=WIDTH, features=4, classes=3)
    same_but_spread(found, starts)
    one, half = found.parameters["W_e"].detach()
    torch.testing.assert_close(half, one / 2)


def test_fewer_directions_survive_where_singular_values_spread() -> None:
    """In a linear network lambda(u) = log(1 - a u) / 2: of all directions (1 - exp(-2/T)) / a."""
    linear = cells.vanilla(identity)
    critical = linear.ensemble(e={"sigma_w": 1.0})
    for start in STARTS[:2]:
        found = directions(linear, start.ensemble(linear, critical), 50)
        expected = (1 - np.exp(-2 / 50)) / float(start.variance)
        assert float(found) == pytest.approx(expected, abs=found.error + 1e-6)
    assert float(directions(linear, STARTS[2].ensemble(linear, critical), 50)) == 1.0
