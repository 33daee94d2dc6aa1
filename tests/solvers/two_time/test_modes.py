"""Perturbations of stationary kernels: each eigenvalue by two routes, and by the recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft import Cell, Input, Inputs, Preactivation, State, cells, relu, tanh
from rnnmft.errors import Status
from rnnmft.solvers.two_time.gaussian_states import GaussianStates
from rnnmft.solvers.two_time.growth import edge, leading_growth
from rnnmft.solvers.two_time.jost import JostModes
from rnnmft.solvers.two_time.modes import KernelModes
from rnnmft.solvers.two_time.response import KernelResponse, PerturbationResponse
from tests.solvers.sampled_errors import CONTROL
from tests.solvers.two_time.rate_cells import SILENT, rate_theory

WHITE = Inputs(R=1.0)
SETTINGS = {
    "chaos": (tanh, 0.3, SILENT, {"sigma_w": 2.0, "sigma_b": 0.2}),
    "driven": (tanh, 0.8, WHITE, {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}),
    "relu": (relu, 0.8, WHITE, {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}),
    "slow relu": (relu, 0.3, WHITE, {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}),
}


def kernel(name):
    f, leak, inputs, law = SETTINGS[name]
    return rate_theory(f, leak, inputs, start=0.5, **law).kernel


@pytest.mark.parametrize("name", SETTINGS)
def test_growth_by_the_jost_function_and_by_the_lags(name):
    """One by decaying solutions, the other by eigenvalues of an operator on a window."""
    response = PerturbationResponse.of(kernel(name))
    by_lags, error = leading_growth(response)
    z, counted = JostModes(response.whole).slowest()
    assert counted
    assert error < 1e-10
    assert by_lags**2 == pytest.approx(z, abs=1e-10)
    assert z > edge(response.system, response.far) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu", "slow relu"])
def test_modes_of_the_kernel_by_two_routes(name):
    """The Jost function, and the determinant of the response to a variance on a window."""
    response = KernelResponse.of(kernel(name))
    jost, window = JostModes(response), KernelModes(response)
    one, two = jost.slowest(), window.slowest()
    assert one[1]
    assert two[1]
    assert one[0] == pytest.approx(two[0], abs=1e-10)
    assert one[0] > jost.edge
    assert jost.stable
    assert window.stable
    assert jost.outside(1.01 * one[0]) == window.outside(1.01 * one[0]) == 0
    assert jost.outside(0.99 * one[0]) == window.outside(0.99 * one[0]) == 1


@pytest.mark.parametrize(("name", "steps"), [("relu", 60), ("slow relu", 160)])
def test_an_isolated_mode_is_how_the_recursion_approaches(name, steps):
    """Ratios of successive changes of E[h^2], which know no stationary value, become xi_q's."""
    f, leak, inputs, law = SETTINGS[name]
    theory = rate_theory(f, leak, inputs, **law)
    slow = math.exp(-1 / theory.timescales().xi_q)
    moved = np.diff(theory.evolve(steps).second_moment["h"])
    assert moved[-1] / moved[-2] == pytest.approx(slow, rel=1e-5)
    assert abs(moved[-1] / moved[-2] - slow * (1 - 1 / 50)) > 1e-3


def test_an_edge_is_approached_with_a_power():
    """Chaos without bias: edge^t t^-3/2, so that ratios are edge (1 - 3 / 2t)."""
    theory = rate_theory(leak=0.5, start=0.5, sigma_w=2.0)
    slow = math.exp(-1 / theory.timescales().xi_q)
    moved = np.diff(theory.evolve(400).second_moment["h"])
    ratio = moved[-1] / moved[-2]
    power = 398.5 * (1 - ratio / slow)
    # What is left falls with t as well; t^-1/2, and no power, are ruled out.
    assert power == pytest.approx(1.5, abs=0.25)


def test_the_kernel_of_a_chaotic_network_is_stable_and_its_trajectories_are_not():
    at = kernel("chaos")
    modes = JostModes(KernelResponse.of(at))
    assert modes.stable
    assert JostModes(PerturbationResponse.of(at).whole).slowest()[0] > 1


@pytest.mark.parametrize("leak", [0.5, 0.05])
def test_a_static_state_past_its_threshold_is_unstable(leak):
    """C(tau) = q for ever solves the equation of a silent network; it is not stable."""
    from rnnmft.solvers.two_time.kernel import StationaryKernel
    from rnnmft.solvers.two_time.lags import Lags
    from rnnmft.solvers.two_time.pair_curve import PairCurve

    theory = rate_theory(leak=leak, start=0.5, sigma_w=2.0)
    system = theory.system
    low, high = 0.01, 4.0
    for _ in range(80):
        q = (low + high) / 2
        power = float(system.seen[0].at_one_time("overlap", 0.0, q)[0])
        low, high = (q, high) if 4.0 * power > q else (low, q)
    curves = (PairCurve(system.seen[0], 0.0, q),)
    still = StationaryKernel(system, Lags(16), 1.0, np.zeros((1, 17)), np.array([q]), curves, 0.0)
    assert still.looked_at[0][0, 0] == pytest.approx(q)
    assert not JostModes(KernelResponse.of(still)).stable


# --- two states, two preactivations --------------------------------------------------------------


