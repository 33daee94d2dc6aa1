"""What would mend a layer whose gradients do not live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnmft.records import Record

if TYPE_CHECKING:
    from rnnmft.diagnosis.record import LayerDiagnosis

__all__ = ["Advice", "advise"]


@dataclass(frozen=True)
class Advice(Record):
    """One piece of advice: which layers it is for, and a sentence with its numbers."""

    layers: tuple[str, ...]
    sentence: str


def advise(layers: Sequence[LayerDiagnosis]) -> tuple[Advice, ...]:
    """Advice for the layers that are not healthy."""
    return ()
