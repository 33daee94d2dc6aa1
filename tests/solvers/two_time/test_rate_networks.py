"""Rate networks: published exponents, plain networks, the recursion, and extreme settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from rnnmft import Inputs, MeanField, cells, identity, relu, tanh
from rnnmft.activations import erf, hard_tanh, sin, softsign
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel
from tests.solvers.sampled_errors import CONTROL, agree
from tests.solvers.two_time.rate_cells import (
    SILENT,
    rate_cell,
    rate_networks,
    rate_theory,
)

WHITE = Inputs(R=1.0, correlation=0.4)
CONSTANT = Inputs(R=1.0, correlation=0.4, temporal="constant")
GIVEN = Inputs(R=1.0, correlation=0.4, temporal=(1.0, 0.6, 0.3, 0.1))


# --- published numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leak", "g", "exponent"),
    [
        (0.5, 2.0, 0.1077886),
        pytest.param(0.5, 5.0, 0.3788908, marks=pytest.mark.slow),
        (1.0, 1.25, 0.0235347),
        (1.0, 3.0, 0.3102493),
    ],
)
def test_the_largest_lyapunov_exponent_of_chaotic_rate_networks(leak, g, exponent):
    """Growth / 2 per unit of time, of h' = (1 - d) h + d g W tanh(h) without input."""
    theory = rate_theory(leak=leak, start=0.5, sigma_w=g)
    found = theory.gradient_growth()
    assert found.status is Status.OK
    assert found.error < 1e-9
    assert float(found) / 2 / leak == pytest.approx(exponent, abs=1e-7)


def test_the_continuous_limit_of_the_exponent():
    """d -> 0: .112458 at g = 2, from d and d / 2 by Richardson's extrapolation in d."""
    coarse, fine = (
        float(rate_theory(leak=d, start=0.5, sigma_w=2.0).gradient_growth()) / 2 / d
        for d in (0.1, 0.05)
    )
    assert 2 * fine - coarse == pytest.approx(0.112458, abs=3e-5)
    assert abs(coarse - 0.112458) > 3e-4


# --- two routes ----------------------------------------------------------------------------------


SETTINGS = {
    "white": (tanh, 0.3, WHITE, {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}),
    "constant": (tanh, 0.3, CONSTANT, {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}),
    "given": (tanh, 0.4, GIVEN, {"sigma_w": 2.0, "sigma_v": 0.6, "mu_b": 0.3}),
    "chaos": (tanh, 0.3, Inputs(R=0.0, correlation=0.3), {"sigma_w": 2.5, "sigma_b": 0.3}),
    "relu": (relu, 0.4, WHITE, {"sigma_w": 1.1, "sigma_b": 0.3}),
    "erf": (erf, 0.4, WHITE, {"sigma_w": 2.0, "sigma_v": 0.5}),
    "sin": (sin, 0.4, WHITE, {"sigma_w": 2.0, "sigma_v": 0.5}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "chaos")) for n in SETTINGS]
)
def test_the_recursion_ends_where_the_stationary_equation_says(name):
    """Forward in time, without knowledge of stationarity: moments, cross moments and C(tau)."""
    f, leak, inputs, law = SETTINGS[name]
    # Two trajectories without input differ by their start.
    theory = rate_theory(f, leak, inputs, start=0.5, **law)
    scales = theory.timescales()
    steps = int(28 * max(scales.xi_q, scales.xi_c)) + 20
    late, limit = theory.evolve(steps), theory.fixed_point()
    assert limit.stable
    assert limit.status is Status.OK
    # exp(-28) and less of the way is left.
    assert limit.second_moment["h"] == pytest.approx(late.second_moment["h"][-1], rel=1e-10)
    assert limit.preactivation_variance["e"] == pytest.approx(
        late.preactivation_variance["e"][-1], rel=1e-10
    )
    pair = theory.correlation_fixed_point()
    assert pair.cross_moment["h"] == pytest.approx(late.cross_moment["h"][-1], rel=1e-9)
    assert limit.error < 1e-9
    assert late.error["second_moment"]["h"][-1] < 1e-9


