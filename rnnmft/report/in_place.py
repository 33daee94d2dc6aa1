"""A page within half a minute, and the whole one in its place, part by part as it is computed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.report.assemble import QUICK, Report, make_report

__all__ = ["FIRST", "first_report", "report_in_place", "write_report"]

#: What a first report says of itself.
FIRST = "A first page, from too few networks to decide anything."
# A page that is still being refined is read again after so many seconds: about as often as a part
# of it is replaced.
_RELOAD = 15
# The share of the work before which the time that is left cannot be told.
_EARLY = 0.02
#: The parts that are replaced one after another, by their attribute.
_PARTS = {
    "numbers": "the numbers at a glance",
    "validation": "the verdict",
    "gradients": "gradients and memory",
    "spectra": "singular values",
    "phases": "phases",
}


def first_report(
    cell: Cell, ensemble: Ensemble | None = None, inputs: Inputs | None = None, **options: Any
) -> Report:
    """A report within about half a minute of two idle cores: `make_report` with `QUICK`.

    Args:
        cell: the cell.
        ensemble: as for `make_report`.
        inputs: likewise.
        **options: others of `make_report`; what `QUICK` sets stays.
    """
    report = make_report(cell, ensemble, inputs, **{**options, **QUICK})
    return dataclasses.replace(report, notice=FIRST)


def report_in_place(
    path: Path,
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    *,
    ready: Callable[[Report], object] | None = None,
    progress: Callable[[float, float], object] | None = None,
    **options: Any,
) -> Report:
    """Write a first page, then the whole one over it: the numbers beside it, in a .json file, too.

    What is not final says so at the top of the page, with the time that is left; the page reads
    itself again until it is whole. One that was interrupted says which of its parts are final.

    Args:
        path: of the page.
        cell: the cell.
        ensemble: as for `make_report`.
        inputs: likewise.
        ready: called with the first report when it has been written.
        progress: called as progress(done, total) by what follows.
        **options: others of `make_report`.
    """
    first = first_report(cell, ensemble, inputs, **options)
    page = _Page(path, first, progress)
    page.write()
    if ready is not None:
        ready(first)
    try:
        whole = make_report(
            cell, ensemble, inputs, found=page.replace, progress=page.advance, **options
        )
    except BaseException:  # an interrupt, too, leaves a page that does not wait for ever
        page.stop()
        raise
    write_report(whole, path)
    return whole


def write_report(report: Report, path: Path) -> None:
    """The page, and its numbers beside it."""
    report.to_html(path)
    report.to_json(path.with_suffix(".json"))


class _Page:
    """A page in the making: which of its parts are final, and when the rest may be."""

    def __init__(
        self, path: Path, first: Report, progress: Callable[[float, float], object] | None
    ) -> None:
        self._path, self._shown, self._progress = path, first, progress
        self._began, self._share = time.monotonic(), 0.0
        self._final: set[str] = set()

    def advance(self, done: float, total: float) -> None:
        """Note how much of the work is done."""
        self._share = done / total
        if self._progress is not None:
            self._progress(done, total)

    def replace(self, known: Mapping[str, Any]) -> None:
        """Put in what is known."""
        self._final |= {part for part in _PARTS if part in known}
        self._shown = dataclasses.replace(self._shown, **known)
        self.write()

    def write(self) -> None:
        """With what is not final, and how long it may take."""
        self._write(f"{FIRST} {self._state()} {self._left()}", _RELOAD)

    def stop(self) -> None:
        """The computation ended before the page was whole."""
        self._write(f"{FIRST} {self._state()} It was interrupted before it was whole.", 0)

    def _write(self, notice: str, reload: int) -> None:
        write_report(dataclasses.replace(self._shown, notice=notice, reload=reload), self._path)

    def _state(self) -> str:
        final = [words for part, words in _PARTS.items() if part in self._final]
        return f"Final by now: {', '.join(final)}." if final else ""

    def _left(self) -> str:
        now = datetime.now().astimezone()
        if self._share < _EARLY:
            return f"The whole page takes its place in a few minutes (written at {now:%H:%M:%S})."
        seconds = (time.monotonic() - self._began) * (1 / self._share - 1)
        until = now + timedelta(seconds=seconds)
        return f"About {_duration(seconds)} are left, until {until:%H:%M}; the page follows."


def _duration(seconds: float) -> str:
    """Seconds as one says them.

    >>> _duration(42), _duration(200)
    ('40 seconds', '3 minutes')
    """
    if seconds < 90:
        return f"{max(round(seconds, -1), 10):.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
