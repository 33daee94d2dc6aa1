"""Sphinx directive `public-names`: every name of rnnmft's public face with signature and docstring.

Docstrings are shown as they are written, which is how `help()` shows them. Activations are SymPy
functions and have a chapter; they are listed in one line.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import rnnmft

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class PublicNames(SphinxDirective):
    """```{public-names}: one section a name."""

    def run(self) -> list[nodes.Node]:
        """The sections, classes before functions, and the activations in one paragraph."""
        documented, activations = [], []
        for name in rnnmft.__all__:
            value = getattr(rnnmft, name)
            (activations if _is_activation(value) else documented).append(name)
        line = nodes.paragraph("", "Activations: ")
        for name in activations:
            line += [nodes.literal("", name), nodes.Text(", " if name != activations[-1] else ".")]
        sections = [self._section(name) for name in documented if name != "__version__"]
        return [line, *sections]

    def _section(self, name: str) -> nodes.section:
        value = getattr(rnnmft, name)
        section = nodes.section(ids=[f"rnnmft-{name}"], names=[f"rnnmft-{name}"])
        section += nodes.title("", "", nodes.literal("", f"rnnmft.{name}"))
        text = inspect.getdoc(value) or ""
        if callable(value) and (signature := _signature(name, value)):
            section += nodes.literal_block(signature, signature, language="python")
        section += nodes.literal_block(text, text, language="text")
        for method, described in _methods(value):
            section += nodes.paragraph("", "", nodes.strong("", method))
            section += nodes.literal_block(described, described, language="text")
        return section


def _is_activation(value: Any) -> bool:
    import sympy

    return value is rnnmft.identity or (
        isinstance(value, type) and issubclass(value, sympy.Function)
    )


class _Plain(str):
    """An annotation that is shown as it was written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return ""
    parameters = [p.replace(annotation=_plain(p.annotation)) for p in signature.parameters.values()]
    returns = signature.empty if isinstance(value, type) else _plain(signature.return_annotation)
    return name + str(signature.replace(parameters=parameters, return_annotation=returns))


def _plain(annotation: Any) -> Any:
    return _Plain(annotation) if isinstance(annotation, str) else annotation


def _methods(value: Any) -> list[tuple[str, str]]:
    """(name, docstring) of the public methods and properties that a class itself defines."""
    if not isinstance(value, type) or not value.__module__.startswith("rnnmft"):
        return []
    return [
        (name, inspect.getdoc(member) or "")
        for name, member in vars(value).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, (property, classmethod)))
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
