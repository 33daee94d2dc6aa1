"""A campaign: the chunks that a store lacks are computed wherever there is room, and written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, as_completed
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rnnmft.campaigns.executors import open_executor
from rnnmft.campaigns.one_thread import one_thread
from rnnmft.campaigns.store import Chunk, ChunkStore
from rnnmft.errors import StoreError

__all__ = ["Task", "run_campaign"]

# How many times embedded workers that died are replaced: what kills them once may be an accident.
_RESTARTS = 3


@dataclass(frozen=True)
class Task:
    """One chunk: the function that gives it, which travels to a worker, and how much work it is."""

    function: Callable[..., Chunk]
    arguments: tuple[Any, ...]
    size: int = 1

    def __call__(self) -> Chunk:
        """The chunk."""
        with one_thread():
            return self.function(*self.arguments)


def run_campaign(
    store: ChunkStore,
    tasks: Mapping[str, Task],
    cluster: Any = None,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Compute what the store lacks; each chunk is written as soon as it is there.

    Args:
        store: of this campaign.
        tasks: by the name of the chunk.
        cluster: see `open_executor`.
        progress: called as progress(done, total), in units of the tasks' sizes.

    Raises:
        StoreError: a chunk could not be written, or workers died again and again. What was written
            is kept.
    """
    left = {name: tasks[name] for name in store.missing()}
    total = sum(task.size for task in tasks.values())
    done = total - sum(task.size for task in left.values())
    # Closed whatever happens: workers do not go on when nobody writes what they find.
    with closing(_computed(left, cluster)) as chunks:
        for name, chunk in chunks:
            store.put(name, chunk)
            done += tasks[name].size
            if progress is not None:
                progress(done, total)


def _computed(tasks: Mapping[str, Task], cluster: Any) -> Generator[tuple[str, Chunk]]:
    """Chunks as they come; embedded workers that died are replaced."""
    left = dict(tasks)
    for _ in range(_RESTARTS + 1):
        try:
            # As many as at first: what killed workers is not tried in this process when it is last.
            with open_executor(cluster, len(tasks)) as executor, one_thread():
                for name, chunk in _in_any_order(executor, dict(left)):
                    del left[name]
                    yield name, chunk
            return
        except BrokenExecutor:
            continue
    names = ", ".join(left)
    raise StoreError(
        f"workers died {_RESTARTS + 1} times with chunks {names}; what was written before is kept"
    )


def _in_any_order(
    executor: Executor | None, tasks: Mapping[str, Task]
) -> Iterator[tuple[str, Chunk]]:
    if executor is None:
        yield from ((name, task()) for name, task in tasks.items())
        return
    names = {executor.submit(task): name for name, task in tasks.items()}
    for future in as_completed(names):
        yield names.pop(future), future.result()
