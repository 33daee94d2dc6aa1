"""Critical ensembles: the forward theory, which shares no code with the solution, agrees."""

from __future__ import annotations

import ast
import math
from typing import ClassVar

import numpy as np
import pytest
import sympy as sp

from rnnmft import cells
from rnnmft.activations import erf, gaussian_cdf, sigmoid, tanh
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Cell, Input, Inputs, Preactivation, State
from rnnmft.errors import InfeasibleError, ParameterError
from rnnmft.expectation import GaussianExpectation
from rnnmft.initialization.critical import critical
from rnnmft.initialization.design.burn_in import stationary_after
from rnnmft.initialization.design.gating import gating
from rnnmft.initialization.design.tied import TiedGrowth
from rnnmft.numerics.compile import compile_program
from rnnmft.sampling import Sampling
from rnnmft.solvers.given_laws import GivenLaws
from rnnmft.solvers.sampled.given_laws import SampledLaws
from rnnmft.solvers.transport.given_laws import TransportedLaws

PUBLISHED = {"e": {"mu_b": 0, "q": 16}}


class TestRoles:
    @pytest.mark.parametrize(
        ("name", "retention", "write", "readout", "main"),
        [
            ("vanilla", {}, (), (), "e"),
            ("minimal", {"e": 1}, (), (), "e"),
            ("gru", {"z": 1}, (), (), "n"),
            ("gru_torch", {"z": 1}, (), (), "n_h"),
            ("mgu", {"f": -1}, (), (), "g"),
            ("lstm", {"f": 1}, ("i",), ("o",), "g"),
            ("coupled_lstm", {"f": 1}, (), ("o",), "g"),
            ("chrono_lstm", {}, ("i",), ("o",), "g"),
        ],
    )
    def test_of_the_zoo(
        self,
        name: str,
        retention: dict[str, int],
        write: tuple[str, ...],
        readout: tuple[str, ...],
        main: str,
    ) -> None:
        found = gating(cells.get(name))
        assert dict(found.retention) == retention
        assert (found.write, found.readout, found.main()) == (write, readout, main)

    @pytest.mark.parametrize(
        ("name", "coupled"),
        [
            ("gru", ("z",)),
            ("mgu", ("f",)),
            ("coupled_lstm", ("f",)),
            ("lstm", ()),
            ("minimal", ()),
            ("vanilla", ()),
        ],
    )
    def test_gates_that_write_what_they_do_not_keep(
        self, name: str, coupled: tuple[str, ...]
    ) -> None:
        assert gating(cells.get(name)).coupled == coupled

    def test_a_fixed_candidate_passes_its_role_on(self) -> None:
        assert gating(cells.gru()).main(["n"]) == "z"
        assert gating(cells.minimal()).main(["e"]) is None

    def test_of_a_projection_any_scale_is_as_good_as_another(self) -> None:
        """W_p scaled by a and W of what sees h by 1 / a are the same network."""
        cell = cells.get("projection_lstm")
        assert gating(cell).main() == "g"
        init = critical(cell, tying="untied", horizon=5, particles=1 << 12)
        growth = init.growth()
        assert abs(float(growth)) < 6.0 * float(growth.error)
        # The state that is projected has one variance, which is a choice.
        assert init.second_moment["h"] == pytest.approx(1.0, rel=0.1)

    def test_a_mean_that_is_normalised_away_opens_no_gate(self) -> None:
        assert gating(cells.get("minimal")).retention == {"e": 1}
        assert gating(cells.get("layer_norm_minimal")).retention == {}


# cell, inputs, options
ANSWERS = [
    (cells.vanilla(), Inputs(), {}),
    (cells.vanilla(erf), Inputs(R=0.3), {"weights": "orthogonal"}),
    (cells.minimal(), Inputs(R=0.4616), {"fix": PUBLISHED}),
    (cells.minimal(), Inputs(), {}),
    (cells.gru(), Inputs(temporal="constant"), {"objective": "fixed"}),
    (cells.gru(), Inputs(R=2.0, temporal="constant"), {}),
    (cells.gru(), Inputs(), {"fix": {"r": {"mu_b": 1, "sigma_b": 0.3}, "n": {"q": 0.5}}}),
    (cells.gru_torch(), Inputs(), {"objective": "fixed", "fix": {"z": {"mu_b": 1.5}}}),
    (cells.mgu(), Inputs(), {"objective": "fixed"}),
    (cells.janet(), Inputs(), {"horizon": 40}),
    (cells.leaky_rnn(), Inputs(), {}),
    (cells.lstm(), Inputs(), {}),
]


