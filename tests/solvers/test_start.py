"""States that do not start at zero: closed forms, direct integrals, networks, and what is reached.

Comparisons with networks take 128 of width 256 (bias below 1 %), fail by chance with the
probability FALSE_ALARM, and have a control, the prediction 7 % off, that must fail.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rnnmft import (
    Cell,
    ConvergenceError,
    Inputs,
    MeanField,
    ParameterError,
    Preactivation,
    State,
    Status,
    cells,
    phase_diagram,
    relu,
    simulate,
    tanh,
)
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.solvers.linear_cells import gradient_means, linear_cell
from tests.solvers.sampled_errors import CONTROL, agree

KINDS = ("second_moment", "cross_moment", "preactivation_variance", "preactivation_covariance")
UNITS: dict[str, Any] = {"particles": 1 << 16, "repetitions": 16, "device": "cpu"}


def gaussian_average(f, *variances):
    """E[f(z_1, z_2, ..)] of independent Gaussians, by the trapezoidal rule.

    For tanh and sigmoid of variances below 1 it is exact to 1e-14 with 81 nodes and to 1e-9 with
    the 41 that four dimensions leave room for.
    """
    x = np.linspace(-8.0, 8.0, 81 if len(variances) < 4 else 41)
    w = np.exp(-(x**2) / 2)
    grids = np.meshgrid(*(math.sqrt(v) * x for v in variances), indexing="ij", sparse=True)
    weights = np.meshgrid(*(w / w.sum() for _ in variances), indexing="ij", sparse=True)
    return float((math.prod(weights) * f(*grids)).sum())


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tying", ["untied", "tied"])
def test_an_autonomous_linear_cell_multiplies_its_start(tying):
    """h' = a h + W h: E[h^2] after T steps is start^2 m_1(T), and two starts keep their c."""
    a, sigma_w, start, c = 0.6, 0.7, 1.5, 0.3
    cell = linear_cell(a)
    ensemble = cell.ensemble(e={"sigma_w": sigma_w})
    field = MeanField(cell, ensemble, Inputs(0.0, c), tying, start=start, **UNITS)
    found = field.evolve(6)
    one = a**2 + sigma_w**2
    m_1 = one ** np.arange(1, 7)
    if tying == "tied":
        m_1 = gradient_means(6, lambda n: a**n, sigma_w)
    for kind, factor in (("second_moment", 1.0), ("cross_moment", c)):
        value, error = getattr(found, kind)["h"], found.error[kind]["h"]
        truth = start**2 * factor * m_1
        assert agree(value, error, truth), kind
        assert not agree(value, error, CONTROL * truth), kind
    # The first preactivation sees the start itself.
    q, q_ab = (getattr(found, kind)["e"][0] for kind in KINDS[2:])
    assert q == pytest.approx(sigma_w**2 * start**2, rel=0.05)
    assert q_ab == pytest.approx(c * q, rel=0.05)


@pytest.mark.parametrize("tying", ["untied", "tied"])
def test_the_first_step_of_a_vanilla_cell_is_its_integral(tying):
    """q = sigma_w^2 start^2 + sigma_v^2 R + sigma_b^2, and E[tanh(e)^2] at that variance."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 0.9, "sigma_v": 0.4, "mu_b": 0.2, "sigma_b": 0.3})
    found = MeanField(cell, ensemble, Inputs(0.5, 0.4), tying, start=0.8).evolve(1)
    q = 0.9**2 * 0.8**2 + 0.4**2 * 0.5 + 0.3**2
    q_ab = 0.4 * (0.9**2 * 0.8**2 + 0.4**2 * 0.5) + 0.3**2
    assert found.preactivation_variance["e"][0] == pytest.approx(q, rel=1e-14)
    assert found.preactivation_covariance["e"][0] == pytest.approx(q_ab, rel=1e-14)
    second = gaussian_average(lambda e: np.tanh(0.2 + e) ** 2, q)
    cross = gaussian_average(
        lambda u, v, w: np.tanh(0.2 + u + v) * np.tanh(0.2 + u + w), q_ab, q - q_ab, q - q_ab
    )
    assert found.second_moment["h"][0] == pytest.approx(second, rel=1e-10)
    assert found.cross_moment["h"][0] == pytest.approx(cross, rel=1e-10)


def test_the_first_step_of_an_lstm_is_its_integral():
    """c' = sigmoid(f) c + sigmoid(i) tanh(g) with a Gaussian c: four integrals at once."""

    def sigmoid(e):
        return 1 / (1 + np.exp(-e))

    cell = cells.lstm()
    laws = {k: {"sigma_w": 0.6, "sigma_v": 0.5} for k in "ifgo"}
    field = MeanField(cell, cell.ensemble(**laws), tying="untied", start={"c": 0.9, "h": 0.7})
    assert field.method == "transport of the law"
    found, q = field.evolve(1), 0.6**2 * 0.7**2 + 0.5**2

    def new(c, f, i, g):
        return sigmoid(f) * c + sigmoid(i) * np.tanh(g)

    variances = (0.9**2, q, q, q)
    second = gaussian_average(lambda *z: new(*z) ** 2, *variances)
    read = gaussian_average(lambda o: sigmoid(o) ** 2, q)
    read *= gaussian_average(lambda *z: np.tanh(new(*z)) ** 2, *variances)
    assert found.second_moment["c"][0] == pytest.approx(second, rel=1e-8)
    error = found.error["second_moment"]["h"][0]
    assert error < 1e-6
    assert found.second_moment["h"][0] == pytest.approx(read, abs=error + 1e-8)
    assert found.preactivation_variance["o"][0] == pytest.approx(q, rel=1e-14)


