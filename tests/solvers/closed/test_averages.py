"""Averages over units where moments close: a normalised linear cell by hand, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, Status, cells, tanh
from rnnmft.cells import Average
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.closed.given_laws import ClosedLaws
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.two_time.gaussian_states import GaussianStates
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel

LAW = {"sigma_w": 0.9, "sigma_v": 0.6, "mu_b": 0.3, "sigma_b": 0.4}
INPUTS = Inputs(R=0.8, correlation=0.5)
h = State("h")


def normalised(of: str) -> Cell:
    """h' = e / sqrt(E[e^2]), or e = W h / sqrt(E[h^2]) + .."""
    if of == "preactivation":
        e = Preactivation("e", h)
        return Cell("linear", update={h: e / sp.sqrt(Average("square", e**2))})
    size = sp.sqrt(Average("square", h**2) + sp.Float(1e-30))
    return Cell("linear", update={h: Preactivation("e", h / size)})


def by_hand(of: str) -> dict[str, float]:
    """Stationary Q, q, c and chi_1.

    Q' = (q + mu^2) / n and Q_ab' = (q_ab + mu^2) / n, where n normalises what W sees or gives.
    """
    constant = LAW["sigma_b"] ** 2 + LAW["mu_b"] ** 2
    drive, square = LAW["sigma_v"] ** 2 * INPUTS.R, LAW["sigma_w"] ** 2
    total = square + drive + constant
    c = (INPUTS.correlation * drive + constant) / (drive + constant)
    return {
        "Q": 1.0 if of == "preactivation" else total,
        "q": total - LAW["mu_b"] ** 2,
        "c": c,
        "chi": square / total,
    }


@pytest.mark.parametrize("of", ["preactivation", "state"])
def test_a_normalised_linear_cell_is_met_by_hand(of: str) -> None:
    cell, exact = normalised(of), by_hand(of)
    field = MeanField(cell, cell.ensemble(e=LAW), INPUTS, tying="untied")
    at = field.fixed_point()
    assert at.status is Status.OK
    assert at.second_moment["h"] == pytest.approx(exact["Q"], rel=1e-12)
    assert at.preactivation_variance["e"] == pytest.approx(exact["q"], rel=1e-12)
    found = field.correlation_fixed_point()
    assert found.correlation["h"] == pytest.approx(exact["c"], rel=1e-10)
    assert found.slope == pytest.approx(exact["chi"], rel=1e-10)
    times = field.timescales()
    assert times.chi_1 == pytest.approx(exact["chi"], rel=1e-10)
    assert float(field.gradient_growth()) == pytest.approx(math.log(exact["chi"]), rel=1e-10)
    size = exact["q"] + LAW["mu_b"] ** 2
    assert at.average["square"] == pytest.approx(size if of == "preactivation" else exact["Q"])
    assert at.quantity("average", "square").error <= 1e-12
    # What is normalised has forgotten its size after a step.
    assert times.xi_q == 0.0
    run = field.evolve(4)
    assert run.second_moment["h"][1:] == pytest.approx(exact["Q"], rel=1e-12)
    assert run.average["square"][2:] == pytest.approx(at.average["square"], rel=1e-12)
    assert run.quantity("average", "square").status is Status.OK


def test_no_fixed_point_is_approached_from_where_nothing_is_a_number() -> None:
    """0 / 0 at the zero state; away from it the same cell has a fixed point."""
    size = sp.sqrt(Average("square", h**2))
    cell = Cell("c", update={h: tanh(Preactivation("e", h / size))})
    setting = cell, cell.ensemble(e=LAW), INPUTS, "untied"
    with pytest.raises(ConvergenceError):
        MeanField(*setting).fixed_point()
    assert MeanField(*setting).evolve(2).status is not Status.OK
    assert MeanField(*setting, start=1.0).fixed_point().status is Status.OK


def test_the_slope_of_the_moments_moves_with_the_averages() -> None:
    """Against differences of the map; with the average held fixed it would be another."""
    size = Average("size", h**2)
    e = Preactivation("e", h)
    cell = Cell("c", update={h: tanh(e) / (1 + size)})
    solver = ClosedMoments(cell, cell.ensemble(e=LAW | {"sigma_w": 3.0}), INPUTS)
    recursion, point, step = solver.recursion, solver.point, 1e-6
    at = np.array([[0.2]])
    up, down = (recursion.step(at + d, point).new[0, 0] for d in (step, -step))
    slope = recursion.slope(at, point)[0, 0, 0]
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-7)
    assert slope < 0.0 < solver.recursion.cross_slope(at * 0.5, at, point)[0, 0, 0]


METHODS = [TwoTimeKernel, GaussianStates, TransportedLaw]


@pytest.mark.parametrize("solver", METHODS, ids=lambda s: s.__name__)
def test_methods_without_averages_say_so(solver: type) -> None:
    cell = normalised("preactivation")
    with pytest.raises(DerivationError, match="averages over units"):
        solver(cell, cell.ensemble(e=LAW), INPUTS)


def test_given_laws_need_averages_that_follow_from_them() -> None:
    cell = cells.get("layer_norm_minimal")
    found = ClosedLaws(cell, INPUTS).at({"e": 1.3}, {"e": 0.2})
    # Whatever the law of e, the gate sees a standard normal variable.
    assert found.second["h"] == pytest.approx(
        ClosedLaws(cells.minimal(), INPUTS).at({"e": 1.0}, {"e": 0.0}).second["h"], rel=1e-4
    )
    size = Average("size", h**2)
    fed = Cell("c", update={h: tanh(Preactivation("e", h)) / (1 + size)})
    with pytest.raises(DerivationError, match="'size' of cell 'c' depends on the states"):
        ClosedLaws(fed, INPUTS)


def shifted() -> Cell:
    """h' = tanh(e - 2 m), m the mean of h: bounded, and m changes its sign at every step."""
    return Cell("shifted", update={h: tanh(Preactivation("e", h) - 2 * Average("m", h))})


def test_a_mean_that_changes_its_sign_does_not_grow_without_bound() -> None:
    """From 1e-9 it rises by 3 % a step, and swings for ever: h^2 < 1 at any time."""
    law = {"sigma_w": 1.0, "sigma_v": 0.6, "sigma_b": 0.13, "mu_b": 1e-9}
    setting = (shifted(), shifted().ensemble(e=law), Inputs(R=2.375))
    with pytest.raises(ConvergenceError) as raised:
        MeanField(*setting, tying="untied").fixed_point()
    assert raised.value.status is Status.NO_FIXED_POINT


def test_a_mean_that_alternates_is_no_fixed_point_of_sampled_units() -> None:
    law = {"sigma_w": 1.2, "sigma_v": 0.5, "sigma_b": 0.3, "mu_b": 0.2}
    setting = (shifted(), shifted().ensemble(e=law), Inputs(R=0.5))
    theory = MeanField(*setting, tying="tied", particles=1 << 12)
    with pytest.raises(ConvergenceError, match="alternate between two values") as raised:
        theory.fixed_point()
    assert raised.value.status is Status.NO_FIXED_POINT
