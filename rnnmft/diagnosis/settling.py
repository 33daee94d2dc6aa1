"""How long a network takes to forget that it started from zero: its burn-in.

    E[s^2] over (t/3, 2t/3]  against  E[s^2] over (2t/3, t]

A network that still forgets has moments that still move. Cells with gates near 1 take hundreds of
steps where a vanilla network takes ten, so the burn-in follows what the layer does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

__all__ = ["LONGEST_BURN_IN", "BurnInWatch"]

Tensor = torch.Tensor
# Steps that are looked at before anything counts as settled, as the theory's own burn-in.
_SHORTEST = 30
#: Nothing is waited for longer: a gate that remembers 300 steps has settled to 4 % by then.
LONGEST_BURN_IN = 1000
# The longer a layer has not settled, the more seldom it is asked again: after a third of the steps.
_AGAIN = 4 / 3
# A second moment counts as settled when it moves by less than this fraction of itself ..
_TOLERANCE = 0.02
# .. or by less than so many of its standard errors.
_STANDARD_ERRORS = 2.0


@dataclass
class BurnInWatch:
    """Watches the second moments of a layer's states, step by step.

    Attributes:
        drift: by what fraction of itself the second moment of the slowest state still moved when
            last looked at; nan before, and where states have overflowed.
        settled: whether that is little.
    """

    drift: float = math.nan
    settled: bool = False
    _moments: list[Tensor] = field(default_factory=list)
    _next: int = _SHORTEST

    def watch(self, states: Sequence[Tensor]) -> None:
        """Take the states, (sequences, N) each, after one more step."""
        self._moments.append(torch.stack([s.double().square().mean(1).cpu() for s in states], 1))
        if len(self._moments) >= self._next and not self.settled:
            self._next = math.ceil(self._next * _AGAIN)
            self._look()

    def close(self) -> None:
        """Look once more, where the burn-in ends before it was due."""
        if not self.settled and len(self._moments) >= 3:
            self._look()

    def _look(self) -> None:
        steps = len(self._moments)
        moments = torch.stack(self._moments)  # (steps, sequences, states)
        late = moments[2 * steps // 3 :]
        before, after = moments[steps // 3 : 2 * steps // 3].mean(0), late.mean(0)
        moved, size = (after - before).mean(0), after.mean(0)
        if not size.isfinite().all():
            self.drift, self.settled = math.nan, False
            return
        if len(after) > 1:
            noise = (after - before).std(0) / math.sqrt(len(after))
        else:  # one sequence: its scatter in time
            noise = late[:, 0].std(0, correction=0) * math.sqrt(2.0 / len(late))
        relative = torch.where(size > 0, moved.abs() / size, 0.0)
        little = (relative <= _TOLERANCE) | (moved.abs() <= _STANDARD_ERRORS * noise)
        self.drift, self.settled = float(relative.max()), bool(little.all())
