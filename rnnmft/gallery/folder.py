"""`make_gallery`: a folder of pages, each kept until what it shows has changed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnnmft.content import json_content
from rnnmft.errors import ParseError
from rnnmft.gallery.entries import Entry
from rnnmft.gallery.exhibit import Exhibit, exhibit
from rnnmft.gallery.html import render_exhibit, render_index
from rnnmft.records import json_safe
from rnnmft.report.assemble import write_whole

__all__ = ["make_gallery"]


def make_gallery(
    folder: Path,
    entries: Sequence[Entry],
    *,
    seconds: float = 120.0,
    fresh: bool = False,
    progress: Callable[[float, float], object] | None = None,
) -> Path:
    """Write a page a cell, its numbers beside it as JSON, and index.html; the index's path.

    What an earlier call, finished or interrupted, has written of the same entry with this version
    is kept. The index is of the pages that there are so far.

    Args:
        folder: is made if it is not there.
        entries: in the order of the index.
        seconds: of the processor, that each part of a page may take; what takes longer is left
            out, and said.
        fresh: compute every page again.
        progress: called as progress(done, total) after each page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = str(getattr(sys.modules["rnnmft"], "__version__", "unknown"))
    records, index = [], folder / "index.html"
    for done, entry in enumerate(entries, 1):
        made = {"digest": entry.digest, "rnnmft": version, "seconds": seconds}
        page, data = folder / f"{entry.name}.html", folder / f"{entry.name}.json"
        record = None if fresh else _kept(page, data, made)
        if record is None:
            began = time.process_time()
            found = exhibit(entry, seconds)
            write_whole(page, render_exhibit(found, version))
            took = {"processor_seconds": round(time.process_time() - began, 1)}
            record = {**made, **took, **_record(found)}
            # Last: a page whose numbers are there is whole.
            write_whole(data, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        records.append(record)
        # After each page: what there is can be looked at.
        write_whole(index, render_index(records, version))
        if progress is not None:
            progress(done, len(entries))
    return index


def _kept(page: Path, data: Path, made: dict[str, Any]) -> dict[str, Any] | None:
    """What was written of the same entry in the same way, if it was."""
    if not (page.is_file() and data.is_file()):
        return None
    try:
        record = json_content(data.read_text(encoding="utf-8"), str(data))
    except (ParseError, UnicodeDecodeError):
        return None
    same = isinstance(record, dict) and all(record.get(k) == v for k, v in made.items())
    return record if same else None


def _record(found: Exhibit) -> dict[str, Any]:
    """What the index needs, and who wants the numbers."""
    entry, region = found.entry, found.region
    return {
        "name": entry.name,
        "title": entry.title,
        "kind": entry.kind,
        "critical": found.is_critical,
        "ensemble": found.ensemble.to_dict(),
        "inputs": entry.inputs.to_dict(),
        "merits": found.merits.to_dict(),
        "map": None if region is None else json_safe(region.z),
        "map_axes": None
        if region is None
        else dict(zip(region.names, json_safe((region.x, region.y)), strict=True)),
        "missing": found.missing,
    }
