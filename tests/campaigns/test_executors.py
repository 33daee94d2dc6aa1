"""Where chunks are computed: every place gives the same bytes, and a dead worker loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from rnnmft.campaigns.campaign import Task, run_campaign
from rnnmft.campaigns.executors import embedded
from rnnmft.campaigns.store import ChunkStore
from rnnmft.errors import ParameterError, StoreError
from tests.campaigns.work import CAMPAIGN, NAMES, bytes_of, dies, tasks


def run(
    folder: Path, cluster: Any = None, given: dict[str, Task] | None = None
) -> dict[str, bytes]:
    """The files of the finished campaign."""
    with ChunkStore.begin(folder, CAMPAIGN) as store:
        run_campaign(store, given or tasks(), cluster)
    return bytes_of(folder)


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """A Dask cluster within this process, without any socket."""
    setting = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=False, **setting) as cluster,
        distributed.Client(cluster, set_as_default=False) as found,
    ):
        yield found


def test_every_place_gives_the_same_bytes(tmp_path: Path, client: distributed.Client) -> None:
    here = run(tmp_path / "here")
    assert run(tmp_path / "threads", "threads:3") == here
    assert run(tmp_path / "processes", "processes:2") == here
    assert run(tmp_path / "client", client) == here
    # What was given stays open.
    assert client.status == "running"


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    mortal = {name: Task(dies, (name, log, 1)) for name in NAMES}
    assert run(tmp_path / "store", "processes:2", mortal) == run(tmp_path / "here")


def test_workers_that_always_die_are_a_sentence(tmp_path: Path) -> None:
    mortal = {**tasks(), NAMES[2]: Task(dies, (NAMES[2], str(tmp_path / "log"), 99))}
    with pytest.raises(StoreError, match=r"workers died 4 times with chunks .*1-0.* is kept"):
        run(tmp_path / "store", "processes:2", mortal)
    assert run(tmp_path / "store") == run(tmp_path / "here")


def test_what_a_cluster_may_be() -> None:
    assert embedded("processes:3") == ("processes", 3)
    name, count = embedded("threads") or ("", 0)
    assert name == "threads"
    assert count >= 1
    assert embedded("tcp://127.0.0.1:8786") is None


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        ("processes:0", "N >= 1"),
        ("threads:two", "N >= 1"),
        (7, "cluster must be"),
        ("processes-4", "no Dask scheduler answers"),
    ],
    ids=["none", "word", "number", "typo"],
)
def test_what_a_cluster_may_not_be(tmp_path: Path, cluster: Any, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        run(tmp_path / "store", cluster)


def test_an_error_of_the_work_is_the_callers(tmp_path: Path) -> None:
    wrong = {**tasks(), NAMES[-1]: Task(dies, (NAMES[-1],))}
    for cluster in (None, "threads:2"):
        with pytest.raises(TypeError):
            run(tmp_path / str(cluster), cluster, wrong)
        assert len(ChunkStore.find(tmp_path / str(cluster)).missing()) >= 1
