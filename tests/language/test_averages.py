"""Averages over units in the language: their order, their text, and what is refused."""

from __future__ import annotations

import pickle

import pytest
import sympy as sp

from rnnmft.activations import sigmoid, tanh
from rnnmft.cells import Average, Cell, Preactivation, State, loads
from rnnmft.errors import CellError, ParseError
from rnnmft.language import Input, RandomParameter
from rnnmft.theory.derivation import derive

h, x, p = State("h"), Input("x"), RandomParameter("p")
e = Preactivation("e", h)


def layer_norm() -> Cell:
    centre = Average("centre", e)
    spread = Average("spread", (e - centre) ** 2)
    return Cell("normalised", update={h: tanh((e - centre) / sp.sqrt(spread + 1))})


def chain() -> Cell:
    """An average that a preactivation sees, and one of that preactivation."""
    size = Average("size", sp.Abs(h))
    first = Preactivation("first", h / (size + 1))
    opened = Average("opened", sigmoid(first) * p + x)
    second = Preactivation("second", opened * h, input=False)
    return Cell("chain", update={h: tanh(second) + first * opened})


CELLS = {"layer norm": layer_norm, "chain": chain}

TEXT = """
name = "t"
states = ["h"]
[preactivations]
e = { sees = "h/(size + 1)" }
[average]
size = "abs(h) + spread"
spread = "double**2"
[let]
double = "2*h"
[update]
h = "tanh(e)*size"
"""


@pytest.mark.parametrize("name", CELLS)
def test_a_step_computes_averages_after_what_they_are_of(name: str) -> None:
    cell = CELLS[name]()
    known: set[sp.Basic] = {*cell.states, x, p}
    for d in cell.order:
        assert d.content.free_symbols <= known
        known.add(d)
    assert {*cell.order} == {*cell.preactivations, *cell.averages}
    assert {m: m.of for m in cell.order if isinstance(m, Average)} == dict(cell.averages)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_survives_text_pickle_and_latex(name: str) -> None:
    cell = CELLS[name]()
    assert loads(cell.to_toml()) == cell
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert hash(cell) == hash(CELLS[name]())
    assert all(f"{sp.latex(m)} &= \\mathbb{{E}}" in cell.latex() for m in cell.averages)
    assert "averages" in repr(cell)


def test_another_average_makes_another_cell() -> None:
    one, other = (Cell("c", update={h: e * Average("m", f)}) for f in (h, h**2))
    assert one != other
    assert one == Cell("c", update={h: e * Average("m", h)})


def test_names_stand_for_averages_wherever_they_are_written() -> None:
    """In text, and by plain symbols in Python."""
    cell = loads(TEXT)
    assert [d.name for d in cell.order] == ["spread", "size", "e"]
    m, n = sp.symbols("m n")
    plain = Cell(
        "c",
        update={h: m * Preactivation("e", h / (n + 1))},
        averages=[Average("m", n + h), Average("n", sp.Abs(h))],
    )
    n = Average("n", sp.Abs(h))
    m = Average("m", n + h)
    assert plain == Cell("c", update={h: m * Preactivation("e", h / (n + 1))})


def test_what_is_no_average_is_refused() -> None:
    with pytest.raises(CellError, match="of the number 3"):
        Average("m", 3)
    with pytest.raises(CellError, match="of must be an expression"):
        Average("m", "h")
    with pytest.raises(CellError, match="averages must hold Average"):
        Cell("c", update={h: e}, averages=[e])  # type: ignore[list-item]
    with pytest.raises(CellError, match="one name for two things: h"):
        Cell("c", update={h: e * Average("h", e)})
    with pytest.raises(CellError, match="'m' is defined twice"):
        Cell("c", update={h: Average("m", e) + Average("m", h)})
    with pytest.raises(CellError, match="'m' is defined twice"):
        Cell("c", update={h: Average("m", e) + Preactivation("m", h)})
    with pytest.raises(CellError, match="unknown symbol 'k' in the average 'm'"):
        Cell("c", update={h: e * Average("m", h * sp.Symbol("k"))})
    with pytest.raises(CellError, match="state 'g' is used in the average 'm'"):
        Cell("c", update={h: e * Average("m", State("g"))})
    with pytest.raises(CellError, match="the average 'm' is not elementwise"):
        Cell("c", update={h: e * Average("m", sp.gamma(h))})
    m, n = sp.symbols("m n")
    with pytest.raises(CellError, match="circle among definitions: "):
        Cell("c", update={h: m * e}, averages=[Average("m", n * h), Average("n", m * h)])


@pytest.mark.parametrize(
    ("old", "new", "sentence", "line"),
    [
        ('size = "abs(h) + spread"', "size = 3", "size must be text", 7),
        ('size = "abs(h) + spread"', 'size = "2"', "of the number 2", 7),
        ('size = "abs(h) + spread"', 'e = "h"', "'e' stands in preactivations and in average", 7),
        ('"double**2"', '"nothing"', "unknown name 'nothing'", 8),
        ("[average]\n", "average = 3\n[other]\n", "unknown key", None),
    ],
    ids=["no text", "a number", "two meanings", "unknown", "no table"],
)
def test_a_text_says_where_it_is_wrong(old: str, new: str, sentence: str, line: int | None) -> None:
    assert old in TEXT
    with pytest.raises(ParseError, match=sentence) as caught:
        loads(TEXT.replace(old, new))
    assert line is None or caught.value.line == line


def test_a_circle_in_a_text_is_named() -> None:
    with pytest.raises(CellError, match="circle among definitions: size -> "):
        loads(TEXT.replace('"2*h"', '"size*h"'))


def test_the_spread_of_a_preactivation_is_its_variance() -> None:
    """Without the terms that cancel: E[(e - E[e])^2] = q."""
    d = derive(layer_norm())
    assert d.population_average["spread"].rhs == d.notation.q[e]
    assert d.population_average["centre"].rhs == d.notation.mu_b[e]
    assert "Averages over the units" in [step.name for step in d.steps]
