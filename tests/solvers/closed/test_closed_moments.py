"""The untied solver at its edges: divergence, zero, degenerate inputs, several drivers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, cells, relu, sigmoid, tanh
from rnnmft.activations import hard_tanh, identity
from rnnmft.errors import ConvergenceError, ParameterError, Status
from rnnmft.solvers.closed.closed_moments import ClosedMoments, timescale
from rnnmft.solvers.closed.recursion import UntiedRecursion, point_of

h = State("h")
GATED = Preactivation("e", h)


def vanilla(activation=tanh, correlation=0.5, R=1.0, start=0.0, **law):
    cell = cells.vanilla(activation)
    inputs = Inputs(R=R, correlation=correlation)
    return MeanField(cell, cell.ensemble(e=law), inputs, start=start, tying="untied")


def minimal(correlation=0.5, R=1.0, temporal="white", **law):
    cell = cells.minimal()
    return MeanField(cell, cell.ensemble(e=law), Inputs(R, correlation, temporal), tying="untied")


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


def amplifying():
    """E[alpha^2] passes 1 as q grows: beyond some q no state is stationary."""
    f = Preactivation("f", 0)
    return Cell("amplifying", update={h: 2 * sigmoid(GATED) * h + tanh(f)})


class TestDivergence:
    def test_relu_above_its_critical_gain(self):
        mf = vanilla(relu, sigma_w=3.0)
        assert mf.fixed_points() == []
        with pytest.raises(ConvergenceError, match="grows without bound") as caught:
            mf.fixed_point()
        assert caught.value.status is Status.DIVERGES

    def test_every_stationary_quantity_says_so(self):
        mf = vanilla(relu, sigma_w=3.0)
        for ask in (mf.correlation_fixed_point, mf.timescales, mf.gradient_growth, mf.jacobian):
            with pytest.raises(ConvergenceError, match="grows without bound"):
                ask()

    def test_a_trajectory_that_overflows(self):
        found = vanilla(relu, sigma_w=1e6).evolve(30)
        assert found.status is Status.DIVERGES
        second = found.second_moment["h"]
        assert np.isinf(second[-1])
        assert not np.isnan(second).any()
        finite = second[np.isfinite(second)]
        assert (np.diff(finite) > 0).all()

    def test_linear_growth_at_the_critical_gain(self):
        mf = vanilla(relu, sigma_w=math.sqrt(2.0))
        with pytest.raises(ConvergenceError, match="grows without bound"):
            mf.fixed_point()
        path = mf.evolve(50).second_moment["h"]
        np.testing.assert_allclose(np.diff(path), 0.5, rtol=1e-9)

    @pytest.mark.parametrize("below", [1e-2, 1e-5])
    def test_just_below_it(self, below):
        """Q* = sigma_v^2 R / 2 / (1 - sigma_w^2 / 2) and slope sigma_w^2 / 2."""
        mf = vanilla(relu, sigma_w=math.sqrt(2 * (1 - below)))
        fixed = mf.fixed_point()
        exact = 0.5 / below
        assert abs(fixed.second_moment["h"] - exact) <= fixed.error + 1e-10 * exact
        assert abs(fixed.slope - (1 - below)) < 1e-9
        assert fixed.error < 1e-6 * exact


class TestStationarityEnds:
    """h' = 2 sigmoid(e) h + tanh(f): stationary only while E[4 sigmoid^2] < 1."""

    def solve(self, sigma_w, mu_b=-1.0):
        cell = amplifying()
        ensemble = cell.ensemble(e={"sigma_w": sigma_w, "sigma_v": 0.5, "mu_b": mu_b})
        return MeanField(cell, ensemble, Inputs(), tying="untied")

    def test_the_unstable_one_before_the_pole_is_found(self):
        mf = self.solve(0.8)
        first, second = mf.fixed_points()
        assert first.stable
        assert not second.stable
        assert mf.fixed_point().second_moment == first.second_moment
        for fixed in (first, second):
            new = mf.recursion.step(
                fixed.moments[:, None], point_of(mf.recursion.derivation, mf.ensemble, mf.inputs)
            )[0][:, 0]
            np.testing.assert_allclose(new, fixed.moments, rtol=1e-8)

    def test_none_is_left_at_a_larger_gain(self):
        mf = self.solve(3.0)
        assert mf.fixed_points() == []
        with pytest.raises(ConvergenceError, match="grows without bound"):
            mf.fixed_point()

    def test_a_moment_that_does_not_exist(self):
        """E[alpha^2] < 1 < E[alpha^4]: m_1 is finite, E[h^4] and with it m_2 are not."""
        cell = amplifying()
        ensemble = cell.ensemble(e={"sigma_w": 0.2, "sigma_v": 3.0, "mu_b": -2.5})
        found = MeanField(cell, ensemble, Inputs(), tying="untied").jacobian().moments(2)
        assert found.status is Status.DIVERGES
        assert np.isfinite(found.value[0])
        assert np.isinf(found.value[1])


