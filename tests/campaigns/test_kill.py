"""kill -9 of the process and of workers, at random moments: nothing is lost, no byte changes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import psutil
import pytest

from rnnmft import cells
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.cli.setting import axis_values
from tests.campaigns.work import bytes_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHUNKS = 20
SENTENCE = "--tying untied --vary e.mu_b=0,4 --vary e.sigma_w=1:9:40 --quantity xi_c --chunk 4"
COMMAND = [sys.executable, "-m", "rnnmft", "phase", "minimal", *SENTENCE.split(), "--json"]


def started(store: Path, *more: str) -> subprocess.Popen[bytes]:
    """The command at work in a process of its own."""
    words = [*COMMAND, "--store", str(store), *more]
    with store.with_suffix(".err").open("wb") as errors:
        return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)


def computed(store: Path, **options: Any) -> None:
    """The same map by the library."""
    vary = {("e", "mu_b"): [0.0, 4.0], ("e", "sigma_w"): axis_values("e.sigma_w=1:9:40")[1]}
    phase_diagram(
        cells.minimal(), None, None, vary, ["xi_c"], "untied", store=store, chunk=4, **options
    )


def done(store: Path) -> dict[str, int]:
    """The chunks that are there, with the time at which they were written."""
    files = (store / "checksums").glob("*-*.json")
    return {file.stem: file.stat().st_mtime_ns for file in files}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of a command that nothing happened to."""
    store = tmp_path_factory.mktemp("untouched") / "store"
    assert started(store).wait(300) == 0
    assert len(done(store)) == CHUNKS
    return bytes_of(store)


@pytest.mark.parametrize("where", [(), ("--cluster", "processes:2")], ids=["here", "processes"])
def test_the_process_is_killed_three_times(
    untouched: dict[str, bytes], tmp_path: Path, where: tuple[str, ...]
) -> None:
    moments = random.Random(7)
    store, before = tmp_path / "store", {}
    for kill in range(3):
        process = started(store, *where)
        # The last of it comes fast on a fast machine: some chunks shall be left.
        most = CHUNKS - 6 + 2 * kill
        wanted = min(len(before) + moments.randint(0, 4), most)
        while len(done(store)) <= wanted and process.poll() is None:
            time.sleep(0.003)
        until = time.monotonic() + moments.uniform(0.0, 0.2)
        while time.monotonic() < until and len(done(store)) <= most:
            time.sleep(0.003)
        children = psutil.Process(process.pid).children(recursive=True)
        assert process.poll() is None, f"it had ended before kill {kill}"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        # Workers end with the process that asked.
        assert psutil.wait_procs(children, timeout=60)[1] == []
        # Nothing that was done was done again.
        now = done(store)
        assert len(now) < CHUNKS
        assert {name: now[name] for name in before} == before
        before = now
    assert started(store, *where).wait(300) == 0
    assert {name: done(store)[name] for name in before} == before
    assert bytes_of(store) == untouched


def test_the_command_is_interrupted(untouched: dict[str, bytes], tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = started(store)
    while len(done(store)) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert (tmp_path / "store.err").read_bytes() == b"rnnmft: interrupted\n"
    assert 3 <= len(done(store)) < CHUNKS
    assert started(store).wait(300) == 0
    assert bytes_of(store) == untouched


@pytest.fixture
def cluster() -> Iterator[distributed.LocalCluster]:
    """Two workers in processes of their own, which are replaced when they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as found:
        yield found


def test_a_worker_is_killed_three_times(
    untouched: dict[str, bytes], tmp_path: Path, cluster: distributed.LocalCluster
) -> None:
    moments, killed = random.Random(8), []
    after = sorted(moments.sample(range(1, CHUNKS - 6), 3))

    def kill(points: int, total: int) -> None:
        assert total == 4 * CHUNKS
        if len(killed) < 3 and points >= 4 * after[len(killed)]:
            time.sleep(moments.uniform(0.0, 0.1))
            # What the nannies look after; of those that there are now, one.
            pids = [w.process.process.pid for w in cluster.workers.values() if w.process]
            alive = [p for p in pids if p not in killed and psutil.pid_exists(p)]
            victim = moments.choice(alive)
            psutil.Process(victim).kill()
            killed.append(victim)

    computed(tmp_path, cluster=cluster.scheduler_address, progress=kill)
    assert len(set(killed)) == 3
    assert bytes_of(tmp_path) == untouched
