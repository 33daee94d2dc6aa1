"""Figures know their numbers: series with errors, places under the pointer, surfaces."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from rnnmft.page.document import render
from rnnmft.page.figure import Figure, draw_figure
from rnnmft.page.readouts import Surface, plain

X = (1.0, 2.0, 5.0)


def _figure() -> Figure:
    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.plot([1, 2, 3, 4, 5], [1.0, 0.5, 0.25, 0.125, math.nan], label=r"$m_1$ theory")
        axes.errorbar(X, [1.1, 0.4, 0.1], [0.1, 0.2, 0.05], linestyle="none", label="networks")
        axes.axhline(0.3)  # no label: nothing to read
        axes.set_xlabel(r"lag $\tau$")
        axes.set_yscale("log")

    return draw_figure(draw, "two series", "Two.")


@pytest.fixture(scope="module")
def figure() -> Figure:
    return _figure()


def test_series_are_what_was_drawn(figure: Figure) -> None:
    theory, networks = figure.series
    assert theory.name == "m_1 theory"
    assert theory.x == (1, 2, 3, 4, 5)
    assert networks.x == X
    assert networks.y == pytest.approx((1.1, 0.4, 0.1))
    assert networks.error == pytest.approx((0.1, 0.2, 0.05))
    assert {one.x_name for one in figure.series} == {"lag τ"}


def test_every_place_has_the_values_of_all_series_there(figure: Figure) -> None:
    # x = 5 has networks only: the theory is undefined there.
    assert [r.at for r in figure.readouts] == [f"lag τ: {x}" for x in (1, 2, 3, 4, 5)]
    values = [[text for _, text in r.values] for r in figure.readouts]
    assert values[1] == ["m_1 theory: 0.5000", "networks: 0.40 ± 0.20"]
    assert values[2] == ["m_1 theory: 0.2500"]
    assert values[4] == ["networks: 0.100 ± 0.050"]


def test_places_lie_side_by_side_within_the_figure(figure: Figure) -> None:
    boxes = figure.readouts
    for one, after in pairwise(boxes):
        assert one.left + one.width == pytest.approx(after.left, abs=0.02)
    assert boxes[0].left > 0
    assert boxes[-1].left + boxes[-1].width <= 100
    assert all(0 <= b.top < b.top + b.height <= 100 for b in boxes)


def test_close_places_are_read_together() -> None:
    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        x = np.linspace(0, 1, 2000)
        axes.plot(x, x, label="fine")

    boxes = draw_figure(draw, "a line", "A line.").readouts
    assert 50 < len(boxes) < 100  # some 330 pixels, 4 each
    for box in boxes[1:-1]:
        at, value = float(box.at), float(box.values[0][1].removeprefix("fine: "))
        assert value == pytest.approx(at, rel=1e-3)


def test_panels_share_the_name_of_their_axis_and_bins_are_read_at_their_middles() -> None:
    def draw(drawing: Any) -> None:
        top, below = drawing.subplots(2, 1, sharex=True)
        top.stairs([1.0, 3.0], [1.0, 10.0, 100.0], label="log", fill=True, color="#123456")
        top.set_xscale("log")
        below.plot([1, 10], [0, 1], label="line")
        below.set_xlabel("s")

    figure = draw_figure(draw, "two panels", "Two.")
    bins = next(one for one in figure.series if one.name == "log")
    assert bins.x == pytest.approx((10**0.5, 10**1.5))
    assert bins.y == (1.0, 3.0)
    assert bins.colour == "#123456"
    assert {one.x_name for one in figure.series} == {"s"}


def test_a_surface_is_read_at_each_of_its_points() -> None:
    x, y = np.arange(4.0), np.arange(3.0)
    z = x[:, None] + 10 * y

    def draw(drawing: Any) -> Surface:
        axes = drawing.subplots()
        axes.contourf(x, y, z.T)
        return Surface(axes, "growth", r"$\sigma_{w}$", "b", x, y, z)

    figure = draw_figure(draw, "a map", "A map.")
    assert figure.is_surface
    assert len(figure.readouts) == 12
    found = figure.readouts[7]
    assert found.at == "\N{GREEK SMALL LETTER SIGMA}_w = 2, b = 1"
    assert found.text.endswith("growth: 12.0")
    assert figure.series[0].z[2][1] == 12.0
    # y grows upwards, tops are counted from above
    assert figure.readouts[1].top < figure.readouts[0].top


def test_a_file_of_its_own_has_the_values_as_titles(figure: Figure) -> None:
    tree = ElementTree.fromstring(figure.svg_with_values)
    titles = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "two series"
    assert titles[1:] == [r.text for r in figure.readouts]


def test_hostile_labels_stay_text() -> None:
    def draw(drawing: Any) -> None:
        drawing.subplots().plot([0, 1], [0, 1], label="<script>a</script>")

    figure = draw_figure(draw, "<b>", "c")

    page = render(Path(__file__).parent, "figure.html", figure=figure)
    assert "<script" not in page
    assert "&lt;script" in page
    assert "<script" not in figure.svg_with_values


def test_labels_are_plain() -> None:
    assert plain(r"$C(\tau) = E[h(t)\,h(t-\tau)]$") == "C(τ) = E[h(t)h(t-τ)]"
    assert plain(r"$\lambda$ and $\Omega$ and $\frobnicate$") == "λ and Ω and frobnicate"
