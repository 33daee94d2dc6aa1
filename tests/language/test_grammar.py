"""The expression grammar: what it reads, what it refuses and where, and its bounds."""

from __future__ import annotations

import contextlib
import time

import pytest
import sympy as sp

from rnnmft import activations
from rnnmft.activations import define_activation, relu, sigmoid, tanh
from rnnmft.errors import CellError, ParseError
from rnnmft.language.grammar import FUNCTIONS, MAX_DEPTH, MAX_TOKENS, parse_expression
from rnnmft.language.printer import expression_text

h, x, e = sp.symbols("h x e", real=True)
NAMES = {"h": h, "x": x, "e": e}


def read(text: str) -> sp.Expr:
    return parse_expression(text, NAMES)


READ = [
    ("h", h),
    ("  h \n", h),
    ("((h))", h),
    ("2", sp.Integer(2)),
    ("007", sp.Integer(7)),
    ("0.5*h", 0.5 * h),
    (".5", sp.Float(0.5)),
    ("5.", sp.Float(5.0)),
    ("1e-3", sp.Float(0.001)),
    ("1.5E+2", sp.Float(150.0)),
    ("1/3", sp.Rational(1, 3)),
    ("-h", -h),
    ("--h", h),
    ("+-+h", -h),
    ("h - x - e", h - x - e),
    ("h - -x", h + x),
    ("h/x/e", h / (x * e)),
    ("h/x*e", h * e / x),
    ("2*(h + x)", 2 * h + 2 * x),
    ("-2*(h + x)*e", -2 * e * (h + x)),
    ("2*e*(h + x)", 2 * e * (h + x)),
    ("-h**2", -(h**2)),
    ("(-h)**3", -(h**3)),
    ("h**-2", h**-2),
    ("h**-x", h**-x),
    ("2**h**x", 2 ** (h**x)),
    ("(2**h)**x", (2**h) ** x),
    ("h**2*x", h**2 * x),
    ("2**3", sp.Integer(8)),
    ("h**(1/2)", sp.sqrt(h)),
    ("h**0.5", h**0.5),
    ("pi*h", sp.pi * h),
    ("tanh(h)", tanh(h)),
    ("sigmoid(x)*h + (1 - sigmoid(x))*tanh(e)", sigmoid(x) * h + (1 - sigmoid(x)) * tanh(e)),
    ("relu( h )", relu(h)),
    ("identity(h)", h),
    ("exp(1)", sp.E),
    ("abs(h) + sign(h) + cos(h) + log(h)", sp.Abs(h) + sp.sign(h) + sp.cos(h) + sp.log(h)),
    ("tanh_prime(h)", activations.tanh_prime(h)),
    ("0**0", sp.Integer(1)),
    ("h - h", sp.Integer(0)),
    ("h/(1 + exp(-1))", h / (1 + sp.exp(-1))),
    (
        "(1 + (1 + (1 + 2**0.5)**0.5)**0.5)**0.5*h",
        (1 + (1 + (1 + 2**0.5) ** 0.5) ** 0.5) ** 0.5 * h,
    ),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_what_is_read(text: str, expected: sp.Expr) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(("text", "expected"), READ)
def test_what_is_read_is_written_and_read_again(text: str, expected: sp.Expr) -> None:
    assert read(expression_text(expected)) == expected


def test_every_offered_activation_is_a_function() -> None:
    offered = set(activations.__all__) - {"Activation", "canonical_functions", "define_activation"}
    assert offered <= set(FUNCTIONS)
    for name in offered:
        assert read(f"{name}(h)") == getattr(activations, name)(h)


def test_a_users_function() -> None:
    cube = define_activation("cube", 3 * h**2)
    assert parse_expression("cube(h)", NAMES, {"cube": cube}) == cube(h)
    with pytest.raises(
        ParseError, match=r"'f' is an unknown function; known functions are .*, cube"
    ):
        parse_expression("f(h)", NAMES, {"cube": cube})


def test_a_name_may_be_that_of_a_function_or_constant() -> None:
    names = {"tanh": h, "pi": x}
    assert parse_expression("tanh*tanh(tanh) + pi", names) == h * tanh(h) + x


# --- refusals ------------------------------------------------------------------------------------

REFUSED = [
    ("", 1, 1, "an expression is missing"),
    (" ", 1, 2, "an expression is missing"),
    ("q", 1, 1, "unknown name 'q'; known are h, x, e$"),
    ("h*q", 1, 3, "unknown name 'q'"),
    ("h +\n  q", 2, 3, "unknown name 'q'"),
    ("f(h)", 1, 1, "'f' is an unknown function; known functions are abs, atan, cos, erf, exp, "),
    ("h(2)", 1, 1, "'h' is no function"),
    ("tanh", 1, 1, r"'tanh' is a function: write tanh\(...\)"),
    ("tanh h", 1, 1, "'tanh' is a function"),
    ("tanh(h", 1, 1, r"'tanh' is never closed by '\)'"),
    ("(h", 1, 1, r"'\(' is never closed"),
    ("h)", 1, 2, r"unexpected '\)'"),
    ("()", 1, 2, r"unexpected '\)' where a number, a name or '\(' should stand"),
    ("tanh()", 1, 6, r"unexpected '\)' where"),
    ("*h", 1, 1, r"unexpected '\*' where"),
    ("h*", 1, 3, "unexpected end of the expression where"),
    ("h**", 1, 4, "unexpected end of the expression"),
    ("h***h", 1, 4, r"unexpected '\*' where"),
    ("2h", 1, 2, r"unexpected 'h'; a product is written with \*"),
    ("h x", 1, 3, "a product is written with"),
    ("(h x)", 1, 4, "a product is written with"),
    ("1.2.3", 1, 4, "unexpected '.3'"),
    ("1_000", 1, 2, "unexpected '_000'"),
    ("0x10", 1, 2, "unexpected 'x10'"),
    ("1j", 1, 2, "unexpected 'j'"),
    ("h^2", 1, 2, r"unexpected '\^'; a power is written \*\*"),
    ("tanh(h, x)", 1, 7, "unexpected ','; every function takes one argument"),
    ("h[0]", 1, 2, r"unexpected '\['; group with"),
    ("h.real", 1, 2, r"unexpected '\.'"),
    ("h = x", 1, 3, "unexpected '='; an update is an expression"),
    ("h == x", 1, 3, "unexpected '='"),
    ("h > x", 1, 3, "unexpected '>'"),
    ("h // x", 1, 4, "unexpected '/' where"),
    ("h % x", 1, 3, "unexpected '%'"),
    ("h @ x", 1, 3, "unexpected '@'"),
    ("h; x", 1, 2, "unexpected ';'"),
    ("h # x", 1, 3, "unexpected '#'"),
    ("h'", 1, 2, "has no prime here"),
    ('"h"', 1, 1, "unexpected '\"'"),
    ("h\\x", 1, 2, r"unexpected '\\\\'"),
    ("h\u00a0", 1, 2, r"unexpected '\\xa0'"),
    ("h\x00", 1, 2, r"unexpected '\\x00'"),
    ("\u0661", 1, 1, "unexpected '\u0661'"),
    ("h and x", 1, 3, "unexpected 'and'"),
    ("not h", 1, 1, "unknown name 'not'"),
    ("h if x else e", 1, 3, "unexpected 'if'"),
    ("lambda: h", 1, 7, "unexpected ':'"),
    ("__import__('os').system('true')", 1, 12, 'unexpected "\'"'),
    ("().__class__", 1, 3, r"unexpected '\.'"),
    ("eval(h)", 1, 1, "'eval' is an unknown function"),
    ("Activation(h)", 1, 1, "'Activation' is an unknown function"),
    ("E", 1, 1, "unknown name 'E'"),
    ("I*h", 1, 1, "unknown name 'I'"),
    ("nan", 1, 1, "unknown name 'nan'"),
    ("oo", 1, 1, "unknown name 'oo'"),
    ("a" * 500, 1, 1, r"unknown name 'aaa[a.]*'; known"),
    ("1/0", 1, 3, "division by zero"),
    ("h/(x - x)", 1, 3, "division by zero"),
    ("1/0.0", 1, 3, "division by zero"),
    ("0**-1", 1, 1, "division by zero"),
    ("log(0)", 1, 1, "not a finite number"),
    ("log(-1)", 1, 1, "not a real number"),
    ("(-8)**(1/3)*h", 1, 1, "not a real number"),
    ("(-2)**0.5", 1, 1, "not a real number"),
    ("1e999", 1, 1, "exceeds the range of floating point"),
    ("1e-999", 1, 1, "exceeds the range of floating point"),
    ("1e300*1e300", 1, 1, "exceeds the range of floating point"),
    ("1e-300*1e-300*h", 1, 1, "exceeds the range of floating point"),
    ("9" * 41, 1, 1, "a number of more than 40 characters"),
    ("*".join(["9" * 40] * 9), 1, 1, "a number is too long"),
    ("h**65", 1, 4, "the exponent exceeds 64"),
    ("h**-65", 1, 4, "the exponent exceeds 64"),
    ("h**(1/65)", 1, 4, "the exponent exceeds 64"),
    ("h**1e9", 1, 4, "the exponent exceeds 64"),
    ("h**pi", 1, 4, "a constant exponent must be a plain number"),
    ("h**(2**(1/2))", 1, 4, "a constant exponent must be a plain number"),
    ("9**9**9", 1, 4, "the exponent exceeds 64"),
    ("(9**64)**64", 1, 1, "the numbers in the power are too long"),
    ("((h**64)**64)**64", 1, 1, "the numbers in the power are too long"),
    ("1e300**2", 1, 1, "the numbers in the power are too long"),
    ("(99999999999999999999*h)**(1/2)", 1, 1, "the number under the root is too long"),
    ("exp(101)", 1, 5, "the argument of exp is constant: it must be a plain number of at most 100"),
    ("exp(exp(9))", 1, 5, "the argument of exp is constant"),
    ("sin(h - h + 200)", 1, 5, "the argument of sin is constant"),
    ("exp(50)**64 + (exp(50)**64)**64", 1, 15, "powers of constants nested too deep"),
    ("(1 + (1 + 2**(1/2))**(1/2))**(1/2)*h", 1, 1, "powers of constants nested too deep"),
    ("1/(1 + 1/(1 + exp(1)))", 1, 3, "powers of constants nested too deep"),
    ("(" * 33 + "h" + ")" * 33, 1, 33, "nested deeper than 32"),
    ("tanh(" * 33 + "h" + ")" * 33, 1, 161, "nested deeper than 32"),
    ("h**" * 33 + "h", 1, 97, "nested deeper than 32"),
    ("h" + "+h" * 1000, 1, 2001, "more than 2000 symbols"),
    ("-" * 2000 + "h", 1, 2001, "more than 2000 symbols"),
]


@pytest.mark.parametrize(("text", "line", "column", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_and_where(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"line {line}, column {column}: ")


def test_the_bounds_are_inclusive() -> None:
    depth, tokens = MAX_DEPTH - 1, MAX_TOKENS // 2
    assert read("(" * depth + "h" + ")" * depth) == h
    assert read("h" + "+h" * (tokens - 1)) == tokens * h
    assert read("h**64") == h**64
    assert read("exp(100)") == sp.exp(100)


HEAVY = [
    *(f"{f}(" * 31 + "h - e*x + 1" + ")" * 31 for f in FUNCTIONS),
    *(f"{f}(1 + h*" * 15 + "(h - e*x)" + ")" * 15 for f in FUNCTIONS),
    "(1 + " * 31 + "h" + ")**0.5" * 31,
    "(1 + h*" * 31 + "x" + ")**(1/3)" * 31,
    "h**" * 31 + "h",
    "+".join(f"{k}.5*h**{k % 60}*x" for k in range(1, 200)),
    "*".join(f"(h + {k})" for k in range(1, 330)),
    "/".join(f"(h + {k})" for k in range(1, 330)),
    "*".join(f"{10**18 + k}**(1/{k % 60 + 2})" for k in range(1, 220)),
    "+".join(f"1/{10**38 + k}" for k in range(1, 400)),
    "*".join(f"(exp({k % 100}) + 1)" for k in range(1, 240)),
    "+".join("sin(h + e + x)" for _ in range(200)),
    "(2**(1/2) + " * 9 + "(0.5 + " * 9 + "2**(1/2)" + ")**0.5" * 18,
    "(2 + " * 7 + "+".join(["1/3 - (3 + " * 7 + "2**(1/2)" + ")**0.5" * 7] * 9) + ")**0.5" * 7,
    "+".join(f"(1 + {k}**(1/2))**(1/3)" for k in range(2, 140)),
    "*".join(f"(exp({k}/7) - {k}**(1/3))" for k in range(2, 120)),
    "((h + x)*(h - x))**64" + "*((h + x)*(h - x))**64" * 120,
]


@pytest.mark.parametrize("text", HEAVY, ids=range(len(HEAVY)))
def test_a_heavy_expression_is_read_or_refused_before_long(text: str) -> None:
    """Half a second here; without limits minutes to hours, which no slow machine explains."""
    start = time.process_time()
    with contextlib.suppress(ParseError):
        read(text)
    assert time.process_time() - start < 20.0


# --- writing -------------------------------------------------------------------------------------

WRITTEN = [
    ((1 - sigmoid(x)) * h, "h*(1 - sigmoid(x))"),
    (-h, "-h"),
    (-2 * h * (x + e), "-2*h*(e + x)"),
    (h / 2, "h/2"),
    (-3 * h / (4 * x), "-3*h/4/x"),
    (1 / h, "1/h"),
    (h ** sp.Rational(-1, 2), "1/h**(1/2)"),
    (h**-x, "h**(-x)"),
    (2 ** (h**x), "2**(h**x)"),
    ((h + 1) ** 2 / (x + 1), "(h + 1)**2/(x + 1)"),
    (0.1 * h - 1e-20, "0.1*h - 1e-20"),
    (sp.Rational(1, 3) + h, "h + 1/3"),
    (sp.Abs(h), "abs(h)"),
    (sp.exp(-h), "exp(-h)"),
    (sp.E * h, "exp(1)*h"),
    (sp.pi * h, "pi*h"),
    (sp.sqrt(2) * h, "h*2**(1/2)"),
    ((-h) ** sp.Rational(1, 2), "(-h)**(1/2)"),
    (sp.Integer(0), "0"),
]


@pytest.mark.parametrize(("expression", "text"), WRITTEN)
def test_what_is_written(expression: sp.Expr, text: str) -> None:
    assert expression_text(expression) == text
    assert read(text) == expression


@pytest.mark.parametrize(
    "expression", [sp.Derivative(sp.Function("f")(h), h), sp.oo, sp.Max(h, x), sp.EulerGamma * h]
)
def test_what_has_no_text(expression: sp.Expr) -> None:
    with pytest.raises(CellError, match="no word for"):
        expression_text(expression)
