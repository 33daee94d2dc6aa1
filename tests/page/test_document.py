"""Pages, prose, numbers and figures: escaped, self-contained, readable."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from markupsafe import Markup

from rnnmft.page.document import Section, render_page
from rnnmft.page.figure import draw_figure
from rnnmft.page.numbers import percent, plus_minus, significant
from rnnmft.page.prose import prose


def test_a_page_escapes_what_is_text() -> None:
    sections = [Section("<b>", "a", Markup("<p>kept</p>"))]
    page = render_page("<i>", "<u>", "<s>", sections, "</footer>")
    for tag in ("<b>", "<i>", "<u>", "<s>", "</footer></"):
        assert tag not in page
    assert "<p>kept</p>" in page


def test_a_page_forbids_itself_to_load_anything() -> None:
    page = render_page("t", "h", "l", [], "f")
    assert "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'" in page
    assert 'name="viewport"' in page
    assert '<html lang="en">' in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("<script>", "&lt;script&gt;"),
        ("no symbols in cell 'my_cell'", "no symbols in cell &#39;my_cell&#39;"),
        ("arXiv 1806.05394", "arXiv 1806.05394"),
    ],
)
def test_prose_is_escaped_and_words_stay_words(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_prose_keeps_every_index_of_a_name() -> None:
    first, second = prose("e_1_2 stands"), prose("e_1_1 stands")
    assert first != second
    assert first.count("<mn>") == 2
    assert "below" in prose("q^*_e_2_below is")


@pytest.mark.parametrize("symbol", ["sigma_w^2", "Q_ab", "q*_e", "h^2", "chi", "J J^T", "gain^2"])
def test_prose_typesets_symbols(symbol: str) -> None:
    shown = prose(f"the {symbol} there")
    assert shown.startswith("the <math>")
    assert shown.endswith("</math> there")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-1.23456, "\N{MINUS SIGN}1.235"),
        (0.99996, "1.000"),
        (123456.0, "123456"),
        (1.5e-7, "1.500 × 10⁻⁷"),  # noqa: RUF001
        (float("inf"), "∞"),
        (float("nan"), "undefined"),
    ],
)
def test_significant_digits(value: float, shown: str) -> None:
    assert significant(value) == shown


def test_errors_decide_about_digits() -> None:
    assert plus_minus(-10.98654, 0.0321) == "\N{MINUS SIGN}10.987 ± 0.032"
    assert plus_minus(3.0, 0.0) == "3.00000"
    assert percent(-0.1) == "\N{MINUS SIGN}10.00 %"


def test_a_figure_is_an_address_that_holds_it() -> None:
    def draw(drawing: Any) -> None:
        drawing.subplots().plot([0, 1], [0, 1])

    figure = draw_figure(draw, "a line", "A line.")
    head, _, data = figure.source.partition(",")
    assert head == "data:image/svg+xml;base64"
    svg = base64.b64decode(data).decode()
    assert svg.startswith("<svg")
    assert "<text" not in svg  # letters are drawn: no font is needed


def test_drawing_leaves_no_global_state() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_figure(lambda drawing: drawing.subplots(), "nothing", "Nothing.")
    assert dict(matplotlib.rcParams) == before
