"""Explorer: the untied theory of a cell as one page to play with, computed where it is read.

The page holds its equations as JavaScript printed from the derivation, and asks for nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy as sp

from rnnmft import page
from rnnmft.errors import DerivationError, ParameterError
from rnnmft.explorer.model import LAWS, PageModel, json_text
from rnnmft.explorer.stored_map import described_map
from rnnmft.explorer.variants import check_variants
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.page.document import render
from rnnmft.page.mathml import mathml
from rnnmft.report.typeset import equation
from rnnmft.solvers.closed.recursion import UntiedRecursion, untied_recursion
from rnnmft.theory.derivation import derive

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["Explorer"]

_HERE = Path(__file__).parent
_PAGE = Path(page.__file__).parent
# In this order: each file uses what those before it define.
_CORE = ("functions", "average", "pairs", "algebra")
_AFTER = ("answer", "theory", "stored", "phase", "network", "density")
# What the page alone runs; it starts in the last.
_PAGE_FILES = ("figures", "controls", "address", "numbers", "drawing", "phase_figure", "page")
# Pixels of a frame in a notebook: the first line, the sliders and the maps at once.
_FRAME = 900
_MARK = re.compile(r"<mtext>@(\d+)</mtext>")
# What ends a factor, and a number, or its power, after it.
_FACTORS = re.compile(r"(</(?:mi|mn|msup|msub|msubsup|mtext|mrow)>)((?:<msup>)?<mtext>@)")


class Explorer:
    """One cell's mean-field theory as an HTML file with sliders, maps and a network.

    The page computes the untied theory where the cell's moments close (it is affine in its states).
    The tied theory, and all theory of other cells, it reads between the points of stored maps,
    with the error that these have there; `stored_map` makes them.

    Args:
        cell: the cell.
        ensemble: where the page opens; the cell's defaults if not given.
        inputs: likewise.
        variants: {name: cell} to choose from in the page, of the same states and preactivations;
            the page opens at the first. `cell` alone if not given.
        tied: a map of the tied theory over two parameters, at this ensemble and these inputs.
        untied: a map of the untied theory, for a cell whose moments do not close.

    Raises:
        DerivationError: the cell's moments do not close, and there is no map.
        ParameterError: an ensemble of another cell or with other than Gaussian weights, inputs that
            are not white, a variant of other states or preactivations, a map of another setting.

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
        *,
        tied: PhaseDataset | None = None,
        untied: PhaseDataset | None = None,
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
        _check_ensemble(cell, at)
        maps = {"tied": tied, "untied": untied}
        is_stored = any(one is not None for one in maps.values())
        self._models = {
            name: PageModel(one, _recursion(one, is_stored), at, inputs)
            for name, one in offered.items()
        }
        self._closes = _recursion(cell, True) is not None
        if any((m.recursion is not None) != self._closes for m in self._models.values()):
            raise ParameterError("variants: the moments of some close and of others do not")
        if untied is not None and self._closes:
            raise ParameterError("untied: the moments close, and the page computes them itself")
        where = next((name for name, one in offered.items() if one.update == cell.update), None)
        if is_stored and where is None:
            raise ParameterError("variants: none of them is the cell that the maps are of")
        self._stored = dict.fromkeys(maps) | {
            tying: {"variant": where, **described_map(one, cell, at, inputs, tying)}
            for tying, one in maps.items()
            if one is not None
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
                closed=self._closes,
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
        stored = f"const stored = {json_text(self._stored)};\n"
        return "".join(map(_script, _CORE)) + variants + stored + "".join(map(_script, _AFTER))

    def _foot(self) -> str:
        return (
            "Written by rnnmft. What is not said to be stored is computed in this page from the "
            "derived equations; it loads nothing and sends nothing."
        )


def _recursion(cell: Cell, is_stored: bool) -> UntiedRecursion | None:
    """What the page computes by itself; None where it has stored maps in its place."""
    try:
        recursion = untied_recursion(cell)
        recursion.require_closed()
    except DerivationError as error:
        if is_stored:
            return None
        raise DerivationError(
            f"no explorer without a stored map (tied=stored_map(cell, ..)): {error}"
        ) from None
    return recursion


def _check_ensemble(cell: Cell, ensemble: Ensemble) -> None:
    names = [p.name for p in cell.preactivations]
    if list(ensemble) != names:
        raise ParameterError(f"the ensemble is of {', '.join(ensemble)}, not of {', '.join(names)}")
    if other := sorted({law.weights for law in ensemble.values()} - {"gaussian"}):
        raise ParameterError(f"ensemble: the page's networks have Gaussian weights, not {other[0]}")


def _recursions(model: PageModel) -> Iterator[str]:
    """The equations as MathML, each parameter a number that the page fills in."""
    derivation: Any = derive(model.cell)
    n, cell = derivation.notation, model.cell
    laws = [getattr(n, law)[p] for p in cell.preactivations for law in LAWS]
    values = {s: _Slot(str(i)) for i, s in enumerate([n.R, n.c_x, *laws])}
    named: list[Mapping[Any, Any]] = [
        derivation.preactivation_variance,
        getattr(derivation, "population_average", {}),
        derivation.second_moment,
        getattr(derivation, "other_moments", {}),
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
