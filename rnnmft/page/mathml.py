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
# What has a base.
_INDEXED = ("msub", "msup", "msubsup")
# A symbol of several letters, which SymPy writes bare; commands and what they are given stay.
_NAME = re.compile(r"\\(?:begin|end|text)\{[^{}]*\}(?:\{[clr|]+\})?|\\[A-Za-z]+|([A-Za-z]{3,})")
# Letters below the line: an index would be put below their depth.
_DEEP = frozenset("gjpqyβγζημξρςφχψ")  # noqa: RUF001


@lru_cache(maxsize=2048)  # a page that is refined in place sets its equations again and again
def mathml(latex: str, *, display: bool = True) -> str:
    r"""The LaTeX as a `math` element, in MathML Core.

    Args:
        latex: without dollar signs.
        display: a displayed equation (true) or one within a line.

    >>> mathml("Q_{ab}", display=False)
    '<math><mrow><msub><mi>Q</mi><mrow><mi>a</mi><mi>b</mi></mrow></msub></mrow></math>'
    """
    root = Element("math", {"display": "block"} if display else {})
    root.extend(_converted(latex, display))
    elements = list(root.iter())
    for element in elements:
        _to_core(element)
    for element in elements:
        _space_words(element)
        _raise_index(element)
    return tostring(root, encoding="unicode")


def equation_rows(rows: list[tuple[str, str]]) -> str:
    """One displayed equation in several lines: (left of the alignment, right of it) in LaTeX."""
    lines = r" \\ ".join(f"{left} & {right}" for left, right in rows)
    return mathml(rf"\begin{{align*}}{lines}\end{{align*}}")


def _converted(latex: str, display: bool) -> list[Element]:
    known = _WORD.sub(lambda word: r"\text{" + _ESCAPE.sub(r"\1", word[1]) + "}", latex)
    known = known.replace("{aligned}", "{align*}")
    known = _NAME.sub(lambda found: rf"\text{{{found[1]}}}" if found[1] else found[0], known)
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


def _space_words(row: Element) -> None:
    """A thin space beside the name of a function and other words, unless a sign stands there."""
    if row.tag not in ("math", "mrow", "mtd"):
        return
    for left, right in list(pairwise(row)):
        is_apart = _is_word(left, "mi") or _is_word(left, "mtext") or _is_word(right, "mtext")
        if is_apart and not {left.tag, right.tag} & {"mo", "mspace"}:
            row.insert(list(row).index(left) + 1, Element("mspace", {"width": "0.167em"}))


def _is_word(element: Element, tag: str) -> bool:
    """log (an `mi`), overlap (an `mtext`), or one with an index or a power."""
    if element.tag in _INDEXED:
        return _is_word(element[0], tag)
    text = element.text or ""
    return element.tag == tag and text.isalpha() and len(text) > 1


def _raise_index(element: Element) -> None:
    """The base's depth left out, so that the index of mu stands where that of sigma does."""
    if element.tag in ("msub", "msubsup") and element[0].text in _DEEP:
        base = Element("mpadded", {"depth": "0"})
        base.append(element[0])
        element[0] = base
