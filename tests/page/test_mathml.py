"""LaTeX to MathML: every equation of the zoo, the grammar's corners, and hostile text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmft import cells
from rnnmft.page.mathml import equation_rows, mathml
from rnnmft.theory.derivation import derive

# MathML Core, which browsers implement, and nothing else.
CORE = {
    "math mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt mroot "
    "mtable mtr mtd mstyle mpadded"
}
ELEMENTS = set(*(names.split() for names in CORE))


def tree(latex: str) -> ElementTree.Element:
    return ElementTree.fromstring(mathml(latex))


def tags(root: ElementTree.Element) -> set[str]:
    return {element.tag for element in root.iter()}


def text(root: ElementTree.Element) -> str:
    return "".join(root.itertext())


@pytest.mark.parametrize("name", cells.names())
def test_every_equation_of_the_zoo_is_understood(name: str) -> None:
    cell = cells.get(name)
    latex = [cell.latex()]
    for step in derive(cell).steps:
        after = step.after if isinstance(step.after, (list, tuple)) else [step.after]
        latex += [sp.latex(e) for e in after if e is not None]
    for one in latex:
        root = tree(one)
        assert tags(root) <= ELEMENTS
        assert "\\" not in text(root), one


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"\tanh^{2}\left(z\right)", "tanh2(z)"),
        (r"\operatorname{hard\_tanh}\left(x\right)", "hard_tanh(x)"),
        (r"\mathbb{E}_{q}\!\left[x\right]", "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL E}q[x]"),
        (r"a - b \cdot c", "a\N{MINUS SIGN}b·c"),
        (r"\text{if } x < 1", "if\u00a0x<1"),
        (r"\left\langle x \right\rangle", "⟨x⟩"),
        (r"\begin{matrix}1 & 2\\3 & 4\end{matrix}", "1234"),
        (r"\sum_{i}^{n} x_i", "∑inxi"),
        (r"\hat{x} \quad \sqrt[3]{x}", "x^x3"),
    ],
)
def test_what_is_shown(latex: str, shown: str) -> None:
    assert text(tree(latex)) == shown


def test_a_name_of_several_letters_is_one_word_apart_from_its_neighbours() -> None:
    thin = '<mspace width="0.167em" />'
    found = mathml(r"m overlap \tanh\left(h\right)")
    assert f"<mi>m</mi>{thin}<mtext>overlap</mtext>{thin}<mi>tanh</mi>" in found
    below = tree("e_{2 below}").find(".//msub/mrow")
    assert [e.tag for e in below if e.tag != "mspace"] == ["mn", "mtext"]


def test_an_index_stands_as_high_below_mu_as_below_sigma() -> None:
    """The browser puts it below the base's depth, which is left out of it."""
    deep, flat = (next(tree(rf"\{name}_{{b}}").iter("msub")) for name in ("mu", "sigma"))
    assert (deep[0].tag, deep[0].get("depth"), text(deep[0])) == ("mpadded", "0", "μ")
    assert flat[0].tag == "mi"


def test_a_power_is_that_of_what_has_the_prime() -> None:
    power, primed = tree(r"{\sigma'}^{2}").iter("msup")
    assert text(power[0]) == text(primed) == "σ′"  # noqa: RUF001
    assert text(power[1]) == "2"


def test_a_prime_and_an_index_share_their_base() -> None:
    (both,) = tree("Q'_{ab}").iter("msubsup")
    assert [text(part) for part in both] == ["Q", "ab", "′"]  # noqa: RUF001


def test_a_function_stands_apart_from_its_argument() -> None:
    thin = '<mspace width="0.167em" />'
    assert f"<mi>log</mi>{thin}<msub>" in mathml(r"\log m_1")
    assert f"<mn>10</mn></mrow></msub>{thin}<msub>" in mathml(r"\log_{10} m_1")
    assert thin not in mathml(r"\exp(-x) + a b")


def test_a_name_is_one_word() -> None:
    assert [e.text for e in tree(r"x \operatorname{hard\_tanh} y").iter("mtext")] == ["hard_tanh"]


def test_what_is_not_known_is_shown_as_it_stands() -> None:
    assert r"\frobnicate" in text(tree(r"\frobnicate{x}"))


def test_rows_are_aligned() -> None:
    root = ElementTree.fromstring(equation_rows([("a", "= b"), ("", "+ c")]))
    assert [len(row) for row in root.iter("mtr")] == [2, 2]


def test_text_cannot_become_markup() -> None:
    hostile = r"\operatorname{<script>alert(1)</script>} & \text{</math><img src=x>}"
    written = mathml(hostile)
    assert "<script" not in written
    assert "<img" not in written
    assert ElementTree.fromstring(written) is not None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=r"\{}[]()^_&'abx12+-<>| " + "\n", max_size=40))
def test_any_text_gives_well_formed_mathml(latex: str) -> None:
    assert tags(tree(latex)) <= ELEMENTS


@pytest.mark.parametrize(
    "latex", ["", "{", "}", "^", "_", "\\", "\\left", "\\begin", "\\frac", "a^"]
)
def test_what_is_unfinished_ends(latex: str) -> None:
    assert tree(latex).tag == "math"
