"""Tables of what the benchmarks measured, from the files in benchmarks/results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tables import Table

from benchmarks.comparisons import Ratio, machine, ratios, read_results

__all__ = ["compared", "kernels", "machines", "measured", "where_we_lose"]

# What need not be said of a time.
_SAID = ("runs", "seconds", "cells", "cpu_seconds", "processor_seconds")
_HEAD = ("what", "yardstick", "ours", "yardstick's", "ratio", "`benchmarks.`")


def compared() -> Table:
    """Every comparison."""
    return _table(lambda one: True)


def where_we_lose() -> Table:
    """Those in which the yardstick takes less."""
    return _table(lambda one: one.ratio < 1.0)


def _table(chosen: Callable[[Ratio], bool]) -> Table:
    found = sorted(filter(chosen, ratios(read_results())), key=lambda one: -one.ratio)
    rows = [
        (
            one.what,
            one.yardstick,
            _seconds(one.ours),
            _seconds(one.theirs),
            f"{one.ratio:.3g}",
            one.file,
        )
        for one in found
    ]
    return Table(_HEAD, rows or [("nothing", "", "", "", "", "")])


def _seconds(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g} s"


def machines() -> Table:
    """On what each file was measured."""
    results = read_results()
    return Table(("`benchmarks.`", "measured on"), [(f, machine(c)) for f, c in results.items()])


def kernels() -> Table:
    """Bounds and differences of the kernels that two programs compute."""
    found = read_results()["kernels"]
    rows = [
        (name, f"{one['our largest bound']:.1g}", f"{one['largest difference']:.1g}")
        for name, one in found.items()
        if isinstance(one, Mapping) and "largest difference" in one
    ]
    return Table(("kernel", "our bound", "neural-tangents less ours, at most"), rows)


def measured(file: str) -> Table:
    """Every time in a file that is compared with nothing."""
    rows = [(what, f"{value:.3g} s") for what, value in _times(read_results()[file], ())]
    return Table(("what", "time"), rows)


def _times(content: Any, place: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """(what, seconds) of every number that is called seconds; no wall times."""
    pairs: Iterator[tuple[str, Any]] = iter(())
    if isinstance(content, Mapping):
        pairs = ((str(key), value) for key, value in content.items())
    elif isinstance(content, list) and all(isinstance(v, Mapping) for v in content):
        pairs = ((_title(value), value) for value in content)
    for key, value in pairs:
        here = (*place, key)
        if isinstance(value, (int, float)) and any("seconds" in word for word in here):
            if not any("wall" in word for word in here):
                yield ", ".join(word for word in here if word not in _SAID), float(value)
        else:
            yield from _times(value, here)


def _title(run: Mapping[str, Any]) -> str:
    """What a run in a list was of."""
    return str(run.get("what") or json.dumps({k: v for k, v in run.items() if isinstance(v, str)}))
