"""Critical vanilla networks with every activation: what they are, or why there are none.

The forward theory, which shares no code with the solution, agrees; finite networks are drawn in
`tests/initialization/test_living_networks.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import ndtri

import rnnmft as mft
from rnnmft import Inputs, MeanField, cells, critical
from rnnmft.errors import ConvergenceError, InfeasibleError, ParameterError, Status
from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.compile import compile_elementwise

# phi, and E[phi'^2] where phi is positively homogeneous.
LINEAR = {"relu": 0.5, "leaky_relu": 0.50005, "identity": 1.0}
SETTLING = [
    *("tanh", "sigmoid", "erf", "gaussian_cdf", "softsign", "sin", "hard_sigmoid"),
    *("hard_tanh", "silu", "gelu"),
]
NONE = ["exp", "softplus"]
# Saturating, with kinks, nearly a ReLU; the others take longer in all.
FAST = ("tanh", "hard_tanh", "silu")
settling = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in SETTLING]
)
# Whose correlation time cannot be had at criticality.
NOT_SLOW = ["sigmoid", "gaussian_cdf", "hard_sigmoid", "silu", "gelu"]

both_tyings = pytest.mark.parametrize("tying", ["tied", "untied"])
versions = pytest.mark.parametrize(
    ("tying", "weights"), [("tied", "orthogonal"), ("untied", "gaussian")]
)


def vanilla(name):
    return cells.vanilla(getattr(mft, name))


class TestSettling:
    @versions
    @settling
    def test_the_zero_state_comes_to_the_critical_state(self, name, tying, weights):
        init = critical(vanilla(name), weights=weights, tying=tying, horizon=50)
        forward = MeanField(vanilla(name), init.ensemble, tying=tying)
        fixed = forward.fixed_point()
        assert fixed.preactivation_variance["e"] == pytest.approx(
            init.design.choices["e"].q, rel=1e-6
        )
        assert fixed.slope < 1.0
        assert fixed.second_moment["h"] > 1e-3
        assert init.ensemble["e"].sigma_v > 0
        assert abs(float(forward.gradient_growth())) < 1e-6
        # No larger state is unstable: nothing to explode beyond.
        assert forward.fixed_points()[-1].stable

    @settling
    def test_gradients_live_on_the_way_from_zero(self, name):
        """sum of log10 sigma_w^2 E[phi'^2] over 50 steps, by averages of normal quantiles."""
        init = critical(vanilla(name), tying="untied", horizon=50)
        theory = MeanField(vanilla(name), init.ensemble, tying="untied")
        q = theory.evolve(50).preactivation_variance["e"]
        total = sum(math.log10(_mean_square_slope(name, init.ensemble["e"], v)) for v in q)
        assert total > -0.6

    @pytest.mark.slow
    @pytest.mark.parametrize("name", [n for n in SETTLING if n not in NOT_SLOW])
    def test_a_timescale_of_the_horizon(self, name):
        init = critical(vanilla(name), tying="untied", objective="timescale", horizon=30)
        assert init.timescales("untied").xi_c == pytest.approx(30, rel=2e-3)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NOT_SLOW)
    def test_a_timescale_that_cannot_be_had(self, name):
        with pytest.raises(
            InfeasibleError, match="xi_c that was asked for is not reached"
        ) as caught:
            critical(vanilla(name), tying="untied", objective="timescale", horizon=100)
        assert caught.value.nearest["e", "q"] >= 15

    @pytest.mark.parametrize("name", ["silu", pytest.param("gelu", marks=pytest.mark.slow)])
    def test_where_they_are_nearly_a_relu(self, name):
        """Below sqrt 2: at large q phi is a ReLU, and any sigma_w above it would explode."""
        init = critical(vanilla(name), tying="tied", horizon=50)
        assert 1.38 < init.ensemble["e"].sigma_w < math.sqrt(2)
        with pytest.raises(InfeasibleError, match=r"fix|settles") as caught:
            critical(vanilla(name), tying="tied", horizon=50, fix={"e": {"q": 1.0}})
        assert caught.value.inequality == "slope of the moment map < 1"
        with pytest.raises(InfeasibleError, match="nearest") as caught:
            critical(vanilla(name), tying="tied", horizon=50, objective="fixed")
        (q,) = caught.value.nearest.values()
        near = critical(
            vanilla(name), tying="tied", horizon=50, objective="fixed", fix={"e": {"q": q}}
        )
        assert near.ensemble["e"].sigma_w > 0


