"""The pins of the oldest allowed dependencies, and the citation's version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import rnnmft
from tests.oldest import oldest

ROOT = Path(__file__).parents[1]
PROJECT = """
[project]
name = "mine"
dependencies = ["numpy>=2.0", "pyright[nodejs]>=1.1.408"]
[project.optional-dependencies]
test = ["pytest>=8.2"]
dev = ["mine[test]"]
"""


def test_a_bound_of_two_numbers_is_a_series() -> None:
    assert oldest(PROJECT) == ["numpy==2.0.*", "pyright==1.1.408", "pytest==8.2.*"]


def test_a_requirement_without_a_bound_is_an_error() -> None:
    with pytest.raises(ValueError, match="'numpy' has no lower bound"):
        oldest(PROJECT.replace("numpy>=2.0", "numpy"))


def test_every_requirement_has_a_bound() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"numpy", "torch"} <= {pin.partition("==")[0] for pin in oldest(project)}


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {rnnmft.__version__}\n" in citation


def test_the_command_installs_every_extra_that_tests_need() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
            "optional-dependencies"
        ]
    )
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (installed,) = re.findall(r"oldest\.txt --editable '\.\[(.*)\]'", makefile)
    assert set(installed.split(",")) == extras - {"dev"}
