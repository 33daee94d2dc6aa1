"""Target: what is compared, what the theory predicts of it, and where networks measure it."""

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
    """One number, or one a step, to be compared.

    Attributes:
        name: as a report prints it: "E[h^2]", "q*_e", "m_1(5)", "C_h".
        latex: the same as LaTeX.
        quantity, of: the field of a `Simulation` and the key in it: ("second_moment", "h"),
            ("jacobian", "5"), ("autocovariance", "h"); or ("effective_dimension", "5"),
            ("gradient_growth", "1-5"), ("layer_jacobian", "2<-1, 5").
        tying: whose theory.
        prediction: of the theory.
        primary: whether it is claimed. The others have heavy-tailed samples, with which nothing
            could be decided: they are shown beside the claims, and not tested.
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


#: Targets of one kind, and what had to be left out of them.
Claimed = tuple[list[Target], list[Untested]]


def stationary_window(steps: int) -> slice:
    """The last third of the steps."""
    return slice(steps - max(1, steps // 3), steps)
