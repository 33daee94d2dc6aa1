"""Commands of one cell at one setting: CELL and the options that say where, written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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

__all__ = ["at_setting"]


def at_setting(command: Callable[..., None]) -> Callable[..., None]:
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
    cell, *options = inspect.signature(_setting, eval_str=True).parameters.values()
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (cell, *own, *options)]

    @wraps(command)
    def called(**given: Any) -> None:
        where = {p.name: given.pop(p.name) for p in (cell, *options) if p.name in given}
        command(_setting(**where), **given)

    called.__annotations__ = {p.name: p.annotation for p in parameters}
    setattr(called, "__signature__", inspect.Signature(parameters))  # noqa: B010
    return called


def _setting(
    cell: CellName,
    sets: Sets = None,
    weights: Weights = None,
    laws: Laws = None,
    R: SecondMoment = 1.0,
    correlation: Correlation = 0.5,
    temporal: Temporal = "white",
    start: Start = None,
) -> Setting:
    words = (sets or (), weights or (), laws or ())
    return resolve_setting(cell, *words, R, correlation, temporal, start or ())
