"""Where an integrand changes fast, read from its arguments."""

from __future__ import annotations

import numpy as np
import sympy as sp

from rnnmft.activations import hard_tanh, relu, sigmoid, tanh
from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.charts import Kind, Landmarks, make_charts
from rnnmft.numerics.landmarks import Landmark, find_landmarks

z, y = sp.symbols("z y", real=True)
a, b, v = sp.symbols("a b v", positive=True)


def test_an_affine_argument_gives_its_zero_and_its_width() -> None:
    assert find_landmarks(tanh(a * z + b) ** 2, z) == [Landmark(-b / a, 1 / a)]
    assert find_landmarks(tanh(b) * z**3 * sp.exp(z), z) == []


def test_kinks_are_where_the_argument_meets_them() -> None:
    found = find_landmarks(hard_tanh(2 * z - 3), z)
    places = {(m.place, m.width, m.kind) for m in found}
    half = sp.Rational(1, 2)
    assert places == {(sp.Integer(1), half, Kind.KINK), (sp.Integer(2), half, Kind.KINK)}


def test_waves_and_hidden_kinks_are_named() -> None:
    assert [(m.kind, m.width) for m in find_landmarks(sp.sin(5 * z), z)] == [
        (Kind.WAVE, sp.Rational(1, 5))
    ]
    kinds = {m.kind for m in find_landmarks(relu(z**2 - 1), z)}
    assert kinds == {Kind.HIDDEN}


def test_an_inner_law_hands_its_landmarks_outwards() -> None:
    inner = GaussianExpectation(tanh(y), sp.Tuple(y), sp.Tuple(a * z + b), sp.Tuple(v))
    (found,) = find_landmarks(inner, z)
    assert found.place == -b / a
    assert sp.simplify(found.width - sp.sqrt(1 + v) / a) == 0
    # The gate of a GRU: the mean is not affine in z, but the gate itself is seen.
    gated = GaussianExpectation(
        tanh(y), sp.Tuple(y), sp.Tuple(sigmoid(z - 4)), sp.Tuple(sigmoid(z - 4) ** 2)
    )
    assert find_landmarks(gated, z) == [Landmark(sp.Integer(4), sp.Integer(1))]


def test_every_law_gets_exactly_one_chart(numpy64) -> None:
    rng = np.random.default_rng(3)
    mean, std = rng.uniform(-20, 20, 300), 10 ** rng.uniform(-4, 2, 300)
    places = np.where(rng.random((300, 2)) < 0.1, np.nan, rng.uniform(-30, 30, (300, 2)))
    widths = 10 ** rng.uniform(-2, 2, (300, 2))
    for kinds in (
        (Kind.SMOOTH, Kind.SMOOTH),
        (Kind.SMOOTH, Kind.KINK),
        (Kind.WAVE, Kind.SMOOTH),
        (Kind.HIDDEN, Kind.WAVE),
    ):
        law = mean, std, Landmarks(places, widths, kinds)
        times = np.zeros(300, dtype=int)
        for mask, chart in make_charts(*law, 9.5, 9.5, numpy64):
            rows = slice(None) if mask is None else mask
            times[rows] += 1
            np.testing.assert_array_equal(chart.std, std[rows])
        assert np.all(times == 1)
