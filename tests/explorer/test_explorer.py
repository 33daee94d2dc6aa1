"""The page as text: it asks for nothing, names stay text, what has no recursion is refused."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rnnmft import (
    Cell,
    Explorer,
    Inputs,
    ParameterError,
    Preactivation,
    State,
    cells,
    tanh,
)
from rnnmft.cli import main


class Frames(HTMLParser):
    """The pages that a text of HTML holds in frames."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a frame's page."""
        if tag == "iframe":
            self.pages.append(dict(attrs)["srcdoc"])


@pytest.fixture(scope="module")
def page() -> str:
    return Explorer(cells.minimal()).to_html()


def test_it_may_load_nothing(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert set(" ".join(rules.values()).split()) == {"'unsafe-inline'", "blob:", "data:"}
    addresses = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    assert all(a.startswith(("data:", "#")) for a in addresses)
    assert not re.findall(
        r"@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|importScripts", page
    )


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 2_000_000


def test_a_notebook_shows_the_same_page_in_a_frame(page: str) -> None:
    frame = Frames()
    frame.feed(Explorer(cells.minimal())._repr_html_())
    assert frame.pages == [page]


def test_numbers_of_the_recursion_have_places(page: str) -> None:
    # sigma_w, sigma_v, mu_b, sigma_b and R of the minimalRNN: all but the correlation.
    assert set(re.findall(r'<mn data-p="(\d)">', page)) == {"0", "2", "3", "4", "5"}


def test_a_name_stays_text() -> None:
    h = State("h")
    cell = Cell("</script><b>x", update={h: tanh(Preactivation("e", h))})
    text = Explorer(cell).to_html()
    assert text.count("</script>") == 2
    assert "<b>x" not in text


def test_it_opens_where_it_is_told(tmp_path: Path) -> None:
    cell = cells.minimal()
    explorer = Explorer(cell, cell.ensemble(e={"sigma_w": 11.0}), Inputs(R=0.25, correlation=-0.5))
    file = tmp_path / "page.html"
    assert explorer.to_html(file) == file.read_text(encoding="utf-8")
    (parameters,) = re.findall(r'"parameters": (\[\{"name": "R".*?\}\])', file.read_text("utf-8"))
    by_name = {p["name"]: p for p in json.loads(parameters)}
    assert by_name["R"]["value"] == 0.25
    assert by_name["correlation"]["value"] == -0.5
    # A slider reaches what the page opens at.
    assert by_name["e.sigma_w"]["value"] == by_name["e.sigma_w"]["high"] == 11.0


def test_inputs_that_are_not_white_are_refused() -> None:
    with pytest.raises(ParameterError, match="white"):
        Explorer(cells.minimal(), inputs=Inputs(temporal="constant"))


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "v.html"
    assert (
        main(["explore", "vanilla", "--output", str(file), "--set", "e.sigma_w=1.5", "--json"]) == 0
    )
    printed = json.loads(capsys.readouterr().out)
    size = file.stat().st_size
    assert printed == {"path": str(file), "bytes": size, "points": {}, "known": {}}
    assert main(["explore", "vanilla", "--output", str(tmp_path / "no" / "v.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_stores_maps_of_what_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "v.html")
    axes = ["--vary", "e.sigma_w=0.5:2:4", "--vary", "e.sigma_b=0:1:3"]
    assert main(["explore", "vanilla", "--output", file, *axes]) == 0
    assert "tied theory stored: 12 of 12 points known" in capsys.readouterr().out
    (stored,) = re.findall(r"^const stored = (.*);$", Path(file).read_text("utf-8"), re.MULTILINE)
    found = json.loads(stored)
    assert found["untied"] is None
    assert [axis["place"] for axis in found["tied"]["axes"]] == [2, 5]
    assert main(["explore", "vanilla", "--output", file, "--tied", "--seconds", "0"]) == 2


@pytest.mark.slow
def test_the_command_stores_both_theories_of_a_cell_that_does_not_close(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "r.html")
    axes = ["--vary", "e.sigma_w=1:2:2", "--vary", "e.mu_b=0:1:2", "--seconds", "60"]
    assert main(["explore", "rate", "--output", file, *axes, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["points"] == {"tied": 4, "untied": 4}
    assert min(printed["known"].values()) > 0
