"""Which docstring cites which equation or paper, and where the equations are: text in, names out.

In a docstring `Eq. (tied-basis)` is the equation that a page labels `eq-tied-basis`, and
`[chen2018]` the paper of that key in `references.bib`. Nothing is imported: sources are parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = [
    "cited_equations",
    "cited_papers",
    "citing_code",
    "docstrings",
    "equation_labels",
    "paper_keys",
]

_EQUATION = re.compile(r"\bEq\. \(([a-z0-9-]+)\)")
_PAPER = re.compile(r"(?<![\w\]])\[([a-z]+[0-9]{4}[a-z]?)\]")
_LABEL = re.compile(r"^\$\$ \(eq-([a-z0-9-]+)\)$", re.MULTILINE)
_KEY = re.compile(r"^@\w+\{([^,\s]+),", re.MULTILINE)


def cited_equations(text: str) -> list[str]:
    """The equations that a docstring cites, in its order.

    >>> cited_equations("A draw: Eq. (tied-kernel), Eq. (tied-basis). [yang2019]")
    ['tied-kernel', 'tied-basis']
    """
    return _EQUATION.findall(text)


def cited_papers(text: str) -> list[str]:
    """The papers that a docstring cites, in its order.

    >>> cited_papers("Pairs [price1958] of a list[int]")
    ['price1958']
    """
    return _PAPER.findall(text)


def equation_labels(pages: Path) -> dict[str, list[str]]:
    """{label without `eq-`: the pages on which an equation has it, as often as it does}."""
    found: dict[str, list[str]] = {}
    for page in sorted(pages.glob("*.md")):
        for label in _LABEL.findall(page.read_text(encoding="utf-8")):
            found.setdefault(label, []).append(page.stem)
    return found


def paper_keys(bibliography: Path) -> list[str]:
    """The keys of a BibTeX file."""
    return _KEY.findall(bibliography.read_text(encoding="utf-8"))


def docstrings(package: Path) -> dict[str, str]:
    """{dotted name of a module, class or function: its docstring}, for all that have one."""
    found: dict[str, str] = {}
    for source in sorted(package.rglob("*.py")):
        parts = source.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found |= dict(_documented(ast.parse(source.read_text(encoding="utf-8")), name))
    return found


def _documented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str
) -> Iterator[tuple[str, str]]:
    text = ast.get_docstring(node)
    if text:
        yield name, text
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _documented(child, f"{name}.{child.name}")


def citing_code(documented: Mapping[str, str]) -> dict[str, list[str]]:
    """{label: the names whose docstrings cite that equation}."""
    found: dict[str, list[str]] = {}
    for name, text in documented.items():
        for label in dict.fromkeys(cited_equations(text)):
            found.setdefault(label, []).append(name)
    return found
