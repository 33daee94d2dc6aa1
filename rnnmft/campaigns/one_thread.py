"""One thread for linear algebra: sums in one order, so that a chunk has the same bytes anywhere."""

from __future__ import annotations

from contextlib import AbstractContextManager

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[object]:
    """While it is open, BLAS and OpenMP use one thread each; workers are what runs in parallel."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
