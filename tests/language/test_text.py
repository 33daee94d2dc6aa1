"""Cells from TOML texts: exact round trips, and a place and a reason for everything refused."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest
import sympy as sp

from rnnmft import cells
from rnnmft.activations import define_activation, sigmoid, tanh
from rnnmft.cells import Cell, Input, Preactivation, RandomParameter, State
from rnnmft.errors import CellError, ParseError
from rnnmft.language.text import MAX_LINE, MAX_NAMES, MAX_TEXT, loads
from rnnmft.language.toml_positions import Positions

h, c, x, u = State("h"), State("c"), Input("x"), RandomParameter("u")

GRU = """\
name = "mycell"
states = ["h"]
inputs = ["x"]
[preactivations]
z = { sees = "h" }
g = { sees = "sigmoid(z)*h", input = false }
[update]
h = "(1-sigmoid(z))*h + sigmoid(z)*tanh(g)"
"""


def gru() -> Cell:
    z = Preactivation("z", h)
    g = Preactivation("g", sigmoid(z) * h, input=None)
    return Cell("mycell", {h: (1 - sigmoid(z)) * h + sigmoid(z) * tanh(g)}, (z, g))


# --- reading and writing -------------------------------------------------------------------------


def test_a_text_is_the_cell_one_would_write() -> None:
    assert cells.loads(GRU) == gru()


@pytest.mark.parametrize("name", cells.names())
def test_the_zoo_round_trips(name: str) -> None:
    cell = cells.get(name)
    text = cell.to_toml()
    assert cells.loads(text) == cell
    assert cells.loads(text).to_toml() == text


def chain(length: int) -> Cell:
    """Each preactivation sees its predecessor twice."""
    stages = [Preactivation("e_0", h)]
    for k in range(1, length):
        stages.append(Preactivation(f"e_{k}", tanh(stages[-1]) * sigmoid(stages[-1])))
    return Cell("chain", {h: tanh(stages[-1]) + h / 2})


ROUND_TRIPS = [
    Cell("two", {h: c * tanh(Preactivation("e", h)) + x, c: u * c - h}),
    Cell("none", {h: h / 2}),
    Cell("input alone", {h: h / 2 + tanh(Preactivation("a", 0))}),
    Cell("x is a state", {State("x"): tanh(Preactivation("e", State("x")))}),
    Cell('quo"te\\ \n\t\x01 \u00e9\u2603', {h: h / 2}),
    Cell("number", {h: 0.1 * h + sp.Rational(1, 3) - 1e-300 + 2 * h ** sp.Rational(1, 2)}),
    Cell("names", {State("\u03c3"): State("\u03c3") * RandomParameter("sin") / 2}),
    Cell("long", {h: sum(((k + 1) * tanh(k * h + x) for k in range(1, 40)), start=h)}),
    Cell("negative", {h: -2 * h * (x + c) / (1 + c**2) ** 2 - sp.sqrt(2) * c, c: -c}),
    Cell("constants", {h: sp.pi * h + sp.E + sp.exp(-h) + sp.Abs(x)}),
    chain(40),
]


@pytest.mark.parametrize("cell", ROUND_TRIPS, ids=lambda cell: cell.name.split()[0])
def test_round_trips_are_exact(cell: Cell) -> None:
    again = cells.loads(cell.to_toml())
    assert again == cell
    assert hash(again) == hash(cell)
    assert again.to_toml() == cell.to_toml()
    assert again.latex() == cell.latex()


def test_a_long_chain_costs_no_time() -> None:
    start = time.process_time()
    assert cells.loads(chain(60).to_toml()) == pickle.loads(pickle.dumps(chain(60)))
    assert time.process_time() - start < 5.0


def test_the_form_of_the_text() -> None:
    assert gru().to_toml() == (
        'name = "mycell"\nstates = ["h"]\ninputs = ["x"]\n\n'
        '[preactivations]\nz = { sees = "h" }\ng = { sees = "h*sigmoid(z)", input = false }\n\n'
        '[update]\nh = "(1 - sigmoid(z))*h + sigmoid(z)*tanh(g)"\n'
    )


def test_preactivations_may_stand_in_any_order() -> None:
    lines = GRU.split("\n")
    lines[4], lines[5] = lines[5], lines[4]
    assert cells.loads("\n".join(lines)) == gru()


def test_the_order_of_the_states_is_that_of_their_list() -> None:
    text = 'name = "k"\nstates = ["c", "h"]\n[update]\nh = "c"\nc = "h"\n'
    assert cells.loads(text).states == (c, h)
    assert cells.loads(text) == Cell("k", {c: h, h: c})


def test_other_ways_to_write_the_same() -> None:
    text = """\
