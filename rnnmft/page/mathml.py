"""LaTeX mathematics to MathML: equations that a browser typesets by itself, without a script.

The grammar is what SymPy's LaTeX printer and rnnmft's own nodes write: scripts, primes, fractions,
roots, fences, functions, matrices. What it does not know is shown as its LaTeX source, never
dropped. The tree is built as XML, so that text cannot become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from rnnmft.page.latex import (
    ACCENTS,
    FUNCTIONS,
    IDENTIFIERS,
    MINUS,
    OPERATORS,
    PRIME,
    SPACES,
    blackboard,
    tokens,
)

__all__ = ["equation_rows", "mathml"]

_MATRICES = {"matrix": "", "smallmatrix": "", "pmatrix": "()", "bmatrix": "[]", "vmatrix": "||"}
_MATRICES |= {"Vmatrix": "‖‖", "cases": "{", "array": ""}
_LINES = ("aligned", "align", "align*", "gathered", "gather", "gather*", "split")
_IGNORED = ("displaystyle", "textstyle", "limits", "nolimits", "!", "left.", "right.", "big", "Big")
_APPLY = "\N{FUNCTION APPLICATION}"


def mathml(latex: str, *, display: bool = True) -> str:
    r"""The LaTeX as a `math` element, in MathML Core.

    Args:
        latex: without dollar signs.
        display: a displayed equation (true) or one within a line.

    >>> mathml("q_{ab}", display=False)
    '<math><msub><mi>q</mi><mrow><mi>a</mi><mi>b</mi></mrow></msub></math>'
    """
    root = Element("math", {"display": "block"} if display else {})
    _fill(root, _LatexParser(latex).row())
    return tostring(root, encoding="unicode")


def equation_rows(rows: list[tuple[str, str]]) -> str:
    """One displayed equation in several lines: (left of the alignment, right of it) in LaTeX."""
    root = Element("math", {"display": "block"})
    table = SubElement(root, "mtable", {"displaystyle": "true"})
    for row in rows:
        line = SubElement(table, "mtr")
        for text, side in zip(row, ("right", "left"), strict=True):
            cell = SubElement(line, "mtd", {"style": f"text-align: {side}"})
            _fill(cell, _LatexParser(text).row())
    return tostring(root, encoding="unicode")


def _leaf(tag: str, text: str, **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.text = text
    return element


def _fill(parent: Element, items: list[Element]) -> Element:
    parent.extend(items)
    return parent


def _row(items: list[Element]) -> Element:
    """One element: the item itself, or a row of them."""
    return items[0] if len(items) == 1 else _fill(Element("mrow"), items)


def _identifier(text: str) -> Element:
    """An identifier: one letter is slanted, a word upright, both as MathML's default has it."""
    return _leaf("mi", text)


def _upright(text: str) -> Element:
    return _leaf("mi", text, **({"mathvariant": "normal"} if len(text) == 1 else {}))


def _fence(text: str, form: str) -> Element:
    return _leaf("mo", text, form=form, fence="true", stretchy="true")


