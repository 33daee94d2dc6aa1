"""Hostile texts: nothing but ParseError and CellError comes out of the reader, and never slowly.

Kinds of texts: arbitrary characters; random words of the grammar, and formulas of the right syntax
that need not mean anything, in a valid file; damaged valid files; TOML of the right keys with wrong
values. Random cells round-trip. The fast set draws a few hundred, the slow one 10^5.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmft import cells
from rnnmft.cells import Cell, Input, Preactivation, State
from rnnmft.errors import CellError, ParseError
from rnnmft.language.grammar import FUNCTIONS

FAST, SLOW = 60, 20_000
LIMIT = 1.0  # seconds of this process, so that a busy machine does not fail the test

TEMPLATE = (
    'name = "k"\nstates = ["h", "c"]\ninputs = ["x"]\nparameters = ["u"]\n[preactivations]\n'
    "e = {{ sees = {0} }}\nz = {{ sees = {1}, input = false }}\n[update]\nh = {2}\nc = {3}\n"
)
VALID = [cells.get(name).to_toml() for name in cells.names()] + [
    TEMPLATE.format('"h"', '"sigmoid(e)*c"', '"tanh(e) + u*h"', '"""\nc/2\n + x"""')
]
WORDS = [
    *FUNCTIONS,
    *(
        "h",
        "c",
        "x",
        "u",
        "e",
        "z",
        "q",
        "pi",
        "E",
        "I",
        "nan",
        "oo",
        "and",
        "lambda",
        "__import__",
    ),
    *(
        "0",
        "1",
        "2",
        "3",
        "64",
        "65",
        "1e300",
        "1e-300",
        "0.5",
        ".5",
        "5.",
        "1e999",
        "9" * 30,
        "-1",
    ),
    *("+", "-", "*", "/", "**", "(", ")", "((", "))", "(1/2)", "**2", "**64", "**0.5", "**(1/3)"),
    *(
        "h**",
        "exp(",
        "log(",
        "abs(",
        "sin(",
        "tanh(",
        "(h-h)",
        "(-1)",
        " ",
        "\n",
        ",",
        ".",
        "[",
        "^",
    ),
    *("'", '"', "\\", "#", "=", "{", "}", ";", ":", "\u03c3", "\u00e9", "\u0661", "\x00", "_"),
]


def only_refuses(text: str) -> None:
    """Read the text; assert that it is read or refused, in time."""
    gc.disable()  # what hypothesis has piled up is not the reader's time
    start = time.process_time()
    refusal = refused(text)
    spent = time.process_time() - start
    gc.enable()
    assert spent < LIMIT
    if isinstance(refusal, ParseError):
        assert all(place is None or place >= 1 for place in (refusal.line, refusal.column))
    assert refusal is None or str(refusal)


def refused(text: str) -> ParseError | CellError | None:
    """The reader's own exception, if it raises one."""
    try:
        cells.loads(text)
    except (ParseError, CellError) as error:
        return error
    return None


# --- the texts -----------------------------------------------------------------------------------

characters = st.text(max_size=150) | st.text(
    alphabet="abhx_=\"[]{}().*/+-#\n\\'0123456789", max_size=400
)
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map("".join)
spaced_words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
few_words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("".join)
repeated_words = st.builds(
    lambda opening, inside, closing, times: opening * times + inside + closing * times,
    few_words,
    few_words,
    few_words,
    st.integers(1, 120),
)