@pytest.mark.parametrize(
    ("cell", "inputs", "options"), ANSWERS, ids=[f"{i}-{a[0].name}" for i, a in enumerate(ANSWERS)]
)
def test_the_zero_state_reaches_what_was_designed(
    cell: Cell, inputs: Inputs, options: dict
) -> None:
    init = critical(cell, inputs, **options, tying="untied")
    forward = MeanField(cell, init.ensemble, inputs, tying="untied")
    reached = forward.fixed_point()
    for name, choice in init.design.choices.items():
        if choice.q is not None:
            assert reached.preactivation_variance[name] == pytest.approx(choice.q, rel=1e-6)
    one_step = forward.jacobian(1).mean
    # The transported law is solved at two resolutions here and at one there: 1e-6.
    assert float(one_step) == pytest.approx(1.0, abs=2e-6)
    assert float(forward.gradient_growth()) == pytest.approx(0.0, abs=1e-4)


def test_a_wrong_sigma_w_is_not_critical() -> None:
    init = critical(cells.gru(), tying="untied")
    off = cells.gru().ensemble(
        **{
            n: {
                "sigma_w": p.sigma_w * (1.02 if n == "n" else 1),
                "sigma_v": p.sigma_v,
                "mu_b": p.mu_b,
            }
            for n, p in init.ensemble.items()
        }
    )
    assert abs(float(MeanField(cells.gru(), off, tying="untied").jacobian(1).mean) - 1.0) > 1e-4


class TestPublished:
    def test_minimal(self) -> None:
        init = critical(cells.minimal(), Inputs(R=0.4616), fix=PUBLISHED, tying="untied")
        law = init.ensemble["e"]
        assert law.sigma_w == pytest.approx(6.8797, abs=5e-5)
        assert law.sigma_v == pytest.approx(1.38991, abs=5e-6)
        assert init.second_moment["h"] == pytest.approx(0.31921, abs=5e-6)
        assert init.chi == pytest.approx(1.0, abs=1e-9)

    @pytest.mark.parametrize(
        "fix",
        [
            {"e": {"mu_b": 0, "sigma_v": 1.3899091827912127}},
            {"e": {"sigma_w": 6.879744787892225, "sigma_v": 1.3899091827912127}},
        ],
        ids=["sigma_v", "both"],
    )
    def test_other_numbers_lead_to_the_same_point(self, fix: dict) -> None:
        init = critical(
            cells.minimal(), Inputs(R=0.4616), fix=fix, objective="fixed", tying="untied"
        )
        law = init.ensemble["e"]
        assert law.sigma_w == pytest.approx(6.879744787892225, rel=1e-7)
        assert law.mu_b == pytest.approx(0.0, abs=1e-7)

    def test_orthogonal_vanilla_holds_its_variance(self) -> None:
        init = critical(cells.vanilla(), weights="orthogonal", horizon=50, tying="untied")
        # The least variance of the direction, q = 1e-4, is 8e-8 a step.
        assert 50 * float(init.variance()) == pytest.approx(1.0, abs=1e-5)


