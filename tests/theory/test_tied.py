"""The tied derivation: equations typed by hand, its steps, and what the untied theory drops."""

from __future__ import annotations

import json

import pytest
import sympy as sp

from rnnmft import Cell, Input, Preactivation, State, cells, derive, sigmoid, tanh
from rnnmft.cells import RandomParameter
from rnnmft.errors import ParameterError
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.tied import TiedDerivation
from rnnmft.theory.unit_expectation import UnitExpectation

t, s = sp.Symbol("t", integer=True), sp.Symbol("s", integer=True)
R, SIGMA_W, SIGMA_V, SIGMA_B = (
    sp.Symbol(n, real=True, nonnegative=True) for n in ("R", "sigma_w", "sigma_v", "sigma_b")
)
C_X, MU_B = sp.Symbol("c_x", real=True), sp.Symbol("mu_b", real=True)


def f(name):
    return sp.Function(name, real=True)


KAPPA = f("kappa")(t - s)


def test_the_covariance_of_the_minimal_rnn_is_the_one_on_paper():
    d = derive(cells.minimal(), tying="tied")
    assert isinstance(d, TiedDerivation)
    h = f("h")
    expected = SIGMA_W**2 * UnitExpectation(h(t) * h(s)) + SIGMA_V**2 * R * KAPPA + SIGMA_B**2
    equation = d.covariance["e"]
    assert equation.lhs == f("C")(t, s)
    assert sp.expand(equation.rhs - expected) == 0
    a, b = f("h_a"), f("h_b")
    crossed = SIGMA_W**2 * UnitExpectation(a(t) * b(s)) + SIGMA_V**2 * C_X * R * KAPPA + SIGMA_B**2
    assert sp.expand(d.cross_covariance["e"].rhs - crossed) == 0
    assert sp.expand(d.cross_covariance["e"].rhs - expected) != 0


def test_the_process_is_the_cell_with_the_time_written_out():
    d = derive(cells.minimal(), tying="tied")
    h, e, x = f("h"), f("e"), f("x")
    equation = d.process["h"]
    assert equation.lhs == h(t + 1)
    expected = sigmoid(e(t)) * h(t) + (1 - sigmoid(e(t))) * x(t)
    assert sp.expand(equation.rhs - expected) == 0


def test_a_preactivation_within_a_step_sees_that_step():
    """GRU: n sees sigmoid(r) h of its own time; one covariance a preactivation."""
    d = derive(cells.gru(), tying="tied")
    assert set(d.covariance) == {"z", "r", "n"}
    (node,) = d.covariance["n"].rhs.atoms(UnitExpectation)
    h, r = f("h"), f("r")
    assert node.integrand == h(t) * h(s) * sigmoid(r(t)) * sigmoid(r(s))


def test_no_input_and_no_weights_leave_no_term():
    h = State("h")
    blind = Preactivation("a", h, input=None)
    reader = Preactivation("b", 0)
    d = derive(Cell("two", update={h: tanh(blind) + reader}), tying="tied")
    assert not d.covariance["a"].rhs.has(sp.Symbol("R", real=True, nonnegative=True))
    assert not d.covariance["b"].rhs.atoms(UnitExpectation)
    assert set(d.tangent_covariance) == {"a"}


def test_random_parameters_do_not_move_in_time():
    h, p = State("h"), RandomParameter("p")
    d = derive(Cell("leak", update={h: p * h + Preactivation("e", h)}), tying="tied")
    assert p in d.process["h"].rhs.free_symbols
    assert d.tangent["h"].rhs.has(p)


def test_the_tangent_process_is_the_derivative_of_the_cell():
    d = derive(cells.minimal(), tying="tied")
    h, e, x, dh, de = f("h"), f("e"), f("x"), f("delta_h"), f("delta_e")
    z = sp.Symbol("z", real=True)
    slope = sp.diff(sigmoid(z), z).subs(z, e(t))
    expected = sigmoid(e(t)) * dh(t) + slope * (h(t) - x(t)) * de(t)
    assert sp.expand(d.tangent["h"].rhs - expected) == 0
    (equation,) = d.tangent_covariance.values()
    assert equation.rhs == SIGMA_W**2 * UnitExpectation(dh(t) * dh(s))


def test_the_untied_theory_keeps_equal_times_alone():
    d = derive(cells.minimal(), tying="tied")
    dropped = d.dropped["e"].rhs
    assert dropped.subs(s, t) == f("C")(t, t)
    assert dropped.subs({t: 3, s: 1}) == 0


def test_the_kernel_of_the_vanilla_rnn_closes():
    d = derive(cells.vanilla(), tying="tied")
    C = f("C")
    a, b = sp.symbols("a b", real=True)
    pair = gaussian_expectation(
        tanh(a) * tanh(b), (a, b), (MU_B, MU_B), (C(t, t), C(t, s), C(s, s))
    )
    expected = SIGMA_W**2 * pair + SIGMA_V**2 * R * KAPPA + SIGMA_B**2
    equation = d.kernel["e"]
    assert equation.lhs == C(t + 1, s + 1)
    assert sp.expand(equation.rhs - expected) == 0
    assert derive(cells.lstm(), tying="tied").kernel == {}


def test_the_kernel_of_gaussian_states_closes():
    """One state: the filter that it is; two: each covariance of theirs."""
    d = derive(cells.rate(leak=sp.Rational(1, 4)), tying="tied")
    S, C = f("S"), f("C")
    assert set(d.kernel) == {"e", "S"}
    a = sp.Rational(3, 4)
    leaking = a * S(t, s + 1) + a * S(t + 1, s) - a**2 * S(t, s)
    assert d.kernel["S"].lhs == S(t + 1, s + 1)
    assert sp.expand(d.kernel["S"].rhs - leaking - C(t, s) / 16) == 0
    h, g, x = State("h"), State("g"), Input("x")
    update = {h: h / 2 + Preactivation("e", tanh(h + g)), g: h / 3 + 2 * x}
    both = derive(Cell("two", update=update), tying="tied").kernel
    assert set(both) == {"e", "S_hh", "S_hg", "S_gg"}
    S_hh, S_hg = f("S_hh"), f("S_hg")
    expected = S_hg(t, s + 1) / 2 + S_hh(t + 1, s) / 3 - S_hh(t, s) / 6
    assert sp.expand(both["S_hg"].rhs - expected) == 0
    assert both["S_gg"].rhs.coeff(R) == 4 * KAPPA


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_of_the_zoo_has_steps_that_print(name):
    d = derive(cells.get(name), tying="tied")
    assert d.tying == "tied"
    names = [step.name for step in d.steps]
    assert len(names) == len(set(names)) == 8 + bool(d.cell.averages)
    assert all(step.reason and step.equations for step in d.steps)
    assert sum(bool(step.assumption) for step in d.steps) == 3 + bool(d.cell.averages)
    text = d.to_markdown()
    assert "(tied weights)" in text
    assert "What the untied theory drops" in text
    assert r"\mathbb{E}" in d.latex()
    assert d._repr_latex_().startswith("$$")
    assert "(tied)" in repr(d)
    assert json.loads(json.dumps(d.to_dict()))["tying"] == "tied"


def test_an_unknown_tying_is_refused():
    with pytest.raises(ParameterError, match="tied"):
        derive(cells.minimal(), tying="loose")
