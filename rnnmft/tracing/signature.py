"""What a cell module's forward takes: where the input is, how the states come, their names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.errors import CellError

__all__ = ["Call", "calls"]

_INPUTS = ("x", "xt", "x_t", "input", "inputs", "inp", "input_", "input_t", "u_t", "data", "token")
_STATES = {
    **dict.fromkeys(["hx", "hidden", "hidden_state", "state", "states", "hid", "ht"], "h"),
    **dict.fromkeys(["cx", "cell", "cell_state", "ct"], "c"),
}
_AFFIXES = ("prev_", "old_", "last_", "_prev", "_old", "_last", "_tm1", "_t", "_0", "_in")
_TUPLES = {1: ("h",), 2: ("h", "c"), 3: ("h", "c", "m")}


@dataclass(frozen=True)
class Call:
    """One way to call a module: forward(x, h), forward(x, (h, c)), forward(x, h, c), ...

    Attributes:
        states: their names.
        nested: whether they come as one tuple.
        input: the place of x among forward's arguments.
    """

    states: tuple[str, ...]
    nested: bool
    input: int = 0

    def arguments(self, x: Any, states: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments of forward."""
        given: list[Any] = [tuple(states)] if self.nested else list(states)
        given.insert(self.input, x)
        return tuple(given)


def calls(module: Any, states: Sequence[str] | None) -> Iterator[Call]:
    """The ways to call the module that its signature allows, likely ones first.

    Raises:
        CellError: forward takes no state, or not as many as were named.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.signature(type(module).forward)
    taken = [p for p in list(signature.parameters.values())[1:] if p.kind in kinds]
    if len(taken) < 2:
        raise CellError(
            f"{type(module).__name__}.forward must take the input and the state, as in "
            f"forward(x, h) or forward(x, (h, c)); it takes ({', '.join(p.name for p in taken)})"
        )
    place = 1 if taken[1].name in _INPUTS and taken[0].name not in _INPUTS else 0
    rest = [p for j, p in enumerate(taken) if j != place]
    required = sum(p.default is p.empty for p in rest)
    counts = [len(rest), *([required] if 0 < required < len(rest) else [])]
    if place == 0 and required < len(rest):
        counts += [n for n in range(len(rest) - 1, 0, -1) if n not in counts and n >= required]
    if states is not None:
        yield from _named(module, tuple(states), counts, place)
        return
    for count in counts:
        yield Call(_distinct([_state_name(p.name) for p in rest[:count]]), False, place)
    if 1 in counts:
        yield Call(_TUPLES[2], True, place)
        yield Call(_TUPLES[1], True, place)
        yield Call(_TUPLES[3], True, place)


def _named(
    module: Any, states: tuple[str, ...], counts: Sequence[int], place: int
) -> Iterator[Call]:
    if len(states) in counts:
        yield Call(states, False, place)
    if 1 in counts:
        yield Call(states, True, place)
    if len(states) not in counts and 1 not in counts:
        raise CellError(
            f"states names {len(states)} states, but {type(module).__name__}.forward takes "
            f"{counts[0]} besides the input"
        )


def _state_name(argument: str) -> str:
    name = argument
    for affix in _AFFIXES:
        name = name.removeprefix(affix) if affix.endswith("_") else name.removesuffix(affix)
    name = _STATES.get(name, name).strip("_")
    return name if name.isidentifier() else "h"


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name}_{len(found) + 1}")
    return tuple(found)
