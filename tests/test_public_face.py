"""The public face: each name resolves, and to the same object as in its own file."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import rnnmft

TREE = ast.parse(Path(rnnmft.__file__).read_text(encoding="utf-8"))


def typed_homes() -> dict[str, str]:
    """{name: module} as the TYPE_CHECKING imports tell it to a type checker."""
    guarded = next(node for node in TREE.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_and_python_see_the_same_names() -> None:
    assert {*typed_homes(), "__version__"} == set(rnnmft.__all__)


@pytest.mark.parametrize("name", sorted(typed_homes()))
def test_a_name_is_the_object_of_its_home(name: str) -> None:
    home = importlib.import_module(typed_homes()[name])
    assert getattr(rnnmft, name) is getattr(home, name)


@pytest.mark.parametrize("name", sorted(typed_homes()))
def test_a_name_says_what_it_is(name: str) -> None:
    assert (getattr(rnnmft, name).__doc__ or "").strip()


def test_importing_a_submodule_hides_no_name() -> None:
    submodules = {path.stem for path in Path(rnnmft.__file__).parent.iterdir()}
    assert submodules & set(rnnmft.__all__) == {"cells"}


def test_dir_lists_the_public_names() -> None:
    assert set(rnnmft.__all__) <= set(dir(rnnmft))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rnnmft.nothing  # noqa: B018 (the access is the test)