class TestNone:
    @both_tyings
    @pytest.mark.parametrize("objective", ["isometry", "timescale", "fixed"])
    @pytest.mark.parametrize("name", NONE)
    def test_is_refused_with_a_sentence(self, name, objective, tying):
        with pytest.raises(InfeasibleError, match=r"settles|leaves room|is less than"):
            critical(vanilla(name), tying=tying, objective=objective, horizon=50)

    def test_an_exponential_feeds_back_twice(self):
        """phi phi'' = phi'^2: the slope is 2 wherever m_1 = 1."""
        with pytest.raises(InfeasibleError, match="is 2 at the least"):
            critical(vanilla("exp"), tying="untied", horizon=50)

    @pytest.mark.parametrize("mu_b", [-2.0, -4.0])
    def test_nor_does_a_mean_help_a_softplus(self, mu_b):
        """phi phi'' > 0 everywhere."""
        with pytest.raises(InfeasibleError, match="slope of the variance map"):
            critical(vanilla("softplus"), tying="untied", horizon=50, fix={"e": {"mu_b": mu_b}})


class TestLinear:
    @pytest.mark.parametrize("objective", ["isometry", "timescale", "fixed"])
    @versions
    @pytest.mark.parametrize("name", LINEAR)
    def test_the_variance_is_wanted_at_the_horizon(self, name, tying, weights, objective):
        init = critical(
            vanilla(name), Inputs(R=0.5), weights, tying, objective=objective, horizon=50
        )
        law = init.ensemble["e"]
        assert law.sigma_w == pytest.approx(1 / math.sqrt(LINEAR[name]), rel=1e-12)
        assert law.sigma_v**2 * 0.5 == pytest.approx(1 / 50, rel=1e-12)
        assert init.variance_growth == pytest.approx(1 / 50, rel=1e-12)
        assert init.chi == pytest.approx(1.0, abs=1e-12)
        assert abs(float(init.growth())) < 1e-11
        assert float(init.mean_square(50)) == pytest.approx(1.0, abs=1e-10)
        assert "a free choice, to 1 after 50 steps" in repr(init)

    def test_its_report_says_so(self):
        report = critical(vanilla("identity"), tying="tied", horizon=20).report()
        assert "no variance is stationary" in report
        assert "| q of e after 20 steps | 1 | 1 |" in report
        assert "| xi_c, steps | inf |" in report

    @pytest.mark.parametrize("name", LINEAR)
    def test_the_forward_theory_agrees(self, name):
        init = critical(vanilla(name), tying="tied", horizon=30, fix={"e": {"q": 2.5}})
        path = init.theory().evolve(60).preactivation_variance["e"]
        np.testing.assert_allclose(path, 2.5 * np.arange(1, 61) / 30, rtol=1e-9)

    @pytest.mark.parametrize(
        ("fix", "R", "wanted"),
        [
            ({"q": 3.0}, 1.0, {"sigma_v": math.sqrt(0.3)}),
            ({"sigma_v": 0.5}, 2.0, {"sigma_b": 0.0}),
            ({"sigma_b": 0.2}, 1.0, {"sigma_v": math.sqrt(0.06)}),
            ({"sigma_b": 0.2, "q": 2.0}, 1.0, {"sigma_v": 0.4}),
            ({"sigma_v": 0.1, "q": 2.0}, 1.0, {"sigma_b": math.sqrt(0.19)}),
            ({"sigma_w": math.sqrt(2)}, 1.0, {"sigma_v": math.sqrt(0.1)}),
            ({"sigma_w": 1.414213562}, 1.0, {"sigma_w": 1.414213562}),
            ({}, 0.0, {"sigma_v": 0.0, "sigma_b": math.sqrt(0.1)}),
            ({"sigma_v": 0.0}, 1.0, {"sigma_b": math.sqrt(0.1)}),
        ],
    )
    def test_what_is_fixed_stays_and_the_rest_follows(self, fix, R, wanted):
        init = critical(vanilla("relu"), Inputs(R=R), tying="tied", fix={"e": fix}, horizon=10)
        law = init.ensemble["e"]
        for name, value in {**{k: v for k, v in fix.items() if k != "q"}, **wanted}.items():
            assert getattr(law, name) == pytest.approx(value, rel=1e-12, abs=1e-15), name
        path = init.theory().evolve(10).preactivation_variance["e"]
        assert path[-1] == pytest.approx(init.design.choices["e"].q, rel=1e-7)
        if "q" in fix:
            assert path[-1] == pytest.approx(fix["q"], rel=1e-7)

    def test_a_mean_of_the_identity_feeds_it(self):
        fix = {"e": {"mu_b": 0.2, "q": 2.0}}
        init = critical(vanilla("identity"), tying="tied", fix=fix, horizon=10)
        path = init.theory().evolve(10).preactivation_variance["e"]
        assert path[-1] == pytest.approx(2.0, rel=1e-12)

    @pytest.mark.parametrize(
        ("fix", "inequality", "nearest"),
        [
            ({"sigma_w": 1.2}, "m_1 = 1", ("sigma_w", math.sqrt(2))),
            ({"sigma_w": 1.5}, "m_1 = 1", ("sigma_w", math.sqrt(2))),
            ({"mu_b": -1.0}, "mu_b = 0", ("mu_b", 0.0)),
            ({"mu_b": 1.0}, "mu_b = 0", ("mu_b", 0.0)),
            ({"sigma_b": 1.0}, "sigma_v^2 >= 0", ("q", 10.0)),
            ({"sigma_b": 1.0, "q": 4.0}, "sigma_v^2 >= 0", ("q", 10.0)),
            ({"sigma_v": 1.0, "q": 4.0}, "sigma_b^2 >= 0", ("q", 10.0)),
        ],
    )
    def test_what_cannot_be_had_says_what_is_near(self, fix, inequality, nearest):
        options = {"tying": "tied", "horizon": 10}
        with pytest.raises(InfeasibleError) as caught:
            critical(vanilla("relu"), fix={"e": fix}, **options)
        assert inequality in caught.value.inequality
        name, value = nearest
        assert caught.value.nearest["e", name] == pytest.approx(value, rel=1e-12)
        assert "nearest that can be had" in str(caught.value)
        critical(vanilla("relu"), fix={"e": {**fix, name: value}}, **options)

    def test_what_nothing_feeds_is_refused(self):
        with pytest.raises(InfeasibleError, match="nothing feeds the network"):
            critical(vanilla("relu"), Inputs(R=0), tying="tied", fix={"e": {"sigma_b": 0.0}})
        fix = {"e": {"q": 1.0, "sigma_v": 0.1, "sigma_b": 0.1}}
        with pytest.raises(ParameterError, match="leave one of them out"):
            critical(vanilla("relu"), tying="tied", fix=fix)

    @pytest.mark.parametrize("fix", [{}, {"sigma_v": 0.3}, {"sigma_v": 0.1, "q": 2.0}])
    @pytest.mark.parametrize("name", LINEAR)
    def test_its_formula(self, name, fix):
        init = critical(vanilla(name), Inputs(R=0.7), tying="tied", fix={"e": fix}, horizon=20)
        law, q = init.ensemble["e"], init.design.choices["e"].q
        assert init.formula is not None
        n = init.theory("untied").recursion.derivation.notation
        (p,) = vanilla(name).preactivations
        values = {n.R: 0.7, n.q[p]: q, sp.Symbol("T", positive=True): 20}
        values |= {n.mu_b[p]: 0.0, n.sigma_w[p]: law.sigma_w}
        values |= {n.sigma_v[p]: law.sigma_v, n.sigma_b[p]: law.sigma_b}
        for equation in init.formula:
            left, right = (side.subs(values) for side in (equation.lhs, equation.rhs))
            right = right.replace(
                lambda part: isinstance(part, GaussianExpectation),
                lambda part: sp.Float(LINEAR[name]),
            )
            assert float(left) == pytest.approx(float(right), rel=1e-12)

    def test_it_is_written_and_read(self, tmp_path):
        init = critical(vanilla("leaky_relu"), tying="tied", horizon=20)
        init.to_json(tmp_path / "init.json")
        again = mft.Initialization.from_json(tmp_path / "init.json")
        assert repr(again) == repr(init)
        assert again.variance_growth == init.variance_growth

    def test_a_stationary_variance_does_not_grow(self):
        assert critical(vanilla("tanh"), tying="tied").variance_growth is None

    def test_a_leaky_relu_network_says_why_there_is_none(self):
        """The mean of what is added adds up: at m_1 = 1 weights alone bring more than q."""
        with pytest.raises(InfeasibleError, match="recurrent weights bring alone"):
            critical(cells.leaky_rnn(activation=mft.relu), tying="untied")


def test_status_of_what_is_critical_and_grows() -> None:
    init = critical(vanilla("relu"), tying="tied", horizon=20)
    with pytest.raises(ConvergenceError) as caught:
        init.fixed_point()
    assert caught.value.status is Status.DIVERGES


def _mean_square_slope(name, law, q):
    """sigma_w^2 E[phi'^2] by differences of phi at equally likely points of N(mu_b, q)."""
    x = sp.Symbol("x", real=True)
    phi = compile_elementwise([getattr(mft, name)(x)], [x])
    normal = ndtri((np.arange(20_000) + 0.5) / 20_000)
    at, step = law.mu_b + math.sqrt(q) * normal, 1e-6
    slopes = (phi(at + step)[0] - phi(at - step)[0]) / (2 * step)
    return law.sigma_w**2 * float(np.mean(slopes**2))
