"""Citations hold: from code to equation and paper, and from a paper to equation, code and test."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import rnnmft

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Equations that define a word or follow from others, so that no code implements them alone.
DEFINITION_ONLY = {"candidate"}
# Floors whose files hold formulas, and the files that hold none.
FLOORS = ("theory", "units", "solvers", "spectra", "eigenvalues", "lyapunov")
FLOORS += ("initialization/design", "rest")
NO_FORMULA = {
    "theory": {"equality", "notation", "powers", "steps"},
    "units": {"columns", "normals", "slope_history", "sobol"},
    "solvers": {
        "bounds",
        "contract",
        "drawing",
        "followed",
        "given_ensemble",
        "kept_runs",
        "lag_grid",
        "readings",
        "relaxation",
        "scalar_roots",
        "sensitivity",
        "stationary",
        "slow_limit",
    },
    "spectra": {"branch", "records", "resolved", "walk"},
    "eigenvalues": set(),
    "lyapunov": set(),
    "rest": {"averages", "phase_map", "positive_roots", "signed_roots", "transitions"},
    "initialization/design": {"burn_in", "gating", "nearest", "request"},
}
#: "Chen 2018", "Cho & Saul 2009", "Yang (2019)": a paper named without its key.
NAMED = re.compile(r"\b[A-Z][a-z]+(?: et al\.)?,? \(?(?:1[89]|20)\d\d\b")
ROW = re.compile(r"^\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def extension() -> ModuleType:
    path = DOCS / "_extensions" / "citations.py"
    spec = importlib.util.spec_from_file_location("citations", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CITATIONS = extension()
DOCUMENTED = CITATIONS.docstrings(Path(rnnmft.__file__).parent)
LABELS = CITATIONS.equation_labels(DOCS)
PAPERS = CITATIONS.paper_keys(DOCS / "references.bib")


def unresolved(documented: dict[str, str]) -> list[str]:
    """What docstrings cite that is nowhere, or not in the form that is searched for."""
    found = []
    for name, text in documented.items():
        cited = CITATIONS.cited_equations(text)
        found += [f"{name}: no equation {x!r}" for x in cited if len(LABELS.get(x, [])) != 1]
        found += [
            f"{name}: no paper {x!r}" for x in CITATIONS.cited_papers(text) if x not in PAPERS
        ]
        if len(re.findall(r"\bEqs?\.(?!\w)", text)) != len(cited):
            found.append(f"{name}: an equation is cited in another form than Eq. (label)")
        found += [f"{name}: {x.group()!r} without a key" for x in NAMED.finditer(text)]
    return found


def test_every_citation_of_a_docstring_is_found() -> None:
    assert unresolved(DOCUMENTED) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("The basis, Eq. (tied-bases).", "no equation 'tied-bases'"),
        ("The closure of [chen2081].", "no paper 'chen2081'"),
        ("The basis, Eqs. (tied-basis), (q).", "in another form"),
        ("The basis, Eq. tied-basis.", "in another form"),
        ("The basis, Eq.\n(tied-basis).", "in another form"),
        ("The closure (Chen 2018).", "'Chen 2018' without a key"),
        ("The closure of Gilboa et al. 2019.", "without a key"),
    ],
)
def test_a_wrong_citation_is_found(text: str, sentence: str) -> None:
    (found,) = unresolved({"planted": text})
    assert sentence in found


def test_right_citations_are_accepted() -> None:
    assert unresolved({"planted": "Eq. (tied-basis), Eq. (q); [chen2018]. {x: Eq(Q', ...)}"}) == []


def test_the_examples_of_the_search_hold() -> None:
    result = doctest.testmod(CITATIONS)
    assert result.attempted > 0
    assert result.failed == 0


def test_labels_and_keys_are_unique() -> None:
    assert {label: pages for label, pages in LABELS.items() if len(pages) > 1} == {}
    assert [key for key, times in Counter(PAPERS).items() if times > 1] == []


def test_an_equation_that_is_labelled_twice_is_found(tmp_path: Path) -> None:
    for page in ("one", "two"):
        (tmp_path / f"{page}.md").write_text("$$\nx = y\n$$ (eq-same)\n", encoding="utf-8")
    assert CITATIONS.equation_labels(tmp_path) == {"same": ["one", "two"]}


def test_every_label_has_the_form_that_is_searched_for() -> None:
    """A label that the search does not see would be one that nothing checks."""
    seen = 0
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        labelled = text.count("(eq-") + text.count(":label:")
        assert labelled == sum(pages.count(page.stem) for pages in LABELS.values()), page.stem
        seen += labelled
    assert seen == sum(map(len, LABELS.values())) > 0


def test_every_equation_is_cited_by_code_or_is_a_definition() -> None:
    cited = set(CITATIONS.citing_code(DOCUMENTED))
    assert set(LABELS) - cited == DEFINITION_ONLY


@pytest.mark.parametrize("floor", FLOORS)
def test_every_file_that_implements_a_formula_cites_it(floor: str) -> None:
    cited = {name for names in CITATIONS.citing_code(DOCUMENTED).values() for name in names}
    silent = set()
    for file in (ROOT / "rnnmft" / floor).rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if file.stem != "__init__" and not any(f"{n}.".startswith(f"{module}.") for n in cited):
            silent.add(file.stem)
    assert silent == NO_FORMULA[floor]


# --- the map of the papers -----------------------------------------------------------------------


def rows(page: str) -> list[tuple[str, list[str], str, str]]:
    """(what, labels, code, test) of every row of the page's tables."""
    found = []
    for what, equations, code, test in ROW.findall(page):
        if test.strip().startswith("`"):
            labels = re.findall(r"\{eq\}`eq-([a-z0-9-]+)`", equations)
            found.append((what.strip(), labels, code.strip(" `"), test.strip(" `")))
    return found


