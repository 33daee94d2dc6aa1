"""One unit of a network as JavaScript: what it sees, its updates, and how both answer.

Everything is of unit i of `run`: states run.s, preactivations run.e, averages run.a and the unit's
own random parameters run.own; x is its input. A perturbation is (ds, de, da).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.explorer.javascript import FUNCTIONS, JavaScriptPrinter
from rnnmft.language import Cell

__all__ = ["unit_script"]

_HEAD, _TANGENT = "run, i, x", "run, i, x, ds, de, da"


def unit_script(cell: Cell) -> str:
    """An object of tables of functions, and the order in which a step computes them.

    Raises:
        CompileError: a function that the page lacks.
    """
    averages = list(cell.averages)
    names: dict[sp.Basic, str] = {s: f"run.s[{a}][i]" for a, s in enumerate(cell.states)}
    names |= {p: f"run.e[{k}][i]" for k, p in enumerate(cell.preactivations)}
    names |= {m: f"run.a[{k}]" for k, m in enumerate(averages)}
    names |= {r: f"run.own[{k}][i]" for k, r in enumerate(cell.parameters)}
    if cell.input is not None:
        names[cell.input] = "x"
    moved = {s: f"ds[{a}][i]" for a, s in enumerate(cell.states)}
    moved |= {p: f"de[{k}][i]" for k, p in enumerate(cell.preactivations)}
    moved |= {m: f"da[{k}]" for k, m in enumerate(averages)}
    printer = JavaScriptPrinter(names)

    def value(expression: sp.Expr) -> str:
        return printer.doprint(Activation.written_out(expression, FUNCTIONS))

    def differential(expression: sp.Expr) -> str:
        terms = [(sp.diff(expression, s), by) for s, by in moved.items()]
        return " + ".join(f"({value(slope)})*{by}" for slope, by in terms if slope != 0) or "0"

    places: dict[Any, list[Any]] = {p: ["e", k] for k, p in enumerate(cell.preactivations)}
    places |= {m: ["a", k] for k, m in enumerate(averages)}
    contents = {
        "sees": cell.sees.values(),
        "averages": cell.averages.values(),
        "update": cell.update.values(),
    }
    tables = [f"order: {[places[one] for one in cell.order]}"]
    for name, expressions in contents.items():
        tables.append(f"{name}: {_table(map(value, expressions), _HEAD)}")
        tables.append(f"{name}Tangent: {_table(map(differential, expressions), _TANGENT)}")
    return "{ " + ", ".join(tables) + " }"


def _table(texts: Iterable[str], head: str) -> str:
    return f"[{', '.join(f'({head}) => {text}' for text in texts)}]"
