"""What a module's forward takes, by its signature and its source: input, states, further arguments.

Names say what is what: a state has a name that states have, or forward returns something of that
name. Everything else is a further argument, of which nothing is guessed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.errors import CellError
from rnnmft.tracing.spelling import Spelling, spelling_of

__all__ = ["Signature", "signature_of", "state_name"]

_INPUTS = {"x", "xt", "x_t", "input", "inputs", "inp", "input_", "input_t", "u_t", "data", "token"}
_INPUTS |= {"x_in", "inputs_t", "xs", "features", "observation", "obs", "input_tensor", "embedded"}
_STATES = {
    **dict.fromkeys(["hx", "hy", "hn", "h", "hid", "ht", "hidden", "state", "states"], "h"),
    **dict.fromkeys(["hiddens", "hidden_state", "hidden_states", "hxs", "carry"], "h"),
    **dict.fromkeys(["cx", "cy", "cn", "c", "ct", "cell", "cell_state"], "c"),
}
_BEFORE = (
    "prev_",
    "old_",
    "last_",
    "new_",
    "next_",
    "current_",
    "updated_",
    "initial_",
    "previous_",
)
_BEHIND = ("_prev", "_old", "_last", "_new", "_next", "_tm1", "_t", "_0", "_in", "_previous")
_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Signature:
    """What forward takes.

    Attributes:
        positional: the arguments that may be given by position, in order.
        input: the argument that is the input, or None.
        states: the arguments that are states, in order.
        further: the others that must be given.
        optional: the others that may be left out.
        spelling: how forward's source writes its arguments and results.
    """

    positional: tuple[str, ...]
    input: str | None
    states: tuple[str, ...]
    further: tuple[str, ...]
    optional: tuple[str, ...]
    spelling: Spelling


def signature_of(
    module: Any,
    states: Sequence[str] | None,
    input: Any,
    arguments: Mapping[str, Any],
) -> Signature:
    """Read forward's signature with the user's hints.

    Raises:
        CellError: forward takes no state, a name is none of its arguments, or a further argument
            has no value.
    """
    name = type(module).__name__
    taken = [
        p
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind in (*_KINDS, inspect.Parameter.KEYWORD_ONLY)
    ]
    names = [p.name for p in taken]
    for key in arguments:
        if key not in names:
            raise CellError(
                f"arguments names {key!r}, which {name}.forward does not take; it takes "
                f"{', '.join(names) or 'nothing'}"
            )
    spelling = spelling_of(module)
    open_ = [p for p in taken if p.name not in arguments]
    x = _input([p.name for p in open_], states, input)
    rest = [p for p in open_ if p.name != x]
    held = _states([p.name for p in rest], [p.default is p.empty for p in rest], states, spelling)
    if not held:
        raise CellError(
            f"{name}.forward must take the input and the state, as in forward(x, h) or "
            f"forward(x, (h, c)), or the state alone, as in forward(h); it takes "
            f"({', '.join(names)})"
        )
    others = [p for p in rest if p.name not in held]
    return Signature(
        positional=tuple(p.name for p in taken if p.kind in _KINDS),
        input=x,
        states=held,
        further=tuple(p.name for p in others if p.default is p.empty),
        optional=tuple(p.name for p in others if p.default is not p.empty),
        spelling=spelling,
    )


def _input(names: Sequence[str], states: Sequence[str] | None, input: Any) -> str | None:
    """The argument that is the input: the one so named, or the first of several."""
    if isinstance(input, str):
        if input not in names:
            raise CellError(f"input names {input!r}, which forward does not take")
        return input
    free = [n for n in names if n not in (states or ())]
    known = [n for n in free if n in _INPUTS]
    if known:
        return known[0]
    return free[0] if free and len(names) > 1 else None


def _states(
    names: Sequence[str], required: Sequence[bool], hint: Sequence[str] | None, spelling: Spelling
) -> tuple[str, ...]:
    """Those of the arguments that are states."""
    if hint is not None:
        if all(n in names for n in hint):
            return tuple(hint)
        if len(hint) > 1 and sum(required) == len(hint):
            return tuple(n for n, needed in zip(names, required, strict=True) if needed)
    known = [n for n in names if _known(n)]
    first = known[0] if known else next(iter(names), None)
    if first is None:
        return ()
    returned = {state_name(n) for n in spelling.returned if n is not None}
    found = [first]
    for n in names[names.index(first) + 1 :]:
        if _known(n) or state_name(n) in returned:
            found.append(n)
    return tuple(found)


def _known(name: str) -> bool:
    """Whether it is a name that states have: h, c, hidden, prev_state, h1, c_2."""
    return re.sub(r"_?\d+$", "", state_name(name)) in ("h", "c")


def state_name(argument: str) -> str:
    """The name of a state from that of an argument or a variable: h_prev, new_h, hidden -> h."""
    name = argument
    for _ in range(2):
        for affix in _BEFORE:
            name = name.removeprefix(affix)
        for affix in _BEHIND:
            name = name.removesuffix(affix) or name
    name = _STATES.get(name, name).strip("_")
    return name if name.isidentifier() else "h"
