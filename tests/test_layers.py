"""The import law holds in rnnmft, and the checker finds each kind of breach where it is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnmft
from tests import import_law

PACKAGE = Path(rnnmft.__file__).parent


def test_the_package_keeps_the_law() -> None:
    assert import_law.violations(PACKAGE) == []


def test_no_room_is_a_hall() -> None:
    shares = import_law.sizes(PACKAGE)
    assert abs(sum(shares.values()) - 1.0) < 1e-9
    assert {room: share for room, share in shares.items() if share > import_law.LARGEST_ROOM} == {}


def test_every_allowed_breach_still_exists() -> None:
    made = {
        (module.name, one.target)
        for module in import_law.modules(PACKAGE).values()
        for one in module.imports
    }
    assert set(import_law.ALLOWED) <= made


def test_every_longer_file_and_function_still_exists() -> None:
    found = import_law.modules(PACKAGE)
    for name in import_law.LONGER:
        home = name if name in found else name.rpartition(".")[0]
        assert home in found, name
        assert name == home or f"def {name.rpartition('.')[2]}(" in found[home].text, name


PLANTED = {
    "upward": ("theory/moments.py", "import rnnmft.report.figures", "not below theory"),
    "sideways": ("simulation/network.py", "from rnnmft.theory import moments", "not below simul"),
    "typing only": (
        "language/cell.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rnnmft.simulation.network",
        "not below language",
    ),
    "symbolic": ("theory/moments.py", "import numpy as np", "theory is symbolic"),
    "symbolic, in a function": (
        "language/cell.py",
        "def f():\n    import torch",
        "language is symbolic",
    ),
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
    "circle for types only": (
        "theory/moments.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rnnmft.theory.jacobian",
        "circle of imports",
    ),
    "public face": ("report/html.py", "from rnnmft import Cell", "from the public face"),
    "relative": ("report/html.py", "from . import figures", "relative import"),
    "undeclared": ("report/html.py", "import pandas", "not a declared dependency"),
    "a long file": ("report/figures.py", "x = 1\n" * 400, "are enough for one idea"),
    "a long function": ("report/figures.py", "def f():\n" + "    x = 1\n" * 60, "f has 60 lines"),
    "no floor": ("utils.py", "", "has no floor"),
    "no docstring": ("language/cell.py", None, "first line must be a docstring"),
    "eval": ("language/cell.py", "eval('1')", "calls eval"),
    "exec": ("language/cell.py", "exec('1')", "calls exec"),
    "pickle": ("report/figures.py", "import pickle", "unpickles"),
    "sympify": (
        "language/cell.py",
        "import sympy as sp\nsp.sympify('1')",
        "sympify without strict",
    ),
    "sympify, not strict": (
        "language/cell.py",
        "import sympy as sp\nsp.sympify('1', strict=False)",
        "sympify without strict",
    ),
    "hidden import": (
        "language/cell.py",
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
        "language/__init__.py": "from rnnmft.language.cell import Cell",
        "language/cell.py": "import sympy\nfrom rnnmft import errors\nCell = errors",
        "theory/__init__.py": "",
        "theory/moments.py": "from rnnmft.language import Cell",
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


def test_every_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for module in import_law.modules(PACKAGE).values():
        for name in module.source.classes:
            homes.setdefault(name, []).append(module.name)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
