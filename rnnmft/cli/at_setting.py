"""Commands at a setting: CELL and the options that say where, written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from rnnmft.cli.options import (
    CellName,
    Correlation,
    Laws,
    SecondMoment,
    Sets,
    Start,
    Temporal,
    Weights,
)
from rnnmft.cli.setting import Setting, resolve_setting

__all__ = ["Where", "at_setting", "somewhere"]

Command = Callable[..., Any]


@dataclass(frozen=True)
class Where:
    """The options of a setting, as they are given on the command line."""

    sets: Sets = None
    weights: Weights = None
    laws: Laws = None
    R: SecondMoment = 1.0
    correlation: Correlation = 0.5
    temporal: Temporal = "white"
    start: Start = None

    def of(self, cell: str) -> Setting:
        """The setting of the cell that a word names."""
        words = (self.sets or (), self.weights or (), self.laws or ())
        inputs = (self.R, self.correlation, self.temporal)
        return resolve_setting(cell, *words, *inputs, self.start or ())


def at_setting(command: Command) -> Command:
    """A command with CELL and the options of a setting in place of its first argument.

    Args:
        command: whose first argument is a `Setting`; the others are options of its own.

    >>> import inspect
    >>> def show(s: Setting, steps: int = 3) -> None:
    ...     print(s.cell.name, s.inputs.R, steps)
    >>> list(inspect.signature(at_setting(show)).parameters)[:4]
    ['cell', 'steps', 'sets', 'weights']
    >>> at_setting(show)(cell="minimal", R=2.0)
    minimal 2.0 3
    """
    return _with_options(command, lambda cell, **options: Where(**options).of(cell), _CELL)


def somewhere(command: Command) -> Command:
    """A command with the options of a setting in place of its first argument.

    Args:
        command: whose first argument is a `Where`; what it is of, if anything, is its own matter.

    >>> def show(where: Where, cells: list[str]) -> None:
    ...     print([where.of(cell).inputs.R for cell in cells])
    >>> somewhere(show)(cells=["minimal", "gru"], R=2.0)
    [2.0, 2.0]
    """
    return _with_options(command, Where)


_CELL = inspect.Parameter("cell", inspect.Parameter.KEYWORD_ONLY, annotation=CellName)


def _with_options(command: Command, make: Callable[..., Any], *first: inspect.Parameter) -> Command:
    """What `make` is made of in place of the first argument: before and after the other ones."""
    options = inspect.signature(Where, eval_str=True).parameters.values()
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*first, *own, *options)]

    @wraps(command)
    def called(**given: Any) -> Any:
        where = {p.name: given.pop(p.name) for p in (*first, *options) if p.name in given}
        return command(make(**where), **given)

    called.__annotations__ = {p.name: p.annotation for p in parameters}
    setattr(called, "__signature__", inspect.Signature(parameters))  # noqa: B010
    return called
