"""A time budget: whoever computes for long asks here whether the time is over.

The loops that all long computations go through (a step of sampled units, a Gaussian expectation)
call `check_deadline`; outside `deadline` that does nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rnnmft.errors import OutOfTimeError

__all__ = ["check_deadline", "deadline", "seconds_left"]

# When the time is over, by the monotonic clock.
_END: ContextVar[float] = ContextVar("_END", default=math.inf)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let everything inside end after so many seconds; an earlier end around it stays.

    >>> with deadline(0.0):
    ...     check_deadline()
    Traceback (most recent call last):
    rnnmft.errors.OutOfTimeError: the time budget is used up
    """
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def seconds_left() -> float:
    """Seconds until the end, 0 when it is over, infinity where there is none."""
    return max(_END.get() - time.monotonic(), 0.0)


def check_deadline() -> None:
    """Do nothing while there is time.

    Raises:
        OutOfTimeError: there is none.
    """
    if time.monotonic() >= _END.get():
        raise OutOfTimeError("the time budget is used up")
