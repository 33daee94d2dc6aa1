"""The phase diagram around a report's cell: which two parameters, how far, how many points."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import Axis
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.errors import DerivationError, RnnmftError
from rnnmft.language import Cell, Preactivation
from rnnmft.page.figure import Figure
from rnnmft.report.figures import phase_figure

if TYPE_CHECKING:
    import xarray

__all__ = ["axis_labels", "gate", "neighbourhood"]

# Of the map, along either axis: a choice; contours are interpolated between.
_POINTS = (31, 25)
# Where points are solved one by one: the coarsest grid worth having.
_COARSEST = (6, 5)


def gate(cell: Cell) -> Preactivation | None:
    """The preactivation that decides about memory: the first by which an old state is multiplied.

    None has one: the first with recurrent weights; None where there are no recurrent weights.

    >>> from rnnmft import cells
    >>> gate(cells.lstm()), gate(cells.gru()), gate(cells.vanilla())
    (f, z, e)
    >>> gate(cells.diagonal_peephole_lstm())
    f
    """
    recurrent = [p for p in cell.preactivations if p.is_recurrent]
    for state, update in cell.update.items():
        terms = sp.Add.make_args(sp.expand_mul(update))
        keeps = {s for t in terms if state in sp.Mul.make_args(t) for s in t.free_symbols}
        found = [p for p in recurrent if p in keeps]
        if found:
            return found[0]
    return recurrent[0] if recurrent else None


def neighbourhood(
    field: MeanField, seconds: float, progress: Callable[[float, float], object] | None = None
) -> Figure:
    """The phase diagram in sigma_w and mu_b of the gate, as fine as the seconds allow.

    Raises:
        RnnmftError: there are no recurrent weights, or a point takes too long.
    """
    p = gate(field.cell)
    if p is None:
        raise DerivationError("There are no recurrent weights to vary.")
    law = field.ensemble[p.name]
    # Gated cells turn chaotic at larger weights than others.
    far = 8.0 if any(p in f.diff(s).free_symbols for s, f in field.cell.update.items()) else 4.0
    shape = _shape(field, seconds)
    vary: dict[Axis, list[float]] = {
        (p.name, "sigma_w"): np.linspace(0.05, max(2.0 * law.sigma_w, far), shape[0]).tolist(),
        (p.name, "mu_b"): np.linspace(law.mu_b - 4.0, law.mu_b + 4.0, shape[1]).tolist(),
    }
    found: xarray.Dataset = phase_diagram(
        field.cell,
        field.ensemble,
        field.inputs,
        vary,
        ["gradient_growth"],
        field.tying,
        progress,
        field.start,
    )
    return phase_figure(found, (law.sigma_w, law.mu_b), axis_labels(field.cell, p.name))


def axis_labels(cell: Cell, name: str) -> tuple[str, str]:
    r"""LaTeX of sigma_w and mu_b of a preactivation, which a cell with one need not name.

    >>> from rnnmft import cells
    >>> axis_labels(cells.lstm(), "f")
    ('\\sigma_{w, f}', '\\mu_{b, f}')
    """
    index = f", {sp.latex(sp.Symbol(name))}" if len(cell.preactivations) > 1 else ""
    return rf"\sigma_{{w{index}}}", rf"\mu_{{b{index}}}"


def _shape(field: MeanField, seconds: float) -> tuple[int, int]:
    """The full grid where it is solved at once; else what the time allows."""
    if field.recursion is not None:
        return _POINTS
    start = time.thread_time()
    fresh = MeanField(field.cell, field.ensemble, field.inputs, field.tying, start=field.start)
    # Only its time is wanted: the points of the map answer for themselves.
    with contextlib.suppress(RnnmftError):
        fresh.gradient_growth()
    each = max(time.thread_time() - start, 1e-3)
    share = min(seconds / each / (_POINTS[0] * _POINTS[1]), 1.0)
    shape = (int(_POINTS[0] * share**0.5), int(_POINTS[1] * share**0.5))
    if shape[0] < _COARSEST[0] or shape[1] < _COARSEST[1]:
        raise DerivationError(f"One of its points takes {each:.1f} s: `rnnmft phase` has time.")
    return shape
