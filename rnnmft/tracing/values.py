"""What a forward reads of its data: recorded when it runs on numbers, given back when it is traced.

A check (`assert not x.isnan().any()`, `if bad: raise`, a print) reads a value and computes nothing
with it: in a graph it may have the value that it had on numbers. A choice (`if h.norm() > 1`) is
left to fail.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from torch.overrides import TorchFunctionMode

from rnnmft.tracing.source import SourcePlace, is_outside

__all__ = ["Values", "recorded", "replayed"]

_READING = {"__bool__", "item", "__float__", "__int__", "__format__", "tolist", "__repr__"}
_READING |= {"equal", "allclose", "is_nonzero", "_assert"}
_SAYING = {"print", "warn", "debug", "info", "warning", "log", "error", "critical"}
_SAYING |= {"_assert", "_assert_async", "_check", "check", "assert_close", "assert_allclose"}


@dataclass
class Values:
    """What a run read.

    Attributes:
        at: the values that checks read, {line: in the order of reading}.
        beyond: a sentence for each range that ends outside of its axis, which Python lets pass: a
            range of units, taken of another axis than that of the units.
    """

    at: dict[SourcePlace, list[Any]] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)


class _Recorder(TorchFunctionMode):
    def __init__(self, values: Values) -> None:
        super().__init__()
        self.values = values

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "register_hook":
            return _NoHook()
        if name in ("__getitem__", "__setitem__"):
            self.values.beyond += _beyond(args[0].shape, args[1])
        result = func(*args, **(kwargs or {}))
        if name in _READING and (place := _checking()):
            self.values.at.setdefault(place, []).append(result)
        return result


def _beyond(shape: Sequence[int], index: Any) -> Iterator[str]:
    """A sentence for each range of an index that is not in its axis."""
    taken = [one for one in (index if isinstance(index, tuple) else (index,)) if one is not None]
    dots = next((j for j, one in enumerate(taken) if one is Ellipsis), None)
    if dots is not None:
        taken[dots : dots + 1] = [slice(None)] * (len(shape) - len(taken) + 1)
    for size, one in zip(shape, taken, strict=False):
        if isinstance(one, slice) and isinstance(one.stop, int) and one.stop > size:
            yield f"it takes the range {one.start or 0}:{one.stop} of an axis of {size}"


class _Player(TorchFunctionMode):
    def __init__(self, values: Values) -> None:
        super().__init__()
        self.left = {place: list(read) for place, read in values.at.items()}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "register_hook":
            return _NoHook()
        if name in _READING and (place := _checking()) and self.left.get(place):
            return self.left[place].pop(0)
        return func(*args, **(kwargs or {}))


class _NoHook:
    """What register_hook gives where no gradients are computed."""

    def remove(self) -> None: ...


@contextmanager
def recorded() -> Iterator[Values]:
    """Record what checks read."""
    values = Values()
    with _Recorder(values):
        yield values


@contextmanager
def replayed(values: Values) -> Iterator[None]:
    """Give checks what they read before."""
    with _Player(values):
        yield


def _checking() -> SourcePlace | None:
    """The line of the user's code that reads, if it is a check."""
    frame = sys._getframe(2)
    while frame is not None:
        if is_outside(frame.f_code.co_filename):
            place = SourcePlace(frame.f_code.co_filename, frame.f_lineno)
            return place if frame.f_lineno in _check_lines(place.file) else None
        frame = frame.f_back
    return None


@lru_cache(maxsize=64)
def _check_lines(file: str) -> frozenset[int]:
    """The lines of a file's checks."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return frozenset()
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) or _says(node):
            found |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}  # type: ignore[attr-defined]
        elif isinstance(node, ast.If) and not node.orelse and all(map(_refuses, node.body)):
            found |= {*range(node.test.lineno, (node.test.end_lineno or node.test.lineno) + 1)}
            found |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return frozenset(found)


def _refuses(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Raise, ast.Assert, ast.Pass)) or _says(statement)


def _says(statement: ast.AST) -> bool:
    """Whether it prints, warns or logs, and does nothing else."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    called = statement.value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _SAYING