@pytest.mark.parametrize("name", ["white", "constant", "given", "relu"])
def test_growth_is_the_slope_of_mean_squared_gradients(name):
    """m_1(T) follows the perturbation step by step, beside the kernel that the start gives."""
    f, leak, inputs, law = SETTINGS[name]
    theory = rate_theory(f, leak, inputs, **law)
    growth = float(theory.gradient_growth())
    means = np.log(theory.jacobian_means(160, burn_in=150).value)
    slope = (means[-1] - means[-2]) * np.array([1.0, CONTROL])
    # A bound mode is straight; an edge has -T^-1 a / T, a = 1/2 or 3/2, on top.
    assert abs(slope[0] - growth) < 1.6 / 159
    assert means[0] == pytest.approx(
        math.log(float(theory.jacobian_moments(1, 150).mean)), abs=1e-12
    )


def test_a_bound_mode_makes_gradients_straight():
    theory = rate_theory(tanh, 0.3, SILENT, sigma_w=2.5, sigma_b=0.3)
    growth = float(theory.gradient_growth())
    means = np.log(theory.jacobian_means(120, burn_in=300).value)
    assert means[-1] - means[-2] == pytest.approx(growth, rel=1e-5)
    assert abs(CONTROL * growth - (means[-1] - means[-2])) > 1e-3


def test_a_leak_of_one_is_the_vanilla_network():
    """h' = e, e = W tanh(h) + ..: its preactivations are those of h' = tanh(e), e = W h + .."""
    law = {"sigma_w": 1.4, "sigma_v": 0.8, "sigma_b": 0.2}
    vanilla = cells.vanilla()
    ours, theirs = (
        rate_theory(tanh, 1, WHITE, **law),
        TwoTimeKernel(vanilla, vanilla.ensemble(e=law), WHITE),
    )
    q, other = (t.fixed_point().preactivation_variance["e"] for t in (ours, theirs))
    assert q == pytest.approx(other, abs=1e-10)
    assert ours.correlation_fixed_point().slope == pytest.approx(
        theirs.correlation_fixed_point().slope, abs=1e-9
    )
    assert float(ours.gradient_growth()) == pytest.approx(float(theirs.gradient_growth()), abs=1e-9)
    assert ours.timescales().xi_q == pytest.approx(theirs.timescales().xi_q, rel=1e-8)
    memory, other = ours.autocorrelation(5).value["e"], theirs.autocorrelation(5).value["e"]
    assert np.abs(memory - other).max() < 1e-9
    a, b = ours.evolve(8), theirs.evolve(8)
    for kind in ("preactivation_variance", "preactivation_covariance"):
        assert np.abs(getattr(a, kind)["e"] - getattr(b, kind)["e"]).max() < 1e-10