class TestTheZeroState:
    def test_is_stable_below_the_transition(self):
        mf = vanilla(sigma_w=0.9, sigma_v=0.0)
        (only,) = mf.fixed_points()
        assert only.second_moment["h"] == 0.0
        assert only.stable
        assert abs(only.slope - 0.81) < 1e-12
        assert mf.fixed_point().second_moment["h"] == 0.0

    def test_chaos_beside_an_unstable_zero(self):
        """Sompolinsky's transition: from beside zero the recursion reaches a finite variance."""
        mf = vanilla(sigma_w=1.5, sigma_v=0.0, start=1e-3)
        zero, chaotic = mf.fixed_points()
        assert zero.second_moment["h"] == 0.0
        assert zero.status is Status.UNSTABLE
        assert mf.fixed_point().second_moment == chaotic.second_moment
        assert abs(mf.correlation_fixed_point().correlation["h"]) < 1e-12
        assert mf.timescales().chi_1 > 1

    def test_a_correlation_needs_a_variance(self):
        mf = minimal(R=0.0)
        assert mf.fixed_point().second_moment["h"] == 0.0
        with pytest.raises(ConvergenceError, match="not defined") as caught:
            mf.correlation_fixed_point()
        assert caught.value.status is Status.UNDEFINED
        path = mf.evolve(3)
        assert path.status is Status.UNDEFINED
        assert np.isnan(path.correlation["h"]).all()
        assert (path.second_moment["h"] == 0).all()

    def test_gradients_at_zero(self):
        mf = minimal(R=0.0, sigma_b=0.5, sigma_w=2.0)
        assert float(mf.jacobian().mean) == pytest.approx(math.exp(float(mf.gradient_growth())))
        assert mf.jacobian().moments(2).status.ok


class TestCorrelations:
    @pytest.mark.parametrize("sigma_w", [0.9, 1.3, 3.0])
    def test_identical_inputs(self, sigma_w):
        """c = 1 is a fixed point; in the chaotic phase unrelated trajectories do not reach it."""
        mf = vanilla(sigma_w=sigma_w, sigma_v=0.3, correlation=1.0)
        chi_1 = mf.timescales().chi_1
        found = mf.correlation_fixed_point()
        if chi_1 < 1:
            assert found.correlation["h"] == pytest.approx(1.0, abs=1e-12)
            assert abs(found.slope - chi_1) < 1e-8
        else:
            assert found.correlation["h"] < 1 - 1e-4
            (at_one,) = (slope for c, slope in found.others if c["h"] > 1 - 1e-12)
            assert abs(at_one - chi_1) < 1e-8

    def test_weak_chaos_just_below_one(self):
        """The root c* near 1 is not lost beside the root at 1."""
        mf = vanilla(sigma_w=1.2, sigma_v=0.5, correlation=1.0)
        assert 1 < mf.timescales().chi_1 < 1.1 or mf.timescales().chi_1 < 1
        gains = np.linspace(1.2, 2.0, 9)
        for sigma_w in gains:
            mf = vanilla(sigma_w=sigma_w, sigma_v=0.5, correlation=1.0)
            found = mf.correlation_fixed_point()
            assert (found.correlation["h"] < 1 - 1e-9) == (mf.timescales().chi_1 > 1)

    def test_opposite_inputs_of_an_odd_cell(self):
        mf = vanilla(sigma_w=0.9, sigma_v=0.5, correlation=-1.0)
        assert mf.correlation_fixed_point().correlation["h"] == pytest.approx(-1.0, abs=1e-12)
        np.testing.assert_allclose(mf.evolve(5).correlation["h"], -1.0, rtol=1e-12)

    def test_opposite_inputs_of_a_gated_cell(self):
        mf = minimal(correlation=-1.0, sigma_w=3.0)
        found = mf.correlation_fixed_point()
        assert -1 < found.correlation["h"] < 0
        late = mf.evolve(60).correlation["h"][-1]
        assert abs(late - found.correlation["h"]) < 1e-8

    def test_identical_inputs_stay_together(self):
        path = minimal(correlation=1.0, sigma_w=2.0).evolve(20)
        np.testing.assert_allclose(path.correlation["h"], 1.0, rtol=1e-12)

    @pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
    def test_the_late_recursion_ends_there(self, correlation):
        mf = minimal(correlation=correlation, sigma_w=3.0, mu_b=0.5, sigma_b=0.4)
        found, path = mf.correlation_fixed_point(), mf.evolve(80)
        assert abs(path.correlation["h"][-1] - found.correlation["h"]) < 1e-9

    def test_without_input_weights(self):
        """sigma_v = 0: the input still enters the minimalRNN elementwise."""
        mf = minimal(sigma_v=0.0, sigma_w=2.0, correlation=0.7)
        path = mf.evolve(80)
        assert abs(path.second_moment["h"][-1] - mf.fixed_point().second_moment["h"]) < 1e-9
        assert abs(path.correlation["h"][-1] - mf.correlation_fixed_point().correlation["h"]) < 1e-9


