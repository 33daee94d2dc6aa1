"""Sphinx extension: one page for each script under derivations/, below docs/derivations/.

A page is the script itself: its docstring as the text, its source below. `make derivations` runs
the scripts; a page therefore shows equations that hold.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_PAGE = """# {title}

{text}

```{{literalinclude}} ../../derivations/{name}
:language: python
:lines: {first}-
```
"""

_INDEX = """# Derivations

The equations of the papers, typed by hand, one script a cell, and asserted equal to what the engine
derives. A script that finds a difference fails the build of this page.

{pages}
"""


def write_pages(app: Sphinx) -> None:
    """Write the pages that changed and remove those whose script is gone."""
    scripts = sorted(Path(app.srcdir).parent.joinpath("derivations").glob("*.py"))
    folder = Path(app.srcdir) / "derivations"
    folder.mkdir(exist_ok=True)
    wanted = {f"{script.stem}.md": _page(script) for script in scripts}
    listed = "".join(f"{script.stem}\n" for script in scripts)
    wanted["index.md"] = _INDEX.format(
        pages=f"```{{toctree}}\n:maxdepth: 1\n\n{listed}```" if scripts else ""
    )
    for page in folder.glob("*.md"):
        if page.name not in wanted:
            page.unlink()
    for name, text in wanted.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def _page(script: Path) -> str:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    title, _, text = (ast.get_docstring(tree) or script.stem).partition("\n")
    first = (tree.body[0].end_lineno or 0) + 1 if tree.body else 1
    return _PAGE.format(title=title.rstrip("."), text=text.strip(), name=script.name, first=first)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