def test_the_first_steps_are_scipys_integrals():
    """E[h_2^2] of a tanh network with bias, by hand from the definition."""
    d, sigma_w, sigma_b, start = 0.4, 1.7, 0.6, 0.8
    theory = rate_theory(tanh, d, SILENT, start, sigma_w=sigma_w, sigma_b=sigma_b)

    def gaussian(f, covariance):
        root = np.linalg.cholesky(covariance)

        def density(u, v):
            a, b = root @ (u, v)
            return f(a, b) * math.exp(-(u * u + v * v) / 2) / (2 * math.pi)

        return integrate.dblquad(density, -9, 9, -9, 9, epsabs=1e-11, epsrel=1e-11)[0]

    def product(a, b):
        return math.tanh(a) * math.tanh(b)

    q_0 = start**2
    e_00 = sigma_w**2 * gaussian(product, [[q_0, 0.0], [0.0, 1.0]]) * 0
    e_00 += sigma_w**2 * gaussian(lambda a, _: math.tanh(a) ** 2, [[q_0, 0], [0, 1]]) + sigma_b**2
    q_1 = (1 - d) ** 2 * q_0 + d**2 * e_00
    c_10 = (1 - d) * q_0
    e_10 = sigma_w**2 * gaussian(product, [[q_1, c_10], [c_10, q_0]]) + sigma_b**2
    e_11 = sigma_w**2 * gaussian(lambda a, _: math.tanh(a) ** 2, [[q_1, 0], [0, 1]]) + sigma_b**2
    # h_1 = (1 - d) h_0 + d e_0: its covariance with e_1 is d C_e(1, 0).
    q_2 = (1 - d) ** 2 * q_1 + 2 * (1 - d) * d * d * e_10 + d**2 * e_11
    found = theory.evolve(2)
    assert found.second_moment["h"] == pytest.approx([q_1, q_2], abs=1e-10)
    assert found.preactivation_variance["e"] == pytest.approx([e_00, e_11], abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "inputs", "start", "law"),
    [
        (tanh, WHITE, 0.0, {"sigma_w": 1.8, "sigma_v": 0.8, "sigma_b": 0.4}),
        (relu, WHITE, 0.5, {"sigma_w": 1.1, "sigma_b": 0.3, "mu_b": 0.2}),
        (tanh, Inputs(R=0.0, correlation=0.3), 1.0, {"sigma_w": 1.4, "sigma_v": 0.0}),
    ],
    ids=["tanh", "relu", "start"],
)
def test_plain_networks_agree(f, inputs, start, law):
    """192 networks of width 500 over 25 steps; their bias is of O(1/N).

    False alarms: `sampled_errors.FALSE_ALARM` in all; the control moves the moments by 10 %.
    """
    numpy_function = {tanh: np.tanh, relu: lambda x: np.maximum(x, 0.0)}[f]
    drawn = rate_networks(numpy_function, 0.3, 25, 500, 192, inputs, start, seed=3, **law)
    mean, error = drawn.mean(0), drawn.std(0, ddof=1) / math.sqrt(len(drawn))
    theory = rate_theory(f, 0.3, inputs, start, **law).evolve(25)
    for i, kind in enumerate(("second_moment", "cross_moment")):
        truth = getattr(theory, kind)["h"]
        # Width: an error of 1/N of the moment itself.
        allowed = np.hypot(error[:, i], np.abs(truth) / 500)
        assert agree(mean[:, i], allowed, truth, repetitions=192), kind
        assert not agree(mean[:, i], allowed, 1.1 * truth, repetitions=192), kind


def test_networks_of_slow_units():
    """sigma_w = 2, sigma_b = .1, d = .1: E[h^2] = 1.967 +- .017 in networks of width 1000."""
    assert rate_theory(sigma_w=2.0, sigma_b=0.1).fixed_point().second_moment["h"] == pytest.approx(
        1.967, abs=3 * 0.017
    )
    slow = rate_theory(sigma_w=1.5, sigma_b=0.001).fixed_point()
    assert slow.second_moment["h"] == pytest.approx(0.74, abs=0.02)
    assert slow.preactivation_variance["e"] == pytest.approx(0.76, abs=0.02)


# --- states that must not be called stable ------------------------------------------------------


def test_the_zero_state_of_a_silent_network():
    """Unstable past sigma_w = 1, and said to be; stable below, and reached from anywhere."""
    still = rate_theory(sigma_w=1.5)
    at = still.fixed_point()
    assert at.second_moment["h"] == 0.0
    assert not at.stable
    assert at.status is Status.UNSTABLE
    growth = 2 * math.log(0.9 + 0.1 * 1.5)
    assert float(still.gradient_growth()) == pytest.approx(growth, abs=1e-12)
    assert still.evolve(20).second_moment["h"].max() == 0.0
    scales = still.timescales()
    assert scales.status is Status.UNSTABLE
    assert scales.xi_q == math.inf
    with pytest.raises(ConvergenceError):
        still.correlation_fixed_point()
    quiet = rate_theory(sigma_w=0.8, start=1.0).fixed_point()
    assert quiet.stable
    assert quiet.second_moment["h"] == 0.0
    # Started, the same network is chaotic, and lists both.
    started = rate_theory(sigma_w=1.5, start=0.5)
    zero, alive = started.fixed_points()
    assert not zero.stable
    assert alive.stable
    assert alive.second_moment["h"] == pytest.approx(0.7476, abs=1e-3)


