"""LaTeX mathematics to MathML: equations that a browser typesets by itself, without a script.

latex2mathml converts. Here its tree becomes MathML Core, which browsers implement, and is written
as XML, so that text cannot become markup (its own writer takes the escapes out again). What it
does not know is shown as its LaTeX source, never dropped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from itertools import pairwise
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element

__all__ = ["equation_rows", "mathml"]

# A word: in LaTeX it may hold escapes, which latex2mathml shows, or sets letter by letter.
_WORD = re.compile(r"\\(?:operatorname\*?|text|mathrm)\{((?:[^{}\\]|\\.)*)\}")
_ESCAPE = re.compile(r"\\(.)")


@lru_cache(maxsize=2048)  # a page that is refined in place sets its equations again and again
def mathml(latex: str, *, display: bool = True) -> str:
    r"""The LaTeX as a `math` element, in MathML Core.

    Args:
        latex: without dollar signs.
        display: a displayed equation (true) or one within a line.

    >>> mathml("q_{ab}", display=False)
    '<math><mrow><msub><mi>q</mi><mrow><mi>a</mi><mi>b</mi></mrow></msub></mrow></math>'
    """
    root = Element("math", {"display": "block"} if display else {})
    root.extend(_converted(latex, display))
    for element in list(root.iter()):
        _to_core(element)
        _space_functions(element)
    return tostring(root, encoding="unicode")


def equation_rows(rows: list[tuple[str, str]]) -> str:
    """One displayed equation in several lines: (left of the alignment, right of it) in LaTeX."""
    lines = r" \\ ".join(f"{left} & {right}" for left, right in rows)
    return mathml(rf"\begin{{align*}}{lines}\end{{align*}}")


def _converted(latex: str, display: bool) -> list[Element]:
    known = _WORD.sub(lambda word: r"\text{" + _ESCAPE.sub(r"\1", word[1]) + "}", latex)
    known = known.replace("{aligned}", "{align*}")
    try:
        return list(convert_to_element(known, display="block" if display else "inline"))
    except Exception:  # Its own errors have no common base, and unfinished text has others.
        source = Element("mtext")
        source.text = latex
        return [source]


def _to_core(element: Element) -> None:
    """Characters instead of entities, and styles instead of what MathML Core leaves out."""
    element.text = unescape(element.text) if element.text else element.text
    side = element.attrib.pop("columnalign", None)
    if side is not None:
        element.set("style", f"text-align: {side}")
    if element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")
    if element.tag == "mi" and (element.text or "").startswith("\\"):
        element.tag = "mtext"


def _space_functions(row: Element) -> None:
    """A thin space between the name of a function and its argument, unless a fence stands there."""
    for left, right in list(pairwise(row)):
        if row.tag in ("math", "mrow", "mtd") and _is_function(left) and right.tag != "mo":
            row.insert(list(row).index(left) + 1, Element("mspace", {"width": "0.167em"}))


def _is_function(element: Element) -> bool:
    """log, or log with an index or a power."""
    if element.tag in ("msub", "msup", "msubsup"):
        return _is_function(element[0])
    return element.tag == "mi" and len(element.text or "") > 1
