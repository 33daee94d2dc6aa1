"""A time budget: whoever computes for long asks here whether the time is over.

The loops that all long computations go through (a step of sampled units, a Gaussian expectation)
call `check_deadline`; outside `deadline` that does nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rnnmft.errors import OutOfTimeError

__all__ = ["check_deadline", "deadline", "seconds_left"]

Clock = Callable[[], float]

# When the time is over, by each clock that an end was set by.
_ENDS: ContextVar[tuple[tuple[Clock, float], ...]] = ContextVar("_ENDS", default=())


@contextmanager
def deadline(seconds: float, clock: Clock = time.monotonic) -> Iterator[None]:
    """Let everything inside end after so many seconds; an earlier end around it stays.

    By `time.process_time` a busy machine ends nothing that an idle one would not.

    >>> with deadline(0.0):
    ...     check_deadline()
    Traceback (most recent call last):
    rnnmft.errors.OutOfTimeError: the time budget is used up
    """
    token = _ENDS.set((*_ENDS.get(), (clock, clock() + seconds)))
    try:
        yield
    finally:
        _ENDS.reset(token)


def seconds_left() -> float:
    """Seconds until the end, 0 when it is over, infinity where there is none."""
    return max(min((end - clock() for clock, end in _ENDS.get()), default=math.inf), 0.0)


def check_deadline() -> None:
    """Do nothing while there is time.

    Raises:
        OutOfTimeError: there is none.
    """
    if any(clock() >= end for clock, end in _ENDS.get()):
        raise OutOfTimeError("the time budget is used up")