def test_a_static_state_that_is_unstable_is_left():
    """A constant input holds a network still below a threshold; above, it is chaotic."""
    calm = rate_theory(tanh, 0.3, CONSTANT, sigma_w=1.2, sigma_v=0.8, sigma_b=0.3)
    memory = calm.autocorrelation(20).value["h"]
    assert np.ptp(memory) < 1e-10 * memory[0]
    assert float(calm.gradient_growth()) < 0
    wild = rate_theory(tanh, 0.3, CONSTANT, sigma_w=3.0, sigma_v=0.8, sigma_b=0.3)
    memory = wild.autocorrelation(60).value["h"]
    assert memory[60] < 0.6 * memory[0]
    assert wild.fixed_point().stable
    assert float(wild.gradient_growth()) > 0.1


def test_chaos_with_equal_inputs_drives_trajectories_apart():
    inputs = Inputs(R=1.0, correlation=1.0)
    theory = rate_theory(tanh, 0.3, inputs, sigma_w=2.5, sigma_v=0.1, sigma_b=0.3)
    found = theory.correlation_fixed_point()
    assert found.correlation["h"] < 0.5
    assert found.slope < 1
    (alike,) = found.others
    assert alike[0] == {"h": 1.0}
    assert math.log(alike[1]) == pytest.approx(float(theory.gradient_growth()), abs=1e-9)
    ordered = rate_theory(tanh, 0.3, inputs, sigma_w=0.9, sigma_v=0.5, sigma_b=0.3)
    together = ordered.correlation_fixed_point()
    assert together.correlation["h"] == pytest.approx(1.0, abs=1e-12)
    assert math.log(together.slope) == pytest.approx(float(ordered.gradient_growth()), abs=1e-9)


def test_relu_past_its_threshold_diverges():
    theory = rate_theory(relu, 0.3, WHITE, sigma_w=2.0)
    with pytest.raises(ConvergenceError) as said:
        theory.fixed_point()
    assert said.value.status is Status.DIVERGES


