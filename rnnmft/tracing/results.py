"""What forward returns: which of its tensors are the new states, and which are outputs.

Taken are the tensors that are held as the states were given: the whole result, the one part of it
that is a tuple (list, dictionary) of the states, or the tensors of the states' names. One tensor
that is returned twice is one. Where two tensors could be a state and nothing says which, nothing
is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch

from rnnmft.tracing.forms import Form
from rnnmft.tracing.signature import state_name

__all__ = [
    "AmbiguousResultError",
    "Leaf",
    "ResultError",
    "UnchangedError",
    "leaves_of",
    "new_states",
]


class ResultError(Exception):
    """Forward does not return its states."""


class AmbiguousResultError(ResultError):
    """More tensors than states could be the new states."""


class UnchangedError(ResultError):
    """What came back as it was given: a context, a mask, and no state."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it returns {name!r} as it was given")
        self.name = name


@dataclass(frozen=True)
class Leaf:
    """One tensor in what forward returned.

    Attributes:
        value: the tensor.
        path: the keys that lead to it.
    """

    value: Any
    path: tuple[Any, ...]


def leaves_of(result: Any, path: tuple[Any, ...] = ()) -> list[Leaf]:
    """The tensors of a nested result, in its order."""
    if isinstance(result, torch.Tensor):
        return [Leaf(result, path)]
    if isinstance(result, Mapping):
        items = list(result.items())
    elif hasattr(result, "_fields"):
        items = list(zip(result._fields, result, strict=True))
    elif isinstance(result, (tuple, list)):
        items = list(enumerate(result))
    elif is_dataclass(result) and not isinstance(result, type):
        items = [(f.name, getattr(result, f.name)) for f in fields(result)]
    else:
        return []
    return [leaf for key, part in items for leaf in leaves_of(part, (*path, key))]


def new_states(
    result: Any,
    form: Form,
    names: Sequence[str],
    returned: Sequence[str | None],
    shapes: Sequence[tuple[int, ...]],
    states: Sequence[Any] = (),
    given: Sequence[Any] = (),
) -> tuple[int, ...]:
    """The places of the tensors that are the new states among all that forward returned.

    Args:
        result: what forward returned.
        form: how the states were given.
        names: of the states.
        returned: what the source calls the tensors it returns.
        shapes: of each tensor that holds states.
        states: those that forward was given: one that comes back is an old state, whose name in
            the source tells nothing of the place of the new one.
        given: all that forward was given: what comes back of it is no new state.

    Raises:
        ResultError: there are none, or nothing says which.
    """
    leaves, shape = leaves_of(result), shapes[0]
    if len({*shapes}) > 1:
        return _by_shape(leaves, shapes, names, returned)
    old = [any(leaf.value is tensor for tensor in states) for leaf in leaves]
    back = [any(leaf.value is tensor for tensor in given) for leaf in leaves]
    fit = [
        j
        for j, leaf in enumerate(leaves)
        if tuple(leaf.value.shape) == shape and (old[j] or not back[j])
    ]
    if len(returned) == len(leaves):
        returned = [None if o else n for n, o in zip(returned, old, strict=True)]
    wanted = form.leaves
    if len(fit) < wanted:
        found = ", ".join(str(tuple(leaf.value.shape)) for leaf in leaves)
        raise ResultError(
            f"it returns {'tensors' if len(leaves) > 1 else 'a tensor'} of shape {found}, where "
            f"{wanted} new {'states' if wanted > 1 else 'state'} of shape {shape} should be"
            if leaves
            else "it returns no tensor"
        )
    part = _part(leaves, fit, form)
    if part is not None:
        return _distinct_tensors(leaves, part)
    if len(fit) == wanted == len(leaves) and (wanted == 1 or not form.container):
        return _in_order(leaves, _distinct_tensors(leaves, fit), names, returned)
    once = [j for n, j in enumerate(fit) if not _among(leaves, j, fit[:n])]
    if len(once) == wanted:
        return tuple(once)
    if len(once) < wanted:
        return _distinct_tensors(leaves, fit[:wanted])
    return _by_name(leaves, once, form, names, returned)


