"""Results and checkpoints as files, whole or not there: what an interrupted run finds again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnmft.content import json_content
from rnnmft.records import json_safe

__all__ = ["kept", "kept_run", "load", "load_arrays", "save", "save_arrays"]


def load(path: Path) -> Any:
    """The content of a file, or None where there is none.

    Raises:
        ParseError: it is not JSON: damaged, or another's.
    """
    if not path.exists():
        return None
    return json_content(path.read_text(encoding="utf-8"), path.name)


def save(path: Path, content: Any) -> None:
    """Write beside and move into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(json_safe(content), indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def kept(path: Path, compute: Callable[[], Any]) -> Any:
    """The content of a file; where there is none it is computed, and saved."""
    known = load(path)
    if known is None:
        known = compute()
        save(path, known)
    return known


def kept_run(path: Path, compute: Callable[[Path], Any]) -> Any:
    """The same for what keeps a checkpoint, whose path it is given; that goes when all is done."""
    checkpoint = path.with_suffix(".npz")
    found = kept(path, lambda: compute(checkpoint))
    checkpoint.unlink(missing_ok=True)
    return found


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name."""
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write beside, wait until it is on the disk, and move into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
