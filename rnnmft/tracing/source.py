"""Where in the user's source an operation or an error comes from, and what it is called there."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

__all__ = [
    "SourcePlace",
    "assigned_names",
    "aten_name",
    "file_of",
    "is_outside",
    "place_of_error",
    "place_of_node",
    "spoken_name",
]

_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+), in (?P<function>.+)')
# What a user's line is not in.
_FOLDERS = (str(Path(__file__).parent), str(Path(torch.__file__).parent))
_GENERATED = ("<frozen", "<eval_with_key", "<string>")


@dataclass(frozen=True)
class SourcePlace:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        code = linecache.getline(self.file, self.line).strip()
        return f"{self.file}:{self.line}" + (f": {code}" if code else "")


def place_of_node(node: Any) -> SourcePlace | None:
    """The innermost line outside torch that made this node of an exported graph."""
    found = [
        SourcePlace(m["file"], int(m["line"]))
        for m in _FRAME.finditer(node.meta.get("stack_trace") or "")
    ]
    inside = [p for p in found if not p.file.startswith(_FOLDERS[0])]
    return _innermost(found) or (inside[-1] if inside else None)


def file_of(module: Any) -> str:
    """What to say where no line is known."""
    found = getattr(sys.modules.get(type(module).__module__), "__file__", None)
    return f"an unknown line of {found}" if found else "an unknown line"


def place_of_error(error: BaseException) -> SourcePlace | None:
    """The innermost line outside torch and this package on the way to an error."""
    found: list[SourcePlace] = []
    step, seen = error, set()
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        trace = step.__traceback__
        frames: list[SourcePlace] = []
        while trace is not None:
            frames.append(SourcePlace(trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        found = frames + found
        step = step.__cause__ or step.__context__
    return _innermost(found)


def is_outside(file: str) -> bool:
    """Whether a file is a user's: neither torch's nor of this room, nor generated."""
    return not file.startswith((*_FOLDERS, *_GENERATED))


def _innermost(places: list[SourcePlace]) -> SourcePlace | None:
    outside = [p for p in places if is_outside(p.file)]
    return outside[-1] if outside else None


def aten_name(node: Any) -> str:
    """The name of a node's operation in rnnmft's tables: "sigmoid", "add.Tensor"."""
    return str(node.target).removeprefix("aten.").removesuffix(".default")


def spoken_name(node: Any) -> str:
    """What the module called and what the graph has: "softmax (aten._softmax)".

    Without the former where it is a method of Python's own operators.
    """
    aten = str(node.target).removesuffix(".default")
    plain = aten.split(".")[1] if aten.startswith("aten.") else aten
    called = re.sub(r"_\d+$", "", (node.meta.get("torch_fn") or ("",))[0])
    if not called or called.startswith("__") or called.rstrip("_") == plain:
        return f"{plain} ({aten})"
    return f"{called} ({aten})"


def assigned_names(place: SourcePlace | None) -> list[str]:
    """The names that the statement on this line assigns to: `r, z = gates.chunk(2, 1)`."""
    if place is None:
        return []
    for first, last, names in _assignments(place.file):
        if first <= place.line <= last:
            return list(names)
    return []


@lru_cache(maxsize=64)
def _assignments(file: str) -> list[tuple[int, int, tuple[str, ...]]]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
            if all(isinstance(part, ast.Name) for part in parts):
                names = tuple(part.id for part in parts if isinstance(part, ast.Name))
                found.append((node.lineno, node.end_lineno or node.lineno, names))
    return found
