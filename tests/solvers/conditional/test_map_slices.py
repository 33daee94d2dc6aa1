"""Points are sorted by what they differ in beside sigma_w."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import Inputs, cells
from rnnmft.solvers.conditional.map_slices import PointParameters, slices
from rnnmft.solvers.conditional.weight_range import SizeRange


def points(*each):
    """(sigma_w, mu_b, R) each."""
    cell = cells.minimal()
    return [(cell.ensemble(e={"sigma_w": w, "mu_b": mu}), Inputs(R=R)) for w, mu, R in each]


def test_one_surface_for_every_value_of_what_varies_less():
    found = slices(points(*((w, mu, R) for w in (1, 2) for mu in (0, 1, 2) for R in (0.5, 1.0))))
    assert [part.numbers for part in found] == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    first, second = found
    assert first.varies == "mu_b"
    assert first.p.tolist() == [0, 1, 2, 0, 1, 2]
    assert first.at(0.3) == PointParameters(0.3, 1.0, 0.5)
    assert second.at(0.3) == PointParameters(0.3, 1.0, 1.0)
    assert np.exp(first.log_scale) == pytest.approx([0.5] * 3 + [2.0] * 3)


def test_what_is_spaced_evenly_in_its_logarithm_is_taken_by_it():
    (found,) = slices(points(*((2.0, 0.0, R) for R in (0.01, 0.1, 1.0))))
    assert found.is_logarithm
    assert found.p == pytest.approx(np.log([0.01, 0.1, 1.0]))
    assert list(found.at(np.log(0.3))) == pytest.approx([0.0, 1.0, 0.3])
    (found,) = slices(points(*((2.0, 0.0, R) for R in (0.5, 1.0, 1.5))))
    assert not found.is_logarithm


def test_ends_are_those_of_the_known_values_on_both_sides():
    (found,) = slices(points(*((2.0, mu, 1.0) for mu in (0.0, 1.0, 2.0))))
    x, lags = np.zeros(2), np.full(2, 16)
    ends = {0.0: (0.0, 3.0), 1.0: (-1.0, 2.0), 2.0: (-2.0, 0.0)}
    found.ranges = {p: SizeRange(*at, x, lags) for p, at in ends.items()}
    assert found.ends(0.5) == (-1.0, 3.0)
    assert found.ends(1.5) == (-2.0, 2.0)
    assert found.ends(0.0) == (0.0, 3.0)
    assert found.ends(2.0) == (-2.0, 2.0)


def test_points_without_weights_are_on_no_surface():
    (found,) = slices(points((0.0, 1.0, 1.0), (2.0, 1.0, 1.0)))
    assert found.numbers == [1]
    assert slices(points((0.0, 1.0, 1.0))) == []
