"""README and docs hold: commands exist, the example runs, dependencies are explained and pinned."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rnnmft
from rnnmft.records import Record
from tests.import_law import FLOORS, modules

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def required() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    names = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    return [r for r in map(Requirement, names) if r.name != PROJECT["name"]]


def test_readme_opens_with_the_two_commands() -> None:
    first = README.index("```")
    assert README[:first].split() == ["#", "rnnmft"]
    assert blocks(README, "sh")[0] == "make report\nmake test\n"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    pages = [README, *(p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))]
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)", page)}
    assert named
    assert named <= targets


def test_readme_example_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is printed, but for the number of units: the default takes ten seconds more."""
    monkeypatch.setitem(rnnmft.MeanField.__init__.__kwdefaults__, "particles", 1 << 13)
    examples = blocks(README, "python")
    assert all(len(example.splitlines()) <= 20 for example in examples)
    example = "\n".join(examples)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert printed.count("\n") >= example.count("print(")
    assert "nan" not in printed


def test_each_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^(\S+)\n: ", page, re.MULTILINE))
    assert explained == {r.name for r in required()}


def test_each_dependency_is_pinned_and_the_pin_is_in_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in required():
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_constraints_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"@|/|\+|^-", text, re.MULTILINE) is None


def test_readme_leads_to_the_pages_that_are_there() -> None:
    linked = {name for name in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in name}
    wanted = {"CONTRIBUTING.md", "docs/architecture.md", "docs/api.md", "docs/methods.md"}
    assert wanted <= linked
    assert all((ROOT / name).exists() for name in linked)


def test_the_pictures_of_the_readme_are_small_and_said_in_words() -> None:
    shown = re.findall(r"^!\[([^\]]*)\]\((\S+)\)$", README, re.MULTILINE)
    assert {Path(name).stem for _, name in shown} == {"report", "explorer"}
    for words, name in shown:
        assert len(words.split()) > 5
        assert (ROOT / name).stat().st_size < 150_000


def documented() -> set[str]:
    """The names that the API reference documents, by their last part."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return {path.rpartition(".")[2] for path in re.findall(r"^\.\. auto\w+:: (\S+)$", page, re.M)}


def test_the_reference_has_every_public_name() -> None:
    from rnnmft import activations, cells

    listed = {*documented(), *activations.__all__, "cells", "__version__"}
    assert set(rnnmft.__all__) <= listed
    assert set(cells.__all__) <= listed


def test_the_reference_has_every_record_that_a_call_returns() -> None:
    for name in modules(ROOT / "rnnmft"):
        importlib.import_module(name)
    found, records = [Record], set()
    while found:
        subclasses = found.pop().__subclasses__()
        found += subclasses
        records |= {c.__name__ for c in subclasses if c.__module__.startswith("rnnmft.")}
    inner = {"Timing"}  # of `rnnmft bench`, which prints it
    assert "FixedPoint" in records
    assert {r for r in records - inner if not r.startswith("_")} <= documented()


def extension(name: str) -> ModuleType:
    """A module of docs/_extensions."""
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def test_the_picture_shows_what_imports_what() -> None:
    graph = extension("import_graph")
    whole, shown = graph.imports(), graph.reduced(graph.imports())

    def below(room: str) -> set[str]:
        return shown[room].union(*(below(other) for other in shown[room]))

    assert all(others <= below(room) for room, others in whole.items())
    chain = {"c": {"a", "b"}, "b": {"a"}, "a": set()}
    assert graph.reduced(chain) == {"c": {"b"}, "b": {"a"}, "a": set()}
    told = [(room, line) for _, room, line in graph.first_lines()]
    assert {room for room, _ in told} == set(FLOORS) - {"__init__", "__main__"}
    assert all(line.endswith(".") for _, line in told)


def test_a_row_of_the_methods_says_what_answers() -> None:
    table = extension("method_table")
    kernel = [*table.entries("vanilla", "tied")]
    assert kernel[:6] == ["kernel OK"] * 6
    assert kernel[-2:] == ["kernel OK", "closed, kernel"]
    assert [*table.entries("vanilla", "untied")][-2:] == ["sampled", "closed"]
    sampled = [*table.entries("diagonal_peephole_lstm", "tied")]
    assert {*sampled} == {"sampled", "block, sampled"}
    assert len(kernel) == len(sampled) == len(table.QUANTITIES)


def test_docstrings_are_read_plainly() -> None:
    lines = ["the largest |x| of `Law`s, `\\sigma|`", ">>> 1 | 2"]
    extension("docstrings").read_plainly(None, "", "", None, None, lines)
    assert lines == [r"the largest \|x\| of `Law`\ s, `\\sigma|`", ">>> 1 | 2"]


def test_the_version_is_one() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## Unreleased ({rnnmft.__version__})" in changelog or (
        f"## {rnnmft.__version__} " in changelog
    )


@pytest.mark.parametrize(
    ("cell", "fails"),
    [
        ("print(1 + 1)", False),
        ("1 / 0", True),
        ("import warnings; warnings.warn('w', stacklevel=1)", True),
        (":tags: [raises-exception]\n\nprint(1)", True),
        (":tags: [raises-exception]\n\n1 / 0", False),
    ],
)
def test_a_page_whose_code_fails_stops_the_build(tmp_path: Path, cell: str, fails: bool) -> None:
    extensions = ROOT / "docs" / "_extensions"
    conf = f"import sys; sys.path.insert(0, {str(extensions)!r})\n"
    (tmp_path / "conf.py").write_text(conf + "extensions = ['code_cell', 'myst_parser']\n")
    (tmp_path / "index.md").write_text(f"# Page\n\n```{{code-cell}}\n{cell}\n```\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode != 0) is fails, done.stderr
