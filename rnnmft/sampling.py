"""Sampling: how many units of the infinite-width process are drawn, how, and to what accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rnnmft.errors import ParameterError
from rnnmft.parameters import check_count
from rnnmft.records import Record

__all__ = ["FEWEST", "NORMALS", "SETTLE_WITHIN", "Sampling", "check_particles"]

NORMALS = ("sobol", "random")
_CPU_MEMORY = 1 << 29
# Of a repetition, whatever is asked: fewer have no averages to speak of.
_FEWEST_ASKED = 16
# Long runs: before a repetition has fewer units than this there are fewer repetitions, ..
_FEWEST_UNITS, _FEWEST_REPETITIONS = 1024, 8
# .. and it never has fewer than this: its bias falls as one over the units.
_LEAST_UNITS = 1024
#: The fewest units in all of a run that is as long as its work allows.
FEWEST = _FEWEST_REPETITIONS * _LEAST_UNITS
#: Steps that a state of a map has to settle in: a slower one costs its point a second and more.
SETTLE_WITHIN = 2048


@dataclass(frozen=True)
class Sampling(Record):
    """How to sample units.

    Args:
        units: in all; a repetition gets an equal part (with Sobol numbers the next power of two).
        repetitions: independent parts, from whose spread the standard errors come.
        seed: of everything.
        device: "auto", "cpu", "cuda", ...
        dtype: "float64" or "float32". Single precision resolves relative differences above 3e-3
            of a standard deviation only; nearly equal trajectories need double.
        normals: "sobol" (scrambled quasi-random) or "random" (pseudo-random).
        tolerance: the wanted standard error, relative to the scale of each number; then `units`
            is only where the search begins, and units are added until the tolerance is met.
        max_units: where that stops.
        memory: bytes that one batch of repetitions may take; half a GiB on a CPU, half of what is
            free on a GPU when absent.
        work: units times steps times directions seen that one run may take, about a second for
            each 4e8 on one core; a longer run gets fewer units. As many as were asked for when
            absent.

    Raises:
        ParameterError: an argument outside its domain.
    """

    units: int = 1 << 19
    repetitions: int = 16
    seed: int = 0
    device: str = "auto"
    dtype: str = "float64"
    normals: str = "sobol"
    tolerance: float | None = None
    max_units: int = 1 << 22
    memory: int | None = None
    work: float | None = None

    def __post_init__(self) -> None:
        check_particles(self.repetitions, units=self.units, max_units=self.max_units)
        check_count("seed", self.seed, 0)
        if self.memory is not None:
            check_count("memory", self.memory, 1 << 20)
        if self.work is not None and not 0 < float(self.work) < math.inf:
            raise ParameterError(f"work must be a positive number, got {self.work!r}")
        if self.normals not in NORMALS:
            raise ParameterError(
                f"normals must be one of {', '.join(NORMALS)}, got {self.normals!r}"
            )
        if self.tolerance is not None and not 0 < float(self.tolerance) < math.inf:
            raise ParameterError(f"tolerance must be a positive number, got {self.tolerance!r}")

    @property
    def per_repetition(self) -> int:
        """Units in one repetition."""
        units = self.units // self.repetitions
        return 1 << (units - 1).bit_length() if self.normals == "sobol" else units

    @property
    def total(self) -> int:
        """Units that are really drawn."""
        return self.repetitions * self.per_repetition

    def of(self, per_repetition: int, repetitions: int) -> Sampling:
        """The same sampling with other numbers of units."""
        return replace(self, units=per_repetition * repetitions, repetitions=repetitions)

    def for_steps(self, steps: int, directions: int | None = None) -> Sampling:
        """The same sampling with as many units as the work of a run of so many steps allows.

        Args:
            steps: of the run.
            directions: that the weights are expected to see; one a step when absent.
        """
        if self.work is None or self.tolerance is not None:
            return self
        seen = steps if directions is None else min(max(directions, 1), steps)
        allowed = self.work / steps / seen
        if allowed >= self.total:
            return self
        repetitions = self.repetitions
        if allowed < _FEWEST_UNITS * repetitions:
            repetitions = max(2, min(repetitions, _FEWEST_REPETITIONS))
        units = max(_LEAST_UNITS, 1 << int(math.log2(allowed / repetitions)))
        return self.of(min(units, self.per_repetition), repetitions)

    def batch_memory(self, free: int | None = None) -> int:
        """Bytes that one batch may take; `free` is what a GPU has left."""
        if self.memory is not None:
            return self.memory
        return _CPU_MEMORY if free is None else free // 2


def check_particles(repetitions: int, **numbers: int) -> None:
    """Raise ParameterError where numbers of units, by the name of the argument, are too few.

    Units are `particles` to whoever asks for a theory: messages name the argument that was given.
    """
    fewest = _FEWEST_ASKED * check_count("repetitions", repetitions, 2)
    for name, number in numbers.items():
        check_count(name, number, fewest)
