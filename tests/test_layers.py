"""The import law holds in rnnmft, and the checker finds each kind of breach where it is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnmft
from tests import import_law

PACKAGE = Path(rnnmft.__file__).parent


def test_the_package_keeps_the_law() -> None:
    assert import_law.violations(PACKAGE) == []


def test_every_allowed_breach_still_exists() -> None:
    made = {
        (module.name, one.target)
        for module in import_law.modules(PACKAGE).values()
        for one in module.imports
    }
    assert set(import_law.ALLOWED) <= made


PLANTED = {
    "upward": ("theory/moments.py", "import rnnmft.report.figures", "not below theory"),
    "sideways": ("simulation/network.py", "from rnnmft.theory import moments", "not below simul"),
    "typing only": (
        "cells/cell.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rnnmft.theory.moments",
        "not below cells",
    ),
    "symbolic": ("theory/moments.py", "import numpy as np", "theory is symbolic"),
    "symbolic, in a function": ("cells/cell.py", "def f():\n    import torch", "cells is symbolic"),
    "lazy for no reason": (
        "analysis/spectra.py",
        "def f():\n    from rnnmft.theory import moments",
        "keeps no heavy library lazy",
    ),
    "standard library in a function": ("errors.py", "def f():\n    import json", "inside a func"),
    "circle in a folder": (
        "theory/moments.py",
        "import rnnmft.theory.jacobian",
        "circle of imports",
    ),
    "public face": ("report/html.py", "from rnnmft import Cell", "from the public face"),
    "relative": ("report/html.py", "from . import figures", "relative import"),
    "undeclared": ("report/html.py", "import pandas", "not a declared dependency"),
    "no floor": ("utils.py", "", "has no floor"),
    "no docstring": ("cells/cell.py", None, "first line must be a docstring"),
    "eval": ("cells/cell.py", "eval('1')", "calls eval"),
    "exec": ("cells/cell.py", "exec('1')", "calls exec"),
    "pickle": ("export.py", "import pickle", "unpickles"),
    "sympify": ("cells/cell.py", "import sympy as sp\nsp.sympify('1')", "sympify without strict"),
    "sympify, not strict": (
        "cells/cell.py",
        "import sympy as sp\nsp.sympify('1', strict=False)",
        "sympify without strict",
    ),
    "hidden import": (
        "cells/cell.py",
        "import importlib\nimportlib.import_module('rnnmft.cli')",
        "hides an import",
    ),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package of the same name that keeps the law."""
    root = tmp_path / "rnnmft"
    files = {
        "__init__.py": "",
        "errors.py": "",
        "cells/__init__.py": "from rnnmft.language.cell import Cell",
        "cells/cell.py": "import sympy\nfrom rnnmft import errors\nCell = errors",
        "theory/__init__.py": "",
        "theory/moments.py": "from rnnmft.cells import Cell",
        "theory/jacobian.py": "from rnnmft.theory import moments",
        "simulation/__init__.py": "",
        "simulation/network.py": "def f():\n    import torch",
        "analysis/__init__.py": "",
        "analysis/spectra.py": "import numpy\nfrom rnnmft.theory.jacobian import moments",
        "report/__init__.py": "",
        "report/html.py": "import jinja2",
        "report/figures.py": "",
        "cli.py": "def f():\n    from rnnmft.analysis import spectra",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A file."""\n{text}\n', encoding="utf-8")
    return root


def test_a_lawful_package_passes(package: Path) -> None:
    assert import_law.violations(package) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_breach_is_found(package: Path, kind: str) -> None:
    name, text, sentence = PLANTED[kind]
    path = package / name
    kept = path.read_text(encoding="utf-8") if path.exists() else '"""A file."""\n'
    path.write_text("x = 1\n" if text is None else f"{kept}{text}\n", encoding="utf-8")
    said = import_law.violations(package)
    assert any(sentence in line for line in said), said
    assert len(said) == 1, said
