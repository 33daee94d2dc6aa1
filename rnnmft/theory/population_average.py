"""What averages over the units are in a derivation, and what theories leave out of them.

m = (1/N) sum_i f_i becomes E[f]. dm/ds_i = f'/N is small for every unit: what m adds to the
Jacobian, (ds'/dm)(dm/ds), is a matrix of rank one and norm O(1), which moves no trace (1/N) tr and
no bulk of a spectrum. It can make a few singular values outliers.

Eq. (population-average), Eq. (rank-one).
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from rnnmft.language import Cell
from rnnmft.theory.steps import Step

__all__ = ["averages_step", "left_out"]


def left_out(cell: Cell) -> str:
    """What the names of the Jacobian's numbers say where the cell has averages; else nothing.

    >>> from rnnmft import cells
    >>> left_out(cells.get("rms_norm_rnn")), left_out(cells.lstm())
    (', averages over units held', '')
    """
    return ", averages over units held" if cell.averages else ""


def averages_step(equations: Sequence[sp.Eq]) -> Step:
    """The step with these equations m = E[f]."""
    return Step(
        "Averages over the units",
        None,
        list(equations),
        "A mean of very many units is an expectation over one: a number at each step, the same for "
        "all units. Sequences of one law have one such number.",
        "No unit moves it: its share of the Jacobian has rank one a step, which changes neither "
        "(1/N) tr J J^T nor the bulk of a spectrum, and is dropped; it can add outliers.",
    )
