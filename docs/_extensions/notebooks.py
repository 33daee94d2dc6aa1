"""Sphinx extension: a Jupyter notebook of every page that offers one, below docs/notebooks/.

A page offers one by a line with {download}`.. <notebooks/PAGE.ipynb>`. The notebook has the page's
text and the cells that the build of the page runs, without what they print. It stands alone: links
to other pages become words, and so does what only a page can show.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["notebook", "offers", "write_notebooks"]

_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TAGS = re.compile(r"\A(?::tags: \[([^\]]*)\]\n+)?")
# What Markdown does not know, and what stands for it.
_WORDS = (
    (re.compile(r"^.*\{download\}.*\n", re.MULTILINE), ""),
    (re.compile(r"^:{3,}\{admonition\} (.*)$", re.MULTILINE), r"**\1.**"),
    (re.compile(r"^:{3,}$", re.MULTILINE), ""),
    (re.compile(r"\{cite\}`([^`]*)`"), r"[\1]"),
    (re.compile(r"\{eq\}`([^`]*)`"), r"(\1)"),
    (re.compile(r"\[([^\]]*)\]\([^)\s]*\.md(?:#[^)]*)?\)"), r"\1"),
)
_FIRST = "*A page of the documentation of rnnmft {}; it needs that package and nothing else.*"


def offers(name: str, text: str) -> bool:
    """Whether a page offers a notebook of its own."""
    return f"<notebooks/{name}.ipynb>`" in text


def notebook(name: str, text: str, version: str) -> dict[str, Any]:
    r"""The page as a notebook, nbformat 4.5.

    >>> page = "# Title\n\nSee [cells](cells.md).\n\n```{code-cell}\n1 + 1\n```\n"
    >>> [cell["source"] for cell in notebook("page", page, "1.0")["cells"]][1:]
    [['See cells.'], ['1 + 1']]
    """
    cells: list[dict[str, Any]] = []

    def add(kind: str, source: str, **more: Any) -> None:
        lines = source.strip("\n").splitlines(keepends=True)
        cell = {"cell_type": kind, "id": f"{name}-{len(cells)}", "metadata": {}, "source": lines}
        if lines:
            cells.append({**cell, **more})

    title, _, rest = text.partition("\n")
    add("markdown", f"{title}\n\n{_FIRST.format(version)}")
    # Split at a group of one: text and code in turns.
    for i, part in enumerate(_CELL.split(rest)):
        if i % 2 == 0:
            add("markdown", _plain(part))
            continue
        tags = _TAGS.match(part)
        source = part[tags.end() :] if tags else part
        named = tags[1].replace(",", " ").split() if tags and tags[1] else []
        metadata = {"metadata": {"tags": named}} if named else {}
        add("code", source, execution_count=None, outputs=[], **metadata)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def _plain(text: str) -> str:
    for found, words in _WORDS:
        text = found.sub(words, text)
    return text.strip()


def write_notebooks(app: Sphinx) -> None:
    """Write the notebook of each page that offers one."""
    source = Path(app.srcdir)
    for page in sorted(source.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if offers(page.stem, text):
            made = json.dumps(notebook(page.stem, text, app.config.release), indent=1)
            path = source / "notebooks" / f"{page.stem}.ipynb"
            path.parent.mkdir(exist_ok=True)
            path.write_text(made + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the notebooks before pages look for them."""
    app.connect("builder-inited", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
