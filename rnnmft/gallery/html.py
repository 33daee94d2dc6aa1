"""The pages of a gallery: one a cell, and the index that sorts them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy as sp

from rnnmft.errors import Status
from rnnmft.gallery.entries import KINDS
from rnnmft.gallery.exhibit import HORIZON, Exhibit
from rnnmft.gallery.region import FACTOR, SPAN
from rnnmft.gallery.thumbnail import thumbnail
from rnnmft.language import Ensemble
from rnnmft.page.document import Section, markup, render, render_page
from rnnmft.page.mathml import mathml
from rnnmft.page.numbers import law_in_words, plus_minus, significant
from rnnmft.parameters import TYINGS
from rnnmft.records import STANDARD_ERROR
from rnnmft.report.html import derivations_html, memory_html, spectra_html

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["render_exhibit", "render_index"]

_TEMPLATES = Path(__file__).parent / "templates"
_FOOT = "rnnmft {}. This page loads nothing from anywhere."


@dataclass(frozen=True)
class _Merit:
    """A number that cells are sorted by: its key in `Merits`, its names, unit and first order."""

    key: str
    name: str
    button: str
    says: str
    unit: str = ""
    scale: float = 1.0
    first: str = "down"
    in_index: bool = True


_MERITS = (
    _Merit(
        "at_equal_parameters",
        "Memory at equal parameters",
        "memory at equal parameters",
        "Steps of memory, times how many units of this cell have the weights of one unit of a "
        "vanilla RNN: with K matrices of N by N, a number of weights buys √(2 / K) as many.",
        " steps",
    ),
    _Merit(
        "memory",
        "Memory",
        "memory",
        "The integral of the autocorrelation above its plateau, of the state that remembers "
        "longest: 0.5 where nothing is left after one step.",
        " steps",
    ),
    _Merit(
        "kept",
        "Isometry",
        "isometry",
        f"The share of directions that carry a gradient over {HORIZON} steps, m_1^2 / m_2 of the "
        "squared singular values: 100 % where all are equal.",
        " %",
        100.0,
    ),
    _Merit(
        "trainable",
        "Robustness",
        "robustness",
        f"The trainable share of the map: gradients change by less than a factor of {FACTOR:g} "
        f"over {SPAN} steps. Its sigma_w runs from a quarter to seven quarters of the cell's, its "
        "mu_b from 2 below to 2 above.",
        " %",
        100.0,
    ),
    _Merit(
        "m_1",
        f"m_1({HORIZON})",
        "",
        f"The mean squared singular value over {HORIZON} steps: 1 keeps the size of gradients.",
        in_index=False,
    ),
    _Merit(
        "growth",
        "Growth of gradients",
        "",
        "Of squared gradients, in the long run: 0 is critical.",
        " per step",
        in_index=False,
    ),
)
# Columns of the table of an ensemble.
_SCALES = ("sigma_w", "sigma_v", "mu_b", "sigma_b")
_MATRICES = (
    "matrices",
    "Matrices",
    "How many N by N matrices a cell has, its input as wide as its state.",
)


def render_exhibit(found: Exhibit, version: str) -> str:
    """The page of one cell."""
    entry = found.entry
    merits = found.merits.to_dict()
    key, name, says = _MATRICES
    rows = [(m.name, m.says, *_text(m, merits[m.key])) for m in _MERITS]
    rows.append((name, says, str(merits[key]), ""))
    place = "At its critical answer." if found.is_critical else _own_place(found.ensemble)
    lead = render(
        _TEMPLATES, "lead.html", entry=entry, place=place, merits=rows, missing=found.missing
    )
    equations = markup(mathml(entry.cell.latex()))
    heading = render(_TEMPLATES, "heading.html", title=entry.title, equations=equations)
    title = f"{entry.title}: gallery of recurrent cells"
    return render_page(title, heading, lead, list(_sections(found)), _FOOT.format(version))


def _own_place(ensemble: Ensemble) -> str:
    """Where a cell stands that is not at its critical answer: every number that is not 0."""
    told = [
        f"{name}: {', '.join(f'{n} = {significant(x)}' for n in _SCALES if (x := getattr(law, n)))}"
        for name, law in ensemble.items()
    ]
    told += [f"{name}: {law_in_words(law.to_dict())}" for name, law in ensemble.parameters.items()]
    return f"At a setting of its own. {'; '.join(told)}."


def _sections(found: Exhibit) -> Iterator[Section]:
    if found.region is not None:
        figures = render(_TEMPLATES, "figures.html", figures=[found.region.figure])
        yield Section("Phases", "phases", figures)
    if found.memory is not None:
        yield Section("Memory", "memory", memory_html(found.memory))
    if found.spectra is not None:
        yield Section("Singular values", "spectra", spectra_html(found.spectra))
    yield Section("Critical answer", "critical", _critical(found))
    if found.numbers:
        tyings = [t for t in TYINGS if any(t in n.text for n in found.numbers)]
        content = render(_TEMPLATES, "numbers.html", numbers=found.numbers, tyings=tyings)
        yield Section("At a glance", "numbers", content)
    if found.derivations:
        yield Section("Derivation", "derivation", derivations_html(found.derivations))


def _critical(found: Exhibit) -> Markup:
    """The critical answer, why, and how to have it again; without one, where the cell stands."""
    ensemble = found.ensemble if found.init is None else found.init.ensemble
    rows = [
        (sp.latex(sp.Symbol(name)), [significant(getattr(law, n)) for n in _SCALES])
        for name, law in ensemble.items()
    ]
    return render(
        _TEMPLATES,
        "critical.html",
        horizon=HORIZON,
        columns=[rf"\{n}" for n in _SCALES],
        rows=rows,
        laws=[(name, law_in_words(law.to_dict())) for name, law in ensemble.parameters.items()],
        reasons=found.init.reasons if found.init is not None else (),
        word=found.entry.word,
        text=found.entry.text.strip(),
    )


def render_index(records: Sequence[Mapping[str, Any]], version: str) -> str:
    """The index of what `make_gallery` wrote beside each page."""
    columns = [m for m in _MERITS if m.in_index]
    key, name, says = _MATRICES
    rows = [_row(record, columns) for record in records]
    sorts = [("listed", "kind", "down"), *((m.key, m.button, m.first) for m in columns)]
    named = [*columns, {"name": name, "says": says}]
    lead = render(
        _TEMPLATES,
        "index.html",
        horizon=HORIZON,
        sorts=[*sorts, (key, name.lower(), "up")],
        columns=named,
        rows=rows,
    )
    meaning = render(_TEMPLATES, "meaning.html", columns=named)
    heading = markup("<h1>Gallery of recurrent cells</h1>")
    sections = [Section("What the numbers mean", "meaning", meaning)]
    script = (_TEMPLATES / "sort.js").read_text(encoding="utf-8")
    foot = _FOOT.format(version)
    return render_page("Gallery of recurrent cells", heading, lead, sections, foot, script=script)


def _row(record: Mapping[str, Any], columns: Sequence[_Merit]) -> dict[str, Any]:
    """One cell's row: its texts, and the numbers by which it is sorted."""
    merits = record["merits"]
    values = [(m.key, merits[m.key]["value"]) for m in columns if merits[m.key] is not None]
    key, name, _ = _MATRICES
    share = merits["trainable"]
    shown = "no map" if share is None else f"{_text(_MERITS[3], share)[0]} of the map trains"
    return {
        "name": record["name"],
        "title": record["title"],
        "kind": KINDS[record["kind"]],
        "values_": [*values, (key, merits[key])],
        "numbers": [
            *((m.name, *_text(m, merits[m.key])) for m in columns),
            (name, str(merits[key]), ""),
        ],
        "thumbnail": thumbnail(record["map"], shown) if record["map"] else "",
    }


def _text(merit: _Merit, number: Mapping[str, Any] | None) -> tuple[str, str]:
    """A number as a page shows it, and what there is to say of it."""
    if number is None:
        return "none", ""
    value, error = (merit.scale * float(number[k]) for k in ("value", "error"))
    if math.isnan(value):
        return "none", number["status"]
    sampled = number["error_kind"] == STANDARD_ERROR or merit.key == "trainable"
    # Within its bound of 0 a number is 0.
    exact = "0" if abs(value) <= error else significant(value)
    text = plus_minus(value, error) if sampled and error else exact
    note = "" if number["status"] == Status.OK.value else number["status"]
    return f"{text}{merit.unit}", note