class TestObjectives:
    @pytest.mark.parametrize("name", ["minimal", "gru"])
    def test_isometry_over_the_horizon(self, name: str) -> None:
        init = critical(cells.get(name), horizon=30, tying="untied")
        assert 0.9 < 30 * float(init.variance()) < 1.3
        shorter = critical(cells.get(name), horizon=10, tying="untied")
        assert float(shorter.variance()) > 2 * float(init.variance())

    @pytest.mark.parametrize("name", ["vanilla", "janet"])
    def test_timescale(self, name: str) -> None:
        init = critical(cells.get(name), objective="timescale", horizon=25, tying="untied")
        assert init.timescales().xi_c == pytest.approx(25.0, rel=1e-5)

    def test_a_timescale_out_of_reach_says_how_near_one_gets(self) -> None:
        fix = {"e": {"mu_b": 0}}
        with pytest.raises(InfeasibleError, match="the nearest is") as caught:
            critical(cells.minimal(), objective="timescale", horizon=1e5, fix=fix, tying="untied")
        assert caught.value.nearest

    def test_the_lstm_keeps_its_state_for_the_horizon(self) -> None:
        init = critical(cells.lstm(), horizon=50, tying="untied")
        program = _mean_of(sigmoid, 2)
        law = init.ensemble["f"]
        assert program(law.mu_b, 1.0) == pytest.approx(math.exp(-1 / 50), abs=1e-6)
        assert init.ensemble["i"].mu_b < 0 < law.mu_b


def _mean_of(function: type, power: int):
    from rnnmft.expectation import gaussian_expectation

    z, mu, q = sp.symbols("z mu q", real=True)
    program = compile_program([], [gaussian_expectation(function(z) ** power, z, mu, q)], [mu, q])
    return lambda m, v: float(program(m, v).values[0])


class TestWeightsDoNotGrowWithTheHorizon:
    """E[(1 - z)^2] / E[1 - z^2], which sets sigma_w, is kept by a gate that opens now and then."""

    @staticmethod
    def sigma_w(horizon: float, fix: dict | None = None) -> float:
        return (
            critical(cells.ugrnn(), horizon=horizon, fix=fix, tying="untied").ensemble["c"].sigma_w
        )

    def test_with_a_variance_as_large_as_the_mean(self) -> None:
        assert self.sigma_w(500) == pytest.approx(self.sigma_w(5), rel=0.1)

    def test_with_the_variance_held_they_do(self) -> None:
        fix = {"g": {"q": 1}}
        assert self.sigma_w(200, fix) > 5 * self.sigma_w(5, fix)

    def test_what_is_large_is_said(self) -> None:
        large, usable = (
            " ".join(critical(cells.get(n), tying="untied").reasons) for n in ("mgu", "gru")
        )
        assert "That is large" in large
        assert "That is large" not in usable
        assert 'tying="tied" says where' in usable