class TestDrivers:
    def test_a_cell_whose_variances_need_no_state(self):
        cell = cells.min_gru()
        mf = MeanField(cell, cell.ensemble(), Inputs(), tying="untied")
        assert mf.recursion.drivers == []
        assert mf.recursion.cross_drivers == []
        late = mf.evolve(100)
        assert abs(late.second_moment["h"][-1] - mf.fixed_point().second_moment["h"]) < 1e-10
        correlation = mf.correlation_fixed_point().correlation["h"]
        assert abs(late.correlation["h"][-1] - correlation) < 1e-10

    def test_several_drivers(self):
        cell = two_states()
        mf = MeanField(
            cell, cell.ensemble(e={"mu_b": 0.3}, f={"mu_b": -0.2}), Inputs(), tying="untied"
        )
        assert len(mf.recursion.drivers) == 2
        fixed, late = mf.fixed_point(), mf.evolve(100)
        correlation = mf.correlation_fixed_point()
        left = 10 * max(fixed.slope, correlation.slope) ** 100  # the slowest mode after 100 steps
        assert left < 1e-6
        for name in ("a", "b"):
            assert abs(late.second_moment[name][-1] - fixed.second_moment[name]) < left
            assert abs(late.mean[name][-1] - fixed.mean[name]) < left
            assert abs(late.correlation[name][-1] - correlation.correlation[name]) < left
        assert mf.jacobian().moments(2).status.ok

    def test_a_driver_that_only_a_variance_needs(self):
        a, b = State("a"), State("b")
        e, f = Preactivation("e", a + b), Preactivation("f", a - sp.Rational(1, 2))
        cell = Cell("sum", update={a: tanh(e), b: tanh(f)})
        mf = MeanField(
            cell, cell.ensemble(e={"mu_b": 0.2}), Inputs(correlation=0.3), tying="untied"
        )
        fixed, late = mf.fixed_point(), mf.evolve(80)
        for name in ("a", "b"):
            assert abs(late.second_moment[name][-1] - fixed.second_moment[name]) < 1e-9
        assert mf.correlation_fixed_point().slope < 1


class TestNearTangency:
    def test_roots_come_and_go_in_pairs(self):
        """Towards the saddle-node of the minimalRNN near mu_b = 4.6 no root is lost alone."""
        cell, counts = cells.minimal(), []
        for mu_b in np.linspace(4.582, 4.622, 21):
            ensemble = cell.ensemble(e={"sigma_w": 6.88, "sigma_v": 1.39, "mu_b": mu_b})
            found = MeanField(cell, ensemble, Inputs(R=0.4616), tying="untied").fixed_points()
            assert [f.stable for f in found] == [True, False, True][: len(found)]
            counts.append(len(found))
        assert set(counts) == {1, 3}
        assert counts[0] == counts[-1] == 1
        changes = [i for i in range(20) if counts[i] != counts[i + 1]]
        assert len(changes) == 2


