"""Points of a parameter space whose units move together: one row of units for each.

Rows of units belong to repetitions and, within a repetition, to points: row r B + b is point b of
repetition r. The points of a repetition share all random numbers, so that what is sampled is a
smooth function of the parameters, and the weights' numbers act on all of them by one product of
matrices; or every row has its own, so that what chance does to one says nothing of the others. A
parameter is a number where the points agree on it, one number a row where they do not.

Eq. (tied-basis).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs

__all__ = ["Number", "Points", "RowLaw", "is_positive", "spread"]

Tensor = torch.Tensor
#: A parameter: of all rows, or one number a row, (rows, 1, 1).
Number = float | Tensor
#: An ensemble and the inputs.
Setting = tuple[Ensemble, Inputs]


@dataclass(frozen=True)
class RowLaw:
    """The parameters of one preactivation at every row."""

    sigma_w: Number
    sigma_v: Number
    sigma_b: Number
    mu_b: Number


class Points:
    """The settings of B points for R repetitions.

    Args:
        cell: of all points.
        settings: what may differ are the numbers of the preactivations' laws and R; a correlation
            of inputs, a kappa, laws of elementwise parameters and kinds of weights may not.
        repetitions: R.
        like: a tensor of the wanted dtype and device.

    Attributes:
        count: B.
        laws: {preactivation: its parameters}.
        R: the inputs' second moment.
    """

    def __init__(
        self, cell: Cell, settings: Sequence[Setting], repetitions: int, like: Tensor
    ) -> None:
        self.count, self._repetitions, self._like = len(settings), repetitions, like
        ensembles, inputs = zip(*settings, strict=True)
        _check(cell, ensembles, inputs)
        self.laws = {
            p.name: RowLaw(
                *(
                    self._number([getattr(e[p.name], name) for e in ensembles])
                    for name in RowLaw.__dataclass_fields__
                )
            )
            for p in cell.preactivations
        }
        self.R = self._number([i.R for i in inputs])

    @property
    def rows(self) -> int:
        """R B."""
        return self._repetitions * self.count

    def _number(self, values: Sequence[float]) -> Number:
        if all(value == values[0] for value in values):
            return values[0]
        return self._like.new_tensor(values).repeat(self._repetitions)[:, None, None]


def _check(cell: Cell, ensembles: Sequence[Ensemble], inputs: Sequence[Inputs]) -> None:
    for p in cell.preactivations:
        if any(p.name not in e for e in ensembles):
            raise ParameterError(
                f"the ensemble has no preactivation {p.name!r}: it was made for another cell"
            )
    first, given = ensembles[0], inputs[0]
    same = all(e.parameters == first.parameters for e in ensembles)
    same = same and all(
        (i.correlation, i.temporal) == (given.correlation, given.temporal) and i.data is given.data
        for i in inputs
    )
    if not same:
        raise ParameterError("points that move together have the same kind of inputs and laws")


def is_positive(value: Number) -> bool:
    """Whether a parameter that is never negative is positive at any row."""
    return bool((value > 0.0).any()) if isinstance(value, Tensor) else value > 0.0


def spread(values: Tensor, rows: int) -> Tensor:
    """Numbers of repetitions, (R, ..), given to every point of theirs: (rows, ..)."""
    return values if len(values) == rows else values.repeat_interleave(rows // len(values), 0)
