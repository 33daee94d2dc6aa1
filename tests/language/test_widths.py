"""Widths: fractions of N, one in each elementwise expression, in Python and in text."""

import pickle

import pytest
import sympy as sp

from rnnmft import Cell, Input, Preactivation, State, cells, sigmoid, tanh
from rnnmft.cells import Average, RandomParameter, loads, stack
from rnnmft.errors import CellError, ParseError
from rnnmft.language.widths import units

h, c = State("h", width=0.25), State("c")
e = Preactivation("e", h)


def test_a_cell_knows_every_width():
    cell = cells.get("projection_lstm")
    by_name = {s.name: w for s, w in cell.widths.items()}
    assert by_name == {"c": 1, "h": sp.Rational(1, 4), "p": sp.Rational(1, 4)} | dict.fromkeys(
        "ifgo", 1
    )
    seen = {p.name: w for p, w in cell.seen_widths.items()}
    assert seen == dict.fromkeys("ifgo", sp.Rational(1, 4)) | {"p": 1}
    assert cell.shares == (sp.Rational(4, 5), sp.Rational(1, 5))
    assert repr(cell).endswith("widths h 1/4 N, p 1/4 N")
    assert not cells.lstm().has_widths
    assert cells.lstm().shares == (sp.S.Half, sp.S.Half)


@pytest.mark.parametrize("width", [0.3, "3/10", sp.Rational(3, 10), 3 / 10 + 1e-12], ids=str)
def test_a_decimal_is_its_fraction(width):
    assert State("h", width).width == sp.Rational(3, 10)
    assert State("h", width) == State("h", 0.3) != State("h")


@pytest.mark.parametrize(
    "width", [0, -1, float("nan"), float("inf"), "x", "1/0", True, None, 1e-9, "9" * 400], ids=str
)
def test_a_width_is_a_positive_number(width):
    for kind in (lambda: State("h", width), lambda: Preactivation("e", c, width=width)):
        with pytest.raises(CellError, match="width must be a positive number or a fraction"):
            kind()


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({c: tanh(e) * c, h: c}, "the update of 'h' is of 1/4 N units and holds c of N"),
        ({h: e}, "the update of 'h' is of 1/4 N units and holds e of N"),
        ({c: Preactivation("f", c * h)}, r"what 'f' sees holds c of N, h of 1/4 N"),
        ({c: e + Average("m", c * h)}, r"the average 'm' holds c of N, h of 1/4 N"),
    ],
    ids=["state", "preactivation", "seen", "average"],
)
def test_vectors_of_two_widths_do_not_mix(update, words):
    update |= {s: Preactivation("p", c, width=s.width) for s in (c, h) if s not in update}
    with pytest.raises(CellError, match=words + ".*meet only through a matrix"):
        Cell("mixed", update)


def test_an_input_and_parameters_are_as_wide_as_what_they_stand_beside():
    x, u = Input("x"), RandomParameter("u")
    narrow = Preactivation("n", u * x, width=0.25)
    cell = Cell("beside", {h: narrow + x, c: e})
    assert cell.widths[x] == cell.widths[u] == cell.seen_widths[narrow] == sp.Rational(1, 4)
    with pytest.raises(
        CellError, match="the update of 'c' is of N units and holds e of N, x of 1/4 N"
    ):
        Cell("both", {h: narrow + x, c: e + x})


def test_an_average_is_a_number_at_any_width():
    m = Average("m", h**2)
    cell = Cell("averaged", {c: e * m, h: Preactivation("p", c * m, width=0.25) / (1 + m)})
    assert cell.seen_widths[m] == sp.Rational(1, 4)


def test_text_python_pickle_and_stacks_keep_widths():
    cell = cells.get("projection_lstm")
    assert loads(cell.to_toml()) == pickle.loads(pickle.dumps(cell)) == cell
    two = stack(cell, 2)
    assert {s.name: s.width for s in two.states} == {
        "c_1": 1,
        "h_1": sp.Rational(1, 4),
        "c_2": 1,
        "h_2": sp.Rational(1, 4),
    }
    assert {w for p, w in two.seen_widths.items() if p.name.endswith("below")} == {h.width}
    wide = Cell("wide", {c: Preactivation("e", sigmoid(Preactivation("w", c, width=4)))})
    assert loads(wide.to_toml()) == wide


TEXT = 'name = "t"\nstates = ["h"]\n[widths]\n{}\n[preactivations]\ne = {{ sees = "h" }}\n'
TEXT += '[update]\nh = "tanh(e)"\n'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("g = 0.5", "line 4.*'g' is no state and no preactivation"),
        ("h = -1", "line 4.*h must be a positive number or a fraction"),
        ('h = "half"', "line 4.*such as \"1/4\", got 'half'"),
        ("h = [1]", "line 4.*h must be a positive number"),
    ],
    ids=["unknown", "negative", "word", "list"],
)
def test_text_says_where_a_width_is_wrong(row, reason):
    with pytest.raises(ParseError, match=reason):
        loads(TEXT.format(row))


def test_text_has_widths_as_numbers_and_fractions():
    cell = loads(TEXT.format('h = 0.5\ne = "1/2"'))
    assert {str(s): w for s, w in cell.widths.items()} == dict.fromkeys("he", sp.S.Half)


def test_units_are_the_nearest_whole_number():
    assert [units(sp.Rational(1, 3), n) for n in (1, 4, 5, 100)] == [1, 1, 2, 33]