# --- extreme settings ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "leak", "inputs", "law"),
    [
        (tanh, 0.3, WHITE, {"sigma_w": 0.01, "sigma_b": 0.1}),
        (tanh, 0.5, SILENT, {"sigma_w": 30.0, "sigma_b": 0.1}),
        (tanh, 0.01, WHITE, {"sigma_w": 1.5, "sigma_b": 0.1}),
        (tanh, 0.05, SILENT, {"sigma_w": 1.5, "sigma_b": 0.001}),
        (tanh, 0.1, SILENT, {"sigma_w": 2.0, "sigma_b": 1.0}),
        (tanh, 0.1, Inputs(R=0.01), {"sigma_w": 0.99}),
        (hard_tanh, 0.3, WHITE, {"sigma_w": 1.5, "sigma_b": 0.2}),
        (softsign, 0.2, WHITE, {"sigma_w": 1.5, "sigma_b": 0.2, "mu_b": -0.3}),
        (relu, 0.3, WHITE, {"sigma_w": 1.0, "sigma_b": 0.2, "mu_b": 0.4}),
    ],
)
def test_extreme_settings(f, leak, inputs, law):
    """Every number is OK, and the stationary state is where the recursion goes."""
    theory = rate_theory(f, leak, inputs, **law)
    at = theory.fixed_point()
    scales, growth = theory.timescales(), theory.gradient_growth()
    assert {at.status, scales.status, growth.status} == {Status.OK}
    assert at.error <= 1e-8 * max(1.0, at.second_moment["h"])
    steps = min(2000, int(3 * scales.xi_q) + 50)
    q = theory.evolve(steps).second_moment["h"]
    away = np.abs(q - at.second_moment["h"])
    assert away[-1] < 0.2 * away[0]
    assert away[-1] <= away[steps // 2] + 1e-9


@pytest.mark.slow
def test_close_to_the_transition():
    """sigma_w = 1.01: relaxation takes 10^5 steps, and the recursion is seen to head there."""
    theory = rate_theory(sigma_w=1.01, sigma_b=0.001)
    at = theory.fixed_point()
    assert at.status is Status.OK
    q = theory.evolve(3000).second_moment["h"]
    assert q[-1] < at.second_moment["h"] < 0.0104
    assert 0 < float(theory.gradient_growth()) < 1e-5


def test_correlations_in_time_before_stationarity():
    """After few steps, from the recursion's last row; late, the stationary ones."""
    theory = rate_theory(tanh, 0.3, GIVEN, sigma_w=1.2, sigma_v=0.8, sigma_b=0.3, mu_b=0.2)
    early = theory.autocorrelation(3, burn_in=2)
    moments = theory.evolve(6)
    assert early.value["h"][0] == pytest.approx(moments.second_moment["h"][-1], abs=1e-13)
    q = moments.preactivation_variance["e"][-1]
    assert early.value["e"][0] == pytest.approx(q, abs=1e-13)
    late, limit = theory.autocorrelation(8, burn_in=400), theory.autocorrelation(8)
    for name in ("h", "e"):
        assert np.abs(late.value[name] - limit.value[name]).max() < 1e-10
        assert np.abs(early.value[name] - limit.value[name][:4]).max() > 1e-2


def test_one_step():
    theory = rate_theory(tanh, 0.3, WHITE, sigma_w=1.2, sigma_v=0.8, sigma_b=0.3)
    one = theory.evolve(1)
    assert one.second_moment["h"] == pytest.approx([0.09 * (0.64 + 0.09)], abs=1e-15)
    assert theory.jacobian_means(1, 0).value[0] == pytest.approx(0.49 + 0.09 * 1.44, abs=1e-12)


# --- the contract --------------------------------------------------------------------------------


def test_it_is_chosen_for_tied_weights():
    cell = rate_cell()
    field = MeanField(cell, cell.ensemble(e={"sigma_b": 0.5}), SILENT, tying="tied")
    assert field.method == "two-time kernel"
    assert field.evolve(3).tying == "tied"
    assert field.autocorrelation(4).lags == 4
    law = field.jacobian(2, burn_in=20)
    assert float(law.mean) == pytest.approx(field.jacobian_means(2, burn_in=20).value[-1])
    with pytest.raises(DerivationError, match="m_2 and higher"):
        law.known.compute(2)
    record = field.fixed_point().to_dict()
    assert record["status"] == Status.OK.value


def test_errors_are_bounds():
    """A rougher run is off by no more than the errors it would state; the truth is an exact run."""
    from rnnmft.solvers.two_time import trajectories

    theory = rate_theory(tanh, 0.3, WHITE, sigma_w=1.8, sigma_v=0.8, sigma_b=0.4)
    exact = theory.evolve(60)
    rough, error = trajectories.scaled_moments(theory.system, 60, 1.0 + 1e-9)
    moved = np.abs(rough["second_moment"]["h"] - exact.second_moment["h"])
    assert error < 1e-11
    share = exact.error["second_moment"]["h"] / (error + 1e-15)
    assert (moved <= 1.1e-9 * share + 1e-13).all()
    assert moved.max() > 1e-10


def test_the_identity_is_a_linear_network():
    one = rate_theory(identity, 0.3, WHITE, sigma_w=0.7).fixed_point()
    two = rate_theory(lambda h: 2 * h / 2, 0.3, WHITE, sigma_w=0.7).fixed_point()
    assert one.second_moment == two.second_moment
