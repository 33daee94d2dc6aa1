"""Networks without input: published transitions, independent integrals, networks themselves."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfinv

import rnnmft as mft
from rnnmft import cells
from rnnmft.cells import Uniform
from rnnmft.errors import DerivationError, ParameterError, Status

SIGMA_N = ("n", "sigma_w")


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def gaussian(f: Any, variance: float, mean: float = 0.0) -> float:
    """E[f(e)] by SciPy's quadrature."""
    weight = 1.0 / math.sqrt(2.0 * math.pi)

    def integrand(z: float) -> float:
        return weight * math.exp(-z * z / 2) * float(f(mean + math.sqrt(variance) * z))

    return float(quad(integrand, -10, 10, epsabs=1e-13, epsrel=1e-12, limit=200)[0])


def gru(a_h: float, a_r: float = 1.0, **laws: Any) -> mft.Autonomous:
    cell = cells.gru()
    given = {"r": {"sigma_w": a_r}, "n": {"sigma_w": a_h}}
    merged = {k: given.get(k, {}) | laws.get(k, {}) for k in "rzn"}
    return mft.autonomous(cell, cell.ensemble(**merged))


# --- the zero state ---------------------------------------------------------------------------


def test_the_zero_state_of_a_gru_loses_stability_at_2() -> None:
    found = gru(1.5).transitions(SIGMA_N, 1.9, 2.1, points=3)
    lost = next(t for t in found if t.what == "the zero state loses stability")
    assert abs(float(lost) - 2.0) <= lost.value.error < 1e-9
    assert (lost.before, lost.after) == ("quiet", "chaos")


@pytest.mark.parametrize("b_z", [-1.0, 2.0])
@pytest.mark.parametrize("b_r", [-0.7, 1.5])
def test_the_zero_state_of_a_biased_gru(b_z: float, b_r: float) -> None:
    a, z, r = 1.4, sigmoid(b_z), sigmoid(b_r)
    zero = gru(a, r={"mu_b": b_r}, z={"mu_b": b_z}).fixed_points()[0]
    assert zero.is_zero
    assert zero.gain == pytest.approx((r * a) ** 2, rel=1e-12)
    assert zero.stable == (z + (1 - z) * r * a < 1)
    assert float(zero.radius) == pytest.approx(z + (1 - z) * r * a, abs=1e-8)


def test_the_zero_state_of_an_lstm() -> None:
    """sigma(b_f) + sigma(b_o) sigma(b_i) a_h < 1 [can2020]."""
    cell, bias = cells.lstm(), {"f": 1.0, "i": -0.5, "o": 0.3}
    f, i, o = (sigmoid(bias[k]) for k in "fio")
    edge = (1 - f) / (o * i)
    laws = {k: {"mu_b": b, "sigma_w": 0.7} for k, b in bias.items()}
    for part, stable in ((0.999, True), (1.001, False)):
        ensemble = cell.ensemble(**laws, g={"sigma_w": part * edge})
        zero = mft.autonomous(cell, ensemble).fixed_points()[0]
        assert zero.stable is stable
        assert float(zero.radius) == pytest.approx(f + (1 - f) * part, abs=1e-9)


@pytest.mark.slow
def test_the_transition_of_an_lstm_by_root_finding() -> None:
    cell = cells.lstm()
    ensemble = cell.ensemble(f={"mu_b": 1.0}, o={"mu_b": 0.5})
    found = mft.autonomous(cell, ensemble).transitions(("g", "sigma_w"), 0.7, 1.0, points=2)
    edge = (1 - sigmoid(1.0)) / (sigmoid(0.5) * 0.5)
    assert {t.what for t in found} == {"the zero state loses stability", "fixed points appear"}
    for t in found:
        assert abs(float(t) - edge) <= t.value.error < 2e-3


# --- fixed points beside it -------------------------------------------------------------------