def test_the_kernel_of_a_memoryless_cell_begins_at_the_start():
    """C(0, 0) knows the start, between two trajectories by c; C(t, 0) by E[y^t] E[y^0] alone."""
    h = State("h")
    cell = Cell("shifted", update={h: tanh(Preactivation("e", h + 0.5))})
    ensemble, inputs = cell.ensemble(e={"sigma_w": 1.2, "sigma_v": 0.5}), Inputs(0.8, 0.3)
    theory = TwoTimeKernel(cell, ensemble, inputs, start={"h": 0.6})
    same, between = theory.kernel(3)
    w, drive = 1.2**2, 0.5**2 * 0.8
    first = gaussian_average(np.tanh, same["e"][0, 0])
    assert same["e"][0, 0] == pytest.approx(w * (0.6**2 + 0.5**2) + drive, rel=1e-13)
    assert between["e"][0, 0] == pytest.approx(w * (0.3 * 0.6**2 + 0.5**2) + 0.3 * drive, rel=1e-13)
    for kernel in (same, between):
        assert kernel["e"][1, 0] == pytest.approx(w * 0.5 * (first + 0.5), rel=1e-9)


# --- two solvers of one theory, and networks ------------------------------------------------------


def network_setting(name):
    cell = cells.get(name)
    laws = {p.name: {"sigma_w": 1.6, "sigma_v": 0.7, "sigma_b": 0.2} for p in cell.preactivations}
    return cell, cell.ensemble(**laws), Inputs(R=0.3, correlation=0.4)


def setting_and_start(name):
    start = {"c": 1.5, "h": 0.4} if name == "lstm" else {"h": 1.5}
    return *network_setting(name), start


@pytest.mark.parametrize("tying", ["untied", "tied"])
@pytest.mark.parametrize("name", ["vanilla", "gru", "lstm"])
def test_networks_agree(name, tying):
    cell, ensemble, inputs, start = setting_and_start(name)
    steps = 4
    found = MeanField(cell, ensemble, inputs, tying, start=start, **UNITS).evolve(steps)
    networks = simulate(
        cell, ensemble, inputs, width=256, networks=128, steps=steps, tying=tying, start=start,
        device="cpu", seed=1,
    )  # fmt: skip
    rows = [(kind, n) for kind in KINDS for n in getattr(found, kind)]
    samples = np.stack([getattr(networks, k)[n].samples for k, n in rows], 1)
    theory = np.stack([getattr(found, k)[n] for k, n in rows])
    error = np.zeros_like(theory)
    if found.error_kind != "bound":
        error = np.stack([found.error[k][n] for k, n in rows])
    assert p_value(samples, theory, error) > FALSE_ALARM
    assert p_value(samples, 1.07 * theory, error) < FALSE_ALARM
    # The start is seen: from zero the theory is another one.
    zero = MeanField(cell, ensemble, inputs, tying, **UNITS).evolve(steps)
    from_zero = np.stack([getattr(zero, k)[n] for k, n in rows])
    assert p_value(samples, from_zero, error) < FALSE_ALARM


def test_sampled_units_agree_with_the_transport():
    """An untied LSTM from a wide c, four steps: moments of one and of two trajectories."""
    from rnnmft.sampling import Sampling
    from rnnmft.solvers.sampled.sampled_units import SampledUnits

    cell, ensemble, inputs, start = setting_and_start("lstm")
    exact = MeanField(cell, ensemble, inputs, "untied", start=start).evolve(4)
    units = SampledUnits(
        cell, ensemble, inputs, "untied", Sampling(1 << 16, 16, 3, "cpu"), start=start
    ).evolve(4)
    for kind in KINDS:
        for name, value in getattr(units, kind).items():
            error, truth = units.error[kind][name], getattr(exact, kind)[name]
            assert agree(value, error, truth, exact.error[kind][name]), (kind, name)
            if kind == "second_moment":
                assert not agree(value, error, CONTROL * truth)


