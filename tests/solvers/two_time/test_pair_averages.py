"""Pair averages: Mehler's series and Chebyshev curves against the integrals one by one."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import identity, relu, tanh
from rnnmft.activations import erf, hard_tanh, silu, softsign
from rnnmft.solvers.two_time.hermite import HermiteOverlaps
from rnnmft.solvers.two_time.pair_curve import PairCurve
from rnnmft.solvers.two_time.seen import KINDS, seen_by
from rnnmft.theory.gaussian_states import gaussian_states_theory
from tests.solvers.two_time.rate_cells import rate_cell

#: What each integral is wanted to, and its error said to be, relative to the largest.
PROMISED = 5e-11


def seen(f, centred):
    theory = gaussian_states_theory(rate_cell(f))
    return seen_by(theory, theory.cell.preactivations[0], centred)


def correlations(draw, count):
    """Any, and some that are close to 1."""
    near = 1 - 10.0 ** draw.uniform(-8, -1, count // 2)
    return np.concatenate([draw.uniform(-1, 1, count - count // 2), near])


@pytest.mark.parametrize("kind", ["overlap", "slope"])
@pytest.mark.parametrize("scale", [1e-6, 0.3, 5.0, 100.0])
@pytest.mark.parametrize("f", [tanh, silu, softsign])
@pytest.mark.parametrize("centred", [True, False])
def test_mehler_sums(f, centred, scale, kind):
    """Times of unlike laws: every pair with the last one, within the error that is given."""
    draw = np.random.default_rng(int(10 * scale))
    q = scale * draw.uniform(0.5, 2.0, 12)
    mean = np.zeros(12) if centred else draw.uniform(-1, 1, 12)
    function = seen(f, centred)
    sums = HermiteOverlaps(function, 1e-12, kind=kind)
    rough = HermiteOverlaps(function, 1e-5, exact=False, kind=kind)
    for one in (sums, rough):
        for mu, variance in zip(mean, q, strict=True):
            one.add(float(mu), float(variance))
    covariance = correlations(draw, 12) * np.sqrt(q * q[-1])
    truth, error = function.average(kind, mean[-1], mean, q[-1], covariance, q)
    # Errors are relative to sqrt(E[f_t^2] E[f_s^2]).
    power = function.at_one_time(kind, mean, q)[0]
    size = np.sqrt(power * power[-1]) if kind == "overlap" else np.abs(truth).max()
    found, bound = sums.row(covariance[None])
    assert bound < PROMISED
    assert (np.abs(found[0] - truth) <= error + (bound + 1e-13) * size + 1e-15).all()
    coarse, loose = rough.row(covariance[None])
    if kind == "overlap":
        assert (np.abs(coarse[0] - truth) <= error + (loose + 1e-13) * size).all()


def test_a_variance_of_zero_has_a_slope():
    """At a point E[y y] = y y and E[y' y'] = y' y', also beside a law that is none."""
    function = seen(tanh, centred=False)
    for kind, value in (("overlap", np.tanh(0.5)), ("slope", 1 - np.tanh(0.5) ** 2)):
        sums = HermiteOverlaps(function, 1e-12, kind=kind)
        sums.add(0.5, 0.0)
        found, _ = sums.row(np.zeros((1, 1)))
        assert found[0, 0] == pytest.approx(value**2, abs=1e-14)
        sums.add(0.0, 1.0)
        found, _ = sums.row(np.array([[0.0, 1.0]]))
        mean = float(function.at_one_time("slope", 0.0, 1.0)[0])
        assert found[0, 1] == pytest.approx(
            float(function.at_one_time(kind, 0.0, 1.0)[0]), abs=1e-12
        )
        assert abs(found[0, 0]) <= value * np.sqrt(mean) + 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("q", [0.2, 3.0, 60.0])
@pytest.mark.parametrize("f", [tanh, erf, relu, identity])
def test_curves(f, q, kind):
    """Functions of the covariance at one law, at any covariance, within their error."""
    draw = np.random.default_rng(3)
    function = seen(f, centred=True)
    curve = PairCurve(function, 0.0, q)
    covariance = q * np.append(correlations(draw, 40), 1.0)
    found = curve(kind, covariance)
    truth, error = function.average(kind, 0.0, 0.0, q, covariance[:-1], q)
    alone, _ = function.at_one_time(kind, 0.0, q)
    truth, error = np.append(truth, alone), np.append(error, 0.0)
    size = max(float(np.abs(truth).max()), 1e-300)
    assert curve.error(kind) <= PROMISED * size
    # Close to rho = 1 a kink turns a rounding of rho into its square root.
    rounding = 1e-13 if f is not relu else 1e-8
    assert (np.abs(found - truth) <= error + curve.error(kind) + rounding * size).all()
    assert curve.at_equal_times(kind) == pytest.approx(found[-1], rel=1e-9, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("f", [hard_tanh, softsign])
def test_curves_of_functions_with_kinks(f):
    draw = np.random.default_rng(4)
    function = seen(f, centred=False)
    curve = PairCurve(function, 0.4, 2.0)
    covariance = 2.0 * correlations(draw, 40)
    for kind in KINDS:
        truth, error = function.average(kind, 0.4, 0.4, 2.0, covariance, 2.0)
        off = np.abs(curve(kind, covariance) - truth)
        assert (off <= error + curve.error(kind) + 1e-7 * np.abs(truth).max()).all()
        assert curve.error(kind) <= 1e-10 * np.abs(truth).max()