def files_of(expressions: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Files that are valid but for their expressions, each on one line or on many."""

    def quoted(expression: str) -> str:
        if len(expression) < 1500:
            return json.dumps(expression)
        return "'''\n" + expression.replace("+", "\n+").replace(")*", ")\n*") + "'''"

    four = st.lists(expressions, min_size=4, max_size=4)
    return four.map(lambda parts: TEMPLATE.format(*map(quoted, parts)))


# Formulas of the right syntax, which reach SymPy whatever they mean.
atoms = st.sampled_from(
    [
        *("h", "c", "x", "u", "e", "z", "pi", "(h-h)", "(x/x)", "(-8)", "(1/3)", "0", "1", "2"),
        *("3", "64", "0.5", "1e300", "1e-300", "0.0", "100", "12345678901234567890", "(2**(1/2))"),
    ]
)
formulas = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda f, a: f"{f}({a})", st.sampled_from([*FUNCTIONS]), inner),
        st.builds(
            lambda a, sign, b: f"({a}{sign}{b})",
            inner,
            st.sampled_from(["+", "-", "*", "/", "**", "**-", "*-", "/-"]),
            inner,
        ),
        st.builds(lambda a, times: "+".join([a] * times), inner, st.integers(2, 9)),
        st.builds(lambda a, times: "*".join([a] * times), inner, st.integers(2, 9)),
        st.builds(
            lambda f, a, n: f"{f}(1+" * n + a + ")" * n,
            st.sampled_from([*FUNCTIONS]),
            inner,
            st.integers(2, 9),
        ),
        st.builds(lambda a, b, n: f"({a}+" * n + b + ")**0.5" * n, atoms, inner, st.integers(2, 9)),
    ),
    max_leaves=24,
)


@st.composite
def damaged_files(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(
            st.sampled_from(["", *WORDS]) | st.text(max_size=3) | st.just(text[start:end] * 9)
        )
        text = text[:start] + piece + text[end:]
    return text


scalars = st.one_of(
    words.map(json.dumps),
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(str),
    st.sampled_from(["true", "false", "1979-05-27", '""', "''", "'''\n'''", "{}", "[]", "0"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(["sees", "input", "h", "e.e", '"a b"']), inner, max_size=3
        ).map(lambda rows: "{" + ", ".join(f"{k} = {v}" for k, v in rows.items()) + "}"),
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        *("name", "states", "inputs", "parameters", "preactivations", "update", "h", "e"),
        *("[update]", "[preactivations]", "[[update]]", "update.h", "preactivations.e"),
        "a.b.c.d.e.f.g.h.i",
    ]
)
wrong_files = st.lists(st.tuples(keys, values), max_size=10).map(
    lambda rows: "\n".join(k if k.startswith("[") else f"{k} = {v}" for k, v in rows)
)

TEXTS = {
    "characters": characters,
    "words": files_of(words | spaced_words | repeated_words),
    "formulas": files_of(formulas),
    "damaged": damaged_files(),
    "wrong": wrong_files,
}


# --- round trips ---------------------------------------------------------------------------------

h, c, x = State("h"), State("c"), Input("x")
e = Preactivation("e", h)
leaves = st.one_of(
    st.sampled_from([h, c, x, e]),
    st.integers(-20, 20).map(sp.Integer),
    st.fractions(-5, 5, max_denominator=9).map(lambda f: sp.Rational(f.numerator, f.denominator)),
    st.floats(-1e3, 1e3, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-3).map(sp.Float),
)
applied = st.sampled_from([f for n, f in FUNCTIONS.items() if n not in ("exp", "log", "identity")])


def _power(base: sp.Expr, exponent: sp.Rational) -> sp.Expr:
    return base if base.is_number else base**exponent


expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: sp.Add(*parts)),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: sp.Mul(*parts)),
        st.builds(
            _power, inner, st.sampled_from([2, 3, -1, -2, sp.Rational(1, 2), sp.Rational(-3, 2), x])
        ),
        st.builds(lambda f, part: part if part.is_number else f(part), applied, inner),
    ),
    max_leaves=12,
)


def round_trips(update: sp.Expr, sees: sp.Expr) -> None:
    """Assert that the cell's text is read back exactly, or that the cell refuses to be written."""
    try:
        cell = Cell("k", {h: update + tanh_of(sees), c: c / 2})
        text = cell.to_toml()
    except CellError:
        # not real or not finite after all, or numbers beyond the grammar's bounds
        return
    assert cells.loads(text) == cell


def tanh_of(sees: sp.Expr) -> sp.Expr:
    """Something that holds a preactivation which sees the expression."""
    return FUNCTIONS["tanh"](Preactivation("s", sees))


# --- the tests -----------------------------------------------------------------------------------


def run(strategy: st.SearchStrategy[str], check: Callable[[str], None], examples: int) -> None:
    """Check that many draws of the strategy."""
    settings(max_examples=examples, deadline=None, database=None, derandomize=True)(
        given(strategy)(check)
    )()


@pytest.mark.parametrize("kind", TEXTS)
def test_hostile_texts(kind: str) -> None:
    run(TEXTS[kind], only_refuses, FAST)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
def test_very_many_hostile_texts(kind: str) -> None:
    run(TEXTS[kind], only_refuses, SLOW)


def check_pair(pair: tuple[sp.Expr, sp.Expr]) -> None:
    round_trips(*pair)


def test_round_trips() -> None:
    run(st.tuples(expressions, expressions), check_pair, FAST)


@pytest.mark.slow
def test_very_many_round_trips() -> None:
    run(st.tuples(expressions, expressions), check_pair, SLOW)


def test_the_round_trips_are_not_all_refused() -> None:
    written = []

    def check(pair: tuple[sp.Expr, sp.Expr]) -> None:
        try:
            Cell("k", {h: pair[0] + tanh_of(pair[1]), c: c / 2}).to_toml()
        except CellError:
            written.append(False)
        else:
            written.append(True)

    run(st.tuples(expressions, expressions), check, FAST)
    assert sum(written) > 0.8 * len(written)
