"""Every constant that steers the numerics says where it stands what it comes from.

A constant is a module's upper-case name whose value is made of numbers: literals, arithmetic,
tuples, calls such as `np.geomspace(1e-3, 1e2, 11)`. Its reason is a comment above or beside it.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rnnmft"
ROOMS = ("numerics", "units", "solvers", "spectra", "analysis", "initialization", "validation")
ROOMS += ("simulation", "diagnosis", "report", "lyapunov", "explorer", "eigenvalues", "parts")
ROOMS += ("rest", "gallery")
# 1 / sqrt(2 pi) and sqrt(1 / 2): names that are their own reason.
SELF_EVIDENT = {"_INVERSE_SQRT_2PI", "_SQRT_HALF"}


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """The module's numeric constants by name, with the statement that gives their value."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        if _is_numeric(value) and all(n.lstrip("_").isupper() for n in names):
            yield ", ".join(names), node


def _is_numeric(value: ast.expr) -> bool:
    """Whether an expression is made of numbers, at least one of them written out."""
    keys = {key for node in ast.walk(value) if isinstance(node, ast.Dict) for key in node.keys}
    literals = [
        node
        for node in ast.walk(value)
        if isinstance(node, (ast.Constant, ast.Lambda, ast.JoinedStr)) and node not in keys
    ]
    numbers = [
        node
        for node in literals
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ]
    return 0 < len(numbers) == len(literals)


def unexplained(text: str) -> list[str]:
    """The names of a module's numeric constants that no comment stands above or beside."""
    lines = text.splitlines()
    beside = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for name, node in constants(ast.parse(text)):
        above = node.lineno - 1
        said = above in beside and lines[above - 1].startswith("#")
        last = node.end_lineno or node.lineno
        if not said and not beside & set(range(node.lineno, last + 1)):
            found.append(name)
    return found


def files() -> list[Path]:
    """The files of the numeric rooms."""
    return [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]


@pytest.mark.parametrize("room", ROOMS)
def test_every_constant_has_a_reason(room: str) -> None:
    bare = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for name in unexplained(path.read_text(encoding="utf-8"))
        if not set(name.split(", ")) <= SELF_EVIDENT
    ]
    assert not bare, "\n".join(bare)


def test_the_constants_are_seen() -> None:
    """A search that found none would pass as well."""
    count = sum(len(list(constants(ast.parse(p.read_text(encoding="utf-8"))))) for p in files())
    assert count > 200


PLANTED = {
    "a literal": "_LEAST = 1e-3",
    "annotated": "LEVEL: tuple[int, int] = (48, 14)",
    "several": "_MOST, _LEAST = 1 << 20, 2.0**-16",
    "a grid": "import numpy as np\n_GRID = np.geomspace(1e-3, 1e2, 11)",
    "by name": '_ROUNDING = {"float64": 1e-9, "float32": 1e-6}',
    "a comment one line too far": "# Why.\n\n_LEAST = 1e-3",
    "a comment on the line of another": "_FIRST = 1.0  # why\n_LEAST = 1e-3",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_bare_constant_is_found(kind: str) -> None:
    assert len(unexplained(PLANTED[kind] + "\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "# Why.\n_LEAST = 1e-3",
        "#: Why.\n_LEAST = 1e-3",
        "_LEAST = 1e-3  # why",
        "_POINTS = (\n    1,  # why\n    2,\n)",
        "_FUNCTIONS = {1: lambda x: x}",
        'NAME, VERSION = "rnnmft", 1',
        "_FLAG = True",
        "Level = tuple[int, int]",
    ],
)
def test_what_is_explained_or_no_constant_is_not(text: str) -> None:
    assert unexplained(text + "\n") == []
