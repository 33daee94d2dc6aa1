"""CONTRIBUTING.md holds: every example is applied to a copy of the repository, and run there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import import_law
from tests.contributed import BLOCKS, ROOT, Block, added_lines, apply, run, scratch_copy

PYTHON = [b for b in BLOCKS if b.language == "python" and not b.path]
SHELL = [b for b in BLOCKS if b.language == "sh"]
SMALL = ("An activation with its closed form", "A cell of the zoo", "A claim of a validation")


@pytest.fixture(scope="module")
def contributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy with every example applied."""
    root = scratch_copy(tmp_path_factory.mktemp("contributed"))
    for block in BLOCKS:
        if block.path:
            apply(block, root)
    return root


def test_every_block_is_a_file_a_change_or_run() -> None:
    assert {b.language for b in BLOCKS if b.path} == {"diff", "toml", "python"}
    assert {b.language for b in BLOCKS if not b.path} == {"python", "sh"}
    assert len(PYTHON) == 3
    assert len(SHELL) == 3


def test_an_activation_and_a_cell_take_less_than_forty_lines() -> None:
    assert sum(added_lines(b) for b in BLOCKS if b.section in SMALL and b.language != "sh") < 40


def test_the_examples_keep_the_import_law(contributed: Path) -> None:
    before = import_law.violations(ROOT / "rnnmft")
    assert set(import_law.violations(contributed / "rnnmft")) <= set(before)


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: b.section)
def test_an_example_in_python_runs(contributed: Path, block: Block) -> None:
    run(block, contributed)


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=lambda b: b.section)
def test_the_commands_succeed(contributed: Path, block: Block) -> None:
    run(block, contributed)


def test_without_its_change_an_example_fails() -> None:
    """Control: a solver that nobody put into the table does not answer."""
    solver = next(b for b in PYTHON if b.section == "A solver")
    with pytest.raises(AssertionError, match=r'assert theory.method == "linear network"'):
        run(solver, ROOT)


def test_a_change_that_does_not_fit_is_refused(contributed: Path) -> None:
    again = next(b for b in BLOCKS if b.language == "diff" and "\n-" in b.text)
    with pytest.raises(AssertionError, match="has 0 times"):
        apply(again, contributed)
