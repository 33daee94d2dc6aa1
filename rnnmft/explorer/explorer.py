"""Explorer: the untied theory of a cell as one page to play with, computed where it is read.

The page holds its equations as JavaScript printed from the derivation, and asks for nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sympy as sp

from rnnmft import page
from rnnmft.errors import DerivationError, ParameterError
from rnnmft.explorer.model import PageModel, json_text
from rnnmft.explorer.variants import check_variants
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.page.document import render
from rnnmft.page.mathml import mathml
from rnnmft.report.typeset import equation
from rnnmft.solvers.closed.recursion import UntiedRecursion, untied_recursion

__all__ = ["Explorer"]

_HERE = Path(__file__).parent
_PAGE = Path(page.__file__).parent
# In this order: each file uses what those before it define.
_CORE = ("functions", "average", "pairs", "algebra")
_AFTER = ("answer", "theory", "phase", "network")
# What the page alone runs; it starts in the last.
_PAGE_FILES = ("figures", "controls", "address", "drawing", "phase_figure", "page")
# Pixels of a frame in a notebook: the first line, the sliders and the maps at once.
_FRAME = 900
_MARK = re.compile(r"<mtext>@(\d+)</mtext>")
# What ends a factor, and a number, or its power, after it.
_FACTORS = re.compile(r"(</(?:mi|mn|msup|msub|msubsup|mtext|mrow)>)((?:<msup>)?<mtext>@)")


class Explorer:
    """One cell's untied mean-field theory as an HTML file with sliders, maps and a network.

    Args:
        cell: whose moments close (affine in its states).
        ensemble: where the page opens; the cell's defaults if not given.
        inputs: likewise.
        variants: {name: cell} to choose from in the page, of the same states and preactivations;
            the page opens at the first. `cell` alone if not given.

    Raises:
        DerivationError: the cell's moments do not close: there is no recursion to put into a page.
        ParameterError: an ensemble of another cell, inputs that are not white, a variant of other
            states or preactivations.

    >>> from rnnmft import cells
    >>> "<script" in Explorer(cells.minimal()).to_html()
    True
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble | None = None,
        inputs: Inputs | None = None,
        variants: Mapping[str, Cell] | None = None,
    ) -> None:
        self.cell = cell
        inputs = inputs or Inputs()
        if inputs.temporal != "white":
            raise ParameterError(
                f"inputs: the explorer's recursion is that of white inputs, got {inputs.temporal!r}"
            )
        offered = dict(variants) if variants else {cell.name: cell}
        check_variants(cell, offered)
        at = ensemble or cell.ensemble()
        self._models = {
            name: PageModel(one, _recursion(one), at, inputs) for name, one in offered.items()
        }

    def to_html(self, path: Path | str | None = None) -> str:
        """The page's text; written to a file, too, where a path is given."""
        from markupsafe import Markup

        font = base64.b64encode((_PAGE / "fonts" / "stix-two-math.woff").read_bytes()).decode()
        text = str(
            render(
                _HERE / "templates",
                "explorer.html",
                cell=self.cell,
                variants=[
                    {
                        "name": name,
                        "equations": Markup(mathml(model.cell.latex())),
                        "recursions": [Markup(e) for e in _recursions(model)],
                    }
                    for name, model in self._models.items()
                ],
                font=f"data:font/woff;base64,{font}",
                style=Markup(_read(_PAGE / "templates" / "style.css"))
                + Markup(_read(_HERE / "templates" / "explorer.css")),
                core=Markup(self._core()),
                page=Markup("".join(map(_script, _PAGE_FILES))),
                foot=self._foot(),
            )
        )
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _repr_html_(self) -> str:
        """The page in a frame, for a notebook."""
        from markupsafe import escape

        title = escape(f"{self.cell.name}: explorer")
        return (
            f'<iframe title="{title}" srcdoc="{escape(self.to_html())}" loading="lazy" '
            f'style="width: 100%; height: {_FRAME}px; border: 0"></iframe>'
        )

    def _core(self) -> str:
        """What page and worker both run."""
        scripts = [f"{json_text(name)}: {model.script()}" for name, model in self._models.items()]
        variants = "const variants = {\n" + ",\n".join(scripts) + "\n};\n"
        return "".join(map(_script, _CORE)) + variants + "".join(map(_script, _AFTER))

    def _foot(self) -> str:
        return (
            "Written by rnnmft. Everything is computed in this page from the derived equations; it "
            "loads nothing and sends nothing."
        )


def _recursion(cell: Cell) -> UntiedRecursion:
    try:
        recursion = untied_recursion(cell)
        recursion.require_closed()
    except DerivationError as error:
        raise DerivationError(f"no explorer: {error}") from None
    return recursion


def _recursions(model: PageModel) -> Iterator[str]:
    """The equations as MathML, each parameter a number that the page fills in."""
    derivation = model.recursion.derivation
    values = {s: _Slot(str(i)) for i, s in enumerate(model.recursion.parameters)}
    named: list[Mapping[Any, Any]] = [
        derivation.preactivation_variance,
        derivation.second_moment,
        derivation.other_moments,
    ]
    for equations in named:
        for one in equations.values():
            filled = sp.Eq(one.lhs, one.rhs.xreplace(values), evaluate=False)
            yield _MARK.sub(r'<mn data-p="\1">\1</mn>', _spaced(equation(filled)))


class _Slot(sp.Symbol):
    """A symbol that LaTeX prints as a mark, for the page to put a number in."""

    def _latex(self, printer: object) -> str:
        return rf"\text{{@{self.name}}}"


def _spaced(text: str) -> str:
    """A dot before each number that follows another factor."""
    return _FACTORS.sub(r"\1<mo>·</mo>\2", text)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _script(name: str) -> str:
    return _read(_HERE / "js" / f"{name}.js") + "\n"
