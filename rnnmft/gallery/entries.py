"""The entries of a gallery: which cells, where they stand, what is said of them; from a TOML file.

    [papers]
    elman1990 = "who: title, journal and year"

    [cells.vanilla]
    cell = "vanilla"
    title = "Vanilla RNN"
    kind = "plain"
    papers = ["elman1990"]
    when = "The baseline that everything else is compared with."

`text` gives a cell's own text instead of a name; `gate` the preactivation that the map varies;
`weights`, `[..ensemble.e]`, `[..parameters.u]` and `[..inputs]` a setting, as in a file of claims;
`place = "own"` shows the cell there although `critical` has an answer.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnmft import cells
from rnnmft.content import Content
from rnnmft.errors import CellError, ParseError, did_you_mean
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.laws import Law
from rnnmft.language.text import loads
from rnnmft.validation.files import ensemble_from, inputs_from

__all__ = ["KINDS", "OWN", "Entry", "read_entries"]

#: The entries that come with the package.
OWN = Path(__file__).parent / "entries.toml"
#: What a kind is called in the index.
KINDS = {
    "plain": "no gate",
    "gated": "gated",
    "norm": "normalised",
    "population": "populations",
    "stack": "stack",
    "text": "from text",
}
_PLACES = ("critical", "own")
_SETTING = ("weights", "ensemble", "parameters", "inputs")
_KEYS = ("cell", "text", "title", "kind", "papers", "when", "gate", "place", *_SETTING)


@dataclass(frozen=True, eq=False)
class Entry:
    """One cell of a gallery.

    Attributes:
        name: of its page, as a word of a file's name.
        title, kind, when: how it is called, one of `KINDS`, and when to use it.
        papers: whose it is.
        cell, inputs: what is shown.
        ensemble: where it stands if `critical` has no answer, or `own_place`.
        parameters: the laws of its elementwise random parameters, if it has any.
        own_place: whether it stands at `ensemble` anyway.
        gate: the preactivation that the map varies; None for the obvious one.
        word, text: what names the cell on the command line, and its text if it is from text.
        digest: of all that the file says of it.
    """

    name: str
    title: str
    kind: str
    when: str
    papers: tuple[str, ...]
    cell: Cell
    inputs: Inputs
    ensemble: Ensemble
    parameters: Mapping[str, Law]
    own_place: bool
    gate: str | None
    word: str
    text: str
    digest: str


def read_entries(path: Path | None = None) -> list[Entry]:
    """The entries of a file, those of the package if none is given.

    Raises:
        ParseError: the file is no TOML, or an entry has a key too many or lacks one.
        CellError, ParameterError: there is no such cell, or its setting is outside its domain.

    >>> [entry.name for entry in read_entries()][:2]
    ['vanilla', 'leaky_rnn']
    """
    path = path or OWN
    try:
        content = Content(tomllib.loads(path.read_text(encoding="utf-8"))).only(("papers", "cells"))
        papers = content.table("papers") if "papers" in content else Content({})
        return [_entry(name, table, papers) for name, table in content.table("cells").tables()]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(error), source=str(path)) from None
    except ParseError as error:
        raise ParseError(error.reason, error.line, error.column, str(path)) from None


def _entry(name: str, content: Content, papers: Content) -> Entry:
    content.only(_KEYS)
    if not name.isidentifier():
        raise ParseError(f"cells.{name} must be a word, since it names a file")
    if "cell" in content and "text" in content:
        raise ParseError(f"cells.{name} must have either 'cell' or 'text'")
    text = content.text("text") if "text" in content else ""
    word = content.text("cell") if "cell" in content else "" if text else name
    cell = loads(text) if text else cells.get(word)
    usual = cells.typical_laws(word) if word else {}
    given = content if "parameters" in content or not usual else _with_laws(content, usual)
    ensemble = ensemble_from(given, cell)
    gate = content.text("gate") if "gate" in content else None
    known = [p.name for p in cell.preactivations]
    if gate is not None and gate not in known:
        raise CellError(f"cells.{name}.gate: no preactivation {gate!r}{did_you_mean(gate, known)}")
    return Entry(
        name,
        content.text("title"),
        content.text("kind", KINDS),
        " ".join(content.text("when").split()),
        tuple(papers.text(k) for k in (content.texts("papers") if "papers" in content else ())),
        cell,
        inputs_from(content),
        ensemble,
        ensemble.parameters,
        "place" in content and content.text("place", _PLACES) == "own",
        gate,
        word,
        text,
        hashlib.sha256(json.dumps(content.values, sort_keys=True).encode()).hexdigest(),
    )


def _with_laws(content: Content, laws: Mapping[str, Law]) -> Content:
    """The table with the laws that the cell's paper draws its parameters from."""
    return Content({**content.values, "parameters": {n: law.to_dict() for n, law in laws.items()}})