class TestSampledLaws:
    """One run of units against the transported law, which samples nothing."""

    SEEDS, UNITS = 8, 1 << 16
    Q: ClassVar = {"i": 1.0, "f": 1.5, "g": 0.8, "o": 1.2}
    MU: ClassVar = {"i": -0.5, "f": 2.0, "g": 0.1, "o": 0.3}
    SQUARES: ClassVar = {"i": 1.0, "f": 2.0, "g": 3.0, "o": 1.5}

    def numbers(self, laws: GivenLaws) -> np.ndarray:
        found = laws.at(self.Q, self.MU)
        tangents = [found.tangent(s).mean_square for s in (self.SQUARES, {"g": 3.0})]
        return np.array([found.second["c"], found.seen["f"], *tangents])

    def test_moments_and_m_1(self) -> None:
        cell, inputs = cells.lstm(), Inputs()
        exact = self.numbers(TransportedLaws(cell, inputs))
        sampled = np.array(
            [
                self.numbers(SampledLaws(cell, inputs, {}, Sampling(self.UNITS, 16, s, "cpu"), 30))
                for s in range(self.SEEDS)
            ]
        )
        mean, error = sampled.mean(0), sampled.std(0, ddof=1) / math.sqrt(self.SEEDS)
        # Student's t with 7 degrees: |t| > 7 by chance at 2e-4, for each of four numbers.
        assert (np.abs(mean - exact) < 7.0 * error).all()
        assert (error < 0.003 * exact).all()
        # A change of two percent would be seen.
        assert (np.abs(mean - 1.02 * exact) > 7.0 * error).all()

    @pytest.mark.parametrize("temporal", ["white", "constant", (1.0, 0.6, 0.3)])
    def test_inputs_that_enter_elementwise(self, temporal: str | tuple[float, ...]) -> None:
        """Against units moved here, whose input has its autocorrelation by Cholesky's factor."""
        h, x, u = State("h"), Input("x"), Preactivation("u", State("h"))
        cell = Cell("own", {h: sigmoid(u) * tanh(h) + x / 2})
        inputs = Inputs(R=1.5, temporal=temporal)
        steps, units, random = 60, 1 << 17, np.random.default_rng(3)
        kappa = [[inputs.kappa(s - t) for s in range(steps)] for t in range(steps)]
        factor = np.linalg.cholesky(np.array(kappa) + 1e-9 * np.eye(steps))
        state = np.zeros(units)
        for x_t in math.sqrt(1.5) * factor @ random.standard_normal((steps, units)):
            gate = 1 / (1 + np.exp(-1 - random.standard_normal(units)))
            state = gate * np.tanh(state) + x_t / 2
        squares = (state**2).reshape(16, -1).mean(1)
        laws = [
            SampledLaws(cell, inputs, {}, Sampling(1 << 16, 16, seed, "cpu"), 30)
            for seed in range(8)
        ]
        sampled = np.array([found.at({"u": 1.0}, {"u": 1.0}).second["h"] for found in laws])
        error = math.hypot(squares.std(ddof=1) / 4.0, sampled.std(ddof=1) / math.sqrt(8))
        # Student's t with at least 7 degrees: |t| > 7 by chance at 2e-4.
        assert abs(sampled.mean() - squares.mean()) < 7.0 * error
        assert error < 0.005 * squares.mean()

    def test_the_autocorrelation_counts(self) -> None:
        """The control of the test above: white and constant inputs are told apart."""
        h, x, u = State("h"), Input("x"), Preactivation("u", State("h"))
        cell = Cell("own", {h: sigmoid(u) * tanh(h) + x / 2})
        white, constant = (
            SampledLaws(cell, Inputs(R=1.5, temporal=t), {}, Sampling(1 << 16, 16, 0, "cpu"), 30)
            .at({"u": 1.0}, {"u": 1.0})
            .second["h"]
            for t in ("white", "constant")
        )
        assert constant > 1.2 * white


