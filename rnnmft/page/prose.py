"""Plain sentences on a page: symbols (sigma_w^2, J^T) become MathML, signs (+-, ->) are typeset."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rnnmft.page.mathml import mathml

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["prose"]

_GREEK = frozenset(
    re.findall(
        r"\w+",
        """
        alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi
        pi rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma
        Upsilon Phi Psi Omega ell infty
        """,
    )
)
_MARK = r"(?:[A-Za-z0-9]+|\*)"
_SYMBOL = re.compile(
    rf"(?<![\w\\])(?P<stem>J J(?=\^)|[A-Za-z]+)(?P<sub>(?:_{_MARK})+)?(?P<sup>\^{_MARK})?"
    rf"(?P<star>\*(?=_))?(?P<late>(?:_{_MARK})+)?(?!\w)"
)
#: What plain text writes in ASCII. A minus stands before a number that begins a word: ranges and
#: options of commands stay.
_SIGNS = (
    (re.compile(r"(?<!\S)\+-(?!\S)"), "±"),
    (re.compile(r"(?<!\S)->(?!\S)"), "→"),
    (re.compile(r"(?<![^\s(\[])-(?=\d)"), "\N{MINUS SIGN}"),
    (re.compile(r"\blog10\b"), "log₁₀"),
)


def prose(text: str) -> Markup:
    """The text as HTML, escaped, with its symbols typeset.

    A word is a symbol where it is one letter or a Greek name and carries a sub- or superscript, or
    is a Greek name by itself; a longer word is one where it is raised to a number.

    >>> print(prose("h -> c: -1.5 +- 0.1, pre-2 and a=-1 stay"))
    h → c: −1.5 ± 0.1, pre-2 and a=-1 stay
    >>> print(prose("with mean nu_b < 2"))
    with mean <math><mrow><msub><mi>ν</mi><mrow><mi>b</mi></mrow></msub></mrow></math> &lt; 2
    """
    from markupsafe import Markup, escape

    for sign, typeset in _SIGNS:
        text = sign.sub(typeset, text)
    parts, at = [], 0
    for found in _SYMBOL.finditer(text):
        latex = _latex(found)
        if latex is not None:
            parts += [escape(text[at : found.start()]), Markup(mathml(latex, display=False))]
            at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def _latex(found: re.Match[str]) -> str | None:
    stem, below = found["stem"], found["sub"] or found["late"]
    above = "^*" if found["star"] else found["sup"]
    greek, long = stem in _GREEK, len(stem.split()[0]) > 1
    raised = above is not None and above[1:].isdigit() and not below
    if not greek and ((long and not raised) or not (below or above)):
        return None
    text = f"\\{stem}" if greek else rf"\mathrm{{{stem}}}" if long else stem
    text += f"_{{{' '.join(below[1:].split('_'))}}}" if below else ""
    return text + (f"^{{{above[1:]}}}" if above else "")
