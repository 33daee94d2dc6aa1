"""Sphinx directive `code-cell`: a block of a page that is run when the page is built.

The cells of one page share one namespace. What a cell prints and what its last expression is worth
(as LaTeX, HTML, Markdown or text) stand below it, and so does every open Matplotlib figure, as SVG.
An exception or a warning fails the build; with the tag `raises-exception` the exception is the
output, and its absence fails the build.

The syntax is MyST-NB's, run in the process of the build instead of in a Jupyter kernel for each
page: the libraries are imported once, no socket is opened and no notebook stack is installed.
Measured, that is 70 s of processor time instead of 121 s. MyST-NB's cache would need 7 s, but does
not see that the package has changed (docs/dependencies.md).
"""

from __future__ import annotations

import ast
import contextlib
import io
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class CodeCell(SphinxDirective):
    """```{code-cell}: run the content and show it with its outputs."""

    has_content = True
    optional_arguments = 1
    option_spec = {"tags": directives.unchanged}  # noqa: RUF012 (docutils reads it from the class)

    def run(self) -> list[nodes.Node]:
        """The source, then its outputs; an ExtensionError stops the build."""
        tags = self.options.get("tags", "").strip("[]").replace(",", " ").split()
        source = "\n".join(self.content)
        namespace = self.env.current_document.setdefault(
            "code_cell_namespace", {"__name__": f"docs.{self.env.docname}"}
        )
        printed = io.StringIO()
        value, failure = None, None
        try:
            with contextlib.redirect_stdout(printed), warnings.catch_warnings():
                warnings.simplefilter("error")
                value = _execute(source, namespace)
        except Exception as error:
            failure = error
        if (failure is not None) != ("raises-exception" in tags):
            detail = (
                "raised nothing"
                if failure is None
                else "".join(traceback.format_exception(failure))
            )
            raise ExtensionError(f"{self.env.doc2path(self.env.docname)}:{self.lineno}: {detail}")
        shown: list[nodes.Node] = []
        if "remove-input" not in tags:
            shown.append(nodes.literal_block(source, source, language="python"))
        if failure is not None:
            printed.write(f"{type(failure).__name__}: {failure}")
        if printed.getvalue():
            shown.append(_text(printed.getvalue().rstrip("\n")))
        return shown + self._value(value) + _figures()

    def _value(self, value: Any) -> list[nodes.Node]:
        if value is None:
            return []
        if (latex := _represent(value, "latex")) is not None:
            body = latex.strip().strip("$").strip().removeprefix(r"\displaystyle")
            block = nodes.math_block(body, body, nowrap=True, number=None, label=None)
            block["nowrap"] = False
            return [block]
        if (markdown := _represent(value, "markdown")) is not None:
            return self.parse_text_to_nodes(markdown)
        if (html := _represent(value, "html")) is not None:
            return [nodes.raw("", f'<div class="cell-html">{html}</div>', format="html")]
        if callable(draw := getattr(value, "savefig", None)):
            return [] if hasattr(value, "number") else [_svg(draw)]  # pyplot's have one
        return [_text(repr(value))]


def _execute(source: str, namespace: dict[str, Any]) -> Any:
    """Run the source; the value of its last statement where that is an expression."""
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "<code-cell>", "exec"), namespace)  # noqa: S102 (the page is ours)
        return None
    exec(compile(ast.Module(tree.body[:-1], []), "<code-cell>", "exec"), namespace)  # noqa: S102
    value = eval(compile(ast.Expression(last.value), "<code-cell>", "eval"), namespace)  # noqa: S307
    return None if source.rstrip().endswith(";") else value


def _represent(value: Any, kind: str) -> str | None:
    method = None if isinstance(value, type) else getattr(value, f"_repr_{kind}_", None)
    return None if method is None else method()


def _text(content: str) -> nodes.literal_block:
    return nodes.literal_block(content, content, language="text", classes=["cell-output"])


def _svg(draw: Callable[..., object]) -> nodes.Node:
    """A figure inline, by its own `savefig`."""
    drawn = io.StringIO()
    draw(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = drawn.getvalue()
    figure = f'<div class="cell-figure">{svg[svg.index("<svg") :]}</div>'
    return nodes.raw("", figure, format="html")


def _figures() -> list[nodes.Node]:
    """Every open figure of pyplot; the figures are closed."""
    plt = sys.modules.get("matplotlib.pyplot")
    shown: list[nodes.Node] = []
    for number in plt.get_fignums() if plt else []:
        shown.append(_svg(plt.figure(number).savefig))
        plt.close(number)
    return shown


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("code-cell", CodeCell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
