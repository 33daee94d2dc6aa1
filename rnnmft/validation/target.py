"""Target: one claim to be tested, what the theory predicts of it, and where networks measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.records import Record
from rnnmft.simulation import Simulation
from rnnmft.validation.verdicts import Prediction

__all__ = ["Claimed", "Target", "Untested", "stationary_window"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Target(Record):
    """One claim to be tested.

    Attributes:
        name: as a report prints it: "E[h^2]", "q*_e", "m_1(5)", "C_h".
        latex: the same as LaTeX.
        quantity, of: the field of a `Simulation` and the key in it: ("second_moment", "h"),
            ("jacobian", "5"), ("autocovariance", "h"); growth is ("gradient_growth", "1-5").
        tying: whose theory.
        prediction: of the theory.
        primary: whether its control must be rejected for a report to pass. The others have
            heavy-tailed samples; they are tested, and a report says what it could resolve.
        measured: the samples (networks, ...) in a simulation.
    """

    name: str
    latex: str
    quantity: str
    of: str
    tying: str
    prediction: Prediction
    primary: bool
    measured: Callable[[Simulation], Array] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Every field but the function."""
        found = {k: v for k, v in vars(self).items() if k not in ("measured", "prediction")}
        return {**found, "prediction": self.prediction.to_dict()}


@dataclass(frozen=True)
class Untested(Record):
    """A number that is not tested, and why."""

    name: str
    tying: str
    reason: str


#: Claims of one kind, and what had to be left out of them.
Claimed = tuple[list[Target], list[Untested]]


def stationary_window(steps: int) -> slice:
    """The last third of the steps."""
    return slice(steps - max(1, steps // 3), steps)
