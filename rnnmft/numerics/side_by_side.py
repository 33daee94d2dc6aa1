"""Tasks that know nothing of each other, in as many threads as torch may use."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch

__all__ = ["side_by_side"]

T = TypeVar("T")


def side_by_side(
    tasks: Sequence[Callable[[], T]], device: torch.device | str
) -> Iterator[tuple[int, T]]:
    """The number and the result of each task, when it is done.

    On a processor every task has one thread of its own, so that its rounding is that of one;
    another device has its own ways to do much at once.
    """
    if torch.device(device).type != "cpu":
        for i, task in enumerate(tasks):
            yield i, task()
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "points", torch.set_num_threads, (1,))
    try:
        # The end of the time is known in every thread.
        waiting = {
            pool.submit(contextvars.copy_context().run, task): i for i, task in enumerate(tasks)
        }
        for task in as_completed(waiting):
            yield waiting[task], task.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
