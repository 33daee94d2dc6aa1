"""CONTRIBUTING.md as a program: its blocks, and a copy of the repository to which they are applied.

A block under a line that ends in a file's name, "`rnnmft/activations.py`:", is that file, or as a
diff what changes in it. Other Python blocks are run, and so are shell blocks but for the one that
opens the page. In a diff, hunks stand between lines of @@; the lines that a hunk keeps or takes
away must occur in the file exactly once, together.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["BLOCKS", "Block", "added_lines", "apply", "run", "scratch_copy"]

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:`([\w/.-]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMANDS = {"pytest": ["-m", "pytest", "-q"], "rnnmft": ["-m", "rnnmft"]}


class Block(NamedTuple):
    """A fenced block: the section and the file that it stands under, its language and its text."""

    section: str
    path: str
    language: str
    text: str


def _blocks() -> list[Block]:
    found = []
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        found += [Block(title, *block) for block in _BLOCK.findall(section)]
    return found


BLOCKS = _blocks()


def scratch_copy(folder: Path) -> Path:
    """A copy of what the examples need, without the example's results."""
    for name in ("rnnmft", "tests", "validation"):
        ignored = shutil.ignore_patterns("__pycache__", "data", "results")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def apply(block: Block, root: Path) -> None:
    """Write the block's file, or change it as the diff says."""
    target = root / block.path
    if block.language != "diff":
        assert not target.exists(), f"{block.path} is there already"
        target.write_text(block.text, encoding="utf-8")
        return
    text = target.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@\n", block.text, flags=re.MULTILINE):
        before, after = (_side(hunk, sign) for sign in "-+")
        assert text.count(before) == 1, f"{block.path} has {text.count(before)} times: {before}"
        text = text.replace(before, after)
    target.write_text(text, encoding="utf-8")


def _side(hunk: str, sign: str) -> str:
    """What a hunk says before ("-") or after ("+")."""
    return "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in (" ", sign))


def added_lines(block: Block) -> int:
    """How many lines someone types for it, blank ones not counted."""
    lines = block.text.splitlines()
    if block.language == "diff":
        lines = [line[1:] for line in lines if line.startswith("+")]
    return sum(bool(line.strip()) for line in lines)


def run(block: Block, root: Path) -> None:
    """Run a block in the copy: Python with warnings as errors, or each of its commands."""
    commands = [["-W", "error", "-c", block.text]]
    if block.language == "sh":
        lines = (shlex.split(line.removeprefix(".venv/bin/")) for line in block.text.splitlines())
        commands = [[*_COMMANDS[name], *arguments] for name, *arguments in lines]
    for words in commands:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
