"""Lyapunov exponents of one setting: the largest from the growth of gradients, the law of all.

`lyapunov_spectrum` chooses: J = D W (memoryless) has a closed form, J = a + b W (linear, tied) has
that of its eigenvalues; of every other cell units are sampled and their stationary bath is solved
for.

Eq. (lyapunov).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.weight_ensembles import weight_ensemble
from rnnmft.lyapunov.curve import ExponentCurve
from rnnmft.lyapunov.linear import linear_curve
from rnnmft.lyapunov.memoryless import memoryless_curve
from rnnmft.lyapunov.spectrum import LyapunovSpectrum
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling
from rnnmft.spectra.memoryless_transfer import is_product, memoryless_transfer
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.theory.jacobian import jacobian_theory

__all__ = ["ExponentSetting", "largest_exponent", "lyapunov_spectrum"]

#: Of log y in the closed form: a cubic between nodes twice as far apart is 16 times as far off.
_STEP = 0.01
#: Numbers of the units' matrices in the longest window: 70 MB, a minute on one core.
_NUMBERS = 8.4e6
#: Independent parts: their scatter is known to 40 %.
_PARTS = 4


@dataclass(frozen=True)
class ExponentSetting:
    """Whose exponents.

    Args:
        cell, ensemble, inputs, tying: the setting.
        start: {state: standard deviation at t = 0}.
        sampling: of units, where they are sampled.
        burn_in: steps before them.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    start: Mapping[str, float]
    sampling: Sampling
    burn_in: int = 100

    @property
    def kind(self) -> str:
        """Conditional exponents compare trajectories under the same input."""
        through = [p for p in self.cell.preactivations if p.has_input]
        seen = any(self.ensemble[p.name].sigma_v > 0.0 for p in through)
        driven = self.inputs.R > 0.0 and (seen or self.cell.input is not None)
        return "conditional on the input" if driven else "autonomous"

    def check_coupling(self) -> None:
        """Refuse a cell whose units do not see each other.

        Raises:
            DerivationError: no preactivation has recurrent weights that are not 0.
        """
        if not any(
            p.is_recurrent and self.ensemble[p.name].sigma_w > 0 for p in self.cell.preactivations
        ):
            raise DerivationError(
                f"no recurrent weights couple the units of cell {self.cell.name!r}: its Lyapunov "
                "exponents are those of single units, and there is no law of a network to compute"
            )


def largest_exponent(setting: ExponentSetting, growth: Quantity, step: float = 1.0) -> Quantity:
    """lambda_1 from the growth rate of m_1(T), which is twice as large.

    Args:
        setting: whose.
        growth: lim (1/T) log m_1(T), per step.
        step: the time that one update takes.
    """
    name = f"largest Lyapunov exponent, {setting.kind}, {setting.tying}"
    unit = "per step" if step == 1.0 else "per unit of time"
    value, error = float(growth) / (2.0 * step), float(growth.error) / (2.0 * step)
    return Quantity(name, value, error, growth.status, unit, growth.error_kind)


def lyapunov_spectrum(
    setting: ExponentSetting,
    growth: Callable[[], Quantity],
    variance: Callable[[str], tuple[float, float]],
) -> LyapunovSpectrum:
    """The law of all exponents.

    Args:
        setting: whose.
        growth: gives lim (1/T) log m_1(T), twice the largest exponent.
        variance: gives the stationary variance of a preactivation by name, and its error.

    Raises:
        DerivationError: no recurrent weights couple the units; several widths.
        ConvergenceError: the largest exponent is not finite.
    """
    setting.check_coupling()
    if is_product(setting.cell):
        return _memoryless(setting, variance)
    constant = _constant_step(setting)
    if constant is not None:
        curve = linear_curve(*constant)
        other = linear_curve(*constant, nodes=len(curve.mu) // 2)
        return _record(setting, "eigenvalues of a linear network", curve, (other,))
    if setting.cell.has_widths:
        raise DerivationError(
            f"the Lyapunov spectrum of cell {setting.cell.name!r}, whose states have several "
            "widths, is not known; the largest exponent is: lyapunov()"
        )
    return _sampled(setting, growth())


def _record(
    setting: ExponentSetting, method: str, curve: ExponentCurve, bounds: tuple[ExponentCurve, ...]
) -> LyapunovSpectrum:
    states = len(setting.cell.states)
    return LyapunovSpectrum(setting.kind, setting.tying, method, states, curve, bounds)


def _memoryless(
    setting: ExponentSetting, variance: Callable[[str], tuple[float, float]]
) -> LyapunovSpectrum:
    (e,) = setting.cell.preactivations
    law = setting.ensemble[e.name]
    q, off = variance(e.name)

    def curve(at: float, step: float = _STEP) -> ExponentCurve:
        units: UnitTransfer = memoryless_transfer(setting.cell, setting.ensemble, max(at, 0.0))
        slopes = units.tau[:, 0, 1]
        return memoryless_curve(
            slopes, units.weight, law.sigma_w, weight_ensemble(law.weights), step
        )

    bounds = (curve(q, 2 * _STEP), *((curve(q + off), curve(q - off)) if off > 0.0 else ()))
    return _record(setting, "S-transform of one step", curve(q), bounds)


def _constant_step(setting: ExponentSetting) -> tuple[float, float, str] | None:
    """a, |b| sigma_w and the ensemble of J = a + b W, the same W at every step; else None."""
    cell = setting.cell
    if len(cell.states) != 1 or len(cell.preactivations) != 1 or setting.tying != "tied":
        return None
    entries = [block[0, 0] for block in jacobian_theory(cell).blocks]
    if not all(entry.is_number for entry in entries):
        return None
    (e,) = cell.preactivations
    law, (a, b, c, _) = setting.ensemble[e.name], (float(entry) for entry in entries)
    if law.weights not in ("gaussian", "orthogonal"):
        return None
    return a, abs(b * c) * law.sigma_w, law.weights


def _sampled(setting: ExponentSetting, growth: Quantity) -> LyapunovSpectrum:
    # Sampling needs torch: only settings that are sampled load it.
    from rnnmft.lyapunov.unit_steps import sampled_steps
    from rnnmft.lyapunov.windows import WINDOWS, sampled_curve
    from rnnmft.units.particles import UnitProcess

    largest, off = float(growth) / 2.0, float(growth.error) / 2.0
    if not math.isfinite(largest):
        raise ConvergenceError(growth.status, "(the largest Lyapunov exponent)")
    size = 2 * len(setting.cell.states) * WINDOWS[-1]
    *_, same_step = jacobian_theory(setting.cell).blocks
    folded = 1 if same_step.is_zero_matrix else 2  # as many matrices again
    units = int(min(setting.sampling.total, _NUMBERS / size**2 / folded)) // _PARTS * _PARTS
    sampling = replace(setting.sampling, units=units, repetitions=_PARTS)
    process = UnitProcess(
        setting.cell, setting.ensemble, setting.inputs, setting.tying, sampling, 1,
        start=setting.start,
    )  # fmt: skip
    for _ in range(setting.burn_in):
        process.step()
    found = sampled_curve(sampled_steps(process, WINDOWS[-1]), largest)
    curve = found.curve
    moved = ExponentCurve(np.append(curve.mu[:-1], largest + off), curve.above)
    objection = found.reason or ("" if growth.status.ok else f"lambda_1: {growth.status.value}")
    return replace(
        _record(setting, "stationary bath", curve, (*found.bounds, moved)),
        parts=found.parts,
        status=Status.NOT_CONVERGED if objection else Status.OK,
        reason=objection,
    )
