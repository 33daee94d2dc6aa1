"""What a cell is good for, in numbers by which an index can sort; all of the tied theory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from rnnmft.errors import Status
from rnnmft.gallery.region import Region
from rnnmft.language import Cell
from rnnmft.records import Quantity, Record
from rnnmft.report.memory import Memory
from rnnmft.report.singular_values import Spectra

__all__ = ["Merits", "matrices", "of_memory", "of_spectrum"]

# Matrices of a vanilla RNN, for the recurrent weights and for the input's.
_VANILLA = 2


@dataclass(frozen=True)
class Merits(Record):
    """The numbers of one cell at one place, each None where it does not exist.

    `memory`: the integrated memory of the state that remembers longest, in steps.
    `at_equal_parameters`: memory times units, per unit of a vanilla RNN with as many weights. A
    cell with K matrices of N x N has N = (P / K)^(1/2) units for P weights, so this is
    memory (2 / K)^(1/2).
    `m_1`: the mean squared singular value of the Jacobian over T steps.
    `kept`: m_1^2 / m_2 of it, the share of directions that carry a gradient over T steps: 1 where
    all singular values are equal (isometry, up to scale), 1 / N where one carries all.
    `growth`: of squared gradients, per step.
    `trainable`: the share of the map on which gradients change by less than a factor of 10 over 50
    steps.
    `matrices`: K, with the input as wide as the state.
    """

    memory: Quantity | None
    at_equal_parameters: Quantity | None
    m_1: Quantity | None
    kept: Quantity | None
    growth: Quantity | None
    trainable: Quantity | None
    matrices: int

    @classmethod
    def of(
        cls,
        cell: Cell,
        memory: Quantity | None,
        moments: Mapping[str, Quantity],
        region: Region | None,
    ) -> Merits:
        """From what a page shows.

        Args:
            cell: the cell.
            memory: of its states.
            moments: `m_1` and `kept`.
            region: the map.
        """
        count = matrices(cell)
        equal = None
        if memory is not None and count:
            share = math.sqrt(_VANILLA / count)
            value, error = share * float(memory), share * float(memory.error)
            name = "memory at equal parameters"
            equal = Quantity(name, value, error, memory.status, "steps", memory.error_kind)
        return cls(
            memory,
            equal,
            moments.get("m_1"),
            moments.get("kept"),
            None if region is None else region.growth,
            None if region is None else region.trainable,
            count,
        )

    def quantities(self) -> dict[str, Quantity | None]:
        """By name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: q for n, q in found.items() if n != "matrices"}


def matrices(cell: Cell) -> int:
    """How many N x N matrices a cell has, with the input as wide as the state.

    >>> from rnnmft import cells
    >>> matrices(cells.vanilla()), matrices(cells.lstm()), matrices(cells.gru_torch())
    (2, 8, 6)
    """
    return sum(p.is_recurrent + p.has_input for p in cell.preactivations)


def of_memory(memory: Memory | None) -> Quantity | None:
    """The longest memory among the states."""
    if memory is None:
        return None
    found = memory.found["tied"]
    longest = max((state for state, _ in memory.times), key=lambda s: found.timescale[s])
    return found.quantity("timescale", longest)


def of_spectrum(spectra: Spectra | None, horizon: int) -> dict[str, Quantity]:
    """`m_1` and `kept` of the Jacobian over so many steps, where theory has its moments."""
    rows = [] if spectra is None else spectra.moments
    at = {row.order: row.numbers["tied"] for row in rows if row.horizon == horizon}
    if not all("theory" in at.get(order, {}) for order in (1, 2)):
        return {}
    (m_1, error_1), (m_2, error_2) = at[1]["theory"], at[2]["theory"]
    kept = m_1**2 / m_2
    # Relative errors at their worst.
    error = kept * (2 * error_1 / m_1 + error_2 / m_2)
    return {
        "m_1": _number(f"m_1({horizon})", m_1, error_1, at[1]["error_kind"]),
        "kept": _number("m_1^2 / m_2", kept, error, at[2]["error_kind"]),
    }


def _number(name: str, value: float, error: float, kind: str) -> Quantity:
    ok = math.isfinite(value) and math.isfinite(error)
    return Quantity(name, value, error, Status.OK if ok else Status.UNDEFINED, error_kind=kind)
