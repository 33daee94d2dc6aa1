"""What a user says of a module: its states, its input, further arguments, its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch

from rnnmft.errors import CellError
from rnnmft.language.laws import Law

__all__ = ["Hints", "drawn_arguments", "read_hints"]


@dataclass(frozen=True)
class Hints:
    """The hints, read and checked; None for what was not said.

    Attributes:
        states: the names of the states.
        widths: of the states.
        input: the argument that is the input.
        input_width: its width.
        inputs: {name: width} where several arguments together are the input.
        arguments: {further argument: a number or a law}.
        returned: the places of the new states among the tensors that forward returns.
    """

    states: tuple[str, ...] | None = None
    widths: tuple[int, ...] | None = None
    input: str | None = None
    input_width: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    returned: tuple[int, ...] | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)


class HintOptions(TypedDict, total=False):
    """The hints as keyword arguments: of `from_torch`, `diagnose` and `apply_` alike."""

    states: Sequence[str] | Mapping[str, int] | None
    input: int | str | Mapping[str, int] | None
    arguments: Mapping[str, Any] | None
    returned: int | Sequence[int] | None


def read_hints(states: Any, input: Any, arguments: Any, returned: Any) -> Hints:
    """The hints as a user gives them.

    Raises:
        CellError: naming the one that is none.

    >>> read_hints({"h": 64}, 32, {"ts": 1.0}, 0).returned
    (0,)
    """
    names, widths = _states(states)
    x, size = _input(input)
    given = {} if arguments is None else arguments
    if not isinstance(given, Mapping):
        raise CellError(
            f"arguments must be {{name: number or law}}, as in {{'ts': 1.0}}, got {given!r}"
        )
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, Law)):
            raise CellError(f"arguments[{name!r}] must be a number or a law, got {value!r}")
    places = None
    if returned is not None:
        places = tuple(returned) if isinstance(returned, Sequence) else (returned,)
        if not all(isinstance(j, int) and j >= 0 for j in places) or not places:
            raise CellError(f"returned must be places counted from 0, got {returned!r}")
    several = dict(input) if isinstance(input, Mapping) and len(input) > 1 else {}
    return Hints(names, widths, x, size, dict(given), places, several)


def _states(
    states: Sequence[str] | Mapping[str, int] | None,
) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None]:
    """(names, widths) from what the user said about the states."""
    if states is None:
        return None, None
    if isinstance(states, str) or not isinstance(states, (Sequence, Mapping)) or not states:
        raise CellError(f"states must be names or {{name: width}}, got {states!r}")
    if not all(isinstance(n, str) and n.isidentifier() for n in states):
        raise CellError(f"states must be names that are identifiers, got {states!r}")
    if not isinstance(states, Mapping):
        return tuple(states), None
    return tuple(states), tuple(_width("states", width) for width in states.values())


def _input(input: Any) -> tuple[str | None, int | None]:
    """(name, width) from what the user said about the input."""
    if input is None:
        return None, None
    if isinstance(input, str):
        return input, None
    if isinstance(input, Mapping):
        if not input or not all(isinstance(name, str) for name in input):
            raise CellError(f"input must be a width, a name or {{name: width}}, got {input!r}")
        return next(iter(input)), sum(_width("input", width) for width in input.values())
    return None, _width("input", input)


def _width(what: str, width: Any) -> int:
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise CellError(f"the width in {what}= must be a whole number of at least 1, got {width!r}")
    return width


def drawn_arguments(given: Mapping[str, Any], width: int) -> dict[str, Any]:
    """{argument that has a law: one number a unit}: the law's quantiles in a fixed random order."""
    found = {}
    for name, law in given.items():
        if isinstance(law, Law):
            generator = torch.Generator().manual_seed(sum(map(ord, name)))
            order = torch.randperm(width, generator=generator)
            found[name] = law.quantile((order.double() + 0.5) / width)
    return found