def test_two_autonomous_trajectories_differ_by_their_starts_alone():
    """R = 0: c = 1 keeps them together for ever, c < 1 lets a chaotic network part them."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 2.0})
    for tying in ("tied", "untied"):
        path = [
            MeanField(cell, ensemble, Inputs(0.0, c), tying, start=1.0).evolve(40).correlation["h"]
            for c in (1.0, 0.99)
        ]
        np.testing.assert_allclose(path[0], 1.0, rtol=1e-12)
        assert 0.9 < path[1][0] < 0.99
        assert abs(path[1][-1]) < 0.05
    gated = cells.gru()
    found = MeanField(gated, inputs=Inputs(0.0, 0.2), tying="tied", start=1.0, **UNITS).evolve(2)
    assert (found.cross_moment["h"] < 0.9 * found.second_moment["h"]).all()


# --- what is reached ------------------------------------------------------------------------------

AUTONOMOUS = Inputs(R=0.0)


@pytest.mark.parametrize("tying", ["untied", "tied"])
def test_the_zero_state_of_a_chaotic_network_is_not_stable(tying):
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 2.0})
    field = MeanField(cell, ensemble, AUTONOMOUS, tying)
    zero = field.fixed_point()
    assert zero.second_moment == {"h": 0.0}
    assert not zero.stable
    assert zero.status is Status.UNSTABLE
    assert "unstable" in repr(zero)
    assert float(field.gradient_growth()) == pytest.approx(2 * math.log(2.0), abs=1e-12)
    assert (field.evolve(100).second_moment["h"] == 0.0).all()
    with pytest.raises(ConvergenceError, match="not defined"):
        field.correlation_fixed_point()
    active = MeanField(cell, ensemble, AUTONOMOUS, tying, start=1.0)
    reached, late = active.fixed_point(), active.evolve(100)
    assert reached.stable
    assert reached.status is Status.OK
    assert reached.second_moment["h"] == pytest.approx(late.second_moment["h"][-1], rel=1e-9)
    assert reached.second_moment["h"] > 0.3
    assert 0 < float(active.gradient_growth()) < 2 * math.log(2.0)
    both = field.fixed_points()
    assert [f.stable for f in both] == [False, True]
    assert both[1].second_moment["h"] == pytest.approx(reached.second_moment["h"], rel=1e-9)


def test_below_the_transition_zero_is_stable_and_reached_from_anywhere():
    cell = cells.vanilla()
    for tying in ("untied", "tied"):
        for start in (0.0, 3.0):
            field = MeanField(cell, cell.ensemble(e={"sigma_w": 0.8}), AUTONOMOUS, tying)
            at = field.fixed_point()
            assert (at.second_moment["h"], at.stable, at.status) == (0.0, True, Status.OK), start


def lstm_without_input(sigma_w, **options):
    cell = cells.lstm()
    laws = {k: {"sigma_w": sigma_w, "sigma_v": 0.0} for k in "igo"}
    ensemble = cell.ensemble(f={"sigma_w": sigma_w, "sigma_v": 0.0, "mu_b": 2.0}, **laws)
    return MeanField(cell, ensemble, AUTONOMOUS, "untied", **options)


@pytest.mark.parametrize(("sigma_w", "stable"), [(1.0, True), (4.0, False)])
def test_the_zero_state_of_an_autonomous_lstm(sigma_w, stable):
    """c' = sigmoid(2) c + W h / 2, h = tanh(c') / 2: its slope by hand."""
    field = lstm_without_input(sigma_w)
    zero = field.fixed_point()
    assert zero.second_moment == {"c": 0.0, "h": 0.0}
    slope = (1 + math.exp(-2.0)) ** -2.0 + sigma_w**2 / 16
    assert zero.slope == pytest.approx(slope, rel=1e-4)
    assert zero.stable is stable
    assert zero.status is (Status.OK if stable else Status.UNSTABLE)
    assert float(field.gradient_growth()) == pytest.approx(math.log(slope), abs=1e-7)
    path = field.evolve(20)
    assert (path.second_moment["h"] == 0.0).all()
    assert path.status is Status.UNDEFINED


@pytest.mark.slow
def test_an_lstm_is_active_where_its_zero_state_is_unstable():
    field = lstm_without_input(4.0, start=1.0)
    reached, late = field.fixed_point(), field.evolve(80)
    assert reached.stable
    assert reached.second_moment["c"] > 0.1
    assert reached.second_moment["c"] == pytest.approx(late.second_moment["c"][-1], rel=1e-6)
    pair = field.correlation_fixed_point()
    # Two starts of correlation 1/2 forget each other at the rate that their correlation shows.
    c = late.correlation["c"]
    assert abs(pair.correlation["c"]) < 10 * pair.error
    assert pair.slope == pytest.approx(c[40] / c[39], rel=1e-3)


def test_a_start_beyond_everything_diverges():
    """relu doubles its variance: zero stays, anything else grows without bound."""
    cell = cells.vanilla(relu)
    ensemble = cell.ensemble(e={"sigma_w": 2.0})
    zero = MeanField(cell, ensemble, AUTONOMOUS, "untied").fixed_point()
    assert (zero.second_moment["h"], zero.status) == (0.0, Status.UNSTABLE)
    with pytest.raises(ConvergenceError) as raised:
        MeanField(cell, ensemble, AUTONOMOUS, "untied", start=1e-3).fixed_point()
    assert raised.value.status is Status.DIVERGES


def test_what_is_at_rest_in_one_state_alone_is_unstable():
    """A driven state beside an autonomous one: the second stays at zero unless it starts apart."""
    a, b = State("a"), State("b")
    update = {a: tanh(Preactivation("e", a)), b: tanh(Preactivation("f", b, input=None))}
    cell = Cell("beside", update=update)
    ensemble = cell.ensemble(e={"sigma_w": 0.5}, f={"sigma_w": 2.0})
    at = MeanField(cell, ensemble, tying="untied").fixed_point()
    assert at.second_moment["a"] > 0.1
    assert at.second_moment["b"] < 1e-9
    assert (at.stable, at.status) == (False, Status.UNSTABLE)
    moved = MeanField(cell, ensemble, tying="untied", start={"b": 0.1}).fixed_point()
    assert moved.second_moment["a"] == pytest.approx(at.second_moment["a"], rel=1e-9)
    assert moved.second_moment["b"] > 0.3
    assert moved.stable


def test_the_start_chooses_among_several_fixed_points():
    """minimalRNN near mu_b = 4.6 has three: from zero the lowest, from far away the highest."""
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 6.88, "sigma_v": 1.39, "mu_b": 4.6})
    inputs = Inputs(R=0.4616)
    low, unstable, high = MeanField(cell, ensemble, inputs, "untied").fixed_points()
    for factor, wanted in ((0.0, low), (0.9, low), (1.1, high)):
        start = factor * math.sqrt(unstable.second_moment["h"])
        found = MeanField(cell, ensemble, inputs, "untied", start=start).fixed_point()
        assert found.second_moment == wanted.second_moment, factor


# --- phase diagrams, records, refusals ------------------------------------------------------------


def test_a_phase_diagram_starts_where_it_is_told():
    cell, vary = cells.vanilla(), {("e", "sigma_w"): [0.5, 2.0]}
    names = ["second_moment", "chi_1", "gradient_growth"]
    zero, active = (
        phase_diagram(cell, None, AUTONOMOUS, vary, names, tying="untied", start=start)
        for start in (0.0, 1.0)
    )
    at_rest = zero.status.sel(quantity="second_moment").values.tolist()
    assert at_rest == ["OK", "UNSTABLE"]
    assert (zero.second_moment.values == 0.0).all()
    np.testing.assert_allclose(zero.chi_1.values, [0.25, 4.0], rtol=1e-9)
    assert (active.status == "OK").all()
    point = MeanField(
        cell, cell.ensemble(e={"sigma_w": 2.0}), AUTONOMOUS, tying="untied", start=1.0
    )
    second = point.fixed_point().second_moment["h"]
    assert active.second_moment.values[0, 1] == pytest.approx(second, rel=1e-9)
    assert active.attrs["start_h"] == 1.0


def test_the_setting_says_where_it_starts():
    cell = cells.lstm()
    field = MeanField(cell, tying="untied", start={"c": 0.5})
    assert field.start == field.to_dict()["start"] == {"h": 0.0, "c": 0.5}


@pytest.mark.parametrize("start", [-1.0, math.nan, {"x": 1.0}])
def test_a_start_outside_its_domain_is_refused(start):
    with pytest.raises(ParameterError, match="start"):
        MeanField(cells.minimal(), start=start)
    with pytest.raises(ParameterError, match="start"):
        phase_diagram(cells.minimal(), vary={"R": [1.0]}, start=start)
