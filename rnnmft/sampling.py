"""Sampling: how many units of the infinite-width process are drawn, and how."""

from __future__ import annotations

from dataclasses import dataclass

from rnnmft.parameters import check_count
from rnnmft.records import Record

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling(Record):
    """How to sample: units in all, independent repetitions, seed, device, precision.

    `matched`: whether each new column of normal numbers is made exactly standard and orthogonal to
    the earlier ones over a repetition's units (a variance reduction; it biases by O(1/units)).
    """

    units: int = 100_000
    repetitions: int = 8
    seed: int = 0
    device: str = "auto"
    dtype: str = "float64"
    matched: bool = True

    def __post_init__(self) -> None:
        check_count("repetitions", self.repetitions, 2)
        check_count("units", self.units, 16 * self.repetitions)
        check_count("seed", self.seed, 0)

    @property
    def per_repetition(self) -> int:
        """Units in one repetition."""
        return self.units // self.repetitions