class _LatexParser:
    """Reads tokens from left to right; each method returns MathML elements."""

    def __init__(self, latex: str) -> None:
        self._tokens = tokens(latex)
        self._at = 0

    # --- tokens ---------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _skip_space(self) -> bool:
        found = False
        while self._peek().isspace():
            self._at += 1
            found = True
        return found

    def _source(self, opening: str = "{", closing: str = "}") -> str:
        """The text of a group, as it stands."""
        self._skip_space()
        if self._peek() != opening:
            return self._next()
        self._at += 1
        depth, found = 1, []
        while self._at <= len(self._tokens):
            token = self._next()
            depth += (token == opening) - (token == closing)
            if depth == 0 or not token:
                break
            found.append(token)
        return "".join(found)

    # --- rows -----------------------------------------------------------------------------------

    def row(self, ends: Collection[str] = (), script: bool = False) -> list[Element]:
        """Elements up to a token that ends the row (which is left unread) or to the end."""
        items: list[Element] = []
        while True:
            spaced = self._skip_space()
            token = self._peek()
            if not token or token in ends:
                return items
            if spaced and script and items:
                items.append(Element("mspace", {"width": "0.2em"}))
            items += self._with_scripts()

    def _group(self, script: bool = False) -> Element:
        """The next argument: a braced group, or one atom."""
        self._skip_space()
        if self._peek() != "{":
            return _row(self._atom())
        self._at += 1
        items = self.row(("}",), script)
        self._at += 1
        return _row(items)

    def _with_scripts(self) -> list[Element]:
        bare = self._peek() in ("^", "_", "'")
        items = [Element("mrow")] if bare else self._atom()
        if not items:
            return items
        base = items.pop()
        below, above, primes = None, [], ""
        while True:
            before = self._at
            self._skip_space()
            token = self._peek()
            if token == "'":
                self._at += 1
                primes += PRIME
            elif token == "_" and below is None:
                self._at += 1
                below = self._group(script=True)
            elif token == "^":
                self._at += 1
                above.append(self._group(script=True))
            else:
                self._at = before
                break
        if primes:
            above.insert(0, _leaf("mo", primes, **{"class": "prime"}))
        return [*items, *self._applied(_scripted(base, below, above))]

    def _applied(self, element: Element) -> list[Element]:
        """A function's name is followed by the invisible operator that applies it."""
        ahead = [t for t in self._tokens[self._at : self._at + 3] if not t.isspace()]
        fenced = ahead[:1] in (["\\left"], ["("]) or ahead[:2] == ["{", "\\left"]
        return [element, _leaf("mo", _APPLY)] if _is_function(element) and fenced else [element]

    # --- atoms ----------------------------------------------------------------------------------

    def _atom(self) -> list[Element]:
        token = self._next()
        if not token or token in "&}":
            return []
        if token.startswith("\\"):
            return self._command(token[1:])
        if token == "{":
            items = self.row(("}",))
            self._at += 1
            return [_row(items)]
        if token[0].isdigit():
            return [_leaf("mn", token)]
        if token[0].isalpha():
            return [_identifier(token)]
        return [_operator({"-": MINUS, "*": OPERATORS["ast"]}.get(token, token))]

    def _command(self, name: str) -> list[Element]:
        if name in IDENTIFIERS:
            return [_identifier(IDENTIFIERS[name])]
        if name in OPERATORS:
            return [_operator(OPERATORS[name])]
        if name in FUNCTIONS:
            return [_upright(name)]
        if name in SPACES:
            return [Element("mspace", {"width": SPACES[name]})]
        if name in ACCENTS:
            accent = _leaf("mo", ACCENTS[name], stretchy="false")
            return [_fill(Element("mover", {"accent": "true"}), [self._group(), accent])]
        if name in _IGNORED:
            return []
        if name == "\\":
            return [Element("mspace", {"width": "2em"})]
        if name in _STRUCTURES:
            return _STRUCTURES[name](self)
        return [_leaf("mtext", f"\\{name}")]

    def _frac(self) -> list[Element]:
        return [_fill(Element("mfrac"), [self._group(), self._group()])]

    def _sqrt(self) -> list[Element]:
        self._skip_space()
        if self._peek() == "[":
            degree = _LatexParser(self._source("[", "]")).row()
            return [_fill(Element("mroot"), [self._group(), _row(degree)])]
        return [_fill(Element("msqrt"), [self._group()])]

    def _upright(self) -> list[Element]:
        return [_upright(_plain(self._source()))]

    def _text(self) -> list[Element]:
        return [_leaf("mtext", _plain(self._source()))]

    def _mathbb(self) -> list[Element]:
        letters = _plain(self._source())
        return [_upright("".join(map(blackboard, letters)))]

    def _left(self) -> list[Element]:
        opening = self._delimiter()
        items = self.row(("\\right",))
        self._at += 1
        closing = self._delimiter()
        fenced = [_fence(opening, "prefix")] if opening else []
        fenced += items
        fenced += [_fence(closing, "postfix")] if closing else []
        return [_fill(Element("mrow"), fenced)]

    def _delimiter(self) -> str:
        self._skip_space()
        token = self._next()
        if token.startswith("\\"):
            return OPERATORS.get(token[1:], token)
        return "" if token == "." else token

    def _begin(self) -> list[Element]:
        name = self._source()
        if name == "array":
            self._source()
        table = Element("mtable", {"displaystyle": "true"} if name in _LINES else {})
        line = SubElement(table, "mtr")
        while True:
            cell = SubElement(line, "mtd")
            _fill(cell, self.row(("&", "\\\\", "\\end")))
            if name in _LINES:
                side = "right" if len(line) % 2 and name.startswith(("align", "split")) else "left"
                cell.set("style", f"text-align: {side}")
            token = self._next()
            if token == "\\\\":
                line = SubElement(table, "mtr")
            elif token != "&":
                break
        self._source()
        fences = _MATRICES.get(name, "")
        if not fences:
            return [table]
        closing = [_fence(fences[1], "postfix")] if len(fences) > 1 else []
        return [_fill(Element("mrow"), [_fence(fences[0], "prefix"), table, *closing])]


_STRUCTURES: Mapping[str, Callable[[_LatexParser], list[Element]]] = {
    **dict.fromkeys(("frac", "tfrac", "dfrac"), _LatexParser._frac),
    **dict.fromkeys(("operatorname", "operatorname*", "mathrm", "mathbf"), _LatexParser._upright),
    **dict.fromkeys(("mathcal", "mathsf", "mathit", "boldsymbol"), _LatexParser._upright),
    **dict.fromkeys(("text", "textrm", "mbox"), _LatexParser._text),
    "sqrt": _LatexParser._sqrt,
    "mathbb": _LatexParser._mathbb,
    "left": _LatexParser._left,
    "begin": _LatexParser._begin,
}
_LIMITS = (OPERATORS["sum"], OPERATORS["prod"], "max", "min", "sup", "inf", "lim")


def _scripted(base: Element, below: Element | None, above: list[Element]) -> Element:
    if above and base.tag == "msup" and _is_prime(base[1]) and below is None:
        # f'^2: prime and power side by side, as one writes it, and not one on top of the other.
        base, above = base[0], [base[1], *above]
    if not above and below is None:
        return base
    over = base.text in _LIMITS
    upper = [_row(above)] if above else []
    if below is None:
        return _fill(Element("mover" if over else "msup"), [base, *upper])
    tags = ("munder", "munderover") if over else ("msub", "msubsup")
    return _fill(Element(tags[bool(above)]), [base, below, *upper])


def _is_prime(element: Element) -> bool:
    return element.tag == "mo" and set(element.text or "") == {PRIME}


def _is_function(element: Element) -> bool:
    base = element[0] if element.tag in ("msup", "msub", "msubsup") and len(element) else element
    return base.tag == "mi" and len(base.text or "") > 1


def _operator(text: str) -> Element:
    stretchy = {"stretchy": "false"} if text in "()[]{}|‖" else {}
    return _leaf("mo", text, **stretchy)


def _plain(text: str) -> str:
    r"""Text without its LaTeX escapes: hard\_tanh is hard_tanh."""
    return "".join(t[1:] if len(t) == 2 and t[0] == "\\" else t for t in tokens(text))
