"""The notebooks that pages offer: valid, the page's own code, and nothing of the machine."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("derive_your_cell", "initialize_your_lstm", "teach_with_it")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build of pages without their code writes."""
    folder = tmp_path_factory.mktemp("docs")
    extensions = ROOT / "docs" / "_extensions"
    conf = f"import sys; sys.path.insert(0, {str(extensions)!r})\n"
    conf += "release = '1.2'\nextensions = ['myst_parser', 'notebooks']\n"
    conf += "myst_enable_extensions = ['colon_fence', 'dollarmath']\n"
    (folder / "conf.py").write_text(conf)
    (folder / "index.md").write_text("# Index\n\n```{toctree}\n" + "\n".join(PAGES) + "\n```\n")
    for name in PAGES:
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        shown = text.replace("```{code-cell}", "```{code-block} python")
        (folder / f"{name}.md").write_text(re.sub(r"\]\([^)]*\.md[^)]*\)", "]", shown))
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(folder), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def test_each_page_leads_to_its_notebook(made: Path) -> None:
    for name in PAGES:
        page = (made / "out" / f"{name}.html").read_text(encoding="utf-8")
        link = re.search(rf'href="(_downloads/\w+/{name}\.ipynb)"', page)
        assert link, name
        assert json.loads((made / "out" / link[1]).read_text(encoding="utf-8"))["nbformat"] == 4


def of_page(name: str) -> tuple[str, dict[str, Any]]:
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    try:
        module = importlib.import_module("notebooks")
    finally:
        sys.path.pop(0)
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    return text, module.notebook(name, text, "1.2")


def code_of(text: str) -> list[str]:
    """The lines between the fences of code cells, read line by line."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line == "```{code-cell}":
            inside = True
        elif line == "```":
            inside = False
        elif inside:
            found.append(line)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_notebook_is_valid(name: str) -> None:
    """As the schema of nbformat 4.5 has it: which keys a cell has, and ids that are its own."""
    _, found = of_page(name)
    assert set(found) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    cells = found["cells"]
    common = {"cell_type", "id", "metadata", "source"}
    for cell in cells:
        code = cell["cell_type"] == "code"
        assert set(cell) == (common | {"execution_count", "outputs"} if code else common)
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if code:
            compile("".join(cell["source"]), name, "exec")
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", PAGES)
def test_it_has_the_code_of_the_page_and_plain_text(name: str) -> None:
    text, found = of_page(name)
    code = [c for c in found["cells"] if c["cell_type"] == "code"]
    lines = [line for cell in code for line in "".join(cell["source"]).splitlines()]
    assert [line for line in lines if line] == [line for line in code_of(text) if line]
    said = "".join("".join(c["source"]) + "\n" for c in found["cells"] if c not in code)
    for mark in (":::", "```{", "{cite}", "{eq}", "{download}", ".md)"):
        assert mark not in said, mark
    for heading in re.findall(r"^#+ .*$", text, re.MULTILINE):
        assert heading in said


@pytest.mark.parametrize("name", PAGES)
def test_it_tells_nothing_of_the_machine(made: Path, name: str) -> None:
    for text in (json.dumps(of_page(name)[1]), (made / "notebooks" / f"{name}.ipynb").read_text()):
        for place in (str(ROOT), str(made), str(Path.home()), "file://", "/home/", "/tmp/"):
            assert place not in text
