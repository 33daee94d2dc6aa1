"""A budget of time for what may be left out of a page."""

from __future__ import annotations

import time

__all__ = ["Budget"]


class Budget:
    """Seconds of the calling thread's processor time, so that a busy machine cuts nothing."""

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds

    @property
    def left(self) -> float:
        """Seconds that remain; 0 when it is used up."""
        return max(self._end - time.thread_time(), 0.0)

    def part(self, share: float) -> Budget:
        """A budget that is a share of what remains."""
        return Budget(share * self.left)

    def affords(self, seconds: float) -> bool:
        """Whether so much remains."""
        return seconds <= self.left
