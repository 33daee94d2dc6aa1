"""Chunks of work for tests, which travel to workers by the name of their function."""

from __future__ import annotations

import os
import signal
import time
from hashlib import sha256
from pathlib import Path

from rnnmft.campaigns.campaign import Task
from rnnmft.campaigns.store import Chunk

NAMES = [f"{i}-{j}" for i in range(3) for j in range(2)]
CAMPAIGN = {"kind": "test", "seed": 3, "chunks": NAMES}


def bytes_of(folder: Path) -> dict[str, bytes]:
    """{path: content} of every file."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def work(name: str, log: str = "", seconds: float = 0.0) -> Chunk:
    """Two files that follow from the name; a line in the log says that it was computed."""
    time.sleep(seconds)
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    files = {f"{a}/c/{name}": sha256(f"{a}{name}".encode()).digest() * 9 for a in "xy"}
    return Chunk(files, {"name": name})


def dies(name: str, log: str, lives: int) -> Chunk:
    """Kills its process until it was asked more than so many times."""
    if name == NAMES[2]:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write("killed\n")
        if len(Path(log).read_text(encoding="utf-8").splitlines()) <= lives:
            os.kill(os.getpid(), signal.SIGKILL)
    return work(name)


def tasks(log: str = "", seconds: float = 0.0) -> dict[str, Task]:
    """One for each name."""
    return {name: Task(work, (name, log, seconds)) for name in NAMES}
