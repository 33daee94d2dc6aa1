"""Cells from text: TOML files whose expressions are read by a whitelisted grammar.

    name = "mycell"
    states = ["h"]
    inputs = ["x"]
    parameters = []                 # elementwise random parameters, if any

    [preactivations]
    z = { sees = "h" }
    g = { sees = "sigmoid(z)*h", input = false }
    a = { sees = 0 }

    [widths]                        # units of states and preactivations over N, where not 1
    h = "1/4"

    [average]                       # means over the units: numbers, one a step, if any
    m = "abs(h)"

    [let]                           # names for what is written more than once, if any
    new = "tanh(g + a)"

    [update]
    h = "(1 - sigmoid(z))*h + sigmoid(z)*new"

Nothing in the text is ever evaluated as Python; see `rnnmft.language.grammar` for what it
may hold, and its bounds. `Cell.to_toml` writes the same form.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import sympy as sp

from rnnmft.errors import CellError, ParseError
from rnnmft.language.cell import Cell
from rnnmft.language.grammar import parse_expression
from rnnmft.language.symbols import (
    Average,
    Input,
    Preactivation,
    RandomParameter,
    State,
    width_fraction,
)
from rnnmft.language.toml_positions import Positions

__all__ = ["MAX_LINE", "MAX_NAMES", "MAX_TEXT", "load", "loads"]

MAX_TEXT = 16_384
MAX_LINE = 2_048
MAX_NAMES = 64
_NAME = re.compile(r"[^\W\d]\w*")
_KEYS = ("name", "states", "inputs", "parameters", "preactivations")
_KEYS += ("widths", "average", "let", "update")
# What names of a [let] table stand for, written out: each can double the one before.
MAX_SIZE = 20_000

Functions = Mapping[str, Callable[[Any], sp.Expr]]


def loads(text: str, *, functions: Functions | None = None) -> Cell:
    r"""The cell that a TOML text defines.

    Args:
        text: at most `MAX_TEXT` characters, in the form that the head of this file shows.
        functions: further activations by name, besides those that rnnmft offers.

    Raises:
        ParseError: with line, column and reason.
        CellError: the text is well formed, but a circle or something else keeps it from being a
            cell.

    >>> loads('name="k"\nstates=["h"]\n[preactivations]\ne={sees="h"}\n[update]\nh="tanh(e)"')
    Cell 'k': states h; preactivations e
    """
    if not isinstance(text, str):
        raise ParseError(f"the text of a cell must be str, got {type(text).__name__}")
    return _Reader(text.replace("\r\n", "\n"), functions or {}).cell()


def load(path: str | PathLike[str], *, functions: Functions | None = None) -> Cell:
    """The cell that a TOML file defines, UTF-8; see `loads`.

    Raises:
        ParseError: naming the file, with line, column and reason.
        CellError: as `loads`.
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        data = file.read(4 * MAX_TEXT + 4)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ParseError("the file is not UTF-8 text", line, source=str(path)) from None
    try:
        return loads(text, functions=functions)
    except ParseError as error:
        raise ParseError(error.reason, error.line, error.column, str(path)) from None
    except CellError as error:
        raise CellError(f"{path}: {error}") from None


