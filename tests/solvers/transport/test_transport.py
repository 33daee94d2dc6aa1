"""The transport of an accumulated state's law: by moments, simulation, sampling, resolution."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs, get
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel
from rnnmft.solvers.transport.accumulator_step import AccumulatorStep
from rnnmft.solvers.transport.gauss_rules import (
    CoefficientRule,
    coefficient_rule,
    gaussian_pair_mean,
    joint_weights,
    product_rule,
)
from rnnmft.solvers.transport.law_grid import LawGrid

DATA = Path(__file__).parents[2] / "data" / "reference" / "lstm-gaussian-untied.json"
LAWS = {"f": (2.0, 1.9), "i": (0.0, 1.0), "g": (0.0, 1.3), "o": (0.0, 1.2)}
#: |z| below 5 for about 120 compared numbers: a false-alarm rate of 7e-5.
Z = 5.0


def _sigmoid(e: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-e))


def _setting() -> tuple[Any, Any, Inputs, dict[str, Any]]:
    data = json.loads(DATA.read_text())
    config = data["config"]
    cell = get("lstm")
    inputs = Inputs(R=config["R"], correlation=config["c_x"])
    return cell, cell.ensemble(**config["params"]), inputs, data


@pytest.fixture(scope="module")
def solved() -> TransportedLaw:
    """The reference setting's solution, shared by the tests."""
    cell, ensemble, inputs, _ = _setting()
    return TransportedLaw(cell, ensemble, inputs)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (2.0, 4.0), (-1.0, 0.0)])
def test_a_coefficients_rule_integrates_powers(mean: float, variance: float) -> None:
    """Moments of sigmoid(e) against mpmath; Gauss rules are exact to degree 2 m - 1."""
    rule = coefficient_rule(_sigmoid, mean, variance, 16)
    for power in (0, 1, 2, 7):
        if variance == 0.0:
            exact = float(_sigmoid(np.array(mean)) ** power)
        else:
            exact = float(
                mp.quad(
                    lambda z, p=power: (
                        mp.npdf(z) / (1 + mp.exp(-mean - mp.sqrt(variance) * z)) ** p
                    ),
                    [-12, -4, 0, 4, 12],
                )
            )
        assert rule.mean(rule.nodes**power) == pytest.approx(exact, rel=1e-11)


def test_lagrange_polynomials_reproduce_polynomials() -> None:
    """sum_j p(x_j) l_j = p for degrees below the number of nodes."""
    rule = CoefficientRule(np.array([-1.0, 0.2, 0.5, 2.0]), np.full(4, 0.25))
    at = np.array([-0.7, 0.5, 1.4])
    cubic = lambda x: 1 - 2 * x + 0.5 * x**3  # noqa: E731
    assert np.allclose(cubic(rule.nodes) @ rule.lagrange(at), cubic(at), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("correlation", [-1.0, -0.3, 0.0, 0.9, 1.0])
def test_joint_weights_integrate_products(correlation: float) -> None:
    """E[a^2 b] of a correlated pair by the joint weights, against the two-dimensional rule."""
    rule = coefficient_rule(_sigmoid, 0.5, 2.0, 20)
    weights = joint_weights(rule, _sigmoid, 0.5, 2.0, 2.0 * correlation)
    got = (rule.nodes**2) @ weights @ rule.nodes
    pair = gaussian_pair_mean(lambda e: _sigmoid(e) ** 2, _sigmoid, 0.5, 2.0, 2.0 * correlation)
    assert got == pytest.approx(pair, rel=1e-12)
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)


def test_the_rule_of_a_product_has_the_products_moments() -> None:
    """E[(a b)^n] = E[a^n] E[b^n] for independent factors."""
    a = coefficient_rule(_sigmoid, 0.0, 1.0, 16)
    b = coefficient_rule(np.tanh, 0.3, 2.0, 16)
    product, _ = product_rule([a, b], 20)
    for n in (1, 2, 5):
        expected = float(a.mean(a.nodes**n)) * float(b.mean(b.nodes**n))
        assert product.mean(product.nodes**n) == pytest.approx(expected, rel=1e-11)


def test_the_grid_interpolates_smooth_functions() -> None:
    """Spectral accuracy within the reach, and the ends do not let a point escape."""
    grid = LawGrid(96, 20.0)
    points = np.linspace(-20, 20, 101)
    values = grid.interpolation(points) @ np.tanh(grid.nodes) ** 2
    assert np.abs(values - np.tanh(points) ** 2).max() < 1e-10
    assert np.isfinite(grid.interpolation(np.array([1e9, -1e9]))).all()


def test_the_stationary_law_has_its_closed_second_moment() -> None:
    """E[c^2] = E[beta^2] / (1 - E[alpha^2]) is known without the grid; the weights must give it."""
    reach = AccumulatorStep(get("lstm"), LawGrid(8, 1.0), LAWS, 16).reach()
    step = AccumulatorStep(get("lstm"), LawGrid(96, reach), LAWS, 16)
    _, aa, _, bb = step.coefficient_moments()
    weights, first, second = step.stationary()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert first.sum() == pytest.approx(0.0, abs=1e-12)
    assert second.sum() == pytest.approx(bb / (1 - aa), rel=1e-11)


