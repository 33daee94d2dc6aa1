"""Linear cells: every number of the two-time theory has an exact value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from rnnmft import Cell, Input, Inputs, Preactivation, State, identity
from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.two_time.gaussian_states import GaussianStates
from tests.solvers.linear_cells import gradient_means, linear_cell, second_moments
from tests.solvers.two_time.rate_cells import SILENT, rate_theory

DRAW = np.random.default_rng(20260201)
#: (leak d, sigma_w, sigma_v, sigma_b): stable, from hardly to strongly coupled.
SETTINGS = [
    (float(d), float(w), float(v), float(b))
    for d, w, v, b in zip(
        DRAW.uniform(0.05, 0.95, 6),
        DRAW.uniform(0.05, 0.95, 6),
        DRAW.uniform(0.3, 2, 6),
        DRAW.choice([0.0, 0.4], 6),
        strict=True,
    )
]
EXACT = 1e-10


def linear(d, sigma_w, sigma_v, sigma_b, inputs, start=0.0):
    law = {"sigma_w": sigma_w, "sigma_v": sigma_v, "sigma_b": sigma_b}
    return rate_theory(identity, d, inputs, start, **law)


def stationary_covariance(d, sigma_w, sigma_v, sigma_b, power, tau):
    """C(tau) of h: the Fourier transform of the spectrum, and what a bias adds to every lag."""
    a, loop = 1 - d, (d * sigma_w) ** 2

    def spectrum(w):
        filtered = 1 + a * a - 2 * a * math.cos(w) - loop
        return d * d * sigma_v**2 * power * math.cos(w * tau) / filtered

    white, _ = integrate.quad(spectrum, 0, math.pi, epsabs=1e-13, epsrel=1e-13, limit=400)
    return white / math.pi + d * d * sigma_b**2 / ((1 - a) ** 2 - loop)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_stationary_covariance_is_that_of_the_spectrum(setting):
    theory = linear(*setting, Inputs(R=0.8))
    found = theory.autocorrelation(12)
    truth = np.array([stationary_covariance(*setting, 0.8, tau) for tau in range(13)])
    assert np.abs(found.value["h"] - truth).max() <= EXACT
    assert (np.abs(found.value["h"] - truth) <= 1e-12 + found.error["h"]).all()
    assert np.abs(1.02 * truth - found.value["h"]).max() > 1e3 * EXACT
    at = theory.fixed_point()
    assert at.stable
    assert at.status is Status.OK
    assert at.second_moment["h"] == pytest.approx(truth[0], abs=EXACT)


@pytest.mark.parametrize("setting", SETTINGS)
def test_growth_and_timescales(setting):
    """Growth 2 log(a + b sigma_w), which is the edge of a continuous spectrum.

    What a start lacks of a bias comes at a + b^2 sigma_w^2 / (1 - a) a step, which is slower.
    """
    d, sigma_w, _, sigma_b = setting
    theory = linear(*setting, Inputs(R=0.8))
    growth = 2 * math.log(1 - d + d * sigma_w)
    assert float(theory.gradient_growth()) == pytest.approx(growth, abs=EXACT)
    scales = theory.timescales()
    slow = math.log(1 - d + d * sigma_w**2) if sigma_b else growth
    assert scales.xi_q == pytest.approx(-1 / slow, rel=1e-8)
    assert scales.xi_c == pytest.approx(-1 / growth, rel=1e-8)
    assert scales.chi_1 == pytest.approx(math.exp(growth), rel=1e-9)
    assert theory.correlation_fixed_point().slope == pytest.approx(math.exp(growth), rel=1e-9)


@pytest.mark.parametrize("what", ["bias", "constant input"])
def test_what_never_changes_is_approached_without_a_power(what):
    """Ratios of successive changes of E[h^2] become that of xi_q, from what decays faster."""
    inputs = Inputs(R=0.0 if what == "bias" else 1.0, temporal="constant")
    theory = linear(0.2, 0.8, 1.0, 0.5 if what == "bias" else 0.0, inputs)
    slow = math.exp(-1 / theory.timescales().xi_q)
    assert slow == pytest.approx(1 - 0.2 + 0.2 * 0.64, rel=1e-9)
    moved = np.diff(theory.evolve(250).second_moment["h"])
    # Beside it (a + b sigma_w)^(2 t) is left, a fifth of it at t = 250.
    assert moved[-1] / moved[-2] == pytest.approx(slow, abs=5e-4)
    assert moved[99] / moved[98] > slow + 5e-4
    assert abs((0.8 + 0.2 * 0.8) ** 2 - slow) > 6e-3


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s[0] * (1 - s[1]) < 0.5][:3])
def test_the_second_moment_approaches_its_limit_at_the_rate_of_xi_q(setting):
    """log|Q(t) - Q| plus log(t) / 2 falls by 1 / xi_q a step; without the power, by more."""
    d, sigma_w, sigma_v, _ = setting
    theory = linear(d, sigma_w, sigma_v, 0.0, Inputs(R=0.8), start=0.5)
    xi = theory.timescales().xi_q
    # Before rounding is all that is left.
    steps = int(24 * xi)
    q = theory.evolve(steps).second_moment["h"]
    away = np.abs(np.diff(q))
    t = np.arange(1, steps)
    late = slice(int(0.6 * steps), int(0.8 * steps))
    slope = np.polyfit(t[late], np.log(away[late]) + 0.5 * np.log(t[late]), 1)[0]
    plain = np.polyfit(t[late], np.log(away[late]), 1)[0]
    assert -1 / slope == pytest.approx(xi, rel=0.01)
    assert -1 / plain < 0.98 * xi


@pytest.mark.parametrize(
    "temporal", ["white", "constant", (1.0, 0.6, 0.3)], ids=["white", "constant", "given"]
)
def test_trajectories_are_met_to_rounding(temporal):
    """h' = p h + e + g x against a recursion of finite sums, inputs of every kind."""
    inputs = Inputs(R=0.7, correlation=0.4, temporal=temporal)
    cell = linear_cell(0.6, feed=0.3)
    ensemble = cell.ensemble(e={"sigma_w": 0.3, "sigma_v": 0.6, "sigma_b": 0.3})
    theory = GaussianStates(cell, ensemble, inputs)
    states, drives = second_moments(9, lambda n: 0.6**n, ensemble["e"], inputs, feed=0.3)
    found = theory.evolve(9)
    diagonal = np.diagonal(states, axis1=1, axis2=2)[:, 1:]
    assert np.abs(found.second_moment["h"] - diagonal[0]).max() < 1e-13
    assert np.abs(found.cross_moment["h"] - diagonal[1]).max() < 1e-13
    q = np.diagonal(drives, axis1=1, axis2=2)
    assert np.abs(found.preactivation_variance["e"] - q[0]).max() < 1e-13
    assert np.abs(found.preactivation_covariance["e"] - q[1]).max() < 1e-13
    # An input that enters elementwise has its own way to the stationary state.
    late = theory.evolve(400)
    limit = theory.fixed_point()
    assert limit.second_moment["h"] == pytest.approx(late.second_moment["h"][-1], abs=1e-10)
    pair = theory.correlation_fixed_point()
    assert pair.cross_moment["h"] == pytest.approx(late.cross_moment["h"][-1], abs=1e-10)


