"""Activations with a linear variance map: fixed points, gradients and statuses, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from rnnmft import (
    Inputs,
    MeanField,
    cells,
    exp,
    hard_tanh,
    identity,
    leaky_relu,
    phase_diagram,
    relu,
    silu,
    sin,
    tanh,
)
from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.closed.bounds import largest_square
from rnnmft.solvers.closed.homogeneous import Homogeneous, homogeneous

# phi and E[phi^2] / q.
LINEAR = [(relu, 0.5), (leaky_relu, 0.50005), (identity, 1.0)]
by_activation = pytest.mark.parametrize(
    ("activation", "a"), LINEAR, ids=["relu", "leaky_relu", "identity"]
)
both_tyings = pytest.mark.parametrize("tying", ["tied", "untied"])


def field(activation, tying="tied", R=1.0, start=0.0, **law):
    cell = cells.vanilla(activation)
    return MeanField(cell, cell.ensemble(e=law), Inputs(R=R), tying, start=start)


class TestWhatIsHomogeneous:
    def test_of_the_activations(self):
        assert homogeneous(cells.vanilla(relu)) == Homogeneous(1.0, 0.0)
        assert homogeneous(cells.vanilla(leaky_relu)) == Homogeneous(1.0, 0.01)
        assert homogeneous(cells.vanilla(identity)) == Homogeneous(1.0, 1.0)
        for other in (tanh, hard_tanh, silu, sin, exp):
            assert homogeneous(cells.vanilla(other)) is None

    def test_of_ones_own(self):
        found = homogeneous(cells.vanilla(lambda e: 2 * relu(e) - relu(-e) / 2))
        assert found is not None
        assert (found.right, found.left) == (2.0, 0.5)
        assert found.mean_square == pytest.approx(2.125, rel=1e-15)

    def test_what_remembers_or_is_shifted_is_none(self):
        assert homogeneous(cells.leaky_rnn(activation=relu)) is None
        assert homogeneous(cells.vanilla(lambda e: relu(e + sp.Rational(1, 10)))) is None
        assert homogeneous(cells.gru()) is None


class TestFixedPoints:
    @both_tyings
    @by_activation
    def test_below_criticality(self, activation, a, tying):
        """q* = sigma_v^2 R + sigma_b^2 over 1 - sigma_w^2 a."""
        for part in (0.3, 0.9, 0.999):
            law = {"sigma_w": math.sqrt(part / a), "sigma_v": 0.7, "sigma_b": 0.2}
            found = field(activation, tying, R=1.5, **law).fixed_point()
            exact = (0.49 * 1.5 + 0.04) / (1 - part)
            assert found.preactivation_variance["e"] == pytest.approx(exact, rel=1e-9)
            assert abs(found.second_moment["h"] - a * exact) <= found.error + 1e-12 * exact
            assert found.slope == pytest.approx(part, rel=1e-12)
            assert found.status is Status.OK

    @both_tyings
    @by_activation
    def test_without_a_drive_zero_is_stable_below_and_left_above(self, activation, a, tying):
        """gap / q is constant: each point looks like a tangency."""
        below = field(activation, tying, sigma_w=math.sqrt(0.98 / a), sigma_v=0.0)
        assert below.fixed_point().second_moment == {"h": 0.0}
        assert below.fixed_point().slope == pytest.approx(0.98, rel=1e-12)
        assert float(below.gradient_growth()) == pytest.approx(math.log(0.98), rel=1e-9)
        for part in (1.002, 1.2, 4.0):
            law = {"sigma_w": math.sqrt(part / a), "sigma_v": 0.0}
            stays = field(activation, tying, **law).fixed_point()
            assert stays.second_moment == {"h": 0.0}
            assert stays.status is Status.UNSTABLE
            assert stays.slope == pytest.approx(part, rel=1e-12)
            with pytest.raises(ConvergenceError) as caught:
                field(activation, tying, start=1e-3, **law).fixed_point()
            assert caught.value.status is Status.DIVERGES

    @by_activation
    def test_above_with_a_drive(self, activation, a):
        for part in (1.002, 1.2, 4.0, 100.0):
            above = field(activation, sigma_w=math.sqrt(part / a), sigma_v=0.01)
            with pytest.raises(ConvergenceError, match="unstable") as caught:
                above.fixed_point()
            assert caught.value.status is Status.DIVERGES
            assert above.fixed_points() == []

    def test_a_mean_makes_it_curved(self):
        """E[relu^2] about a mean, by closed form; the slope is sigma_w^2 Phi(mu / sqrt q)."""
        found = field(relu, sigma_w=1.2, mu_b=0.5).fixed_point()
        q = found.preactivation_variance["e"]
        m = 0.5 / math.sqrt(q)
        Phi = 0.5 * math.erfc(-m / math.sqrt(2))
        density = math.exp(-m * m / 2) / math.sqrt(2 * math.pi)
        square = (q + 0.25) * Phi + 0.5 * math.sqrt(q) * density
        assert q == pytest.approx(1.44 * square + 1.0, rel=1e-11)
        assert found.slope == pytest.approx(1.44 * Phi, rel=1e-10)


class TestAtCriticality:
    @both_tyings
    @by_activation
    def test_the_second_moment_grows_linearly_and_gradients_are_known(self, activation, a, tying):
        found = field(activation, tying, sigma_w=math.sqrt(1 / a), sigma_v=0.3)
        with pytest.raises(ConvergenceError, match="only linearly") as caught:
            found.fixed_point()
        assert caught.value.status is Status.DIVERGES
        with pytest.raises(ConvergenceError, match="grows without bound"):
            found.correlation_fixed_point()
        growth, times = found.gradient_growth(), found.timescales()
        assert abs(float(growth)) <= growth.error
        assert growth.status is times.status is Status.OK
        assert times.xi_q == times.xi_c == math.inf
        assert times.chi_1 == pytest.approx(1.0, abs=1e-12)
        path = found.evolve(40).second_moment["h"]
        np.testing.assert_allclose(path, a * 0.09 * np.arange(1, 41), rtol=1e-10)

    @pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
    @by_activation
    def test_the_jacobian_of_many_steps(self, activation, a, weights):
        """m_1(T) = 1, sigma^2(T) = T (E[D^4] / a^2 - 1), and T more if gaussian."""
        cell = cells.vanilla(activation)
        ensemble = cell.ensemble(weights, e={"sigma_w": math.sqrt(1 / a), "sigma_v": 0.1})
        found = MeanField(cell, ensemble, tying="tied")
        fourth = {relu: 0.5, leaky_relu: (1 + 1e-8) / 2, identity: 1.0}[activation]
        one = fourth / a**2 - (weights == "orthogonal")
        for T in (1, 7, 50):
            law = found.jacobian(T)
            assert float(law.mean) == pytest.approx(1.0, abs=1e-11)
            assert float(law.variance) == pytest.approx(T * one, rel=1e-9, abs=1e-9)

    @both_tyings
    @by_activation
    def test_without_a_drive_every_second_moment_stays(self, activation, a, tying):
        law = {"sigma_w": math.sqrt(1 / a), "sigma_v": 0.0}
        found = field(activation, tying, start=0.3, **law)
        with pytest.raises(ConvergenceError, match="neither decays nor grows") as caught:
            found.fixed_point()
        assert caught.value.status is Status.NO_FIXED_POINT
        assert abs(float(found.gradient_growth())) < 1e-11
        np.testing.assert_allclose(found.evolve(30).second_moment["h"], 0.09, rtol=1e-12)
        zero = field(activation, tying, **law)
        assert zero.fixed_point().second_moment == {"h": 0.0}
        assert abs(float(zero.gradient_growth())) < 1e-11

    def test_a_mean_that_is_not_scale_free_has_no_such_answer(self):
        found = field(relu, sigma_w=math.sqrt(2.0), mu_b=0.5)
        for ask in (found.gradient_growth, found.timescales, found.jacobian):
            with pytest.raises(ConvergenceError) as caught:
                ask()
            assert caught.value.status is Status.DIVERGES

    def test_the_identity_may_have_a_mean(self):
        found = field(identity, sigma_w=1.0, sigma_v=0.3, mu_b=0.5)
        assert abs(float(found.gradient_growth())) < 1e-11
        path = found.evolve(5).preactivation_variance["e"]
        np.testing.assert_allclose(path, 0.09 * np.arange(1, 6) + 0.25 * np.arange(5), rtol=1e-12)


@both_tyings
def test_a_phase_diagram_across_the_threshold(tying):
    gains = [0.5, 1.0, 1.2, math.sqrt(2.0), 1.5, 3.0]
    names = ["second_moment", "gradient_growth", "xi_q", "m_2"]
    cell = cells.vanilla(relu)
    found = phase_diagram(cell, vary={("e", "sigma_w"): gains}, quantities=names, tying=tying)
    status = found.status.sel(quantity="second_moment").values.tolist()
    assert status == ["OK"] * 3 + ["DIVERGES"] * 3
    growth = found.status.sel(quantity="gradient_growth").values.tolist()
    assert growth == ["OK"] * 4 + ["DIVERGES"] * 2
    w = np.array(gains[:3]) ** 2 / 2
    np.testing.assert_allclose(found.second_moment.values[0, :3], 0.5 / (1 - w), rtol=1e-9)
    np.testing.assert_allclose(found.gradient_growth.values[:3], np.log(w), rtol=1e-9)
    np.testing.assert_allclose(found.xi_q.values[:4], [*(-1 / np.log(w)), np.inf], rtol=1e-9)


class TestLongTrajectories:
    def test_a_thousand_steps_end_where_nothing_changes(self):
        """The map contracts by 0.49 a step: of 1000 steps some 60 are taken."""
        found = field(relu, sigma_w=math.sqrt(0.98), sigma_v=1.0).evolve(1000)
        exact = 0.5 * (1 - 0.49 ** np.arange(1, 1001)) / 0.51
        np.testing.assert_allclose(found.second_moment["h"], exact, rtol=1e-11)
        assert len(found.correlation["h"]) == 1000
        assert found.status is Status.OK

    def test_what_still_moves_is_followed(self):
        """The control: by 0.99 a step, so that the last of 200 steps still counts."""
        found = field(identity, sigma_w=math.sqrt(0.99), sigma_v=1.0).evolve(200)
        exact = (1 - 0.99 ** np.arange(1, 201)) / 0.01
        np.testing.assert_allclose(found.second_moment["h"], exact, rtol=1e-11)


class TestOtherActivations:
    def test_the_zero_state_of_a_kinked_one(self):
        """hard_tanh' is 1 around zero; its kinks are elsewhere, and their density there is 0."""
        found = field(hard_tanh, sigma_w=0.8, sigma_v=0.0)
        assert found.fixed_point().slope == pytest.approx(0.64, rel=1e-12)
        assert float(found.gradient_growth()) == pytest.approx(2 * math.log(0.8), rel=1e-9)
        above = field(hard_tanh, sigma_w=1.2, sigma_v=0.0, start=0.1)
        assert above.fixed_point().second_moment["h"] > 0.1

    @pytest.mark.parametrize("gain", [0.3, 1.0, 1.5, 10.0])
    def test_a_sine(self, gain):
        """Q = (1 - exp(-2 q)) / 2; its averages over wide Gaussians are not needed, Q < 1."""
        found = field(sin, sigma_w=gain, sigma_v=0.1).fixed_point()
        q = found.preactivation_variance["e"]
        assert found.second_moment["h"] == pytest.approx(0.5 * -math.expm1(-2 * q), rel=1e-10)
        assert found.slope == pytest.approx(gain**2 * math.exp(-2 * q), rel=1e-8, abs=1e-14)

    def test_a_sine_without_a_drive_has_no_root_where_its_average_is_unknown(self):
        """At sigma_w = 1, (1 - exp(-2 Q)) / 2 = Q at zero alone: a bracket closed on a jump."""
        found = field(sin, sigma_w=1.0, sigma_v=0.0)
        assert [f.second_moment["h"] for f in found.fixed_points()] == [0.0]

    def test_an_exponential(self):
        """Q = exp(2 sigma_w^2 Q), twice by Lambert's W below sigma_w^2 = 1 / (2 e), never above."""
        square = 0.1
        both = field(exp, sigma_w=math.sqrt(square), sigma_v=0.0).fixed_points()
        exact = [float(-sp.LambertW(-2 * square, k) / (2 * square)) for k in (0, -1)]
        assert [f.second_moment["h"] for f in both] == pytest.approx(exact, rel=1e-9)
        assert [f.stable for f in both] == [True, False]
        with pytest.raises(ConvergenceError) as caught:
            field(exp, sigma_w=0.5, sigma_v=0.0).fixed_point()
        assert caught.value.status is Status.DIVERGES

    def test_bounds(self):
        assert largest_square(cells.vanilla(sin)) == pytest.approx(1.0, abs=1e-5)
        assert largest_square(cells.vanilla(relu)) >= 1e10
        assert largest_square(cells.vanilla(exp)) == math.inf
        assert largest_square(cells.gru()) == math.inf
