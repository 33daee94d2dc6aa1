"""Derivations as a whole: steps, printing, and the relations between their parts."""

from __future__ import annotations

import json
import re
from xml.dom import minidom

import pytest
import sympy as sp
from sympy.printing.mathml import mathml

from rnnmft import Cell, Preactivation, State, cells, derive, sigmoid, tanh
from rnnmft.activations import hard_tanh, relu
from rnnmft.errors import ParameterError
from rnnmft.expectation import GaussianExpectation
from rnnmft.theory.derivation import Derivation
from rnnmft.theory.equality import same_expression
from rnnmft.theory.spectral import SpectralRadius

CLOSED = ["vanilla", "minimal", "gru", "gru_torch", "mgu", "ugrnn", "leaky_rnn"]


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


def balanced(latex):
    """Whether braces and \\left \\right pair up (escaped braces are text)."""
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return False
    lefts, rights = (len(re.findall(rf"\\{word}(?![a-zA-Z])", latex)) for word in ("left", "right"))
    return depth == 0 and lefts == rights


def test_the_checker_sees_what_is_unbalanced():
    assert balanced(r"\left[x_{a}\right]")
    assert not balanced(r"x_{a")
    assert not balanced(r"\left[x_{a}")


@pytest.mark.parametrize("name", cells.names())
def test_every_step_prints(name):
    derivation = derive(cells.get(name))
    assert len(derivation.steps) >= 3
    for step in derivation.steps:
        assert step.name
        assert step.reason.endswith(".")
        assert balanced(step.latex())
    assert balanced(derivation.latex())
    text = derivation.to_markdown()
    assert all(step.name in text for step in derivation.steps)
    assert json.loads(json.dumps(derivation.to_dict()))["cell"] == name
    assert "nan" not in text.lower()


@pytest.mark.parametrize("name", CLOSED)
def test_equations_print_as_mathml(name):
    derivation = derive(cells.get(name))
    equations = [*derivation.second_moment.values(), *derivation.preactivation_variance.values()]
    for equation in [*equations, derivation.chi, SpectralRadius(sp.eye(2) * derivation.chi)]:
        text = mathml(equation, printer="presentation").replace("&InvisibleTimes;", "\u2062")
        document = minidom.parseString(text)
        assert "gaussianexpectation" not in text.lower()
        assert "z*" not in text
        if equation.has(GaussianExpectation):
            heads = document.getElementsByTagName("msub")
            assert any(h.firstChild.firstChild.data == "\U0001d53c" for h in heads)


def test_mathml_names():
    x = sp.Symbol("x", real=True)
    assert "\u03c3" in mathml(sigmoid(x), printer="presentation").replace("&#963;", "\u03c3")
    assert "tanh&#8242;" in mathml(tanh(x).diff(x), printer="presentation")
    assert "hard tanh" in mathml(hard_tanh(x), printer="presentation")


@pytest.mark.parametrize("name", CLOSED)
def test_chi_with_identical_trajectories_is_m_1(name):
    """One state: at c = 1 with identical inputs the slope of the correlation map is E[J J^T]."""
    derivation = derive(cells.get(name))
    assert derivation.tangent.operator.shape == (1, 1)
    assert same_expression(derivation.tangent.operator[0, 0], derivation.jacobian.moment(1))


def test_chi_of_several_states_is_a_spectral_radius():
    derivation = derive(two_states())
    assert isinstance(derivation.chi, SpectralRadius)
    assert derivation.slope.shape == (len(derivation.cross_keys),) * 2
    assert len(derivation.tangent.pairs) == 3


def test_spectral_radius_of_a_triangular_matrix():
    x = sp.Symbol("x", real=True)
    assert SpectralRadius([[x, 0], [1, 2]]).doit() == sp.Max(sp.Abs(x), 2)
    node = SpectralRadius([[x, 1], [1, 2]])
    assert node.doit() == node
    assert balanced(sp.latex(node))


def test_slopes_hold_no_delta():
    for activation in (relu, hard_tanh):
        derivation = derive(cells.vanilla(activation))
        for matrix in (derivation.slope, derivation.variance_slope):
            assert not matrix.has(sp.DiracDelta)


def test_moments_that_only_a_variance_needs_are_followed():
    """E[a b] enters neither E[a^2] nor E[b^2], but what e sees is a + b."""
    a, b = State("a"), State("b")
    e, f = Preactivation("e", a + b), Preactivation("f", a - sp.Rational(1, 2))
    derivation = derive(Cell("sum", update={a: tanh(e), b: tanh(f)}))
    n = derivation.notation
    assert n.state_key(a, b) in derivation.moments
    assert n.state_key(a) in derivation.moments
    assert n.state_key(a, b, trajectories=2) in derivation.cross_keys


def test_what_has_no_closed_recursion_says_so():
    derivation = derive(cells.lstm())
    assert not isinstance(derivation, Derivation)
    assert "law" in derivation.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("minimal",), ParameterError), ((cells.minimal(), "sideways"), ParameterError)],
)
def test_refusals(arguments, error):
    with pytest.raises(error):
        derive(*arguments)