def test_eigenvalues_of_the_transfer_operator_are_the_gains_moments() -> None:
    """P maps polynomials of degree k to degree k: eigenvalues 1, E[alpha], E[alpha^2]."""
    step = AccumulatorStep(get("lstm"), LawGrid(96, 19.0), LAWS, 16)
    a, aa, _, _ = step.coefficient_moments()
    values = np.sort(np.abs(np.linalg.eigvals(step.matrix)))[::-1]
    assert values[:3] == pytest.approx([1.0, a, aa], rel=1e-6)


def test_evolution_agrees_with_independent_sampling(solved: TransportedLaw) -> None:
    """All thirty steps against a particle solution with 3.2 million units; 2 % off is rejected."""
    data = _setting()[3]
    run = solved.evolve(30)
    worst, control = 0.0, 0.0
    for kind, got in (("second_moment", run.second_moment), ("cross_moment", run.cross_moment)):
        for name, reference in data["limit"][kind].items():
            mean, sem = np.array(reference["mean"]), np.array(reference["sem"])
            worst = max(worst, float(np.abs((got[name] - mean) / sem).max()))
            control = max(control, float(np.abs((1.02 * got[name] - mean) / sem).max()))
    assert worst < Z < control


def test_double_resolution_changes_nothing(solved: TransportedLaw) -> None:
    """The stationary second moments at twice the grid and more nodes: 1e-8 apart at most."""
    at = solved.fixed_point()
    model = solved.model_at(192, 32)
    law = model.stationary(at.second_moment)
    for name, value in at.second_moment.items():
        assert law.second[name] == pytest.approx(value, rel=1e-8)


def test_sampled_units_agree_with_the_transport(solved: TransportedLaw) -> None:
    """Two solvers of one theory; |z| < 5 for 4 numbers (false alarms 2e-6); 5 % off is rejected."""
    cell, ensemble, inputs, _ = _setting()
    units = SampledUnits(cell, ensemble, inputs, "untied", Sampling(units=64_000, seed=3))
    sampled, exact = units.evolve(8), solved.evolve(8)
    controls = []
    for kind in ("second_moment", "cross_moment"):
        for name in ("c", "h"):
            value = getattr(sampled, kind)[name][-1]
            error = sampled.error[kind][name][-1]
            truth = getattr(exact, kind)[name][-1]
            assert abs(value - truth) < Z * error
            controls.append(abs(value - 1.05 * truth) > Z * error)
    assert any(controls)


def test_mean_squared_singular_values_agree_with_simulation(solved: TransportedLaw) -> None:
    """m_1 at horizons 1, 2, 5 against eight networks of width 640, whose bias is O(1/N)."""
    data = _setting()[3]
    assert set(data["simulation"]["jacobian"]) == {"1", "2", "5"}
    for horizon, reference in data["simulation"]["jacobian"].items():
        mean, sem = reference["m"]["mean"][0], reference["m"]["sem"][0]
        got = float(solved.jacobian_moments(int(horizon), 0).mean)
        assert abs(got - mean) < Z * sem + 0.02 * mean


def test_the_rate_of_approach_is_seen_in_the_evolution(solved: TransportedLaw) -> None:
    """xi_q against the ratio of successive gaps of E[h^2] in a long evolution."""
    at, late = solved.fixed_point().second_moment["h"], solved.evolve(40).second_moment["h"]
    ratio = (late[36] - at) / (late[35] - at)
    assert math.exp(-1.0 / solved.timescales().xi_q) == pytest.approx(ratio, rel=2e-3)


def test_one_input_for_both_runs_makes_one_trajectory() -> None:
    """c_x = 1: the stationary correlation is 1 and its slope is chi_1, below 1 here."""
    cell = get("lstm")
    ensemble = cell.ensemble(**{k: {"sigma_w": 1.5, "sigma_v": 0.7} for k in "ifgo"})
    solver = TransportedLaw(cell, ensemble, Inputs(correlation=1.0))
    found, scales = solver.correlation_fixed_point(), solver.timescales()
    assert found.correlation["h"] == pytest.approx(1.0, abs=1e-6)
    assert found.slope == pytest.approx(scales.chi_1, rel=1e-5)


def test_a_cell_at_rest_has_no_correlation_but_a_fixed_point() -> None:
    """No input, no bias: zero is an answer; the correlation of zero is not defined."""
    cell = get("lstm")
    solver = TransportedLaw(cell, cell.ensemble(), Inputs(R=0.0))
    assert solver.fixed_point().second_moment == pytest.approx({"c": 0.0, "h": 0.0}, abs=1e-15)
    with pytest.raises(ConvergenceError, match="not defined"):
        solver.correlation_fixed_point()


def test_the_engine_says_which_solver_it_chose() -> None:
    """Closed moments, transport, sampling: by what the cell allows."""
    chosen = {
        n: MeanField(get(n), tying="untied").method for n in ("minimal", "lstm", "coupled_lstm")
    }
    assert chosen["minimal"] == "closed moments"
    assert chosen["lstm"] == "transport of the law"
    assert chosen["coupled_lstm"] == "sampled units"


def test_cells_of_another_form_are_refused_with_a_reason() -> None:
    """Gain and noise of the coupled gate share a preactivation."""
    cell = get("coupled_lstm")
    model = AccumulatedModel(cell, cell.ensemble(), Inputs(), LawGrid(8, 1.0), 8)
    with pytest.raises(DerivationError, match="not independent"):
        model.check()
