"""A page with figures in a real browser: quiet, fits, and shows values under the pointer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.page.document import Section, render, render_page
from rnnmft.page.figure import draw_figure
from rnnmft.page.readouts import Surface
from tests.explorer.browser import Page, browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def line(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.plot([1, 2, 3], [0.5, 0.25, 0.125], label="a theory with quite a long name")
        axes.set_xlabel("step")

    def surface(drawing: Any) -> Surface:
        axes = drawing.subplots()
        x, y = np.arange(4.0), np.arange(3.0)
        z = x[:, None] + 10 * y
        axes.contourf(x, y, z.T)
        return Surface(axes, "growth", "x", "y", x, y, z)

    figures = [draw_figure(draw, "what it shows", "Caption.") for draw in (line, line, surface)]
    content = render(Path(__file__).parent, "figures.html", figures=figures)
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page("t", "h", "l", [Section("S", "s", content)], "f"), "utf-8")
    return path


def _point_at(page: Page, index: int) -> None:
    x, y = page.value(
        f"(() => {{ const e = document.querySelectorAll('.readouts i')[{index}];"
        "e.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


SHOWN = """[...document.querySelectorAll('.readouts b')].filter(
    b => getComputedStyle(b).display !== 'none').map(b => b.innerText)"""


@pytest.mark.parametrize("width", [1280, 390])
def test_figures_show_their_values_and_stay_within_the_page(
    page: Page, file: Path, width: int
) -> None:
    page.open(file, width)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(SHOWN) == []
    # 3 places of each line, then 4 x 3 of the surface.
    for index, expected in ((0, "0.5000"), (1, "0.2500"), (2, "0.1250"), (6 + 11, "23.0")):
        _point_at(page, index)
        page.wait(f"{SHOWN}.length === 1")
        assert expected in page.value(SHOWN)[0]
        box = page.value(
            "(() => { const r = [...document.querySelectorAll('.readouts b')].find(b =>"
            " b.offsetParent).getBoundingClientRect(); return [r.left, r.right]; })()"
        )
        assert 0 <= box[0] < box[1] <= width
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.complaints() == []
    assert page.requests() == []


def test_a_figure_alone_in_its_row_has_its_caption_beside_it(page: Page, file: Path) -> None:
    beside = """(() => { const f = [...document.querySelectorAll('figure')].at(-1);
        const r = e => f.querySelector(e).getBoundingClientRect();
        return r('figcaption').left >= r('img').right; })()"""
    page.open(file, 1280)
    assert page.value(beside)
    page.open(file, 390)
    assert not page.value(beside)
