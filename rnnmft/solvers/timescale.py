"""xi = -1 / log |slope|: in how many steps what a map shrinks has shrunk by a factor of e.

A slope of 0 forgets at once, xi = 0; one of 1 or more never, xi = inf. Eq. (xi).
"""

from __future__ import annotations

import math

from rnnmft.errors import Status

__all__ = ["NO_CORRELATION_TIME", "timescale", "timescale_error"]

#: xi_c, its error and its status where the stationary state is zero and nothing correlates.
NO_CORRELATION_TIME = math.nan, math.nan, Status.UNDEFINED


def timescale(slope: float) -> float:
    """xi in steps.

    >>> round(timescale(0.9), 3), timescale(0.0), timescale(1.5)
    (9.491, 0.0, inf)
    """
    size = abs(slope)
    if size == 0.0:
        return 0.0
    return -1.0 / math.log(size) if size < 1.0 else math.inf


def timescale_error(slope: float, error: float) -> float:
    """How far xi may be off by an error of the slope; inf where slope and error straddle 1.

    >>> timescale_error(0.9, 0.2), timescale_error(1.5, 0.2), timescale_error(0.5, 0.0)
    (inf, 0.0, 0.0)
    """
    size, xi = abs(slope), timescale(slope)
    if size + error < 1.0:
        return timescale(size + error) - xi
    return 0.0 if size - error >= 1.0 else math.inf
