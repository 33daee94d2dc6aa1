r"""Docstrings for autodoc: what they mean plainly, reStructuredText would take for markup.

|x| is an absolute value, no substitution; a backslash between backticks is one; the s of several
`Law`s ends a word. A default that a
dataclass makes afresh is an ellipsis, since no one can write `<factory>`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_PLURAL = re.compile(r"(?<![`\w])(`[^`]+`)(?=\w)")


def read_plainly(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list) -> None:
    """Escape what is no markup, outside of examples."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith(">>>"):
            parts = re.split("(`[^`]*`)", _PLURAL.sub(r"\1\\ ", line))
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            parts[1::2] = [part.replace("\\", r"\\") for part in parts[1::2]]
            lines[i] = "".join(parts)


def without_factories(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str]:
    """The signature with an ellipsis for what a dataclass makes afresh."""
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Read docstrings before napoleon does."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", read_plainly, priority=400)
    app.connect("autodoc-process-signature", without_factories)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
