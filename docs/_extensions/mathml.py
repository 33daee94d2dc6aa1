"""Sphinx math renderer: equations as MathML, by the converter that the reports use.

Pages then show their equations without a script and without a network. A command that the
converter does not know is a warning, and so fails the build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util import logging

from rnnmft.page.mathml import mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


_logger = logging.getLogger(__name__)


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """An equation within a line."""
    translator.body.append(_convert(node, display=False))
    raise nodes.SkipNode


def visit_display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A displayed equation, in a box that scrolls where it is too wide."""
    translator.body.append(f'<div class="math">{_convert(node, display=True)}</div>\n')
    raise nodes.SkipNode


def _convert(node: nodes.Node, *, display: bool) -> str:
    converted = mathml(node.astext().strip(), display=display)
    if "<mtext>\\" in converted:
        _logger.warning("LaTeX that the converter does not know: %s", node.astext(), location=node)
    return converted


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
