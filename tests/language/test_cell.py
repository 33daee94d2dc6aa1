"""The definition language: every check and every error, symbols, equality, pickling, LaTeX."""

from __future__ import annotations

import copy
import pickle

import pytest
import sympy as sp

from rnnmft import cells
from rnnmft.activations import define_activation, identity, relu, sigmoid, tanh
from rnnmft.errors import CellError
from rnnmft.language.cell import Cell, Input, Preactivation, RandomParameter, State

h, c, x, p = State("h"), State("c"), Input("x"), RandomParameter("p")
e = Preactivation("e", h)


# --- symbols -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [State, Input, Preactivation, RandomParameter])
@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "a.b", None, 3, sp.Symbol("h")])
def test_a_name_is_an_identifier(kind: type, name: object) -> None:
    with pytest.raises(CellError, match=f"{kind.__name__} needs a name that is an identifier"):
        kind(name)


def test_one_name_may_mean_different_things_in_different_cells() -> None:
    kinds = [State("a"), Input("a"), RandomParameter("a"), Preactivation("a", h), sp.Symbol("a")]
    kinds += [Preactivation("a", h**2), Preactivation("a", h, input=None), Preactivation("a")]
    assert len(set(kinds)) == len(kinds)
    assert State("a") == State("a")
    assert hash(State("a")) == hash(State("a"))
    assert Preactivation("a", h) == Preactivation("a", State("h"))


@pytest.mark.parametrize("symbol", [h, x, p, e, Preactivation("n", sigmoid(e) * h, input=None)])
def test_symbols_survive_pickle_and_copy(symbol: sp.Symbol) -> None:
    for other in (pickle.loads(pickle.dumps(symbol)), copy.deepcopy(symbol), copy.copy(symbol)):
        assert other == symbol
        assert type(other) is type(symbol)


def test_symbols_are_real() -> None:
    assert all(s.is_real for s in (h, x, p, e))
    assert sp.sqrt(h**2) == sp.Abs(h)


def test_preactivation_inputs() -> None:
    assert e.is_recurrent
    assert e.has_input
    assert not Preactivation("a", 0).is_recurrent
    assert not Preactivation("m", h, input=None).has_input
    assert not Preactivation("m", h, input=False).has_input
    assert Preactivation("m", h, input=x).has_input


@pytest.mark.parametrize("sees", ["h", [h], object(), {h: 1}, None])
def test_what_a_preactivation_sees_is_an_expression(sees: object) -> None:
    with pytest.raises(CellError, match="'a': sees must be an expression"):
        Preactivation("a", sees)


def test_a_preactivation_sees_something() -> None:
    with pytest.raises(CellError, match="'a' sees nothing"):
        Preactivation("a", 0, input=None)


# --- the checks of a cell ------------------------------------------------------------------------


def test_order_is_that_of_the_update_and_of_the_dependencies() -> None:
    r = Preactivation("r", h)
    n = Preactivation("n", sigmoid(r) * h)
    cell = Cell("order", update={h: tanh(n) * c, c: c / 2 + tanh(r)}, preactivations=(n,))
    assert cell.states == (h, c)
    assert [q.name for q in cell.preactivations] == ["r", "n"]
    assert cell.sees[n] == sigmoid(r) * h
    assert cell.input is None
    assert cell.parameters == ()


def test_update_and_sees_are_read_only() -> None:
    cell = cells.minimal()
    for mapping in (cell.update, cell.sees):
        with pytest.raises(TypeError):
            mapping[h] = h  # type: ignore[index]


def test_an_unused_preactivation_is_kept() -> None:
    assert [q.name for q in Cell("k", {h: h / 2}, [e]).preactivations] == ["e"]


