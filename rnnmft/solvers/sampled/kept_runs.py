"""Runs that are kept where they ended, so that a longer run of the same units goes on from there.

Units are numbered and their numbers drawn in the order of the steps: going on is the same as
starting again, to the bit, without the steps that were taken before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch

from rnnmft.units.averaged_tangent import AveragedTangent, numbers_a_unit
from rnnmft.units.particles import UnitProcess

__all__ = ["KeptRuns"]

#: Times the memory of runs that a perturbation may take: a batch's, for the one that goes on; and
#: all of them, of which the oldest is forgotten first.
_TANGENTS, _ALL_TANGENTS = 4, 16

Tensor = torch.Tensor
#: What was recorded at each step, by name.
Recorded = dict[str, list[Tensor]]
#: A perturbation of a process, and what was recorded of it.
Perturbed = tuple[AveragedTangent, Recorded]


@dataclass
class _Kept:
    process: UnitProcess
    recorded: Recorded | None
    size: int


class KeptRuns:
    """The last few runs, within an amount of memory. On a processor: a GPU's memory is for units.

    Args:
        memory: bytes that all of them may take.
    """

    def __init__(self, memory: int = 1 << 27) -> None:
        self.memory = memory
        self.runs: dict[Hashable, _Kept] = {}
        self.tangents: dict[Hashable, Perturbed] = {}
        self._sizes: dict[Hashable, int] = {}

    def resume(
        self, which: Hashable, steps: int, start: Callable[[], UnitProcess], *, recorded: bool
    ) -> tuple[UnitProcess, Recorded]:
        """A process that is free to go on, and what was recorded of it so far.

        Args:
            which: units these are.
            steps: that the process may have taken, at most.
            start: makes it where none is kept.
            recorded: whether every step so far must be on record.
        """
        kept = self.runs.get(which)
        if kept is None or kept.process.time > steps or (recorded and kept.recorded is None):
            return start(), {}
        return kept.process.copy(), {n: list(rows) for n, rows in (kept.recorded or {}).items()}

    def keep(
        self,
        which: Hashable,
        process: UnitProcess,
        recorded: Recorded | None = None,
        *,
        ended: bool = False,
    ) -> None:
        """Keep a copy of a process as it is now, in place of an earlier one.

        Args:
            which: units these are.
            process: them.
            recorded: what was, at every step.
            ended: the process does not go on: it is kept itself.
        """
        size = process.bytes
        if size > self.memory or process.like.device.type != "cpu":
            return
        self.runs.pop(which, None)
        while self.runs and sum(k.size for k in self.runs.values()) + size > self.memory:
            del self.runs[next(iter(self.runs))]
        kept = process if ended else process.copy()
        self.runs[which] = _Kept(kept, recorded and dict(recorded), size)

    # --- perturbations ---------------------------------------------------------------------------

    def take_tangent(
        self, which: Hashable, horizon: int
    ) -> tuple[AveragedTangent, Recorded] | None:
        """A perturbation of no more steps than that, and its record: whoever takes it goes on."""
        kept = self.tangents.pop(which, None)
        self._sizes.pop(which, None)
        if kept is None or any(len(rows) > horizon for rows in kept[1].values()):
            return None
        return kept

    def keep_tangent(self, which: Hashable, tangent: AveragedTangent, recorded: Recorded) -> None:
        """Keep a perturbation for longer runs of it, until `release`."""
        process = tangent.process
        if process.like.device.type != "cpu":
            return
        steps = max(len(rows) for rows in recorded.values())
        numbers = numbers_a_unit(process.cell, steps, tangent.sides, process.tied)
        size = numbers * process.shape[0] * process.shape[2] * process.like.element_size()
        size += process.bytes
        if size > _TANGENTS * self.memory:
            return
        while self.tangents and sum(self._sizes.values()) + size > _ALL_TANGENTS * self.memory:
            oldest = next(iter(self.tangents))
            del self.tangents[oldest], self._sizes[oldest]
        self.tangents[which], self._sizes[which] = (tangent, recorded), size

    def release(self) -> None:
        """Forget all perturbations."""
        self.tangents.clear()
        self._sizes.clear()