def _by_shape(
    leaves: Sequence[Leaf],
    shapes: Sequence[tuple[int, ...]],
    names: Sequence[str],
    returned: Sequence[str | None],
) -> tuple[int, ...]:
    """The one part that is held as the states are; else by shape, in order or by name."""
    parts: dict[tuple[Any, ...], list[int]] = {}
    for j, leaf in enumerate(leaves):
        parts.setdefault(leaf.path[:-1], []).append(j)
    whole = [p for p in parts.values() if [tuple(leaves[j].value.shape) for j in p] == [*shapes]]
    if len(whole) == 1:
        return tuple(whole[0])
    found = [-1] * len(shapes)
    called = _called(leaves, returned)
    for shape in dict.fromkeys(shapes):
        own = [k for k, s in enumerate(shapes) if s == shape]
        fit = [j for j, leaf in enumerate(leaves) if tuple(leaf.value.shape) == shape]
        once = [j for n, j in enumerate(fit) if not _among(leaves, j, fit[:n])]
        if len(once) > len(own):
            once = [j for k in own for j in once if called[j] == names[k]]
        if len(once) != len(own):
            raise ResultError(f"{len(once)} tensors that it returns are new states of {shape}")
        for k, j in zip(own, once, strict=True):
            found[k] = j
    return tuple(found)


def _distinct_tensors(leaves: Sequence[Leaf], places: Sequence[int]) -> tuple[int, ...]:
    """The places, which must hold different tensors."""
    if len({id(leaves[j].value) for j in places}) < len(places):
        raise ResultError("it returns one tensor as the new value of two states")
    return tuple(places)


def _among(leaves: Sequence[Leaf], place: int, others: Sequence[int]) -> bool:
    return any(leaves[place].value is leaves[j].value for j in others)


def _part(leaves: Sequence[Leaf], fit: Sequence[int], form: Form) -> tuple[int, ...] | None:
    """The one part of the result that is held as the states were given, or None."""
    if not form.container and form.leaves == 1:
        return None
    if form.keys:
        named = [[j for j in fit if leaves[j].path[-1:] == (k,)] for k in form.keys]
        if all(len(places) == 1 for places in named):
            return tuple(places[0] for places in named)
    parts: dict[tuple[Any, ...], list[int]] = {}
    nesting = 2 if form.group else 1
    for j, leaf in enumerate(leaves):
        if len(leaf.path) >= nesting:
            parts.setdefault(leaf.path[:-nesting], []).append(j)
    if not form.container and () in parts and len(parts) == 1:
        return None  # arguments of their own come back in one tuple, with or without an output
    whole = [
        places
        for path, places in parts.items()
        if len(places) == form.leaves == sum(leaf.path[: len(path)] == path for leaf in leaves)
        and all(j in fit for j in places)
    ]
    return tuple(whole[0]) if len(whole) == 1 else None


def _in_order(
    leaves: Sequence[Leaf], fit: Sequence[int], names: Sequence[str], returned: Sequence[str | None]
) -> tuple[int, ...]:
    """The states in the order of the arguments; by their names where forward returns others'."""
    called = _called(leaves, returned)
    places = [[j for j in fit if called[j] == name] for name in names]
    if len(names) == len(fit) and all(len(found) == 1 for found in places):
        return tuple(found[0] for found in places)
    if any(called[j] in names and called[j] != name for j, name in zip(fit, names, strict=False)):
        raise AmbiguousResultError("the tensors that it returns are not in the order of the states")
    return tuple(fit)


def _by_name(
    leaves: Sequence[Leaf],
    fit: Sequence[int],
    form: Form,
    names: Sequence[str],
    returned: Sequence[str | None],
) -> tuple[int, ...]:
    """The tensors that the source, or a key of the result, calls as the states are called."""
    called = _called(leaves, returned)
    wanted = list(names) if form.leaves == len(names) else ["h"]
    found = [[j for j in fit if called[j] == name] for name in wanted]
    if all(len(places) == 1 for places in found):
        return tuple(places[0] for places in found)
    shapes = ", ".join(map(str, fit))
    raise AmbiguousResultError(
        f"the tensors {shapes} that it returns could all be the new "
        f"{'states' if len(wanted) > 1 else 'state'}"
    )


def _called(leaves: Sequence[Leaf], returned: Sequence[str | None]) -> list[str | None]:
    """What the result's keys or the source call the tensors, as states are called."""
    keys = [leaf.path[-1] if leaf.path else None for leaf in leaves]
    said: Sequence[Any] = returned if len(returned) == len(leaves) else [None] * len(leaves)
    return [
        state_name(k) if isinstance(k, str) else state_name(s) if s else None
        for k, s in zip(keys, said, strict=True)
    ]
