"""A first page, the whole one in its place, and the numbers beside it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnmft import cells
from rnnmft.report import (
    QUICK,
    ReportComparison,
    in_place,
    make_report,
    report_in_place,
    write_report,
)
from rnnmft.report.assemble import Report

LEAST: dict[str, Any] = {
    "networks": 2,
    "steps": 4,
    "particles": 4096,
    "seconds": 0.0,
    "horizons": (1,),
    "device": "cpu",
}


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report(cells.vanilla(), **LEAST)


def test_every_number_of_the_page_is_in_the_file_beside_it(report: Report, tmp_path: Path) -> None:
    page = tmp_path / "vanilla.html"
    write_report(report, page)
    numbers = json.loads((tmp_path / "vanilla.json").read_text(encoding="utf-8"))
    glance = {row["latex"]: row for row in numbers["at_a_glance"]}
    assert set(glance) == {number.latex for number in report.numbers}
    for number in report.numbers:
        for tying, text in number.text.items():
            found = glance[number.latex][tying]
            assert found["text"] == text
            # What the page writes is the value: its first digits.
            if re.match(r"[\d.]+$", text):
                assert float(text) == pytest.approx(found["value"], rel=1e-3)
    moments = numbers["singular_values"]["moments"]
    assert report.spectra is not None
    assert [(row["T"], row["k"]) for row in moments] == [(1, 1), (1, 2), (1, 3)]
    assert set(moments[0]["tied"]) == {"error_kind", "networks", "theory", "z"}
    claims = numbers["validation"]["claims"]
    assert len(claims) == len(report.validation.claims)
    figures = [
        *numbers["validation"]["figures"],
        *numbers["gradients"]["figures"],
        *numbers["memory"]["figures"],
        *numbers["singular_values"]["figures"],
        *numbers["eigenvalues"],
        *numbers["phases"],
    ]
    written = page.read_text(encoding="utf-8")
    assert len(figures) == written.count("<img ")
    for figure in figures:
        assert figure["series"], figure["shows"]
    assert set(numbers["derivations"]) == set(report.derivations)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vanilla.html", "vanilla.json"]


ORDER = ("numbers", "validation", "gradients", "spectra", "phases")


def _made(report: Report) -> Callable[..., Report]:
    """A `make_report` that gives a report that there is already, part by part."""

    def make(*_: object, found: Any = None, progress: Any = None, **options: Any) -> Report:
        assert (found is None) == (options["networks"] == QUICK["networks"])
        for i in range(1, len(ORDER) + 1 if found else 1):
            progress(i, len(ORDER))
            found({name: getattr(report, name) for name in ORDER[:i]})
        return report

    return make


def _written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every page that is written from here on."""
    pages: list[str] = []
    write = in_place.write_report

    def keep(report: Report, path: Path) -> None:
        write(report, path)
        pages.append(path.read_text(encoding="utf-8"))

    monkeypatch.setattr(in_place, "write_report", keep)
    return pages


def test_a_first_page_is_replaced_part_by_part(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_place, "make_report", _made(report))
    pages = _written(monkeypatch)
    first: list[Report] = []
    path = tmp_path / "page.html"
    report_in_place(path, report.cell, ready=first.append, networks=3)
    assert [found.notice for found in first] == [in_place.FIRST]
    notices = [_notice(page) for page in pages]
    assert len(notices) == 2 + len(ORDER)
    assert "a few minutes" in notices[0]
    assert "Final by now: the numbers at a glance." in notices[1]
    assert "the numbers at a glance, the verdict, gradients and memory, sing" in notices[-2]
    assert all("seconds are left" in text for text in notices[1:-1])
    assert notices[-1] == ""
    reloads = ['http-equiv="refresh"' in page for page in pages]
    assert reloads == [True] * (len(pages) - 1) + [False]


@pytest.mark.slow
def test_the_parts_are_final_in_this_order() -> None:
    seen: list[set[str]] = []
    make_report(cells.vanilla(), found=lambda known: seen.append(set(known)), **LEAST)
    assert len(seen) == len(ORDER)
    for i, known in enumerate(seen):
        assert set(ORDER[: i + 1]) == known & set(ORDER)


def test_an_interrupted_page_says_so_and_waits_no_more(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, found: Any = None, **__: object) -> Report:
        if found is None:  # the first page
            return report
        found({"numbers": report.numbers})
        raise KeyboardInterrupt

    monkeypatch.setattr(in_place, "make_report", interrupted)
    path = tmp_path / "page.html"
    with pytest.raises(KeyboardInterrupt):
        report_in_place(path, report.cell)
    page = path.read_text(encoding="utf-8")
    assert "Final by now: the numbers at a glance." in _notice(page)
    assert "interrupted" in _notice(page)
    assert 'http-equiv="refresh"' not in page


def test_two_reports_stand_side_by_side(report: Report, tmp_path: Path) -> None:
    # The second is the first with one number of its own, and with a hostile name.
    number = next(n for n in report.numbers if n.latex == r"\mathbb{E}[h^2]")
    moved = dataclasses.replace(number.values["untied"], value=2 * number.values["untied"].value)
    changed = dataclasses.replace(number, values={**number.values, "untied": moved})
    numbers = [changed if n is number else n for n in report.numbers]
    other = dataclasses.replace(report, numbers=numbers)
    names = ("one", "<script>two</script>")
    found = ReportComparison(names, (report, other))
    found.to_html(tmp_path / "both.html")
    found.to_json(tmp_path / "both.json")
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("+100.0 %") == 1
    for part in ("gradients", "spectra", "phases", "setting"):
        assert f'<section id="{part}"' in page
    kept = json.loads((tmp_path / "both.json").read_text(encoding="utf-8"))
    assert set(kept) == set(names)
    assert kept["one"] == report.to_dict()


def _notice(page: str) -> str:
    found = re.search(r'<p class="notice" role="status">(.*?)</p>', page)
    return found[1] if found else ""