# a comment
name = 'mycell'
states = [ "h", ]   # another
inputs = ["x"]
update.h = '''
(1 - sigmoid(z))*h
  + sigmoid(z)*tanh(g)'''
[preactivations.z]
sees = "h"
[preactivations.g]
sees = "sig\\u006Doid(z)*h"
input = false
"""
    assert cells.loads(text) == gru()
    assert cells.loads(text.replace("\n", "\r\n")) == gru()


def test_an_input_that_is_not_used_elementwise() -> None:
    assert cells.loads(GRU).input is None
    text = 'name = "k"\nstates = ["h"]\ninputs = ["x"]\n[update]\nh = "h/2 + x"\n'
    assert cells.loads(text).input == x


def test_a_users_function() -> None:
    cube = define_activation("cube", 3 * sp.Symbol("x", real=True) ** 2)
    cell = Cell("k", {h: cube(Preactivation("e", h))})
    assert cells.loads(cell.to_toml(), functions={"cube": cube}) == cell
    with pytest.raises(ParseError, match="'cube' is an unknown function"):
        cells.loads(cell.to_toml())


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "cell.toml"
    for data in (GRU.encode(), b"\xef\xbb\xbf" + GRU.encode(), GRU.replace("\n", "\r\n").encode()):
        path.write_bytes(data)
        assert cells.load(path) == cells.load(str(path)) == gru()


# --- cells without a text form -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell("k", {h: h**100}), "has no text form: .*the exponent exceeds 64"),
        (Cell("k", {h: h * sp.EulerGamma}), "no word for EulerGamma"),
        (Cell("k", {h: h * sp.Float("0.1", 50)}), "would be read as .*, not exactly"),
        (Cell("k", {State("pi"): sp.pi * State("pi")}), "would be read as"),
        (Cell("\ud800", {h: h}), "cannot be written as text"),
    ],
)
def test_a_cell_that_cannot_be_written_exactly(cell: Cell, message: str) -> None:
    with pytest.raises(CellError, match=message):
        cell.to_toml()


# --- refusals ------------------------------------------------------------------------------------

HEAD = 'name = "k"\nstates = ["h"]\n'
REFUSED = [
    ("", None, None, "the key 'name' is missing"),
    ("name", 1, 5, "not TOML: Expected '=' after a key"),
    ("name = ", 1, 8, "not TOML: Invalid value"),
    ('name = "k', 1, None, "not TOML: Unterminated string|not TOML: Illegal"),
    ('name = "k"\nname = "k"', 2, None, "not TOML: Cannot overwrite"),
    ("name = 3", 1, 1, "name must be a text that is not empty"),
    ('name = ""', 1, 1, "name must be a text"),
    ('name = "k"', None, None, "the key 'states' is missing"),
    ('name = "k"\nnmae = "k"', 2, 1, "unknown key 'nmae'; known are name, states, inputs, param"),
    ('name = "k"\nstates = "h"', 2, 1, "states must be a list of names"),
    ('name = "k"\nstates = []', 2, 1, "states must be a list of names"),
    ('name = "k"\nstates = ["h", 3]', 2, 16, "states must hold names, got 3"),
    ('name = "k"\nstates = [\n "h",\n "h"]', 4, 2, "'h' stands twice in states"),
    ('name = "k"\nstates = ["h-"]', 2, 11, "State needs a name that is an identifier, got 'h-'"),
    (HEAD + 'inputs = ["x", "y"]', 3, 16, "a cell has one input"),
    (HEAD + 'inputs = "x"', 3, 1, "inputs must be a list of names"),
    (HEAD + 'inputs = ["h"]\n[update]\nh = "h"', 3, 11, "'h' stands in states and in inputs"),
    (HEAD + 'parameters = ["h"]\n[update]\nh = "h"', 3, 15, "'h' stands in states and in param"),
    (HEAD, None, None, r"the table \[update\] is missing"),
    (HEAD + "update = 3", 3, 1, "update must be a table"),
    (HEAD + "[[update]]\nh = 'h'", 3, 3, "update must be a table"),
    (HEAD + "[update]", 3, 2, "state 'h' has no update"),
    (HEAD + "[update]\nh = 'h'\nc = 'h'", 5, 1, "'c' is no state; the states are h"),
    (HEAD + "[update]\nh = 3", 4, 1, "h must be text, got 3"),
    (HEAD + "[update]\nh = ['h']", 4, 1, "h must be text"),
    (HEAD + "[update]\nh = ''", 4, 6, "an expression is missing"),
    (HEAD + "[update]\nh = 'tanh(q)'", 4, 11, "unknown name 'q'; known are h$"),
    (HEAD + '[update]\nh = "tanh(h) +* h"', 4, 15, r"unexpected '\*'"),
    (HEAD + '[update]\nh = """\nh\n + q"""', 6, 4, "unknown name 'q'"),
    (HEAD + "[update]\nh = '''h\n + q'''", 5, 4, "unknown name 'q'"),
    (HEAD + '[update]\nh = "\\u0068 + q"', 4, 15, "unknown name 'q'"),
    (HEAD + '[update]\nh = """h \\\n   + q"""', 5, 6, "unknown name 'q'"),
    (HEAD + '[update]\n"h" = "q"', 4, 8, "unknown name 'q'"),
    (HEAD + 'update = { h = "q" }', 3, 17, "unknown name 'q'"),
    (HEAD + 'update.h = "q"', 3, 13, "unknown name 'q'"),
    (HEAD + '[preactivations]\nz = "h"\n[update]\nh = "z"', 4, 1, "z must be a table such as"),
    (HEAD + "[preactivations]\nz = {}\n[update]\nh = 'z'", 4, 1, "z does not say what it sees"),
    (HEAD + "[preactivations]\nz = {sees=1}\n[update]\nh='z'", 4, 6, "sees must be text, or 0"),
    (HEAD + "[preactivations]\nz = {sees=false}\n[update]\nh='z'", 4, 6, "sees must be text, or 0"),
    (
        HEAD + "[preactivations]\nz = {sees='h', input=1}\n[update]\nh='z'",
        4,
        16,
        "input must be tr",
    ),
    (HEAD + "[preactivations]\nz = {sees='h', see=1}\n[update]\nh='z'", 4, 16, "unknown key 'see'"),
    (HEAD + "[preactivations]\nz = {sees=0, input=false}\n[update]\nh='z'", 4, 1, "sees nothing"),
    (HEAD + "[preactivations]\nh = {sees='h'}\n[update]\nh='h'", 4, 1, "'h' stands in states and"),
    (HEAD + "[preactivations]\n'a b' = {sees='h'}\n[update]\nh='h'", 4, 1, "an identifier"),
    (HEAD + "[preactivations.z]\nsees = 'h*q'\n[update]\nh='z'", 4, 11, "unknown name 'q'"),
    (HEAD + "preactivations = 3\n[update]\nh='z'", 3, 1, "preactivations must be a table"),
    ("a." * 9 + "a = 1", 1, None, "a key of more than 8 parts"),
    ("a = " + "[" * 9 + "]" * 9, 1, None, "nested deeper than 8"),
    ("a = " + "[" * 1000, 1, None, "nested deeper than 8"),
    ("a = 1" + "0" * 5000, 1, MAX_LINE + 1, "a line has at most 2048 characters"),
    ("\n" * (MAX_TEXT + 1), None, None, "at most 16384 characters"),
]


@pytest.mark.parametrize(("text", "line", "column", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_and_where(
    text: str, line: int | None, column: int | None, reason: str
) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        cells.loads(text)
    assert caught.value.line == line
    assert column is None or caught.value.column == column
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_what_only_the_whole_shows_is_a_cell_error() -> None:
    circle = GRU.replace('z = { sees = "h" }', 'z = { sees = "h*g" }')
    with pytest.raises(CellError, match="circle among preactivations: z -> g -> z"):
        cells.loads(circle)
    reserved = GRU.replace("z", "weights")
    with pytest.raises(CellError, match="no preactivation can be named 'weights'"):
        cells.loads(reserved)


def test_a_cell_has_a_bounded_number_of_names() -> None:
    states = [f"h_{k}" for k in range(MAX_NAMES + 1)]
    text = f'name = "k"\nstates = {states!r}\n[update]\n'
    with pytest.raises(ParseError, match="at most 64 names"):
        cells.loads(text)


@pytest.mark.parametrize("text", [None, 3, b"name", ["name"]])
def test_a_text_is_a_str(text: object) -> None:
    with pytest.raises(ParseError, match="the text of a cell must be str, got"):
        cells.loads(text)  # type: ignore[arg-type]


def test_a_file_that_is_refused_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(GRU.replace("tanh(g)", "tanh(q)"))
    with pytest.raises(ParseError) as caught:
        cells.load(path)
    assert str(caught.value) == (
        f"{path}, line 8, column 41: unknown name 'q'; known are h, x, z, g"
    )
    path.write_text(GRU.replace('"h" }', '"h*g" }'))
    with pytest.raises(CellError, match=r"wrong\.toml: circle among"):
        cells.load(path)
    path.write_bytes(GRU.encode() + b'\nk = "\xff"')
    with pytest.raises(ParseError, match=r"wrong\.toml, line 10: the file is not UTF-8 text"):
        cells.load(path)
    with pytest.raises(FileNotFoundError):
        cells.load(tmp_path / "missing.toml")


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    path.write_bytes(b"#" * 10_000_000)
    start = time.process_time()
    with pytest.raises(ParseError, match="at most 16384 characters"):
        cells.load(path)
    assert time.process_time() - start < 1.0


# --- positions -----------------------------------------------------------------------------------


def test_positions_of_every_kind_of_value() -> None:
    text = (
        'a = "s"  # "no"\n[t.u]\n"k" = \'\'\'\nv\'\'\'\nn = [ 1, "x", { y = "z" } ]\n'
        "d = 1979-05-27\n[[w]]\nq = -1.5e3\n"
    )
    places = Positions(text).places
    at = {path: text[place.key :][:3] for path, place in places.items()}
    assert at["a",] == "a ="
    assert at["t", "u", "k"] == '"k"'
    assert at["t", "u", "n", "1"] == '"x"'
    assert at["t", "u", "n", "2", "y"] == "y ="
    assert at["t", "u", "d"] == "d ="
    assert at["w", "q"] == "q ="
    assert [text[i] for i in places["t", "u", "k"].characters] == ["v", "'"]


_TOML = """name = "k"
states = ["h"]
[preactivations]
e = { sees = "h" }
[update]
h = "tanh(e)"
"""
_NO_VALUES = (
    "inf",
    "-inf",
    "nan",
    "1e999",
    '"1e999"',
    '"nan"',
    '"tanh(e)/0"',
    "true",
    "1979-05-27",
)


@pytest.mark.parametrize("value", [*_NO_VALUES, '"1e400*tanh(e)"', "1.5", "[1]", "[[1]]"])
@pytest.mark.parametrize("damaged", ['"tanh(e)"', '["h"]', '"h" }', '{ sees = "h" }'])
def test_what_is_no_finite_number_and_no_text_is_refused(damaged: str, value: str) -> None:
    assert damaged in _TOML
    changed = _TOML.replace(damaged, value + (" }" if damaged == '"h" }' else ""))
    with pytest.raises((ParseError, CellError)) as caught:
        loads(changed)
    assert "\n" not in str(caught.value)
