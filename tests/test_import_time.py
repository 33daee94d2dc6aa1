"""`import rnnmft` and `rnnmft --help` load no heavy library: counted, not timed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "sympy", "mpmath", "numpy", "scipy", "matplotlib", "xarray", "pandas", "jinja2")

LOADED = f"""
import sys
print(*sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY!r})))
"""


def loaded_after(code: str) -> set[str]:
    """The heavy libraries in sys.modules after a fresh interpreter has run the code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + LOADED],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


HELP = """
import sys
sys.argv = ["rnnmft", *{arguments!r}]
from rnnmft.cli import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import rnnmft",
        "import rnnmft; dir(rnnmft); rnnmft.__version__",
        "from rnnmft import ParameterError, Status",
        HELP.format(arguments=["--help"]),
        HELP.format(arguments=["report", "--help"]),
    ],
    ids=["import", "dir", "errors", "--help", "report --help"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_after(code) == set()


def test_a_cell_needs_sympy_alone() -> None:
    assert loaded_after("import rnnmft; rnnmft.cells.minimal()") == {"sympy", "mpmath"}


def test_the_count_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import numpy")