def hold(coarse, fine):
    """Every quantity of one record is another's, within the bounds of both."""
    assert coarse
    for name, found in coarse.items():
        exact = fine[name]
        assert found.error_kind == "bound"
        assert found.status is Status.OK, name
        assert np.shape(found.error) == np.shape(found.value), name
        off = np.abs(np.asarray(found) - np.asarray(exact))
        assert (off <= found.error + exact.error).all(), name


class TestErrors:
    @pytest.mark.parametrize("name", ["minimal", "gru", "vanilla"])
    def test_bounds_hold_at_a_coarse_tolerance(self, name):
        """Against the same solver at a fine tolerance, whose own bounds are added."""
        cell = cells.get(name)
        laws = {p.name: {"sigma_w": 2.0, "mu_b": 0.4} for p in cell.preactivations}
        solvers = []
        for rtol in (1e-4, 1e-12):
            solver = ClosedMoments(cell, cell.ensemble(**laws), Inputs(correlation=0.3))
            solver.recursion = UntiedRecursion(solver.recursion.derivation, "numpy", rtol)
            solvers.append(solver)
        coarse, fine = solvers
        for ask in ("fixed_point", "correlation_fixed_point", "timescales"):
            hold(*(getattr(solver, ask)().quantities() for solver in solvers))
        hold(coarse.evolve(12).quantities(), fine.evolve(12).quantities())
        m, n = (solver.jacobian_moments(1, 0).known(2) for solver in solvers)
        hold({"moments": m}, {"moments": n})

    def test_bounds_are_not_idle(self):
        found = minimal(sigma_w=4.0).evolve(10)
        bound = found.error["second_moment"]["h"]
        assert (bound > 0).all()
        assert (bound < 1e-9).all()


class TestJacobians:
    def test_mean_over_steps_is_a_power(self):
        mf = minimal(sigma_w=3.0)
        one = float(mf.jacobian(1).mean)
        for horizon in (2, 7):
            assert float(mf.jacobian(horizon).mean) == pytest.approx(one**horizon, rel=1e-9)
        assert float(mf.gradient_growth()) == pytest.approx(math.log(one), abs=1e-9)

    def test_hard_tanh_is_bernoulli(self):
        """phi'^2 = phi': m_k of orthogonal weights are sigma_w^{2k} P(|e| < 1)."""
        cell = cells.vanilla(hard_tanh)
        mf = MeanField(
            cell, cell.ensemble(e={"sigma_w": 1.2}, weights="orthogonal"), Inputs(), tying="untied"
        )
        q = mf.fixed_point().preactivation_variance["e"]
        inside = math.erf(1 / math.sqrt(2 * q))
        found = mf.jacobian().moments(3)
        expected = [1.2 ** (2 * k) * inside for k in (1, 2, 3)]
        np.testing.assert_allclose(found.value, expected, rtol=1e-9)

    def test_linear_cell(self):
        mf = vanilla(identity, sigma_w=0.9)
        found = mf.jacobian().moments(4)
        catalan = [1, 2, 5, 14]
        expected = [c * 0.81**k for k, c in enumerate(catalan, 1)]
        np.testing.assert_allclose(found.value, expected, rtol=1e-12)
        assert mf.fixed_point().second_moment["h"] == pytest.approx(1 / (1 - 0.81))


@pytest.mark.parametrize(
    ("slope", "expected"), [(0.0, 0.0), (math.exp(-0.1), 10.0), (1.0, math.inf), (1.2, math.inf)]
)
def test_timescale(slope, expected):
    assert timescale(slope) == pytest.approx(expected)


def test_an_elementwise_input_with_a_given_autocorrelation_is_refused():
    with pytest.raises(ParameterError, match="temporal"):
        minimal(temporal=(1.0, 0.5))


def test_an_ensemble_of_another_cell_is_refused():
    with pytest.raises(ParameterError, match="made for another cell"):
        MeanField(cells.gru(), cells.minimal().ensemble(), Inputs(), tying="untied")
