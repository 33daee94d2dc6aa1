"""A unit at rest: its states solve its own update, for every cell that rests in one way."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft import cells
from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Preactivation, State
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.theory.rest import resting_unit

RESTING = (
    *("vanilla", "minimal", "gru", "gru_torch", "lstm", "peephole_lstm", "coupled_lstm"),
    *("chrono_lstm", "mgu", "ugrnn", "janet", "min_gru", "min_lstm", "leaky_rnn", "rate"),
    "residual_rnn",
)
RESTLESS = {
    "indrnn": "not linear",
    "diagonal_peephole_lstm": "not linear",
}


@pytest.mark.parametrize("name", RESTING)
def test_the_update_leaves_a_resting_unit_where_it_is(name: str) -> None:
    cell = cells.get(name)
    unit = resting_unit(cell)
    drawn = [*cell.preactivations, *cell.parameters]
    quiet = {} if cell.input is None else {cell.input: sp.S.Zero}
    values = np.random.default_rng(0).normal(size=(len(drawn), 50))
    states = compile_elementwise(list(unit.states.values()), drawn)(*values)
    states = [np.broadcast_to(s, 50) for s in states]
    update = [F.xreplace(quiet) for F in cell.update.values()]
    moved = compile_elementwise(update, [*cell.states, *drawn])(*states, *values)
    for before, after in zip(states, moved, strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    seen = [cell.sees[p].xreplace(quiet) for p in unit.row]
    found = compile_elementwise(seen, [*cell.states, *drawn])(*states, *values) if seen else ()
    known = compile_elementwise(list(unit.seen), drawn)(*values) if seen else ()
    for p, y in zip(unit.row, found, strict=True):
        np.testing.assert_allclose(y, known[unit.row[p]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RESTLESS)
def test_cells_whose_units_rest_in_several_ways_are_refused(name: str) -> None:
    with pytest.raises(DerivationError, match=RESTLESS[name]):
        resting_unit(cells.get(name))


def test_an_integrator_is_refused() -> None:
    h = State("h")
    with pytest.raises(DerivationError, match="keeps whole"):
        resting_unit(Cell("adds", update={h: h + Preactivation("e", h)}))


def test_states_that_feed_each_other_are_solved_together() -> None:
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    unit = resting_unit(Cell("pair", update={a: b / 2 + e, b: a / 2}))
    assert sp.simplify(unit.states[a] - 4 * e / 3) == 0
    assert sp.simplify(unit.states[b] - 2 * e / 3) == 0
