"""What commands print: JSON alone on standard output, or tables; a progress bar on a terminal."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from rnnmft.errors import ParameterError
from rnnmft.page.figure import draw_figure
from rnnmft.records import json_safe

__all__ = [
    "WORDS",
    "announced",
    "check_figure",
    "command_line",
    "print_json",
    "print_table",
    "progress_bar",
    "say",
    "write_figure",
]


# The words of the command that is running.
WORDS: ContextVar[tuple[str, ...]] = ContextVar("WORDS", default=())


def command_line() -> str:
    """The command that is running, to be noted in what it writes."""
    return shlex.join(["rnnmft", *WORDS.get()])


def check_figure(path: Path | None) -> None:
    """Refuse a file that no figure could be written to, before anything is computed.

    Raises:
        ParameterError: its name does not end with .svg.
        FileNotFoundError: its folder does not exist.
    """
    if path is None:
        return
    if path.suffix.lower() != ".svg":
        raise ParameterError(f"{path}: this figure is written as .svg")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(path.parent))


def write_figure(path: Path, draw: Callable[[Any], object], alt: str) -> None:
    """Draw an SVG file that shows its values under the pointer."""
    path.write_text(draw_figure(draw, alt, "").svg_with_values, encoding="utf-8")


def say(text: str) -> None:
    """One line on standard output."""
    sys.stdout.write(f"{text}\n")


def print_json(value: Any) -> None:
    """The value as JSON, and nothing else, on standard output."""
    json.dump(json_safe(value), sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; numbers stand right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, column in enumerate(columns):
        numeric = all(isinstance(row[i], (int, float)) for row in rows)
        table.add_column(escape(column), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(escape(_shown(value)) for value in row))
    if title:
        say(title)
    # Piped output has no width to fit into.
    console = Console(width=None if sys.stdout.isatty() else 160)
    with console.capture() as drawn:
        console.print(table)
    say("\n".join(line.rstrip() for line in drawn.get().rstrip().splitlines()))


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def announced(
    progress: Callable[[float, float], None] | None, what: str, seconds: float = 30.0
) -> Callable[[float, float], None]:
    """A progress that, after its first items, says on standard error how long the others may take.

    Args:
        progress: is called, too.
        what: the items are.
        seconds: below which nothing is said.
    """
    began, is_said = time.monotonic(), False

    def advance(done: float, total: float) -> None:
        nonlocal is_said
        left = (time.monotonic() - began) * (total - done) / done
        if not is_said and left > seconds:
            sys.stderr.write(f"rnnmft: {total:.0f} {what}: about {left:.0f} s\n")
        is_said = True
        if progress is not None:
            progress(done, total)

    return advance


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float, float], None] | None]:
    """A progress bar on standard error while a command runs; None where it is no terminal.

    Yields:
        A function of (done, total), or None.
    """
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