def test_random_parameters_are_found_wherever_they_are() -> None:
    u = RandomParameter("u")
    n = Preactivation("n", u * h)
    cell = Cell("diagonal", {h: relu(n + p * h) + x})
    assert cell.parameters == (p, u)
    assert cell.input == x


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_cell_needs_a_name(name: object) -> None:
    with pytest.raises(CellError, match="needs a name"):
        Cell(name, {h: h})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({}, "has no state"),
        (3, "must map states"),
        ([h], "must map states"),
        ({"h": h}, "keys must be State, got 'h'"),
        ({sp.Symbol("h"): h}, "keys must be State"),
        ({h: "tanh(e)"}, "is text"),
        ({h: [h]}, "is not an expression"),
        ({h: object()}, "is not an expression"),
        ({h: sp.Symbol("q") * h}, "unknown symbol 'q' in the update of 'h'; known are h"),
        ({h: c}, "state 'c' is used in the update of 'h' but has no update"),
        ({h: tanh(Preactivation("a", c))}, "state 'c' is used in what 'a' sees"),
        ({h: x + Input("y")}, r"more than one input: \['x', 'y'\]"),
        ({h: tanh(Preactivation("h", h))}, "one name for two things: h"),
        ({h: Input("h")}, "one name for two things: h"),
        ({h: RandomParameter("h") * h}, "one name for two things: h"),
        ({h: tanh(e) * Input("e")}, "one name for two things: e"),
        ({h: e + Preactivation("e", h, input=None)}, "'e' is defined twice"),
        ({h: sp.Function("f")(h)}, "undefined function 'f'"),
        ({h: float("nan")}, "holds nan"),
        ({h: float("inf")}, "holds oo"),
        ({h: h / sp.Integer(0)}, "holds zoo"),
        ({h: sp.I * h}, "holds I"),
        ({h: sp.sqrt(-2) * h}, "holds I"),
        ({h: sp.Integer(-8) ** sp.Rational(1, 3) * h}, "it must be a finite real expression"),
        ({h: h > 0}, "not elementwise"),
        ({h: True}, "not elementwise"),
        ({h: sp.Integral(h, h)}, "not elementwise: it uses Integral"),
        ({h: sp.Derivative(sp.Function("f")(h), h)}, "not elementwise|undefined function"),
        ({h: sp.Piecewise((h, h > 0))}, "says nothing where"),
        ({h: sp.Max(0, h, 1)}, "not elementwise: it uses Max"),
        ({h: sp.tan(h)}, "not elementwise: it uses tan"),
        ({h: sp.MatrixSymbol("A", 2, 2)}, "not elementwise: it uses MatrixSymbol"),
        ({h: sp.Matrix([h])}, "not elementwise"),
        ({h: tanh(Preactivation("a", sp.Matrix([h])))}, "what 'a' sees is not elementwise"),
        ({h: tanh(Preactivation("weights", h))}, "no preactivation can be named 'weights'"),
        ({h: tanh(Preactivation("parameters", h))}, "no preactivation can be named"),
    ],
)
def test_what_is_not_a_cell(update: object, message: str) -> None:
    with pytest.raises(CellError, match=message):
        Cell("wrong", update)  # type: ignore[arg-type]


@pytest.mark.parametrize("extra", [h, "e", 3])
def test_extra_preactivations_are_preactivations(extra: object) -> None:
    with pytest.raises(CellError, match="must hold Preactivation"):
        Cell("wrong", {h: h}, [extra])  # type: ignore[list-item]


def test_a_circle_is_named() -> None:
    a = Preactivation("a", sp.Symbol("b") * h)
    b = Preactivation("b", sp.Symbol("d") + h)
    d = Preactivation("d", tanh(a))
    with pytest.raises(CellError, match="circle among preactivations: a -> b -> d -> a"):
        Cell("circle", {h: tanh(a)}, [a, b, d])
    alone = Preactivation("a", sp.Symbol("a", real=True))
    with pytest.raises(CellError, match="circle among preactivations: a -> a"):
        Cell("circle", {h: tanh(alone)})


