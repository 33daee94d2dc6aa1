"""The tests use what is public: a private name of an object belongs to its own class and file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# What a notebook calls on an object; and what tests need of torch.
PROTOCOL = {"_repr_html_", "_repr_latex_", "_repr_markdown_", "_assert"}
ALLOWED = {
    "stand_in_device.py": {
        "_cdata",
        "_make_wrapper_subclass",
        "_setup_privateuseone_for_python_backend",
    },
}
# setattr and monkeypatch.setattr, getattr, delattr: a private name in a string is one, too.
BY_NAME = {"setattr", "getattr", "delattr", "hasattr"}


def is_private(name: str) -> bool:
    """Whether a name, or the last part of a dotted one, is private."""
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__")


def private_uses(text: str, allowed: set[str] = frozenset()) -> list[str]:
    """Private names that a program takes from another's objects: `line: name`, one each."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            names = [] if own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in BY_NAME:
            strings = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
            names = [one for one in strings if isinstance(one, str)]
        found += [
            f"{node.lineno}: {name}"
            for name in names
            if is_private(name) and name not in PROTOCOL | allowed
        ]
    return found


def test_no_test_uses_a_private_name() -> None:
    files = sorted(p for p in FOLDER.rglob("*.py") if "data" not in p.parts)
    assert len(files) > 100
    uses = {
        str(p.relative_to(FOLDER)): found
        for p in files
        if (found := private_uses(p.read_text(encoding="utf-8"), ALLOWED.get(p.name, set())))
    }
    assert uses == {}


@pytest.mark.parametrize(
    "line",
    [
        "theory._kernel",
        "theory()._kernel.x",
        "weights[0]._zeta = 1",
        "from rnnmft.cells import _table",
        "monkeypatch.setattr(basis, '_LIMIT', 0)",
        "monkeypatch.setattr('rnnmft.units.orthonormal_basis._LIMIT', 0.0)",
        "getattr(theory, '_kernel')",
    ],
)
def test_a_planted_use_is_found(line: str) -> None:
    (found,) = private_uses(f"x = 1\n{line}\n")
    assert found.startswith("2: ")
    assert found.endswith(("_kernel", "_zeta", "_table", "_LIMIT"))


@pytest.mark.parametrize(
    "line",
    ["self._kept = 1", "law._repr_latex_()", "x.__class__", "_local = 1", "print('_kernel')"],
)
def test_what_is_ones_own_is_not(line: str) -> None:
    assert private_uses(f"x = 1\n{line}\n") == []


def test_every_allowed_name_is_still_used() -> None:
    for name, allowed in ALLOWED.items():
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert {use.split(": ")[1] for use in private_uses(text)} == allowed
