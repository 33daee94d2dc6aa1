"""Entries: every cell of the zoo has one, papers are in the bibliography, mistakes are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rnnmft import RnnmftError, cells
from rnnmft.gallery.entries import KINDS, OWN, read_entries

BIBLIOGRAPHY = Path(__file__).parents[2] / "docs" / "references.bib"
ENTRY = """
[papers]
a = "A: a paper. 2026"
[cells.one]
cell = "vanilla"
title = "One"
kind = "plain"
papers = ["a"]
when = "Always."
"""


def test_every_cell_of_the_zoo_and_every_kind_is_there() -> None:
    entries = read_entries()
    assert set(cells.names()) <= {entry.word for entry in entries}
    assert {entry.kind for entry in entries} == set(KINDS)
    assert len({entry.name for entry in entries}) == len(entries)
    assert len({entry.when for entry in entries}) == len(entries)


def test_papers_are_those_of_the_bibliography() -> None:
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    papers = tomllib.loads(OWN.read_text(encoding="utf-8"))["papers"]
    for key, said in papers.items():
        found = re.search(rf"@\w+\{{{key},(.*?)\n\}}", text, re.DOTALL)
        assert found, key
        field = dict(re.findall(r"^  (\w+) = \{(.*)\},$", found[1], re.MULTILINE))
        surname = field["author"].split(",")[0]
        title = field["title"].replace("{", "").replace("}", "")
        assert surname in said, key
        assert title in said, key
        assert field["year"] in said, key
        number = re.search(r"arXiv:[\d.]+", found[1])
        assert number is None or number[0] in said, key


def written(folder: Path, text: str) -> Path:
    path = folder / "entries.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_name_is_that_of_the_cell_unless_it_says_so(tmp_path: Path) -> None:
    (one,) = read_entries(
        written(tmp_path, '[cells.gru]\ntitle = "GRU"\nkind = "gated"\nwhen = "Always."\n')
    )
    assert (one.word, one.cell.name, one.papers) == ("gru", "gru", ())


def test_a_stack_a_text_and_a_setting_are_entries(tmp_path: Path) -> None:
    more = """
    [cells.two]
    text = '''
    name = "mine"
    states = ["h"]
    parameters = ["u"]
    [preactivations]
    e = { sees = "h" }
    [update]
    h = "tanh(e + u*h)"
    '''
    title = "Two"
    kind = "text"
    papers = []
    when = "Never."
    gate = "e"
    [cells.two.parameters]
    u = { law = "uniform", low = 0.0, high = 0.5 }
    [cells.two.ensemble.e]
    sigma_w = 1.25
    [cells.two.inputs]
    R = 0.5
    """
    one, two = read_entries(written(tmp_path, ENTRY + more))
    assert one.papers == ("A: a paper. 2026",)
    assert (two.ensemble["e"].sigma_w, two.inputs.R, two.gate) == (1.25, 0.5, "e")
    assert list(two.parameters) == ["u"]
    # A setting is part of what a page is kept for.
    again = read_entries(written(tmp_path, ENTRY + more.replace("1.25", "1.5")))
    assert again[0].digest == one.digest
    assert again[1].digest != two.digest


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('cell = "vanilla"', 'cell = "vanila"', "did you mean 'vanilla'"),
        ('kind = "plain"', 'kind = "nice"', "one of plain"),
        ('title = "One"', "", "title' is missing"),
        ('papers = ["a"]', 'papers = ["b"]', "b' is missing"),
        ('when = "Always."', 'when = "Always."\ngate = "f"', "no preactivation 'f'"),
        ('when = "Always."', 'when = "Always."\ntext = "x"', "either 'cell' or 'text'"),
        ('title = "One"', 'titel = "One"', "unknown key 'titel'"),
        ("cells.one", 'cells."../one"', "must be a word"),
    ],
    ids=["cell", "kind", "missing", "paper", "gate", "both", "unknown", "name"],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(RnnmftError, match=re.escape(says)):
        read_entries(written(tmp_path, ENTRY.replace(old, new)))