class _Reader:
    """The checks of a document, from the outside in; each names the place of what is wrong."""

    def __init__(self, text: str, functions: Functions) -> None:
        if len(text) > MAX_TEXT:
            raise ParseError(f"the text of a cell has at most {MAX_TEXT} characters")
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > MAX_LINE:
                raise ParseError(f"a line has at most {MAX_LINE} characters", number, MAX_LINE + 1)
        self.functions = functions
        self.positions = Positions(text)
        self.data = self._toml(text)
        self.states = self._names("states", State)
        self.inputs = self._names("inputs", Input, required=False)
        self.parameters = self._names("parameters", RandomParameter, required=False)
        self.rows = self._table("preactivations", required=False)
        self.averages = self._table("average", required=False)
        self.lets = self._table("let", required=False)
        self.updates = self._table("update")
        self._check_names()
        self.widths = self._widths()
        self.states = {n: State(n, self.widths.get(n, 1)) for n in self.states}
        self.symbols: dict[str, sp.Symbol] = {**self.states, **self.inputs, **self.parameters}
        # Until it is read, a preactivation or average is its name: `Cell` names the circle if one
        # remains.
        later = (*self.rows, *self.averages)
        self.symbols |= {name: sp.Symbol(name, real=True) for name in later}

    def cell(self) -> Cell:
        """The cell; what only the whole can show is checked by `Cell`."""
        for name in self._order():
            if name in self.rows:
                self.symbols[name] = self._preactivation(name, self.rows[name])
            elif name in self.averages:
                self.symbols[name] = self._average(name)
            else:
                self.symbols[name] = self._let(name)
        preactivations = [self.symbols[name] for name in self.rows]
        update = {s: self._expression(self.updates[n], "update", n) for n, s in self.states.items()}
        averages = [self.symbols[name] for name in self.averages]
        return Cell(self.data["name"], update, preactivations, averages)

    def _order(self) -> list[str]:
        """Preactivations, averages and lets, each behind those that it names, but for circles."""
        names = {
            name: set(_NAME.findall(str(row.get("sees")))) if isinstance(row, dict) else set()
            for name, row in self.rows.items()
        }
        texts = {**self.averages, **self.lets}
        names |= {name: set(_NAME.findall(str(text))) for name, text in texts.items()}
        order: list[str] = []
        waiting = list(names)
        while waiting:
            first = next((n for n in waiting if not names[n].intersection(waiting)), waiting[0])
            order.append(first)
            waiting.remove(first)
        return order

    def refuse(self, reason: str, *path: str) -> NoReturn:
        """Raise ParseError at the key of that path."""
        raise ParseError(reason, *self.positions.of(*path))

    # --- the document --------------------------------------------------------------------------

    def _toml(self, text: str) -> dict[str, Any]:
        try:
            data = tomllib.loads(text)
        except RecursionError:
            raise ParseError("not TOML that can be read: nested too deep") from None
        except ValueError as error:
            raise _toml_error(str(error), self.positions.line_and_column(len(text))) from None
        for key in data:
            if key not in _KEYS:
                self.refuse(f"unknown key {key!r}; known are {', '.join(_KEYS)}", key)
        if "name" not in data:
            raise ParseError("the key 'name' is missing")
        if not isinstance(data["name"], str) or not data["name"]:
            self.refuse("name must be a text that is not empty", "name")
        return data

    def _names(self, key: str, kind: type, required: bool = True) -> dict[str, Any]:
        if key not in self.data and required:
            raise ParseError(f"the key {key!r} is missing")
        names = self.data.get(key, [])
        if not isinstance(names, list) or (required and not names):
            self.refuse(f'{key} must be a list of names, such as ["h"]', key)
        found: dict[str, Any] = {}
        for index, name in enumerate(names):
            if not isinstance(name, str):
                self.refuse(f"{key} must hold names, got {name!r}", key, str(index))
            if name in found:
                self.refuse(f"{name!r} stands twice in {key}", key, str(index))
            try:
                found[name] = kind(name)
            except CellError as error:
                self.refuse(str(error), key, str(index))
        if key == "inputs" and len(found) > 1:
            self.refuse("a cell has one input", "inputs", "1")
        return found

    def _table(self, key: str, required: bool = True) -> dict[str, Any]:
        if key not in self.data and required:
            raise ParseError(f"the table [{key}] is missing")
        table = self.data.get(key, {})
        if not isinstance(table, dict):
            self.refuse(f"{key} must be a table", key)
        return table

    def _check_names(self) -> None:
        kinds = {
            "states": self.states,
            "inputs": self.inputs,
            "parameters": self.parameters,
            "preactivations": self.rows,
            "average": self.averages,
            "let": self.lets,
        }
        if sum(map(len, kinds.values())) > MAX_NAMES:
            raise ParseError(f"a text cell has at most {MAX_NAMES} names")
        seen: dict[str, str] = {}
        for kind, names in kinds.items():
            for index, name in enumerate(names):
                if name in seen:
                    in_table = kind in ("preactivations", "average", "let")
                    place = name if in_table else str(index)
                    self.refuse(f"{name!r} stands in {seen[name]} and in {kind}", kind, place)
                seen[name] = kind
        for name in self.updates:
            if name not in self.states:
                known = ", ".join(self.states)
                self.refuse(f"{name!r} is no state; the states are {known}", "update", name)
        for name in self.states:
            if name not in self.updates:
                self.refuse(f"state {name!r} has no update", "update")

    def _widths(self) -> dict[str, sp.Rational]:
        """The [widths] table: of states and preactivations."""
        found: dict[str, sp.Rational] = {}
        for name, value in self._table("widths", required=False).items():
            if name not in self.states and name not in self.rows:
                self.refuse(f"{name!r} is no state and no preactivation", "widths", name)
            try:
                found[name] = width_fraction(value, name)
            except CellError as error:
                self.refuse(str(error), "widths", name)
        return found

    # --- preactivations and expressions --------------------------------------------------------

    def _let(self, name: str) -> sp.Expr:
        """What a name of the [let] table stands for."""
        unread = [n for n in self.lets if n not in self.symbols]
        if not _NAME.fullmatch(name):
            self.refuse(f"{name!r} is no name", "let", name)
        circle = set(_NAME.findall(str(self.lets[name]))).intersection(unread)
        if circle:
            self.refuse(f"circle: {name!r} needs {min(circle)!r}, which needs it", "let", name)
        value = self._expression(self.lets[name], "let", name)
        if _size(value, {}) > MAX_SIZE:
            self.refuse(f"{name!r} stands for more than {MAX_SIZE} symbols", "let", name)
        return value

    def _average(self, name: str) -> Average:
        value = self._expression(self.averages[name], "average", name)
        try:
            return Average(name, value)
        except CellError as error:
            self.refuse(str(error), "average", name)

    def _preactivation(self, name: str, row: Any) -> Preactivation:
        path = ("preactivations", name)
        if not isinstance(row, dict):
            self.refuse(f'{name} must be a table such as {{ sees = "h" }}', *path)
        for key in row:
            if key not in ("sees", "input"):
                self.refuse(f"unknown key {key!r}; known are sees, input", *path, key)
        if "sees" not in row:
            self.refuse(f"{name} does not say what it sees; the input alone is sees = 0", *path)
        has_input = row.get("input", True)
        if not isinstance(has_input, bool):
            self.refuse(f"input must be true or false, got {has_input!r}", *path, "input")
        sees = row["sees"]
        if not isinstance(sees, str) and (isinstance(sees, bool) or sees != 0):
            self.refuse(f"sees must be text, or 0, got {sees!r}", *path, "sees")
        seen = 0 if not isinstance(sees, str) else self._expression(sees, *path, "sees")
        try:
            return Preactivation(name, seen, has_input, self.widths.get(name, 1))
        except CellError as error:
            self.refuse(str(error), *path)

    def _expression(self, text: Any, *path: str) -> sp.Expr:
        if not isinstance(text, str):
            self.refuse(f"{path[-1]} must be text, got {text!r}", *path)
        place = self.positions.places.get(path)
        characters = place.characters if place else []

        def at(offset: int) -> tuple[int, int]:
            if len(characters) == len(text) + 1:
                return self.positions.line_and_column(characters[offset])
            line, column = self.positions.of(*path)
            return line or 1, column or 1

        return parse_expression(text, self.symbols, self.functions, at)


def _size(expression: sp.Basic, known: dict[sp.Basic, int]) -> int:
    """The number of nodes when written out; parts that occur again are counted without a walk."""
    if expression not in known:
        known[expression] = 1 + sum(_size(part, known) for part in expression.args)
    return known[expression]


def _toml_error(message: str, end: tuple[int, int]) -> ParseError:
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if found is None:
        return ParseError(f"not TOML: {message}")
    line, column = (int(found[1]), int(found[2])) if found[1] else end
    return ParseError(f"not TOML: {message[: found.start()]}", line, column)
