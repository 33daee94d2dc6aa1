"""A folder of pages: what stands on them, what is kept, and what a refusal leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnmft.cli import main
from rnnmft.errors import InfeasibleError
from rnnmft.gallery import exhibit as room
from rnnmft.gallery import folder, make_gallery, read_entries
from tests.explorer.browser import CONTRAST, Page, browser, looks

TWO = """
[papers]
a = "A: a paper. 2026"
[cells.one]
cell = "vanilla"
title = "Plain & simple"
kind = "plain"
papers = ["a"]
when = "Use it where q_c < 1."
[cells.one.ensemble.e]
sigma_w = 1.1
sigma_v = 0.2
[cells.two]
text = '''
name = "fed"
states = ["h"]
[preactivations]
e = { sees = "0" }
[update]
h = "tanh(e)/2 + h/2"
'''
title = "Fed"
kind = "text"
papers = []
when = "Use it without recurrent weights."
"""


def refuse(*_: Any, **__: Any) -> None:
    raise InfeasibleError("none here, said the test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A gallery of two cells whose critical answers, the dear part, are refused."""
    at = tmp_path_factory.mktemp("gallery")
    (at / "two.toml").write_text(TWO, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "critical", refuse)
        index = make_gallery(at / "pages", read_entries(at / "two.toml"))
    assert index == at / "pages" / "index.html"
    return at / "pages"


def numbers(made: Path, name: str) -> dict[str, Any]:
    return json.loads((made / f"{name}.json").read_text(encoding="utf-8"))


def test_what_there_is_is_shown_and_what_is_refused_leaves_its_reason(made: Path) -> None:
    one, two = numbers(made, "one"), numbers(made, "two")
    assert all(value is not None for value in one["merits"].values())
    assert one["merits"]["kept"]["error"] < 0.01 < one["merits"]["kept"]["value"] < 0.2
    for name, record in (("one", one), ("two", two)):
        page = (made / f"{name}.html").read_text(encoding="utf-8")
        assert "None here, said the test" in page
        assert any("None here, said the test" in sentence for sentence in record["missing"])
    # Without recurrent weights there is no map, and that is said.
    assert two["map"] is None
    assert two["merits"]["trainable"] is None
    assert any("no recurrent weights" in sentence for sentence in two["missing"])
    assert two["merits"]["matrices"] == 1


def test_the_index_leads_to_every_page_and_has_its_numbers(made: Path) -> None:
    index = (made / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<a href="(\w+)\.html">', index) == ["one", "two"]
    assert "Plain &amp; simple" in index
    value = numbers(made, "one")["merits"]["memory"]["value"]
    assert f'data-memory="{value}"' in index
    assert index.count("<rect") == 25 * 21


def test_pages_that_are_whole_are_kept(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(entry: Any, seconds: float) -> None:
        asked.append(entry.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "exhibit", count)
    entries = read_entries(made.parent / "two.toml")
    make_gallery(made, entries)
    assert asked == []
    # An interrupted page has no numbers yet; a damaged file is none.
    kept = (made / "two.json").read_text(encoding="utf-8")
    (made / "two.json").write_text(kept[:-20], encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        make_gallery(made, entries)
    (made / "two.json").write_text(kept, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        make_gallery(made, entries, seconds=7.0)
    with pytest.raises(KeyboardInterrupt):
        make_gallery(made, entries, fresh=True)
    assert asked == ["two", "one", "one"]
    # The index is of the pages that an interrupted call came to; now it is of all again.
    make_gallery(made, entries)
    assert asked == ["two", "one", "one"]


def test_the_command_names_an_unknown_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "vanila"]) == 2
    assert "did you mean 'vanilla'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_writes_a_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of each kind that takes seconds; critical answers and maps of the tied theory."""
    names = ["vanilla", "minimal", "rms_norm_rnn", "inhibited"]
    assert main(["gallery", *names, "--output", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pages"]) == len(names)
    found = {name: numbers(tmp_path, name)["merits"] for name in names}
    # What a gate is for: longer memory, more directions and a wider region than without.
    for key in ("memory", "kept", "trainable"):
        gated, plain = found["minimal"][key], found["vanilla"][key]
        assert gated["value"] - 3 * gated["error"] > plain["value"] + 3 * plain["error"], key
    growth = found["minimal"]["growth"]
    # `critical` is asked for 1e-3 per step.
    assert abs(growth["value"]) < 1e-3 + 4 * growth["error"]


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index", "one", "two"])
@looks
def test_a_page_is_quiet_fits_and_can_be_read(
    page: Page, made: Path, name: str, width: int, dark: bool
) -> None:
    page.open(made / f"{name}.html", width, dark=dark)
    assert page.complaints() == []
    assert page.requests() == []
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(CONTRAST) == []


ORDER = "[...document.querySelectorAll('tbody th a')].map((a) => a.textContent)"


@pytest.mark.browser
def test_the_index_is_sorted_by_hand_by_key_and_by_address(page: Page, made: Path) -> None:
    page.open(made / "index.html")
    assert page.value(ORDER) == ["Plain & simple", "Fed"]
    page.value("document.querySelector('[data-key=memory]').click()")
    assert page.value(ORDER) == ["Fed", "Plain & simple"]
    assert page.value("location.hash") == "#memory"
    assert page.value("document.getElementById('order').textContent") == "largest first"
    # A second press turns it round: by key.
    page.value("document.querySelector('[data-key=memory]').focus()")
    for kind in ("rawKeyDown", "char", "keyUp"):
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        page.send("Input.dispatchKeyEvent", type=kind, **key)
    # A busy browser answers before its page has heard of the key.
    page.wait(f"{ORDER}[0] === 'Plain & simple'")
    # What has no number is last in either order.
    for _ in range(2):
        page.value("document.querySelector('[data-key=trainable]').click()")
        assert page.value(ORDER) == ["Plain & simple", "Fed"]
    page.open(made / "index.html", fragment="#matrices-up")
    assert page.value(ORDER) == ["Fed", "Plain & simple"]
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map((b) => b.dataset.key)"
    assert page.value(pressed) == ["matrices"]
