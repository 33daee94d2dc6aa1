"""Sphinx math renderer: equations as MathML, by the converter that the reports use.

Pages then show their equations without a script and without a network. A command that the
converter does not know is a warning, and so fails the build. A labelled equation carries its
number, which begins with its chapter's, and below it the code whose docstrings cite it.
"""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from citations import citing_code, docstrings
from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

import rnnmft
from rnnmft.page.mathml import mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.writers.html5 import HTML5Translator


_logger = logging.getLogger(__name__)


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """An equation within a line."""
    translator.body.append(_convert(node, display=False))
    raise nodes.SkipNode


def visit_display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A displayed equation, in a box that scrolls where it is too wide."""
    label = node["label"] if node.get("number") else ""
    # A theme may have wrapped the equation in a box that carries the anchor already.
    ids = node["ids"] if node["ids"] != node.parent.get("ids") else []
    anchor = f' id="{ids[0]}"' if ids else ""
    translator.body.append(f'<div class="math"{anchor}>')
    if label:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f"{_convert(node, display=True)}</div>\n{_cited_by(label)}")
    raise nodes.SkipNode


@cache
def _citing_code() -> dict[str, list[str]]:
    return citing_code(docstrings(Path(rnnmft.__file__).parent))


def _cited_by(label: str) -> str:
    """A line that names the code of an equation: how a reader comes from the page to the source."""
    names = _citing_code().get(label.removeprefix("eq-"), [])
    codes = ", ".join(f'<code class="docutils literal">{escape(name)}</code>' for name in names)
    return f'<p class="equation-code"><small>In code: {codes}</small></p>\n' if codes else ""


def _convert(node: nodes.Node, *, display: bool) -> str:
    converted = mathml(node.astext().strip(), display=display)
    if "<mtext>\\" in converted:
        _logger.warning("LaTeX that the converter does not know: %s", node.astext(), location=node)
    return converted


def _number_by_chapter(app: Sphinx, config: Config) -> None:
    """Equations are numbered within chapters: a number alone says where it is."""
    config["numfig"] = True


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer `mathml`."""
    app.connect("config-inited", _number_by_chapter)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