def test_fixed_points_of_a_gru_are_those_of_the_published_equations() -> None:
    """C_h = E[phi^2], C_y = C_h E[r^2] [can2020], by SciPy; the update gate does not matter."""
    a, r = 1.7, 20.0

    def gap(C_h: float) -> float:
        C_y = C_h * gaussian(lambda e: sigmoid(e) ** 2, r * r * C_h)
        return gaussian(lambda e: np.tanh(e) ** 2, a * a * C_y) - C_h

    published = [brentq(gap, 0.005, 0.05, xtol=1e-13), brentq(gap, 0.05, 0.5, xtol=1e-13)]
    for z in (0.0, 4.0):
        network = gru(a, r, z={"sigma_w": z, "mu_b": 0.3})
        found = network.fixed_points()
        assert network.phase == "coexistence"
        assert [s.stable for s in found] == [True, False, False]
        for state, C_h in zip(found[1:], published, strict=True):
            assert state.status is Status.OK
            assert abs(state.second_moment["h"] - C_h) < 1e-10
            assert state.error_of("second_moment", "h") < 1e-10


def test_fixed_points_appear_at_the_root_of_2_as_the_reset_gate_becomes_a_switch() -> None:
    """a_r -> infinity [can2020]; r is then 0 or 1, and C_y = C_h / 2."""
    edges = []
    for r in (1e3, 1e6):
        found = gru(1.5, r).transitions(SIGMA_N, 1.4, 1.7, points=2)
        (edge,) = (t for t in found if t.what == "fixed points appear")
        assert (edge.before, edge.after) == ("quiet", "coexistence")
        assert edge.value.error < 1e-5
        edges.append(float(edge))
    assert edges[0] > edges[1] > math.sqrt(2.0)
    # Near the fold C_h ~ a_r^(-2/3), and so is the distance: 1e-4 times a number.
    assert edges[1] - math.sqrt(2.0) < 3e-4


@pytest.mark.parametrize("r", [0.5, 2.0])
def test_beside_the_transition_the_second_moment_grows_as_published(r: float) -> None:
    """C_h = 4 epsilon / (8 - a_r^2), a_h = 2 + epsilon [can2020]."""
    epsilon = 1e-5
    state = gru(2.0 + epsilon, r).fixed_points()[1]
    assert state.second_moment["h"] == pytest.approx(4 * epsilon / (8 - r * r), rel=1e-3)


def published(a: float, r: float, state: mft.RestingState, b_r: float = 0.0) -> list[float]:
    """rho_t^2 = a_h^2 C_phi' (C_r + a_r^2 C_r' C_h) [can2020], its two terms."""
    q_r, q_n = (state.preactivation_variance[k] for k in "rn")
    slope = a * a * gaussian(lambda e: (1 - np.tanh(e) ** 2) ** 2, q_n)
    gate = gaussian(lambda e: sigmoid(e) ** 2, q_r, b_r)
    bend = gaussian(lambda e: (sigmoid(e) * sigmoid(-e)) ** 2, q_r, b_r)
    return [slope * gate, slope * r * r * bend * state.second_moment["h"]]


@pytest.mark.parametrize("a", [2.1, 4.0])
def test_the_gain_of_a_gru_is_1_where_the_published_one_is(a: float) -> None:
    """Two passages lie between r h and r h by way of the reset gate: g^2 = s r^2 g + s extra."""
    state = gru(a, 1.5, z={"sigma_w": 3.0}).fixed_points()[1]
    straight, around = published(a, 1.5, state)
    assert abs(state.gain**2 - straight * state.gain - around) < 1e-9
    assert (state.gain > 1) == (straight + around > 1)
    assert not state.stable


@pytest.mark.parametrize("a_z", [10.0, 20.0, 30.0])
def test_a_switch_of_an_update_gate_makes_an_instability_slow(a_z: float) -> None:
    """-log (radius - 1) = c sqrt(C_h) a_z + 1 + O(1 / a_z), erf(c / sqrt 2) = 2 / rho^2 - 1.

    The exponent is published [can2020]; the 1 is what the gate's own width adds.
    """
    state = gru(2.4, 0.5, z={"sigma_w": a_z}).fixed_points()[1]
    c = math.sqrt(2.0) * erfinv(2.0 / sum(published(2.4, 0.5, state)) - 1.0)
    slow = -math.log(float(state.radius) - 1)
    assert abs(slow - c * math.sqrt(state.second_moment["h"]) * a_z - 1) < 5 / a_z


def test_the_radius_of_a_gru_by_scipy() -> None:
    """rho_t^2 E[(1 - z)^2 / (lambda - z)^2] = 1."""
    state = gru(2.4, 0.5, z={"sigma_w": 6.0}).fixed_points()[1]
    rho_2, q = sum(published(2.4, 0.5, state)), state.preactivation_variance["z"]

    def excess(r: float) -> float:
        return rho_2 * gaussian(lambda e: (sigmoid(-e) / (r - sigmoid(e))) ** 2, q) - 1

    radius = state.radius
    assert abs(brentq(excess, 1 + 1e-6, 2.0, xtol=1e-13) - float(radius)) < 1e-9
    assert radius.error < 1e-9


