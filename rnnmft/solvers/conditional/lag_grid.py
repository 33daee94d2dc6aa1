"""The lags at which a covariance is known: all of the first, then ever fewer.

Beyond the first n lags the spacing doubles with the lag: n of them per octave (at least). Gates may
change from step to step while a state that they keep forgets over thousands; its covariance at
long lags is smooth, that at short ones is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

__all__ = ["LagGrid"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class LagGrid:
    """Lags 0 = l_0 < l_1 < .. < l_K = last, whose distances are powers of 2.

    Args:
        last: the longest lag, a power of 2.
        near: all lags up to this power of 2 are there.

    >>> LagGrid(16, 4).lags
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
    """

    last: int
    near: int

    @cached_property
    def lags(self) -> list[int]:
        """l_0, .., l_K."""
        found = [0]
        while found[-1] < self.last:
            found.append(found[-1] + max(1, _power_below(found[-1]) // self.near))
        return found

    @cached_property
    def steps(self) -> list[int]:
        """l_1 - l_0, .., l_K - l_{K - 1}."""
        return [b - a for a, b in zip(self.lags, self.lags[1:], strict=False)]

    def at_all_lags(self, values: Tensor) -> Tensor:
        """(K + 1, ..) at the lags of the grid, (last + 1, ..) at all, by straight lines."""
        every = torch.arange(self.last + 1)
        lags = torch.tensor(self.lags)
        left = (torch.searchsorted(lags, every, right=True) - 1).clamp(max=len(lags) - 2)
        part = (every - lags[left]) / (lags[left + 1] - lags[left])
        part = part.to(values).reshape(-1, *[1] * (values.ndim - 1))
        left = left.to(values.device)
        return torch.lerp(values[left], values[left + 1], part)


def _power_below(number: int) -> int:
    """The largest power of 2 that is no larger; 0 of 0."""
    return 1 << (number.bit_length() - 1) if number else 0