@pytest.mark.parametrize("setting", SETTINGS)
def test_mean_squared_gradients(setting):
    """m_1(T) = sum_q C(T, q)^2 a^(2 (T - q)) (b sigma_w)^(2 q)."""
    d, sigma_w, _, _ = setting
    theory = linear(*setting, Inputs(R=0.8))
    found = theory.jacobian_means(12, burn_in=5)
    truth = [
        sum(
            math.comb(T, q) ** 2 * (1 - d) ** (2 * (T - q)) * (d * sigma_w) ** (2 * q)
            for q in range(T + 1)
        )
        for T in range(1, 13)
    ]
    assert np.abs(found.value / truth - 1).max() < 1e-12
    assert (np.abs(found.value - truth) <= found.error + 1e-13 * found.value).all()
    assert float(theory.jacobian_moments(12, 5).mean) == pytest.approx(truth[-1], rel=1e-12)


def test_mean_squared_gradients_by_a_recursion_of_sums():
    cell = linear_cell(0.7)
    theory = GaussianStates(cell, cell.ensemble(e={"sigma_w": 0.4}), Inputs())
    truth = gradient_means(8, lambda n: 0.7**n, 0.4)
    assert np.abs(theory.jacobian_means(8, burn_in=3).value - truth).max() < 1e-13