PAGE = (DOCS / "paper_map.md").read_text(encoding="utf-8")


def wrong_with(labels: list[str], code: str, test: str) -> str:
    """Why a row does not hold, or nothing."""
    if not labels or any(label not in LABELS for label in labels):
        return f"no such equation among {labels}"
    try:
        resolve(code)
    except (AttributeError, ImportError) as error:
        return f"no such code: {error}"
    citing = CITATIONS.citing_code(DOCUMENTED)
    if not any(related(code, name) for label in labels for name in citing.get(label, [])):
        return f"{code} cites none of {labels}"
    return "" if test in names_of_tests(test.partition("::")[0]) else f"no such test: {test}"


def related(code: str, name: str) -> bool:
    """Whether a docstring is that of the code, of what holds it, or of what it holds."""
    return f"{code}.".startswith(f"{name}.") or f"{name}.".startswith(f"{code}.")


def resolve(code: str) -> object:
    """The module, class or function of a dotted name."""
    parts = code.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[length:], found)
    raise ImportError(code)


@functools.cache
def names_of_tests(path: str) -> frozenset[str]:
    """The tests of a file, without their parameters."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        above = f"{path}::{node.name}" if isinstance(node, ast.ClassDef) else path
        found |= {f"{above}::{n.name}" for n in inner if isinstance(n, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize(("what", "labels", "code", "test"), rows(PAGE))
def test_a_row_of_the_map_holds(what: str, labels: list[str], code: str, test: str) -> None:
    assert not wrong_with(labels, code, test)


def test_every_row_of_the_map_is_read() -> None:
    assert len(rows(PAGE)) == PAGE.count("\n| ") - PAGE.count("\n| In the paper |")


HERE = "tests/test_citations.py::test_labels_and_keys_are_unique"


@pytest.mark.parametrize(
    ("labels", "code", "test", "sentence"),
    [
        (["q"], "rnnmft.theory.moments.MomentTheory.variance", HERE, ""),
        (["quu"], "rnnmft.theory.moments.MomentTheory.variance", HERE, "no such equation"),
        (["q"], "rnnmft.theory.moments.MomentTheory.varying", HERE, "no such code"),
        (["q"], "rnnmft.theory.momenta", HERE, "no such code"),
        (["q"], "rnnmft.units.weight_action", HERE, "cites none of"),
        (["q"], "rnnmft.theory.moments.MomentTheory.variance", f"{HERE}x", "no such test"),
        (["q"], "rnnmft.theory.moments.MomentTheory.variance", "tests/no.py::x", "no such test"),
    ],
)
def test_a_wrong_row_is_found(labels: list[str], code: str, test: str, sentence: str) -> None:
    found = wrong_with(labels, code, test)
    assert sentence in found
    assert bool(found) is bool(sentence)