def test_plain_symbols_mean_the_states_and_preactivations_of_their_name() -> None:
    r = Preactivation("r", sp.Symbol("h"))
    n = Preactivation("n", sigmoid(sp.Symbol("r", real=True)) * sp.Symbol("h"))
    plain = Cell("gru", {h: tanh(sp.Symbol("n")) * sp.Symbol("h")}, [n, r])
    r = Preactivation("r", h)
    n = Preactivation("n", sigmoid(r) * h)
    assert plain == Cell("gru", {h: tanh(n) * h})
    assert all(plain.sees[q] == q.sees for q in plain.preactivations)


def test_an_expression_left_unevaluated_is_evaluated() -> None:
    update = sp.Mul(2, sp.Add(h, h, evaluate=False), evaluate=False)
    assert Cell("k", {h: update}) == Cell("k", {h: 4 * h})


def test_every_offered_activation_is_elementwise() -> None:
    from rnnmft import activations

    for name in activations.__all__:
        if name not in ("Activation", "canonical_functions", "define_activation"):
            assert Cell("k", {h: getattr(activations, name)(e)}).update[h].has(e)


def test_a_users_activation_is_elementwise() -> None:
    cube = define_activation("cube", 3 * sp.Symbol("x", real=True) ** 2)
    assert Cell("k", {h: cube(e)}).update[h] == cube(e)


def test_sympys_own_tanh_becomes_rnnmfts() -> None:
    assert Cell("k", {h: sp.tanh(e)}) == Cell("k", {h: tanh(e)})
    assert Cell("k", {h: sp.Max(0, e)}) == Cell("k", {h: relu(e)})
    assert Cell("k", {h: identity(e)}) == Cell("k", {h: e})


# --- identity, printing --------------------------------------------------------------------------


@pytest.mark.parametrize("name", cells.names())
def test_cells_compare_hash_and_pickle(name: str) -> None:
    cell = cells.get(name)
    for other in (cells.get(name), pickle.loads(pickle.dumps(cell)), copy.deepcopy(cell)):
        assert other == cell
        assert hash(other) == hash(cell)
        assert other.states == cell.states
        assert other.preactivations == cell.preactivations


def test_different_cells_are_different() -> None:
    base = Cell("k", {h: tanh(e)})
    assert base != Cell("other", {h: tanh(e)})
    assert base != Cell("k", {h: sigmoid(e)})
    assert base != Cell("k", {h: tanh(Preactivation("e", h, input=None))})
    assert base != Cell("k", {h: tanh(Preactivation("e", h**2))})
    assert base != Cell("k", {h: tanh(e)}, [Preactivation("extra")])
    assert base != "k"
    assert Cell("k", {h: c, c: h}) != Cell("k", {c: h, h: c})
    assert len({cells.get(n) for n in cells.names()}) == len(cells.names())


def test_repr() -> None:
    assert repr(cells.minimal()) == (
        "Cell 'minimal': states h; preactivations e; input x elementwise"
    )
    assert repr(Cell("k", {h: h / 2})) == "Cell 'k': states h; preactivations none"
    assert repr(Cell("k", {h: p * h})) == (
        "Cell 'k': states h; preactivations none; random parameters p"
    )


def test_latex() -> None:
    m, a = Preactivation("m", c, input=None), Preactivation("a", 0)
    r = Preactivation("r_1", sigmoid(m) * h)
    cell = Cell("k", {h: tanh(r + a), c: c / 2})
    assert cell.latex() == (
        r"\begin{aligned}a &= V_{a} x + b_{a} \\ "
        r"m &= W_{m} c + b_{m} \\ "
        r"r_{1} &= W_{r_{1}} \left(h \sigma\left(m\right)\right) + V_{r_{1}} x + b_{r_{1}} \\ "
        r"h' &= \tanh\left(a + r_{1}\right) \\ "
        r"c' &= \frac{c}{2}\end{aligned}"
    )
    assert cell._repr_latex_() == f"$${cell.latex()}$$"


def test_the_zoo_refuses_an_unknown_name() -> None:
    with pytest.raises(CellError, match="no cell named 'nothing' in the zoo; there are vanilla"):
        cells.get("nothing")
