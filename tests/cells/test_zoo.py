"""The zoo: each cell steps as its papers' equations do, with the same weights, in float64."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
import sympy as sp
import torch

from rnnmft import cells
from rnnmft.activations import relu, sigmoid, tanh
from rnnmft.cells import Average, Cell, Normal, Preactivation, State
from rnnmft.errors import CellError, ParameterError
from rnnmft.language.widths import units
from rnnmft.numerics.compile import compile_elementwise
from tests.cells.twins import TWINS, Weights

N, BATCH, STEPS = 6, 3, 10


def weights_of(cell: Cell) -> Weights:
    """Random weights: N_in = N, so that the input can also enter elementwise."""
    draw = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    matrices = {}
    for p in cell.preactivations:
        rows, columns = units(p.width, N), units(cell.seen_widths[p], N)
        matrices[p.name] = (normal(rows, columns) / 3, normal(rows, N) / 3, normal(rows))
    return Weights(matrices, {p.name: normal(N) / 2 for p in cell.parameters})


def step(cell: Cell, p: Weights, x: torch.Tensor, states: tuple[torch.Tensor, ...]) -> tuple:
    """One step of the cell by its definition."""
    known: dict[sp.Symbol, torch.Tensor] = dict(zip(cell.states, states, strict=True))
    known |= {q: p[q.name].expand(BATCH, N) for q in cell.parameters}
    known |= {cell.input: x} if cell.input else {}
    for e in cell.order:
        held = [s for s in known if e.content.has(s)]
        (seen,) = compile_elementwise([e.content], held, "torch")(*(known[s] for s in held))
        if isinstance(e, Average):
            known[e] = seen.mean(-1, keepdim=True).expand(BATCH, N)
            continue
        known[e] = p.a(e.name, seen if e.is_recurrent else None, x if e.has_input else None)
    # Each of what it holds: vectors of other widths do not broadcast.
    return tuple(
        compile_elementwise([f], held := [s for s in known if f.has(s)], "torch")(
            *(known[s] for s in held)
        )[0]
        for f in cell.update.values()
    )


def distance(cell: Cell, name: str) -> float:
    """The largest difference to the twin over some steps."""
    p = weights_of(cell)
    draw = torch.Generator().manual_seed(8)
    sizes = [units(s.width, N) for s in cell.states]
    ours = theirs = tuple(torch.zeros(BATCH, n, dtype=torch.float64) for n in sizes)
    largest = 0.0
    for _ in range(STEPS):
        x = torch.randn(BATCH, N, generator=draw, dtype=torch.float64)
        ours, theirs = step(cell, p, x, ours), TWINS[name](p, x, *theirs)
        largest = max(
            largest, *(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
        )
        assert all(bool(a.isfinite().all()) for a in ours)
    return largest


@pytest.mark.parametrize("name", cells.names())
def test_a_cell_steps_as_its_papers_equations(name: str) -> None:
    assert distance(cells.get(name), name) <= 1e-12


@pytest.mark.parametrize("name", cells.names())
def test_the_comparison_sees_a_small_change(name: str) -> None:
    cell = cells.get(name)
    moved = {s: f * sp.Float(1 + 1e-6) for s, f in cell.update.items()}
    changed = Cell(name, moved, cell.preactivations)
    assert distance(changed, name) > 1e-8


def test_the_output_gate_of_the_peephole_lstm_sees_the_new_state() -> None:
    cell = cells.peephole_lstm()
    c, _ = cell.states
    by_name = {p.name: p for p in cell.preactivations}
    assert by_name["o_c"].sees == cell.update[c]
    assert by_name["i_c"].sees == by_name["f_c"].sees == c
    old = Preactivation("o_c", c, input=None)
    update = {s: f.xreplace({by_name["o_c"]: old}) for s, f in cell.update.items()}
    assert distance(Cell("old", update), "peephole_lstm") > 1e-3


def head(name: str) -> str:
    """What the file of a cell says about it first: comments of a text cell, or docstrings."""
    text = Path(cells.__file__).with_name(f"{name}.toml")
    if text.exists():
        return " ".join(re.findall(r"^# ?(.*)", text.read_text(encoding="utf-8"), re.MULTILINE))
    function = getattr(cells, name)
    assert name in cells.__all__
    assert inspect.getdoc(function)
    return sys.modules[function.__module__].__doc__ or ""


@pytest.mark.parametrize("name", cells.names())
def test_each_cell_states_its_paper_and_convention(name: str) -> None:
    assert cells.get(name).name == name
    page = " ".join(head(name).split())
    assert any(str(year) in page for year in range(1980, 2030)), "no paper"
    if not cells.get(name).preactivations[0].name.startswith("e"):
        assert "= 1" in page or "multiplies the" in page, "no gate convention"


@pytest.mark.parametrize("name", cells.names())
def test_the_typical_laws_are_those_of_the_random_parameters(name: str) -> None:
    cell = cells.get(name)
    ensemble = cell.ensemble(parameters=cells.typical_laws(name))
    assert list(ensemble.parameters) == [p.name for p in cell.parameters]


def test_typical_laws_of_an_unknown_cell() -> None:
    with pytest.raises(CellError, match="no cell named 'nothing'"):
        cells.typical_laws("nothing")


# --- arguments -----------------------------------------------------------------------------------

h = State("h")
e = Preactivation("e", h)


def test_arguments_enter_the_update() -> None:
    assert cells.leaky_rnn(leak=1).update[h] == cells.vanilla().update[h]
    assert cells.leaky_rnn(0.25, relu).update[h] == 0.75 * h + 0.25 * relu(e)
    seeing = Preactivation("e", relu(h))
    assert cells.rate(0.25, relu).update[h] == 0.75 * h + 0.25 * seeing
    assert cells.residual_rnn(step=2, shortcut=1, activation=relu).update[h] == h + 2 * relu(e)
    f, c = (Preactivation(name, h) for name in "fc")
    assert cells.janet(beta=0).update[h] == sigmoid(f) * h + (1 - sigmoid(f)) * tanh(c)
    u = cells.RandomParameter("u")
    assert cells.indrnn(tanh).update[h] == tanh(Preactivation("e", 0) + u * h)
    assert cells.indrnn().ensemble(parameters={"u": Normal(0, 1)}).parameters["u"] == Normal(0, 1)


@pytest.mark.parametrize("leak", [0, -0.1, 1.5, float("nan"), float("inf"), sp.Symbol("a"), 1j])
def test_a_leak_is_a_fraction(leak: object) -> None:
    for make in (cells.leaky_rnn, cells.rate):
        with pytest.raises(ParameterError, match=r"leak must be a (finite real )?number"):
            make(leak)


def test_arguments_are_numbers() -> None:
    for make in (cells.janet, cells.residual_rnn, cells.leaky_rnn, cells.rate):
        for wrong in ("1", sp.Symbol("a", real=True), float("nan"), None):
            with pytest.raises(ParameterError, match="must be a finite real number, got"):
                make(wrong)