def test_two_states_against_the_moments_of_their_matrix():
    """s' = (A + B W r) s + ..: E|s|^2 of a stationary linear network by a sum over powers.

    Cov(s) = sum over words in W pairs with its transpose; with one W and S = Cov(u) it is
    sum_n sigma_w^(2 n) of filters, that is 1 / (1 - sigma_w^2 G_uu) in the frequencies.
    """
    h, g, x = State("h"), State("g"), Input("x")
    e = Preactivation("e", h + 2 * g)
    cell = Cell("two", update={h: 0.5 * h - 0.3 * g + 0.4 * e, g: 0.6 * g + 0.2 * h + 0.5 * x})
    ensemble = cell.ensemble(e={"sigma_w": 0.5, "sigma_v": 0.7})
    theory = GaussianStates(cell, ensemble, Inputs(R=0.9))
    a = np.array([[0.5, -0.3], [0.2, 0.6]])
    b, c, r = np.array([0.4, 0.0]), np.array([0.0, 0.5]), np.array([1.0, 2.0])
    omega = 2 * np.pi * np.arange(4096) / 4096
    inverse = np.linalg.inv(np.exp(1j * omega)[:, None, None] * np.eye(2) - a)
    from_e, from_x = inverse @ b, inverse @ c
    u_e, u_x = np.abs(from_e @ r) ** 2, np.abs(from_x @ r) ** 2
    spectrum = (0.25 * u_x * 0.9 + 0.49 * 0.9) / (1 - 0.25 * u_e)
    truth = (np.abs(from_e) ** 2 * spectrum[:, None] + np.abs(from_x) ** 2 * 0.9).mean(0)
    found = theory.fixed_point().second_moment
    assert [found["h"], found["g"]] == pytest.approx(list(truth), abs=1e-11)
    late = theory.evolve(300).second_moment
    assert [late["h"][-1], late["g"][-1]] == pytest.approx(list(truth), abs=1e-11)
    # The largest |eigenvalue| of A + B W r: where sigma_w^2 |r (lambda e^iw - A)^-1 b|^2 is 1.
    growth = math.exp(float(theory.gradient_growth()) / 2)
    turned = growth * np.exp(1j * omega)[:, None, None] * np.eye(2) - a
    gains = 0.25 * np.abs(np.linalg.inv(turned) @ b @ r) ** 2
    assert gains.max() == pytest.approx(1.0, abs=1e-5)


def test_a_network_of_linear_units_past_its_threshold_diverges():
    theory = linear(0.8, 1.5, 1.0, 0.1, Inputs(R=1.0))
    with pytest.raises(ConvergenceError) as said:
        theory.gradient_growth()
    assert said.value.status is Status.DIVERGES
    huge = linear(0.9, 1e3, 1.0, 0.1, Inputs(R=1.0)).evolve(60)
    assert huge.status is Status.DIVERGES
    assert huge.second_moment["h"][0] > 0


def test_without_weights_there_is_only_the_filter():
    theory = linear(0.25, 0.0, 1.0, 0.0, Inputs(R=1.0))
    assert theory.fixed_point().second_moment["h"] == pytest.approx(0.25 / 1.75, abs=1e-14)
    assert float(theory.gradient_growth()) == pytest.approx(2 * math.log(0.75), abs=1e-12)


def test_an_integrator_has_no_stationary_state():
    h = State("h")
    cell = Cell("sum", update={h: h + 0.1 * Preactivation("e", identity(h))})
    theory = GaussianStates(cell, cell.ensemble(e={"sigma_w": 0.5}), Inputs())
    with pytest.raises(ConvergenceError) as said:
        theory.fixed_point()
    assert said.value.status is Status.DIVERGES
    assert theory.evolve(5).status is Status.OK


def test_nothing_moves_a_silent_network_without_a_start():
    theory = rate_theory(identity, 0.3, SILENT, sigma_w=0.5)
    assert theory.fixed_point().second_moment["h"] == 0.0
    assert theory.fixed_point().stable
    assert theory.evolve(4).status is Status.UNDEFINED