def two_states():
    h, g, x = State("h"), State("g"), Input("x")
    e = Preactivation("e", tanh(h + 0.5 * g))
    f = Preactivation("f", tanh(h), input=None)
    update = {h: 0.7 * h - 0.2 * g + 0.3 * e, g: 0.8 * g + 0.1 * h + 0.2 * f + 0.1 * x}
    cell = Cell("two", update=update)
    laws = {
        "e": {"sigma_w": 1.6, "sigma_v": 0.7, "mu_b": 0.2, "sigma_b": 0.3},
        "f": {"sigma_w": 1.1, "sigma_b": 0.2},
    }
    return GaussianStates(cell, cell.ensemble(**laws), Inputs(R=0.8, correlation=0.4))


def two_state_networks(steps, width, networks, seed):
    draw = np.random.default_rng(seed)
    mix = np.array([[1.0, 0.4], [0.0, math.sqrt(1 - 0.16)]])
    found = np.zeros((networks, steps, 6))
    for network in range(networks):
        root = math.sqrt(width)
        w_e = 1.6 * draw.normal(size=(width, width)) / root
        w_f = 1.1 * draw.normal(size=(width, width)) / root
        v = 0.7 * draw.normal(size=(width, width)) / root
        b_e, b_f = 0.2 + 0.3 * draw.normal(size=(width, 1)), 0.2 * draw.normal(size=(width, 1))
        h, g = np.zeros((width, 2)), np.zeros((width, 2))
        for t in range(steps):
            x = math.sqrt(0.8) * draw.normal(size=(width, 2)) @ mix
            e = w_e @ np.tanh(h + 0.5 * g) + v @ x + b_e
            f = w_f @ np.tanh(h) + b_f
            h, g = 0.7 * h - 0.2 * g + 0.3 * e, 0.8 * g + 0.1 * h + 0.2 * f + 0.1 * x
            found[network, t] = (
                (h[:, 0] ** 2).mean(),
                (g[:, 0] ** 2).mean(),
                (h[:, 0] * h[:, 1]).mean(),
                (g[:, 0] * g[:, 1]).mean(),
                ((e[:, 0] - 0.2) ** 2).mean(),
                (f[:, 0] ** 2).mean(),
            )
    return found


@pytest.mark.slow
def test_networks_of_two_states_agree():
    """64 networks of width 400 over 40 steps, and the stationary state that they come to."""
    from tests.solvers.sampled_errors import agree

    theory = two_states()
    drawn = two_state_networks(40, 400, 64, seed=5)
    mean, error = drawn.mean(0), drawn.std(0, ddof=1) / 8
    found = theory.evolve(40)
    rows = [found.second_moment[n] for n in "hg"] + [found.cross_moment[n] for n in "hg"]
    rows += [found.preactivation_variance[n] for n in "ef"]
    for i, truth in enumerate(rows):
        allowed = np.hypot(error[:, i], np.abs(truth) / 400)
        assert agree(mean[:, i], allowed, truth, repetitions=64), i
        assert not agree(mean[:, i], allowed, 1.15 * truth, repetitions=64), i


@pytest.mark.slow
def test_two_states_answer_everything():
    theory = two_states()
    at, late = theory.fixed_point(), theory.evolve(700)
    assert at.status is Status.OK
    assert at.stable
    for name in "hg":
        assert at.second_moment[name] == pytest.approx(late.second_moment[name][-1], rel=1e-9)
        assert at.mean[name] == pytest.approx(late.mean[name][-1], rel=1e-9)
    pair = theory.correlation_fixed_point()
    assert pair.cross_moment["h"] == pytest.approx(late.cross_moment["h"][-1], rel=1e-8)
    growth = float(theory.gradient_growth())
    means = np.log(theory.jacobian_means(300, burn_in=200).value)
    assert means[-1] - means[-2] == pytest.approx(growth, rel=1e-4)
    assert abs(CONTROL * growth - (means[-1] - means[-2])) > 1e-4
    scales = theory.timescales()
    assert scales.status is Status.OK
    moved = np.diff(late.second_moment["h"])
    ratio = moved[300] / moved[299]
    assert ratio == pytest.approx(math.exp(-1 / scales.xi_q) * (1 - 1.5 / 300), rel=1e-3)
    memory = theory.autocorrelation(30)
    assert memory.value["g"][0] == pytest.approx(at.second_moment["g"], abs=1e-12)


@pytest.mark.slow
def test_a_pole_beside_which_f_is_unknown_is_no_zero():
    """f of two chaotic populations has poles at which GMRES gives up; its slope is unproven."""
    cell = cells.populations([cells.rate(0.5), cells.rate(0.25)], (0.3, 0.7))
    ensemble = cell.ensemble(
        e={"sigma_w": [[3.5, 1.5], [0.6, 1.8]], "sigma_v": 0.0, "sigma_b": [0.1, 0.2]}
    )
    theory = GaussianStates(cell, ensemble, SILENT, {"h_1": 1.0, "h_2": 1.0})
    at = theory.fixed_point()
    assert at.status is Status.OK
    assert at.stable
    assert at.slope + at.slope_error >= 1.0
    # The edge of the spectrum is .9863, and .9863^250 = .03.
    late = theory.evolve(250)
    for name in ("h_1", "h_2"):
        assert at.second_moment[name] == pytest.approx(late.second_moment[name][-1], rel=0.05)
