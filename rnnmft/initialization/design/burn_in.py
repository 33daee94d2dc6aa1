"""Burn-in: the steps from the zero state after which a critical cell counts as stationary."""

from __future__ import annotations

__all__ = ["stationary_after"]

# A cell made to remember T steps approaches its stationary moments as exp(-t / T): after 6 T steps
# exp(-6), a quarter of a percent, is missing. Gates forget in some ten steps however short T is.
# Where 400 steps are fewer than 6 T, exp(-400 / T) is missing: each step shows one set of weights a
# direction more, and costs sampled units the more.
_MEMORIES, _LEAST, _MOST = 6, 60, 400


def stationary_after(horizon: float) -> int:
    """Steps until a cell made to remember `horizon` of them is stationary, to exp(-6)."""
    return int(min(max(_LEAST, _MEMORIES * horizon), _MOST))