class TestInfeasible:
    def test_the_inequality_and_the_nearest_q(self) -> None:
        with pytest.raises(InfeasibleError, match=r"sigma_v\^2 >= 0 of 'e' fails") as caught:
            critical(
                cells.minimal(), Inputs(R=0.4616), fix={"e": {"mu_b": 0, "q": 10}}, tying="untied"
            )
        assert "14.29" in str(caught.value)
        assert caught.value.nearest["e", "q"] == pytest.approx(14.293, abs=1e-3)

    def test_what_to_fix_instead_can_be_pasted(self) -> None:
        fix = {"e": {"mu_b": 0, "q": 10}}
        with pytest.raises(InfeasibleError) as caught:
            critical(cells.minimal(), Inputs(R=0.4616), fix=fix, tying="untied")
        _, _, pasted = str(caught.value).rpartition(": fix=")
        fix = ast.literal_eval(pasted)
        assert fix == {"e": {"mu_b": 0.0, "q": caught.value.nearest["e", "q"]}}
        found = critical(cells.minimal(), Inputs(R=0.4616), fix=fix, tying="untied")
        assert found.ensemble["e"].sigma_v < 0.1

    def test_the_nearest_is_feasible_and_a_little_less_is_not(self) -> None:
        for q, works in ((14.2932, True), (14.2930, False)):
            fix = {"e": {"mu_b": 0, "q": q}}
            if works:
                critical(cells.minimal(), fix=fix, tying="untied")
            else:
                with pytest.raises(InfeasibleError):
                    critical(cells.minimal(), fix=fix, tying="untied")

    def test_gates_that_are_critical_already(self) -> None:
        fix = {"z": {"mu_b": 0.0, "sigma_w": 10.0, "q": 16.0}}
        with pytest.raises(InfeasibleError, match=r"m_1 is already"):
            critical(cells.gru(), fix=fix, objective="fixed", tying="untied")

    def test_a_state_that_copies_a_constant_input_feels_no_weights(self) -> None:
        # h -> x, so that (h - x) W vanishes and J = u.
        with pytest.raises(InfeasibleError, match="m_1 = 1 cannot be reached"):
            critical(
                cells.minimal(), Inputs(temporal="constant"), objective="fixed", tying="untied"
            )

    @pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
    def test_cells_without_recurrent_weights(self, name: str) -> None:
        with pytest.raises(InfeasibleError, match="no recurrent weights"):
            critical(cells.get(name), parameters=cells.typical_laws(name), tying="untied")

    def test_nothing_is_left_open(self) -> None:
        with pytest.raises(ParameterError, match="leave one of them out"):
            critical(
                cells.vanilla(),
                fix={"e": {"q": 1, "sigma_v": 1, "sigma_b": 0, "sigma_w": 1}},
                tying="untied",
            )
        with pytest.raises(InfeasibleError, match="leave one open"):
            critical(cells.vanilla(), fix={"e": {"sigma_v": 1, "sigma_w": 1}}, tying="untied")

    def test_without_input_gates_of_a_gru_starve(self) -> None:
        with pytest.raises(InfeasibleError, match="no variance q of 'n'"):
            critical(cells.gru(), Inputs(R=0), objective="fixed", tying="untied")

    def test_without_input_the_bias_feeds_the_state(self) -> None:
        init = critical(cells.vanilla(), Inputs(R=0), fix={"e": {"q": 1.0}}, tying="untied")
        assert init.ensemble["e"].sigma_b > 0
        assert init.second_moment["h"] == pytest.approx(0.394294490398, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fix": {"f": {"q": 1}}}, "unknown preactivation 'f'"),
        ({"fix": {"e": {"Q": 1}}}, "unknown parameter e.Q"),
        ({"fix": {"e": {"q": -1}}}, "fix: e.q must be"),
        ({"fix": {"e": 3}}, "must map parameters"),
        ({"objective": "best"}, "objective must be one of"),
        ({"horizon": 0}, "horizon must be"),
        ({"tying": "loose"}, "tying must be"),
        ({"weights": "unitary"}, "weights must be"),
        ({"tolerance": -1}, "tolerance"),
    ],
)
def test_what_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        critical(cells.minimal(), **options)


class TestFormula:
    @pytest.mark.parametrize("name", ["vanilla", "gru", "janet", "leaky_rnn"])
    def test_its_numbers_are_the_answer(self, name: str) -> None:
        init = critical(cells.get(name), Inputs(R=0.7), tying="untied")
        n = init.theory().recursion.derivation.notation
        values: dict[sp.Basic, float] = {n.R: 0.7, sp.Symbol("r", positive=True): 0.1}
        for p in init.cell.preactivations:
            law = init.ensemble[p.name]
            values |= {n.q[p]: init.design.choices[p.name].q, n.mu_b[p]: law.mu_b}
            values |= {n.sigma_b[p]: law.sigma_b}
        assert init.formula is not None
        for equation in init.formula:
            symbols = sorted(equation.rhs.free_symbols, key=str)
            program = compile_program([], [equation.rhs], symbols)
            number = float(program(*(np.array([values[s]]) for s in symbols)).values[0][0])
            base = equation.lhs.base if equation.lhs.is_Pow else equation.lhs
            values[base] = math.sqrt(number) if equation.lhs.is_Pow else number
        for p in init.cell.preactivations:
            law = init.ensemble[p.name]
            assert values[n.sigma_w[p]] == pytest.approx(law.sigma_w, rel=1e-9)
            assert values[n.sigma_v[p]] == pytest.approx(law.sigma_v, rel=1e-9)

    def test_it_is_closed_where_the_activations_are(self) -> None:
        formula = critical(cells.vanilla(erf), tying="untied").formula
        assert formula is not None
        assert not formula.has(GaussianExpectation)
        q = next(s for s in formula.free_symbols if s.name == "q")
        assert formula[1].rhs.equals(sp.pi * sp.sqrt(4 * q + 1) / 4)

    def test_there_is_none_for_the_lstm(self) -> None:
        assert critical(cells.lstm(), objective="fixed", tying="untied").formula is None


