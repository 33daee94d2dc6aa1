"""A cell as a TOML text that `rnnmft.language.text.loads` reads back to an equal cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.errors import CellError, ParseError
from rnnmft.language.grammar import parse_expression
from rnnmft.language.printer import expression_text
from rnnmft.language.symbols import Average, Input, Preactivation, RandomParameter, State

__all__ = ["cell_to_toml"]

_WIDTH = 88
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class _Written(Protocol):
    """What of a `Cell` its text form says; `Cell` itself is above this file."""

    name: str
    states: tuple[State, ...]
    preactivations: tuple[Preactivation, ...]
    parameters: tuple[RandomParameter, ...]
    input: Input | None
    sees: Mapping[Preactivation, sp.Expr]
    averages: Mapping[Average, sp.Expr]
    update: Mapping[State, sp.Expr]


def cell_to_toml(cell: _Written) -> str:
    """The text form of a cell; what would not be read back exactly is refused.

    Raises:
        CellError: the cell holds a function, number or name that the text form has no word for.
    """
    names = [s.name for s in _named(cell)]
    inputs = [cell.input.name] if cell.input else [] if "x" in names else ["x"]
    lines = [f"name = {_quoted(cell.name)}", f"states = {_array(s.name for s in cell.states)}"]
    lines.append(f"inputs = {_array(inputs)}")
    if cell.parameters:
        lines.append(f"parameters = {_array(p.name for p in cell.parameters)}")
    if cell.preactivations:
        lines += ["", "[preactivations]"]
    for p in cell.preactivations:
        sees = _expression(cell, cell.sees[p]) if p.is_recurrent else "0"
        extra = "" if p.has_input else ", input = false"
        lines.append(f"{_key(p.name)} = {{ sees = {sees}{extra} }}")
    sized = [s for s in (*cell.states, *cell.preactivations) if s.width != 1]
    if sized:
        lines += ["", "[widths]", *(f"{_key(s.name)} = {_quoted(str(s.width))}" for s in sized)]
    if cell.averages:
        lines += ["", "[average]"]
    lines += [f"{_key(m.name)} = {_expression(cell, f)}" for m, f in cell.averages.items()]
    lines += ["", "[update]"]
    lines += [f"{_key(s.name)} = {_expression(cell, f)}" for s, f in cell.update.items()]
    return "\n".join(lines) + "\n"


def _named(cell: _Written) -> list[sp.Symbol]:
    """Every symbol but the input, which may be absent."""
    return [*cell.states, *cell.preactivations, *cell.parameters, *cell.averages]


def _expression(cell: _Written, expression: sp.Expr) -> str:
    text = expression_text(expression)
    symbols = [*_named(cell), *([cell.input] if cell.input else [])]
    own = {type(f).__name__: type(f) for f in expression.atoms(Activation)}
    try:
        again = parse_expression(text, {s.name: s for s in symbols}, own)
    except ParseError as error:
        raise CellError(f"cell {cell.name!r} has no text form: {error} in {text}") from None
    if again != expression:
        raise CellError(
            f"cell {cell.name!r} has no text form: {text} would be read as {again}, not exactly "
            f"as {expression}"
        )
    if len(text) <= _WIDTH:
        return f'"{text}"'
    return f'"""\n{_wrapped(text)}"""'


def _wrapped(text: str) -> str:
    """Break a long expression at its spaces, which stand between terms."""
    lines = [""]
    for word in re.split(r" (?=[+-] )", text):
        if lines[-1] and len(lines[-1]) + len(word) >= _WIDTH:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def _array(names: object) -> str:
    return "[" + ", ".join(_quoted(name) for name in names) + "]"  # type: ignore[attr-defined]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise CellError(f"{text!r} cannot be written as text") from None
    shown = (
        _ESCAPES.get(c, f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in text
    )
    return '"' + "".join(shown) + '"'
