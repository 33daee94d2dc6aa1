"""Networks in chunks: those of one run, with the same bytes however a run ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.errors import StoreError
from rnnmft.validation import ValidationReport, validate
from tests.campaigns.work import bytes_of

ROOT = Path(__file__).parents[2]
#: Six simulations of five networks: twelve chunks of three and two.
CHUNKS = 12


def computed(store: Path | None, cell: str = "vanilla", **options: Any) -> ValidationReport:
    """A small validation; chunks where there is a store."""
    setting = {"widths": (8, 12, 16), "networks": 5, "steps": 3, "lags": (1,), "seed": 3}
    return validate(
        cells.get(cell),
        **{**setting, **options},
        horizons=(1, 2),
        sampling={"particles": 1024, "repetitions": 4},
        device="cpu",
        store=store,
        chunk=None if store is None else 3,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a call that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    computed(folder)
    return folder


def test_chunks_hold_the_networks_of_one_run(whole: Path) -> None:
    """Batches change sums by rounding in single precision, and nothing else."""
    ours, alone = computed(whole), computed(None)
    assert [c.target.name for c in ours.claims] == [c.target.name for c in alone.claims]
    for one, other in zip(ours.claims, alone.claims, strict=True):
        for kind in ("value", "error"):
            first, second = (np.asarray(getattr(c.fitted.limit, kind)) for c in (one, other))
            np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    other = computed(None, seed=4)
    moved = [
        np.abs(np.asarray(a.fitted.limit.value) - np.asarray(b.fitted.limit.value)).max()
        for a, b in zip(ours.claims, other.claims, strict=True)
    ]
    assert max(moved) > 0.01


def test_an_interrupted_validation_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    def interrupt(done: float, total: float) -> None:
        if done > total / 3:
            raise KeyboardInterrupt

    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        computed(store, progress=interrupt)
    done = {p: p.stat().st_mtime_ns for p in (store / "checksums").iterdir()}
    assert 0 < len(done) < CHUNKS
    damaged = next(p for p in sorted((store / "data.zarr").rglob("*")) if p.is_file())
    damaged.write_bytes(damaged.read_bytes()[:-1])
    computed(store)
    assert bytes_of(store) == bytes_of(whole)
    again = [p for p, at in done.items() if p.stat().st_mtime_ns != at]
    assert len(again) == 1, "the damaged chunk alone is computed again"


def test_another_validation_is_refused(whole: Path) -> None:
    with pytest.raises(StoreError, match=r"differs in start$"):
        computed(whole, start=0.5)


@pytest.mark.slow
def test_every_place_gives_the_same_bytes_though_it_is_killed(whole: Path, tmp_path: Path) -> None:
    """kill -9 of the command at three moments, two worker processes; then it ends by itself."""
    words = "--widths 8,12,16 --networks 40 --steps 3 --device cpu --seed 3 --chunk 5 --json"
    command = [sys.executable, "-m", "rnnmft", "validate", "vanilla", *words.split(), "--store"]
    store, plain = tmp_path / "store", tmp_path / "plain"
    for kill in range(3):
        process = subprocess.Popen(
            [*command, str(store), "--cluster", "processes:2"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(list(store.glob("checksums/*-*.json"))) <= 6 * kill and process.poll() is None:
            time.sleep(0.003)
        assert process.poll() is None, f"it had ended before kill {kill}"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    for folder in (store, plain):
        subprocess.run([*command, str(folder)], cwd=ROOT, check=False, capture_output=True)
    assert bytes_of(store) == bytes_of(plain)
    assert len(list(store.glob("checksums/*-*.json"))) == 6 * 8