def test_a_cell_of_ones_own() -> None:
    h = State("h")
    u, n = Preactivation("u", h), Preactivation("n", gaussian_cdf(Preactivation("u", h)) * h)
    cell = Cell("own", update={h: gaussian_cdf(u) * h + (1 - gaussian_cdf(u)) * erf(n)})
    init = critical(cell, weights={"n": "orthogonal"}, tying="untied")
    assert init.solved_for == "n"
    assert init.ensemble["n"].weights == "orthogonal"
    assert float(init.mean_square()) == pytest.approx(1.0, abs=1e-9)


class TestTied:
    def test_the_vanilla_rnn_needs_no_correction(self) -> None:
        init = critical(cells.vanilla())
        assert init.tying == "tied"
        assert init.correction == 1.0
        assert float(init.growth()) == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize("sigma_w", [0.8, 1.0, 1.3])
    def test_the_error_of_growth_holds_its_limit(self, sigma_w: float) -> None:
        """A leaky RNN at its zero state is linear: growth is 2 log(.8 + .2 sigma_w).

        The slope of 40 steps is off by some .02, many times its noise.
        """
        cell, inputs = cells.leaky_rnn(), Inputs(R=0.0)
        ensemble = cell.ensemble(e={"sigma_w": sigma_w})
        measure = TiedGrowth(cell, inputs, Sampling(1 << 14, 16, 0, "cpu"), 10)
        found, truth = measure(ensemble, 1 << 14), 2 * math.log(0.8 + 0.2 * sigma_w)
        assert found.status.ok
        assert 0.005 < abs(float(found) - truth) < 1.5 * found.error < 0.06

    def test_growth_is_the_limit_where_no_units_are_sampled(self) -> None:
        cell = cells.vanilla()
        measure = TiedGrowth(cell, Inputs(), Sampling(1 << 10, 16, 0, "cpu"), 10)
        found = measure(cell.ensemble(), 1 << 10)
        assert found.value == MeanField(cell, tying="tied").gradient_growth().value
        assert found.error_kind == "bound"

    def test_burn_in_is_one_number_for_both_tyings(self) -> None:
        """exp(-6) of an approach as slow as the horizon is left after it, within its limits."""
        for horizon, steps in ((1, 60), (10, 60), (40, 240), (1000, 400)):
            assert stationary_after(horizon) == steps
        both = [critical(cells.vanilla(), horizon=40, tying=t).burn_in for t in ("tied", "untied")]
        assert both == [240, 240]

    @pytest.mark.slow
    def test_the_published_point_is_corrected_by_several_percent(self) -> None:
        init = critical(
            cells.minimal(), Inputs(R=0.4616), fix=PUBLISHED, tying="tied", device="cpu"
        )
        # Networks of width 768 have no growth at 6.55, read to two digits.
        assert init.ensemble["e"].sigma_w == pytest.approx(6.55, abs=0.06)
        assert init.untied_ensemble["e"].sigma_w == pytest.approx(6.8797, abs=5e-5)
        assert abs(float(init.growth())) <= 1e-3
        assert init.growth().error < 0.01
        before = init.tied_growth["untied answer"]
        assert float(before) == pytest.approx(0.035, abs=0.01)


def test_a_stack_is_made_critical_layer_by_layer() -> None:
    """What the refusal tells to do has growth 0, to the tolerance of its root."""
    layer, R, found = cells.vanilla(), 1.0, []
    stack = cells.stack(layer, 2)
    with pytest.raises(InfeasibleError, match=r"join the ensembles by stack\.joined"):
        critical(stack)
    for _ in stack.layers:
        found.append(critical(layer, Inputs(R=R), tying="untied").ensemble)
        R = MeanField(layer, found[-1], Inputs(R=R), "untied").fixed_point().second_moment["h"]
    growth = MeanField(stack, stack.joined(found), Inputs(), "untied").gradient_growth()
    assert abs(float(growth)) < 1e-6
