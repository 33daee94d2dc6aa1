"""README and docs hold: commands exist, the example runs, dependencies are explained and pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_version_is_one() -> None:
    import rnnmft

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
