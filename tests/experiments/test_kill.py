"""kill -9 at random moments: the process that goes on ends with the bytes of one left alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

#: What a process trains; its checkpoint holds weights, Adam's moments and accuracies.
PROGRAM = """
import sys
from pathlib import Path
from rnnmft import cells
from rnnmft.experiments.recall import symbols
from rnnmft.experiments.tasks import ImageThenNoise
from rnnmft.experiments.trainees import Trainees
from rnnmft.experiments.training import Course, train

cell = cells.lstm()
laws = [cell.ensemble(), cell.ensemble(f={"mu_b": 2.0})]
trainees = Trainees(cell, laws, width=16, features=16, classes=8)
course = Course(400, batch=8, every=5)
train(trainees, ImageThenNoise(20), symbols(16, 0), course, checkpoint=Path(sys.argv[1]))
"""
STEPS, KILLS = 400, 3


def started(checkpoint: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(checkpoint)])


def step(checkpoint: Path) -> int:
    """Of the checkpoint: whatever moment it is, what is there is whole."""
    if not checkpoint.exists():
        return 0
    with np.load(checkpoint, allow_pickle=False) as found:
        return int(found["steps"][-1])


@pytest.mark.slow
def test_killed_processes_end_as_one_left_alone(tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone.npz", tmp_path / "killed.npz"
    assert started(alone).wait(timeout=240) == 0
    seed = random.SystemRandom().randrange(1 << 32)
    rng, seen = random.Random(seed), [0]
    for _ in range(KILLS):
        process = started(killed)
        while step(killed) <= seen[-1]:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL, f"seed {seed}"
        seen.append(step(killed))
    # Every process went on from where the one before it was, and none came to the end.
    assert seen == sorted(set(seen))
    assert seen[-1] < STEPS
    assert started(killed).wait(timeout=240) == 0
    assert killed.read_bytes() == alone.read_bytes(), f"seed {seed}, killed at {seen[1:]}"
