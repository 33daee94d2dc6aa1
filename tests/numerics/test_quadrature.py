"""The quadrature against 30-digit references: accuracy, and reported errors that bound the true."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import rnnmft.activations as act
from rnnmft.errors import Status
from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.backends import get_backend, torch_backend
from rnnmft.numerics.compile import STATUSES, compile_program
from rnnmft.numerics.laws import Integrands, Sample
from rnnmft.numerics.quadrature import RTOL, integrate
from tests.data import make_quadrature as reference

DATA = json.loads((Path(__file__).parents[1] / "data" / "quadrature.json").read_text())
mp.mp.dps = 40
e, f = sp.symbols("e f", real=True)
mu, mu_b, q, q_ab, q_b, a, b = sp.symbols("mu mu_b q q_ab q_b a b", real=True)
FUNCTIONS = {"tanh": (act.tanh, act.tanh_prime), "sigmoid": (act.sigmoid, act.sigmoid_prime)}


def _univariate(name: str, backend="numpy"):
    g, slope = (h(e) for h in FUNCTIONS[name])
    nodes = [gaussian_expectation(i, e, mu, q) for i in (g**2, slope**2, g**2 * slope**2)]
    return compile_program([], nodes, [mu, q], backend)


def _pair(name: str, backend="numpy"):
    law = (e, f), (mu, mu_b), (q, q_ab, q_b)
    nodes = [gaussian_expectation(h(e) * h(f), *law) for h in FUNCTIONS[name]]
    return compile_program([], nodes, [mu, mu_b, q, q_ab, q_b], backend)


def _hold(found, index, exact, scale, tolerance, names) -> None:
    """Accurate, bounded by the reported error, and that error worth something."""
    for k, (value, error) in enumerate(zip(found.values, found.errors, strict=True)):
        true, size = abs(mp.mpf(float(value[index])) - exact[k]), scale[k]
        assert true <= tolerance * size, (names, k, float(true / size))
        assert true <= error[index], (names, k, float(true), error[index])
        assert error[index] <= tolerance * size, (names, k, error[index])


# --- univariate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_moments_of_the_stored_grid(name) -> None:
    rows = [r for r in DATA["univariate"] if r["function"] == name]
    assert len(rows) == 60
    found = _univariate(name)([r["mean"] for r in rows], [r["variance"] for r in rows])
    assert found.ok
    for i, row in enumerate(rows):
        exact = [mp.mpf(row[moment]) for moment in ("f^2", "f'^2", "f^2 f'^2")]
        _hold(found, i, exact, exact, 1e-10, row)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_moments_on_random_laws_against_live_mpmath(name) -> None:
    random = np.random.default_rng(20)
    means = random.uniform(-20, 20, 60).round(3)
    variances = 10 ** random.uniform(-8, 4, 60)
    found = _univariate(name)(means, variances)
    for i, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        values = reference.univariate(name, float(mean), float(variance))
        exact = [mp.mpf(v) for v in values]
        _hold(found, i, exact, exact, 1e-10, (name, mean, variance))


SMALL_FUNCTIONS = {
    "relu": (lambda x: np.maximum(x, 0), (0,)),
    "step": (lambda x: np.where(x > 0, x * 0 + 1, x * 0), (0,)),
    "leaky_relu": (lambda x: np.where(x > 0, x, x / 100), (0,)),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), (-1, 1)),
    "hard_tanh_prime": (lambda x: np.where(abs(x) < 1, x * 0 + 1, x * 0), (-1, 1)),
    "hard_sigmoid": (lambda x: np.clip((x + 3) / 6, 0, 1), (-3, 3)),
    "softsign": (lambda x: x / (1 + abs(x)), (0,)),
    "softsign_prime": (lambda x: 1 / (1 + abs(x)) ** 2, (0,)),
    "softplus": (lambda x: np.logaddexp(x, x * 0), (0,)),
    "silu": (lambda x: x / (1 + np.exp(-x)), (0,)),
}


@pytest.fixture(scope="module")
def rule():
    """Gauss-Legendre in 80-bit precision, 24 nodes a panel."""
    return reference.legendre(24)


def _by_panels(function, cuts, law, rule):
    """E[f], E[f^2], E[|f|] in 80-bit precision with panels that end at the kinks."""
    mean, variance, slope, shift = (np.longdouble(v) for v in law)
    s = np.sqrt(variance)
    width = abs(1 / (slope * s))
    centres = [(((np.longdouble(c) - shift) / slope - mean) / s, width) for c in cuts]
    z, weight = reference.panels(centres, rule)
    values = function(slope * (mean + s * z) + shift)
    return [(weight * v).sum() for v in (values, values**2, abs(values))]


@pytest.mark.parametrize("name", list(SMALL_FUNCTIONS))
def test_kinks_of_affine_arguments_are_found(name, rule) -> None:
    function, cuts = SMALL_FUNCTIONS[name]
    g = getattr(act, name)(a * e + b)
    nodes = [gaussian_expectation(i, e, mu, q) for i in (g, g**2)]
    program = compile_program([], nodes, [mu, q, a, b])
    laws = [
        (m, v, *line)
        for m in (0.0, 0.3, -4.0)
        for v in (1e-6, 0.05, 1.0, 30.0, 1e4)
        for line in ((1.0, 0.0), (2.5, -1.0), (-0.7, 3.0))
    ]
    found = program(*np.array(laws).T)
    assert found.ok
    for i, law in enumerate(laws):
        first, second, size = (
            mp.mpf(repr(v)[15:-2]) for v in _by_panels(function, cuts, law, rule)
        )
        for k, (exact, scale) in enumerate(((first, size), (second, second))):
            true = abs(mp.mpf(float(found.values[k][i])) - exact)
            # The reference rounds too, to 1e-18 of E|f|.
            assert true <= found.errors[k][i] + 1e-17 * scale + 1e-140, (law, k)
            assert found.errors[k][i] <= 3e-11 * scale + 1e-140, (law, k)


def _closed_forms():
    """Integrand, its expectation at (mu, q) by a formula, both in mpmath numbers."""
    yield "exp", sp.exp(e / 4), lambda m, v: mp.exp(m / 4 + v / 32)
    yield "sin", sp.sin(e), lambda m, v: mp.sin(m) * mp.exp(-v / 2)
    yield "cos", sp.cos(2 * e), lambda m, v: mp.cos(2 * m) * mp.exp(-2 * v)
    yield "square", e**2 - 3, lambda m, v: m**2 + v - 3
    yield "fourth", e**4, lambda m, v: m**4 + 6 * m**2 * v + 3 * v**2
    yield "erf", act.erf(e), lambda m, v: mp.erf(m / mp.sqrt(1 + 2 * v))
    yield "probit", act.gaussian_cdf(e), lambda m, v: mp.ncdf(m / mp.sqrt(1 + v))
    yield "density", act.gaussian_cdf_prime(e), lambda m, v: mp.npdf(m, 0, mp.sqrt(1 + v))
    yield (
        "gaussian",
        sp.exp(-(e**2)),
        lambda m, v: mp.exp(-(m**2) / (1 + 2 * v)) / mp.sqrt(1 + 2 * v),
    )


@pytest.mark.parametrize(("name", "integrand", "formula"), list(_closed_forms()))
def test_closed_forms(name, integrand, formula) -> None:
    program = compile_program([], [gaussian_expectation(integrand, e, mu, q)], [mu, q])
    laws = [(m, v) for m in (0.0, 0.7, -3.0) for v in (1e-6, 0.3, 4.0, 90.0)]
    found = program(*np.array(laws).T)
    assert found.ok
    for i, (m, v) in enumerate(laws):
        true = abs(mp.mpf(float(found.values[0][i])) - formula(mp.mpf(m), mp.mpf(v)))
        assert true <= found.errors[0][i], (m, v)


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_pairs_of_the_stored_grid_both_ends_included(name) -> None:
    rows = [r for r in DATA["pairs"] if r["function"] == name]
    assert {r["correlation"] for r in rows} >= {-1.0, 0.0, 1.0}
    laws = [(*r["means"], *r["covariance"]) for r in rows]
    found = _pair(name)(*np.array(laws).T)
    assert found.ok
    for i, row in enumerate(rows):
        exact = [mp.mpf(row["ff"]), mp.mpf(row["f'f'"])]
        largest = max(row["covariance"][0], row["covariance"][2])
        # E[tanh tanh] is 0 without correlation: it is measured against E|tanh tanh| there.
        scale = [max(abs(exact[0]), mp.mpf(row["size"]) / 100), exact[1]]
        _hold(found, i, exact, scale, 1e-9 if largest <= 100 else 1e-7, row)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_pairs_of_random_laws(name, rule) -> None:
    random = np.random.default_rng(21)
    means = random.normal(0, 8, (40, 2)).round(3)
    variances = 10 ** random.uniform(-6, 4, (40, 2))
    correlations = 1 - 10 ** random.uniform(-12, 0.3, 40)
    covariances = correlations * np.sqrt(variances.prod(axis=1))
    found = _pair(name)(*means.T, variances[:, 0], covariances, variances[:, 1])
    assert found.ok
    for i in range(40):
        law = {
            "means": means[i],
            "covariance": (variances[i, 0], covariances[i], variances[i, 1]),
        }
        values, size = reference.pair(name, law, rule)
        exact = [mp.mpf(repr(v)[15:-2]) for v in values]
        scale = [max(abs(exact[0]), mp.mpf(float(size)) / 100), exact[1]]
        _hold(found, i, exact, scale, 1e-9 if variances[i].max() <= 100 else 1e-7, law)


def test_arcsine_kernel() -> None:
    """E[erf erf] = (2 / pi) asin(2 q_ab / sqrt((1 + 2 q_a)(1 + 2 q_b))), Williams 1997."""
    node = gaussian_expectation(act.erf(e) * act.erf(f), (e, f), (0, 0), (q, q_ab, q_b))
    program = compile_program([], [node], [q, q_ab, q_b])
    c = np.array([-1, -0.9, 0.0, 0.2, 0.99, 0.9999999, 1.0])
    for va, vb in ((1.0, 1.0), (1e-4, 30.0), (5e3, 5e3)):
        cov = c * np.sqrt(va * vb)
        found = program(va, cov, vb)
        assert found.ok
        for i, value in enumerate(cov):
            inside = 2 * mp.mpf(float(value)) / mp.sqrt((1 + 2 * mp.mpf(va)) * (1 + 2 * mp.mpf(vb)))
            true = abs(mp.mpf(float(found.values[0][i])) - 2 / mp.pi * mp.asin(inside))
            assert true <= found.errors[0][i]


def test_arc_cosine_kernels() -> None:
    """Of step and relu, degrees 0 and 1: Cho and Saul 2009. Kinks meet at any correlation."""
    law = (e, f), (0, 0), (q, q_ab, q)
    nodes = [gaussian_expectation(h(e) * h(f), *law) for h in (act.step, act.relu)]
    c = [-0.999, -0.5, 0.0, 0.7, 0.999, 0.9999999, 1.0]
    for v in (1e-4, 2.0, 1e3):
        found = compile_program([], nodes, [q, q_ab])(v, v * np.array(c))
        assert found.ok
        for i, value in enumerate(c):
            cosine = mp.mpf(float(v * value)) / mp.mpf(v)
            angle = mp.acos(cosine)
            zero = (mp.pi - angle) / (2 * mp.pi)
            one = mp.mpf(v) / (2 * mp.pi) * (mp.sin(angle) + (mp.pi - angle) * cosine)
            for k, exact in enumerate((zero, one)):
                true = abs(mp.mpf(float(found.values[k][i])) - exact)
                assert true <= found.errors[k][i]
                assert found.errors[k][i] <= 1e-9 * exact


# --- point laws, failures -------------------------------------------------------------------------


def test_a_law_of_zero_variance_is_a_point() -> None:
    program = compile_program([], [gaussian_expectation(act.tanh(e) ** 2, e, mu, q)], [mu, q])
    found = program([0.0, 1.3, -40.0], 0.0)
    assert found.ok
    np.testing.assert_allclose(found.values[0], np.tanh([0.0, 1.3, -40.0]) ** 2, rtol=1e-15)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_zero_variance_at_a_jump_is_the_limit_of_small_ones(backend) -> None:
    """E[step(e)] = 1/2 about 0 for every q > 0, and in the limit; elsewhere the point decides."""
    functions = [act.step(e), act.relu(e) ** 2, act.leaky_relu_prime(e) ** 2, act.relu(e)]
    outputs = [gaussian_expectation(f, e, mu, q) for f in functions]
    program = compile_program([], outputs, [mu, q], backend=backend)
    at = program([0.0, 0.0, 1.5, -1.5], [0.0, 1e-8, 0.0, 0.0])
    host = [program.backend.to_numpy(v) for v in at.values]
    assert at.ok
    np.testing.assert_allclose(host[0], [0.5, 0.5, 1.0, 0.0], rtol=1e-12)
    np.testing.assert_allclose(host[1][[0, 2, 3]], [0.0, 2.25, 0.0], rtol=1e-12)
    np.testing.assert_allclose(host[2], [0.50005, 0.50005, 1.0, 1e-4], rtol=1e-12)
    np.testing.assert_allclose(host[3][[0, 2, 3]], [0.0, 1.5, 0.0], rtol=1e-12)


def test_a_degenerate_pair_is_a_single_law() -> None:
    pair, single = _pair("tanh"), _univariate("tanh")
    for v in (1e-6, 3.0, 1e4):
        both, one = pair(0.4, 0.4, v, v, v), single(0.4, v)
        for k in (0, 1):
            error = both.errors[k] + one.errors[k]
            assert abs(both.values[k] - one.values[k]) <= error


def test_a_pair_with_one_point_factorises() -> None:
    found = _pair("sigmoid")([0.4, 1.2], [1.2, 0.4], [0.0, 2.0], 0.0, [2.0, 0.0])
    single = compile_program([], [gaussian_expectation(act.sigmoid(e), e, mu, q)], [mu, q])
    at_points = 1 / (1 + np.exp(-np.array([0.4, 0.4])))
    exact = at_points * single(1.2, 2.0).values[0]
    np.testing.assert_allclose(found.values[0], exact, rtol=1e-13)


def _status(integrand, *law) -> Status:
    program = compile_program([], [gaussian_expectation(integrand, e, mu, q)], [mu, q])
    found = program(*law)
    if found.status_at() is not Status.OK and not np.isfinite(found.values[0]):
        assert np.isnan(found.errors[0])
    return found.status_at()


def test_integrals_that_do_not_exist_say_so() -> None:
    assert _status(sp.exp(e**2), 0.0, 0.4) is Status.OK
    for variance in (0.5, 0.6, 1.0, 50.0):
        assert _status(sp.exp(e**2), 0.0, variance) is Status.DIVERGENT_INTEGRAL
    assert _status(sp.exp(sp.Abs(e) ** 3), 0.0, 1.0) is Status.DIVERGENT_INTEGRAL


def test_integrals_that_exist_but_cannot_be_had_say_something_else() -> None:
    for integrand, law in (
        (sp.exp(e), (0.0, 5e3)),
        (sp.Abs(sp.sin(5 * e)), (0.0, 1.0)),
        (act.tanh(e**3), (0.5, 1e8)),
    ):
        assert _status(integrand, *law) is Status.NOT_CONVERGED


def test_what_is_not_converged_is_bounded_all_the_same() -> None:
    """E|sin 5e| = 2 / pi up to exp(-50 q): kinks that no landmark shows."""
    node = gaussian_expectation(sp.Abs(sp.sin(5 * e)), e, mu, q)
    variances = np.linspace(1.0, 40.0, 200)
    found = compile_program([], [node], [mu, q])(0.3, variances)
    true = np.abs(found.values[0] - 2 / np.pi)
    assert np.all(true <= found.errors[0])
    assert not np.any(found.status == STATUSES.index(Status.OK))


def test_every_element_of_a_sweep_has_its_own_status() -> None:
    program = compile_program([], [gaussian_expectation(sp.exp(e**2), e, mu, q)], [mu, q])
    found = program(0.0, [0.1, 1.0, -1.0, 0.0, 0.2])
    expected = [Status.OK, Status.DIVERGENT_INTEGRAL, Status.INVALID, Status.OK, Status.OK]
    assert [found.status_at(i) for i in range(5)] == expected
    exact = [1 / math.sqrt(0.8), None, None, 1.0, 1 / math.sqrt(0.6)]
    for value, wanted in zip(found.values[0], exact, strict=True):
        assert np.isnan(value) if wanted is None else value == pytest.approx(wanted, rel=1e-12)


def test_hidden_kinks_are_within_their_errors() -> None:
    """E[max(e^2 - 1, 0)], whose kinks no landmark shows: a change may be small by accident.

    With s = sqrt(q), a = (1 - mu) / s: (mu^2 + q - 1) erfc(a / sqrt 2) / 2 + (1 + mu) s phi(a), and
    the same at -mu. At the last four laws one small change once passed for convergence.
    """
    means = [*np.linspace(-2.5, 2.5, 11).repeat(5), -2.55, -1.5, 1.35, 2.55]
    variances = [*np.tile([0.05, 0.3, 1.0, 5.0, 40.0], 11)]
    variances += [0.05623413, 0.00749894, 0.00421697, 0.05623413]
    program = compile_program([], [gaussian_expectation(act.relu(e**2 - 1), e, mu, q)], [mu, q])
    found = program(means, variances)

    def upper(mean: mp.mpf, variance: mp.mpf) -> mp.mpf:
        std = mp.sqrt(variance)
        a = (1 - mean) / std
        tail = (mean**2 + variance - 1) * mp.erfc(a / mp.sqrt(2)) / 2
        return tail + (1 + mean) * std * mp.npdf(a)

    for mean, variance, value, error in zip(
        means, variances, found.values[0], found.errors[0], strict=True
    ):
        m, v = mp.mpf(float(mean)), mp.mpf(float(variance))
        assert abs(mp.mpf(float(value)) - upper(m, v) - upper(-m, v)) <= error, (mean, variance)
    for i in np.flatnonzero(found.status == 0):
        assert found.errors[0][i] <= 1e-10 * abs(found.values[0][i]) + 1e-12
    assert (found.status == 0).sum() >= 4


# --- the functions themselves ---------------------------------------------------------------------


def test_plain_functions_with_parameters() -> None:
    backend = get_backend("numpy")
    scale = np.array([0.5, 2.0, 7.0])
    asked = Integrands(lambda v, given, _: Sample([np.cos(given[0] * v), 1.0 + 0 * v]), 2)
    laws = np.array([0.0, 1.0, -1.0]), np.array([1.0, 0.2, 0.01]), (scale,), None
    found = integrate(asked, *laws, backend=backend, rtol=RTOL)
    exact = np.cos(scale * np.array([0.0, 1.0, -1.0])) * np.exp(-(scale**2) * [1.0, 0.2, 0.01] / 2)
    assert np.all(np.abs(found.values[0] - exact) <= found.errors[0])
    assert np.all(np.abs(found.values[1] - 1) <= found.errors[1])
    assert np.all(found.status == 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_grid_on_torch(dtype) -> None:
    rows = [r for r in DATA["univariate"] if r["function"] == "sigmoid" and abs(r["mean"]) <= 3]
    backend = torch_backend("cpu", dtype)
    found = _univariate("sigmoid", backend)(
        [r["mean"] for r in rows], [r["variance"] for r in rows]
    )
    assert found.ok
    tolerance = max(1e-10, 1000 * backend.eps)
    for i, row in enumerate(rows):
        for k, moment in enumerate(("f^2", "f'^2", "f^2 f'^2")):
            exact = float(row[moment])
            value, error = float(found.values[k][i]), float(found.errors[k][i])
            # The variance was rounded to the dtype; the moments' condition in it is below 1.
            assert abs(value - exact) <= error + backend.eps * exact
            assert error <= tolerance * exact
