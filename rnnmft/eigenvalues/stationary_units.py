"""The units of one step at stationarity: quadrature nodes, or samples of a run that has settled.

Eq. (linearised), Eq. (factor).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.eigenvalues.linear_units import LinearUnits
from rnnmft.errors import DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.spectra.memoryless_transfer import is_product, memoryless_transfer
from rnnmft.spectra.width_classes import by_width

__all__ = ["eigenvalue_law"]

#: Units, at least, of the run that finds out how many steps stationarity takes: as many as make a
#: law by default, so that what it may miss is less than their noise;
#: and where slow units show their weights more directions than so many have.
_SETTLING, _MANY = 1 << 12, 1 << 14


def eigenvalue_law(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    tying: str,
    sampling: Sampling,
    start: Mapping[str, float],
    variance: Callable[[str], float],
) -> EigenvalueLaw:
    """The law of the eigenvalues of the one-step Jacobian of one setting.

    Args:
        cell: the cell.
        ensemble: its law.
        inputs: theirs.
        tying: "tied" or "untied".
        sampling: how many units, where they are sampled.
        start: {state: standard deviation at t = 0}.
        variance: gives the stationary variance of a preactivation by name.

    Raises:
        ConvergenceError: there is no stationary state.
        DerivationError: orthogonal matrices of several widths.
    """
    if is_product(cell):
        (e,) = cell.preactivations
        nodes = memoryless_transfer(cell, ensemble, variance(e.name))
        return EigenvalueLaw(tying, LinearUnits.of(nodes))
    if cell.has_widths and {law.weights for law in ensemble.values()} != {"gaussian"}:
        raise DerivationError(
            f"the eigenvalues of cell {cell.name!r}, whose states have several widths, are known "
            "for gaussian weights; moments and spectra of J J^T are for orthogonal ones, too"
        )
    # Sampling needs torch: only settings that are sampled load it.
    from rnnmft.solvers.sampled.drawing import Drawing
    from rnnmft.solvers.sampled.runs import SampledSetting
    from rnnmft.spectra.sampled_transfer import sampled_transfer

    setting = SampledSetting(cell, ensemble, inputs, tying, start)
    drawn = replace(sampling, tolerance=None, work=None)
    for many in (max(drawn.units, _SETTLING), _MANY):
        at = Drawing(setting, replace(drawn, units=many), with_small=False).stationary
        if at.status is not Status.FEW_UNITS or many >= _MANY:
            break
    # Where these are the units that settled, they go on from there.
    process = setting.stepped(drawn, range(drawn.repetitions), at.steps, 1)
    units = LinearUnits.of(by_width(sampled_transfer(process, 1), cell))
    finite = all(np.isfinite(x).all() for x in (units.a, units.b, units.c, units.d))
    return EigenvalueLaw(tying, units, at.status if finite else Status.DIVERGES)