def test_above_the_root_of_2_it_is_not() -> None:
    """Half of the units are open: radius = rho / sqrt 2."""
    state = gru(9.0, 0.5, r={"mu_b": 3.0}, z={"sigma_w": 1e3}).fixed_points()[-1]
    rho_2 = sum(published(9.0, 0.5, state, 3.0))
    assert rho_2 > 2
    assert float(state.radius) == pytest.approx(math.sqrt(rho_2 / 2), rel=0.01)


def test_an_lstm_at_rest_against_sampled_units() -> None:
    """2^20 plain samples, four standard errors: false alarms 6e-5 a number."""
    cell = cells.lstm()
    ensemble = cell.ensemble(
        **{k: {"sigma_w": 3.0, "mu_b": 0.5} for k in "ifo"}, g={"sigma_w": 4.0}
    )
    state = mft.autonomous(cell, ensemble).fixed_points()[-1]
    draw = np.random.default_rng(1).normal(size=(4, 1 << 20))
    scale = {k: math.sqrt(q) for k, q in state.preactivation_variance.items()}
    i, f, o = (sigmoid(0.5 + scale[k] * z) for k, z in zip("ifo", draw[:3], strict=True))
    c = i * np.tanh(scale["g"] * draw[3]) / (1 - f)
    for name, sample, off in (("c", c**2, 1.3), ("h", (o * np.tanh(c)) ** 2, 1.02)):
        error = 4 * sample.std() / 2**10
        assert abs(sample.mean() - state.second_moment[name]) < error
        assert abs(sample.mean() - off * state.second_moment[name]) > error  # the control
    assert state.error_of("second_moment", "h") < 1e-4
    assert 9.0 * state.second_moment["h"] == pytest.approx(state.preactivation_variance["f"])


# --- networks ---------------------------------------------------------------------------------


def run(network: mft.Autonomous, start: float, steps: int, width: int = 400) -> Any:
    return mft.simulate(
        network.cell, network.ensemble, mft.Inputs(R=0.0), width=width, networks=6, steps=steps,
        start=start, seed=3, device="cpu",
    ).second_moment["h"]  # fmt: skip


@pytest.mark.slow
def test_networks_do_what_their_phase_says() -> None:
    """Quiet ones come to rest; without a stable fixed point none does; where both coexist, both."""
    quiet, chaos = gru(1.6, 1.0), gru(2.8, 1.0)
    assert (quiet.phase, chaos.phase) == ("quiet", "chaos")
    assert run(quiet, 1.0, 300).mean[-1] < 1e-6
    assert run(chaos, 0.01, 300).mean[-1] > 0.05
    both = gru(1.85, 30.0)
    assert both.phase == "coexistence"
    assert run(both, 1e-4, 300).mean[-1] < 1e-8
    assert run(both, 1.0, 300).mean[-1] > 0.02


@pytest.mark.slow
def test_a_stable_fixed_point_of_a_biased_network_is_where_it_rests() -> None:
    """Six networks, |t| < 5 of five degrees of freedom: false alarms 0.4 %."""
    network = gru(1.5, 1.0, n={"sigma_b": 0.8}, r={"sigma_b": 0.5})
    (state,) = network.fixed_points()
    assert state.stable
    assert not state.is_zero
    measured = run(network, 0.0, 200)
    error = 5 * measured.sem[-1]
    assert abs(measured.mean[-1] - state.second_moment["h"]) < error
    assert abs(measured.mean[-1] - 1.2 * state.second_moment["h"]) > error  # the control
    assert abs(measured.mean[-1] - measured.mean[-20]) < 1e-6


