"""A critical ensemble: what it is, why it is this one, and what theory says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import sympy as sp

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import Status
from rnnmft.initialization.design.design import Design
from rnnmft.initialization.design.formula import critical_formula
from rnnmft.initialization.design.tied import TiedGrowth
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import check_tying
from rnnmft.records import BOUND, Measured, Quantity
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.homogeneous import homogeneous
from rnnmft.solvers.results import FixedPoint, Timescales

__all__ = ["CriticalEnsemble"]

#: In the matrices of all units behind a variance: 128 MiB. Sampling may round it up to twice as
#: many.
_NUMBERS = 1 << 24
#: Units of numbers that only need a percent: the mean over a run of 16 steps and more of so many.
_FEW = 1 << 13


@lru_cache(maxsize=32)
def _theory(
    cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str, sampling: Sampling
) -> MeanField:
    """The theory of a setting, made once: it keeps what it has computed."""
    return MeanField(
        cell,
        ensemble,
        inputs,
        tying,
        particles=sampling.units,
        repetitions=sampling.repetitions,
        seed=sampling.seed,
        device=sampling.device,
    )


@dataclass(frozen=True)
class CriticalEnsemble(Measured):
    """A critical ensemble, with its predictions and its reasons.

    Its own numbers `correction`, `chi` and `variance_growth` are quantities by these names.

    Attributes:
        design: cell, inputs, and what was chosen of each preactivation before solving.
        ensemble: the answer; for tied weights if `tying` says so.
        untied_ensemble: the untied answer, from which a tied one was found.
        tying: "untied" or "tied": for which theory gradients neither grow nor decay.
        objective, horizon: what chose the free directions, over how many steps.
        method: how averages were found: "closed moments", "transport of the law", ...
        reasons: why each number is what it is, one sentence each.
        tied_growth: at the untied answer and at this one, where they were measured.
        burn_in: steps from the zero state until the cell counts as stationary, where units are
            sampled: a Jacobian starts then.
        sampling: the units of everything that is sampled.
    """

    design: Design
    ensemble: Ensemble
    untied_ensemble: Ensemble
    tying: str
    objective: str
    horizon: float
    method: str
    reasons: tuple[str, ...]
    tied_growth: Mapping[str, Quantity]
    burn_in: int
    sampling: Sampling = field(repr=False)

    kinds: ClassVar[Mapping[str, str]] = {
        "correction": "dimensionless",
        "chi": "dimensionless",
        "variance_growth": "per step",
    }

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a number; of `correction`, as much as leaves growth within its own error.

        Growth goes with log sigma_w as its search found, and with unit slope where none was needed.
        """
        if kind == "chi":
            return self.timescales("untied").error["chi_1"]
        if kind == "variance_growth" or "answer" not in self.tied_growth:
            return 0.0
        before, after = self.tied_growth["untied answer"], self.tied_growth["answer"]
        moved, change = math.log(self.correction), float(after) - float(before)
        slope = change / moved if moved * change > 0.0 else 1.0
        return self.correction * float(after.error) / slope

    def status_of(self, kind: str, name: str | None) -> Any:
        """The status of a number."""
        if kind == "chi":
            return self.timescales("untied").quantity("chi_1").status
        if kind == "variance_growth":
            return Status.OK
        return Status.worst(*(q.status for q in self.tied_growth.values()))

    def error_kind_of(self, kind: str) -> str:
        """What the error of a kind is."""
        if kind == "chi":
            return self.timescales("untied").error_kind
        found = self.tied_growth.get("answer") if kind == "correction" else None
        return BOUND if found is None else found.error_kind

    # --- what it is ----------------------------------------------------------------------------

    @property
    def cell(self) -> Cell:
        """Whose ensemble it is."""
        return self.design.cell

    @property
    def inputs(self) -> Inputs:
        """The law of the inputs that it was made for."""
        return self.design.inputs

    @property
    def solved_for(self) -> str | None:
        """The preactivation whose sigma_w criticality set; None where all were fixed."""
        return self.design.main

    @property
    def correction(self) -> float:
        """sigma_w of the tied answer over that of the untied one; 1 for an untied answer."""
        name = self.solved_for
        if name is None:
            return 1.0
        return self.ensemble[name].sigma_w / self.untied_ensemble[name].sigma_w

    @property
    def variance_growth(self) -> float | None:
        """What each step adds to the preactivation's variance, where none is stationary; else None.

        So it is where the variance map is linear (ReLU, leaky ReLU, the identity): the variance
        after T steps from the zero state is T times this, but for a mean, which enters from the
        second step on.
        """
        if homogeneous(self.cell) is None:
            return None
        (law,) = self.ensemble.values()
        return law.sigma_v**2 * self.inputs.R + law.sigma_b**2 + law.mu_b**2

    @cached_property
    def formula(self) -> sp.Tuple | None:
        """The untied closed form: equations for Q*, sigma_w^2 and sigma_v^2, or None.

        `r` is the share of a gate's variance that comes from the state; T is the horizon, where q
        is the variance then.
        """
        return critical_formula(self.design)

    # --- what theory says of it ----------------------------------------------------------------

    def theory(self, tying: str | None = None) -> MeanField:
        """The mean-field theory of the answer, for its own tying or the other."""
        wanted = self._checked(tying)
        return _theory(self.cell, self.ensemble, self.inputs, wanted, self.sampling)

    def sketched(self, tying: str) -> MeanField:
        """The same with few units: numbers to a percent or two, in a second."""
        few = replace(self.sampling, units=min(self.sampling.units, _FEW))
        return _theory(self.cell, self.ensemble, self.inputs, check_tying(tying), few)

    def _checked(self, tying: str | None) -> str:
        return self.tying if tying is None else check_tying(tying)

    def fixed_point(self, tying: str | None = None) -> FixedPoint:
        """Q* and q*, as the zero state reaches them."""
        return self.theory(tying).fixed_point()

    @property
    def second_moment(self) -> Mapping[str, float]:
        """{state: Q*} in the answer's own theory."""
        return self.fixed_point().second_moment

    @property
    def preactivation_variance(self) -> Mapping[str, float]:
        """{preactivation: q*} in the answer's own theory."""
        return self.fixed_point().preactivation_variance

    def timescales(self, tying: str | None = None) -> Timescales:
        """xi_q, xi_c and chi_1."""
        return self.theory(tying).timescales()

    @property
    def chi(self) -> float:
        """chi_1: the untied slope at c = 1."""
        return self.timescales("untied").chi_1

    def growth(self, tying: str | None = None) -> Quantity:
        """lim (1/T) log m_1(T), per step; tied by units from T = 10, its error holds that.

        Of a cell without recurrent weights, at T = `horizon` instead of the limit.
        """
        if self._checked(tying) == "untied" and self.design.gating.recurrent:
            return self.theory("untied").gradient_growth()
        if "answer" in self.tied_growth:
            return self.tied_growth["answer"]
        measure = TiedGrowth(self.cell, self.inputs, self.sampling, self.horizon)
        return measure(self.ensemble, self.sampling.units)

    def mean_square(self, horizon: int = 1, tying: str | None = None) -> Quantity:
        """m_1(T) of the T-step Jacobian."""
        return self.theory(tying).jacobian(horizon, burn_in=self.burn_in).mean

    def variance(self, horizon: int = 1, tying: str | None = None) -> Quantity:
        """sigma^2(T) = m_2 - m_1^2 of the T-step Jacobian, from as many units as memory allows."""
        size = len(self.cell.states) + len(self.cell.preactivations) * horizon
        units = min(self.sampling.units, _NUMBERS // size**2)
        law = self.theory(tying).jacobian(horizon, burn_in=self.burn_in, units=units)
        return law.variance
