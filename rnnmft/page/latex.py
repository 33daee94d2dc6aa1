"""The words of LaTeX mathematics that SymPy and rnnmft print, and what each one looks like.

LaTeX and HTML name most symbols alike; the characters come from the standard library's table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.entities import html5
from types import MappingProxyType

__all__ = [
    "ACCENTS",
    "FUNCTIONS",
    "IDENTIFIERS",
    "MINUS",
    "OPERATORS",
    "PRIME",
    "SPACES",
    "blackboard",
    "tokens",
]

_words = re.compile(r"\S+").findall


def _characters(same: str, renamed: Mapping[str, str]) -> Mapping[str, str]:
    """{LaTeX name: character}, from HTML's name of it."""
    names = {name: name for name in _words(same)} | dict(renamed)
    return MappingProxyType({latex: html5[f"{entity};"] for latex, entity in names.items()})


IDENTIFIERS = _characters(
    """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi
    rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi
    Psi Omega ell hbar nabla emptyset top bot Re Im
    """,
    {"infty": "infin", "partial": "part", "ldots": "hellip", "dots": "hellip", "cdots": "ctdot"},
)

OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        **_characters(
            """
            times rightarrow longrightarrow mapsto Rightarrow le leq ge geq ne approx sim simeq
            equiv propto in notin cap cup pm mp mid sum prod int langle rangle lfloor rfloor lceil
            rceil Vert forall prime dagger
            """,
            {"cdot": "sdot", "to": "rarr", "neq": "ne", "circ": "compfn", "ast": "lowast"}
            | {"otimes": "otimes", "oplus": "oplus", "ll": "Lt", "gg": "Gt", "lvert": "vert"}
            | {"rvert": "vert", "vert": "vert", "lVert": "Vert", "rVert": "Vert", "|": "Vert"},
        ),
        **{c: c for c in "{}#%$&_"},
        "colon": ":",
        "backslash": "\\",
    }
)
MINUS, PRIME = html5["minus;"], html5["prime;"]

FUNCTIONS = frozenset(
    _words(
        """
        tanh sinh cosh sin cos tan exp log ln max min sup inf lim det tr arg arcsin arccos arctan
        asin acos atan sec sech csc csch coth cot erf erfc sgn deg dim ker Pr
        """
    )
)
SPACES: Mapping[str, str] = MappingProxyType(
    {",": "0.167em", ":": "0.222em", ";": "0.278em", " ": "0.25em", "quad": "1em", "qquad": "2em"}
)
ACCENTS: Mapping[str, str] = MappingProxyType(
    {
        "hat": "^",
        "widehat": "^",
        "tilde": "~",
        "widetilde": "~",
        **_characters("dot", {"bar": "oline", "overline": "oline", "ddot": "Dot", "vec": "rarr"}),
    }
)

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.", re.DOTALL)


def tokens(text: str) -> list[str]:
    r"""The text cut into commands, numbers, single characters and runs of white space.

    >>> tokens(r"\sigma_{w}^2 x")
    ['\\sigma', '_', '{', 'w', '}', '^', '2', ' ', 'x']
    """
    return _TOKEN.findall(text)


def blackboard(letter: str) -> str:
    r"""The letter as \mathbb sets it; itself where it has no such form."""
    return html5.get(f"{letter}opf;", letter)