def test_populations_that_do_not_meet_rest_each_for_itself() -> None:
    """Four fixed points, each population's zero or its own; a coupling leaves zero and one more."""
    two = cells.populations(cells.vanilla(), (0.36, 0.64))
    gains = np.array([[3.0, 0.0], [0.0, 2.5]])
    found = mft.autonomous(two, two.ensemble(e={"sigma_w": gains})).fixed_points()
    alone = []
    for sigma_w in (3.0 * 0.6, 2.5 * 0.8):
        one = cells.vanilla()
        state = mft.autonomous(one, one.ensemble(e={"sigma_w": sigma_w})).fixed_points()[1]
        alone.append([0.0, state.second_moment["h"]])
    expected = sorted((x, y) for x in alone[0] for y in alone[1])
    measured = sorted((s.second_moment["h_1"], s.second_moment["h_2"]) for s in found)
    np.testing.assert_allclose(measured, expected, atol=1e-9)
    assert all(s.status is Status.OK for s in found)
    met = two.ensemble(e={"sigma_w": gains + 0.1})
    assert len(mft.autonomous(two, met).fixed_points()) == 2


# --- maps, records, refusals ------------------------------------------------------------------


def test_a_map_of_phases(tmp_path: Any) -> None:
    found = gru(1.5).phase_diagram(
        {SIGMA_N: [1.3, 1.8, 2.2], ("r", "sigma_w"): [1.0, 20.0]}, radius=True
    )
    assert found.phase.tolist() == [["quiet"] * 2, ["quiet", "coexistence"], ["chaos"] * 2]
    assert found.count.tolist() == [[1, 1], [1, 3], [2, 2]]
    assert found.stable.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert (found.status == "OK").all()
    np.testing.assert_allclose(found.gain, (np.array([[1.3], [1.8], [2.2]]) / 2) ** 2 * [[1, 1]])
    assert np.isnan(found.radius[0]).all()
    assert (found.radius[2] > 1).all()
    place = tmp_path / "map.png"
    found.plot(place)
    assert place.read_bytes().startswith(b"\x89PNG")
    again = mft.AutonomousMap.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()
    assert again.phase.tolist() == found.phase.tolist()
    np.testing.assert_array_equal(again.radius, found.radius)
    with pytest.raises(ParameterError, match="written as"):
        found.plot(tmp_path / "map.what")


def test_a_map_of_one_parameter_draws_curves(tmp_path: Any) -> None:
    found = gru(1.5).phase_diagram({SIGMA_N: [1.5, -1.0, 2.5]})
    assert found.phase.tolist() == ["quiet", "", "chaos"]
    assert found.status.tolist() == ["OK", "INVALID", "OK"]
    found.plot(tmp_path / "map.svg")


def test_records_are_safe() -> None:
    network = gru(2.5, 1.0, z={"sigma_w": 2.0})
    json.dumps(network.to_dict())
    state = network.fixed_points()[1]
    assert set(state.quantities()) >= {"second_moment[h]", "mean[h]", "gain"}
    assert "unstable" in repr(state)
    assert abs(state.mean["h"]) < 1e-12


def test_a_cell_that_forgets_without_input_is_quiet() -> None:
    for cell in (cells.minimal(), cells.min_gru()):
        network = mft.autonomous(cell)
        assert network.phase == "quiet"
        assert network.fixed_points()[0].is_zero


def test_refusals() -> None:
    indrnn = cells.indrnn().ensemble(parameters={"u": Uniform(0, 1)})
    with pytest.raises(DerivationError, match="not linear"):
        mft.autonomous(cells.indrnn(), indrnn)
    with pytest.raises(ParameterError, match="not one of"):
        mft.autonomous(cells.gru(), cells.lstm().ensemble())
    with pytest.raises(ParameterError, match="no input here"):
        gru(1.5).phase_diagram({"R": [1.0]})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match=r"low < high"):
        gru(1.5).transitions(SIGMA_N, 2.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("sigma_n", "lasts"), [(1.7, False), (1.9, True)])
def test_coexistence_does_not_say_that_activity_lasts(sigma_n: float, lasts: bool) -> None:
    """Zero is the only stable fixed point at both; the motion beside it is told by `MeanField`."""
    cell = cells.gru()
    ensemble = cell.ensemble(n={"sigma_w": sigma_n}, r={"sigma_w": 20.0})
    network = mft.autonomous(cell, ensemble)
    assert network.phase == "coexistence"
    assert [s.stable for s in network.fixed_points()] == [True, False, False]
    options = {"start": 1.0, "particles": 1 << 12, "device": "cpu"}
    left = mft.MeanField(cell, ensemble, mft.Inputs(R=0.0), **options).fixed_point()
    assert (left.second_moment["h"] > 6 * left.errors["second_moment"]["h"]) == lasts
