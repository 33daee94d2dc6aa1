"""Where chunks are computed: in this process, embedded threads or processes, or a Dask cluster.

Everything is an executor of `concurrent.futures`; Dask's own is one. Nothing here opens a port: a
scheduler is somebody else's, and is only called on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from rnnmft.errors import ParameterError, StoreError

__all__ = ["embedded", "open_executor"]

_EMBEDDED = ("threads", "processes")
# Seconds for a scheduler to answer; Dask itself waits 30, for one that is still to be started.
_PATIENCE = 10


@contextmanager
def open_executor(cluster: Any, most: int) -> Iterator[Executor | None]:
    """The executor that `cluster` names; work that has not begun is dropped when it closes.

    Args:
        cluster: None for this process, chunk after chunk; "threads" or "processes" of this machine,
            as many as there are cores, or "processes:4"; the address of a Dask scheduler,
            "tcp://host:8786"; or a `distributed.Client`.
        most: no more workers are of use.

    Yields:
        The executor; None where this process is to do it.

    Raises:
        ParameterError: it is none of these, or the scheduler does not answer.
        StoreError: the cluster was lost.
    """
    kind = ("threads", 1) if cluster is None else embedded(cluster)
    if kind is None:
        with _client(cluster) as client, _of_client(client) as executor:
            yield executor
    elif min(kind[1], most) <= 1:
        yield None
    elif kind[0] == "threads":
        with ThreadPoolExecutor(min(kind[1], most)) as executor:
            try:
                yield executor
            finally:
                executor.shutdown(cancel_futures=True)
    else:
        with _processes(min(kind[1], most)) as executor:
            yield executor


def embedded(cluster: Any) -> tuple[str, int] | None:
    """("threads" or "processes", how many), or None where `cluster` names neither.

    >>> embedded("processes:3"), embedded("tcp://10.0.0.1:8786")
    (('processes', 3), None)
    """
    name, colon, count = cluster.partition(":") if isinstance(cluster, str) else ("", "", "")
    if name not in _EMBEDDED:
        return None
    if not colon:
        free = getattr(os, "sched_getaffinity", None)
        return name, len(free(0)) if free else os.cpu_count() or 1
    if not count.isdecimal() or int(count) < 1:
        raise ParameterError(f"cluster must be {name!r} or '{name}:N', N >= 1, got {cluster!r}")
    return name, int(count)


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Fresh interpreters: the copy of one with running threads may stand still for ever."""
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin_worker)
    try:
        yield executor
    except BaseException:
        # Ctrl-C, a full disk: nobody waits for chunks that will not be written.
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """A worker leaves Ctrl-C to the process that asked, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _client(cluster: Any) -> Iterator[Any]:
    """A client of a scheduler; one that was given stays open."""
    try:
        from distributed import Client
    except ImportError:
        raise ParameterError(
            "a Dask cluster needs the packages of pip install 'rnnmft[cluster]'"
        ) from None
    if isinstance(cluster, Client):
        yield cluster
        return
    if not isinstance(cluster, str):
        raise ParameterError(
            "cluster must be 'threads', 'processes', the address of a Dask scheduler or a "
            f"distributed.Client, got {cluster!r}"
        )
    try:
        client = Client(cluster, set_as_default=False, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ParameterError(f"no Dask scheduler answers at {cluster!r}: {error}") from None
    with client:
        yield client


@contextmanager
def _of_client(client: Any) -> Iterator[Executor]:
    """Dask's executor; what the scheduler gives up is said in a sentence."""
    from distributed import KilledWorker

    executor = client.get_executor(pure=False)
    try:
        yield executor
    except KilledWorker as error:
        raise StoreError(f"workers died again and again, and Dask gave up: {error}") from None
    except CancelledError:
        raise StoreError("the Dask scheduler is gone; chunks written before are kept") from None
    finally:
        executor.shutdown(wait=False)
