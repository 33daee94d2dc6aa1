"""How the source of a forward writes its states: the names it returns, the keys it reads."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["Spelling", "spelling_of"]


@dataclass(frozen=True)
class Spelling:
    """What the source says; empty where there is no source.

    Attributes:
        returned: the names in the last return statement, flat; None for what is no plain name.
        keys: {argument: the texts by which it is indexed, `state["h"]`}.
        fields: {argument: its attributes that are read, `state.h`}.
        parts: {argument: the names it is taken apart into, `h, c = state`}.
    """

    returned: tuple[str | None, ...] = ()
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)


def spelling_of(module: Any) -> Spelling:
    """Read the source of the module's forward."""
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(module.forward)))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return Spelling()
    forward = next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)), None)
    if forward is None:
        return Spelling()
    given = forward.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    statements = list(_own(forward))
    returns = [n.value for n in statements if isinstance(n, ast.Return) and n.value is not None]
    found = Spelling(tuple(_names(returns[-1])) if returns else ())
    for node in statements:
        _note(node, names, found)
    return found


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it, in the order of the source."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own(child)


def _names(value: ast.AST) -> Iterator[str | None]:
    """The leaves of a returned value."""
    if isinstance(value, (ast.Tuple, ast.List)):
        for part in value.elts:
            yield from _names(part)
    elif isinstance(value, ast.Dict):
        for part in value.values:
            yield from _names(part)
    else:
        yield value.id if isinstance(value, ast.Name) else None


def _note(node: ast.AST, names: list[str], found: Spelling) -> None:
    """What one statement or expression says of an argument."""
    name = getattr(getattr(node, "value", None), "id", None)
    if isinstance(node, ast.Subscript) and name in names:
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            _add(found.keys, name, key.value)
    if isinstance(node, ast.Attribute) and name in names and not hasattr(torch.Tensor, node.attr):
        _add(found.fields, name, node.attr)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Tuple, ast.List)):
        parts = [t.id for t in node.targets[0].elts if isinstance(t, ast.Name)]
        whole = _argument(node.value, names)
        if whole and len(parts) == len(node.targets[0].elts):
            found.parts.setdefault(whole, tuple(parts))


def _argument(value: ast.AST, names: list[str]) -> str | None:
    """The argument that a statement takes apart: state, state.chunk(2, 1), (state[0], state[1])."""
    while isinstance(value, (ast.Attribute, ast.Call, ast.Subscript)):
        value = value.func if isinstance(value, ast.Call) else value.value
    if isinstance(value, ast.Name):
        return value.id if value.id in names else None
    if isinstance(value, ast.Tuple):
        inside = {_argument(part, names) for part in value.elts}
        return inside.pop() if len(inside) == 1 else None
    if isinstance(value, ast.IfExp):
        return _argument(value.body, names) or _argument(value.orelse, names)
    return None


def _add(to: dict[str, tuple[str, ...]], name: str, key: str) -> None:
    if key not in to.get(name, ()):
        to[name] = (*to.get(name, ()), key)
