"""Initialization: an ensemble to start from, what theory predicts of it, and why it is this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy as sp

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ParameterError, ParseError, RnnmftError, Status
from rnnmft.initialization import files
from rnnmft.initialization.design.design import Choice, Design
from rnnmft.initialization.design.formula import critical_formula
from rnnmft.initialization.design.roles import roles
from rnnmft.initialization.design.tied import TiedGrowth
from rnnmft.initialization.report import markdown
from rnnmft.initialization.source import source
from rnnmft.language import Cell, Ensemble, Inputs, PreactivationLaw, loads
from rnnmft.language.laws import law_from_dict
from rnnmft.records import Quantity, Record
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.homogeneous import homogeneous
from rnnmft.solvers.results import FixedPoint, Timescales

if TYPE_CHECKING:
    import torch

__all__ = ["Initialization"]

#: In the matrices of all units behind a variance; sampling may round it up to twice as many.
_NUMBERS = 1 << 24

TYINGS = ("untied", "tied")


@dataclass(frozen=True)
class Initialization(Record):
    """A critical ensemble, with its predictions and its reasons. `critical` makes one.

    Attributes:
        design: cell, inputs, and what was chosen of each preactivation before solving.
        ensemble: the answer; for tied weights if `tying` says so.
        untied_ensemble: the untied answer, from which a tied one was found.
        tying: "untied" or "tied": for which theory gradients neither grow nor decay.
        objective, horizon: what chose the free directions, over how many steps.
        method: how averages were found: "closed moments", "transport of the law", ...
        reasons: why each number is what it is, one sentence each.
        tied_growth: at the untied answer and at this one, where they were measured.
        burn_in: steps before a tied Jacobian starts.
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
        tying = self._checked(tying)
        if tying not in self._theories:
            sampling = self.sampling
            self._theories[tying] = MeanField(
                self.cell,
                self.ensemble,
                self.inputs,
                tying,
                particles=sampling.units,
                repetitions=sampling.repetitions,
                seed=sampling.seed,
                device=sampling.device,
            )
        return self._theories[tying]

    @cached_property
    def _theories(self) -> dict[str, MeanField]:
        return {}

    def _checked(self, tying: str | None) -> str:
        found = self.tying if tying is None else tying
        if found not in TYINGS:
            raise ParameterError(f"tying must be one of {', '.join(TYINGS)}, got {tying!r}")
        return found

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
        """The growth of log m_1(T) per step: its limit if untied, from T = 10 on if tied."""
        if self._checked(tying) == "untied":
            return self.theory("untied").gradient_growth()
        if "answer" in self.tied_growth:
            return self.tied_growth["answer"]
        measure = TiedGrowth(self.cell, self.inputs, self.sampling, self.burn_in)
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

    def report(self) -> str:
        """What it is, what theory predicts for both tyings, and why; in Markdown."""
        return markdown(self)

    # --- into networks -------------------------------------------------------------------------

    def apply_(
        self, module: torch.nn.Module, generator: torch.Generator | None = None
    ) -> torch.nn.Module:
        """Draw the parameters of a torch module from the ensemble, in place; returns the module.

        Above the first layer sigma_v is multiplied by (R / E[h^2])^(1/2), with the tied E[h^2] of
        the layer below: the variance that the input gives to a gate is the same in every layer.

        Args:
            module: nn.RNN, nn.GRU, nn.LSTM, their cells, or a module that `cells.from_torch` reads.
            generator: the source of randomness; torch's own if absent.
        """
        from rnnmft.initialization.modules import apply_

        gain = 1.0
        if getattr(module, "num_layers", 1) > 1:
            below = self._handed_up()
            gain = (self.inputs.R / below) ** 0.5 if below > 0 and self.inputs.R > 0 else 1.0
        return apply_(self.ensemble, module, generator, cell=self.cell, layer_gain=gain)

    def _handed_up(self) -> float:
        """The tied E[h^2] that a layer above sees: stationary, or its mean over the horizon."""
        state = next((s.name for s in self.cell.states if s.name == "h"), self.cell.states[-1].name)
        if self.variance_growth is None:
            return self.fixed_point("tied").second_moment[state]
        path = self.theory("tied").evolve(max(round(self.horizon), 1))
        return float(path.second_moment[state].mean())

    def source(self, framework: str) -> str:
        """A self-contained function that draws the ensemble: pytorch, flax, keras or numpy."""
        return source(self.ensemble, framework, self.cell)

    # --- files ---------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything that `from_dict` needs, JSON-safe."""
        of = self.design
        return {
            "cell": {"name": of.cell.name, "toml": of.cell.to_toml()},
            "inputs": of.inputs.to_dict(),
            "ensemble": self.ensemble.to_dict(),
            "untied_ensemble": self.untied_ensemble.to_dict(),
            "tying": self.tying,
            "objective": self.objective,
            "horizon": self.horizon,
            "method": self.method,
            "solved_for": of.main,
            "choices": {n: vars(c) for n, c in of.choices.items()},
            "fixed": {n: dict(given) for n, given in of.fixed.items()},
            "reasons": list(self.reasons),
            "tied_growth": {n: q.to_dict() for n, q in self.tied_growth.items()},
            "burn_in": self.burn_in,
            "sampling": self.sampling.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Initialization:
        """What `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: something is missing or is not what it should be.
        """
        cell = loads(data["cell"]["toml"])
        given = dict(data["inputs"])
        temporal = given.pop("temporal")
        inputs = Inputs(
            **given, temporal=temporal if isinstance(temporal, str) else tuple(temporal)
        )
        design = Design(
            cell,
            inputs,
            roles(cell),
            data["solved_for"],
            {n: Choice(**c) for n, c in data["choices"].items()},
            data["fixed"],
        )
        return cls(
            design,
            _ensemble(data["ensemble"]),
            _ensemble(data["untied_ensemble"]),
            data["tying"],
            data["objective"],
            data["horizon"],
            data["method"],
            tuple(data["reasons"]),
            {n: _quantity(q) for n, q in data["tied_growth"].items()},
            data["burn_in"],
            Sampling(**data["sampling"]),
        )

    def to_json(self, path: str | Path) -> None:
        """Write it to a file."""
        files.write(path, self.to_dict())

    @classmethod
    def from_json(cls, path: str | Path) -> Initialization:
        """Read it from a file.

        Raises:
            ParseError: the file is damaged, newer than this rnnmft, or something else altogether.
        """
        data = files.read(path)
        try:
            return cls.from_dict(data)
        except (RnnmftError, KeyError, TypeError, ValueError) as error:
            raise ParseError(f"the file is damaged: {error}", source=str(path)) from None

    def _repr_latex_(self) -> str | None:
        if self.formula is None:
            return None
        rows = r" \\ ".join(sp.latex(e) for e in self.formula)
        return rf"$$\begin{{gathered}}{rows}\end{{gathered}}$$"

    def __repr__(self) -> str:
        rows = [
            f"  {n}: sigma_w = {p.sigma_w:.6g}, sigma_v = {p.sigma_v:.6g}, mu_b = {p.mu_b:.6g}, "
            f"sigma_b = {p.sigma_b:.6g}, {p.weights}"
            for n, p in self.ensemble.items()
        ]
        head = f"Initialization of {self.cell.name!r}, critical for {self.tying} weights"
        growth = self.variance_growth
        if growth is not None:
            rows.append(
                f"  no variance is stationary: it grows by {growth:.4g} a step, a free choice, to "
                f"{self.design.choices[next(iter(self.ensemble))].q:.4g} after {self.horizon:g} "
                "steps"
            )
        return "\n".join([head, *rows])


def _ensemble(data: Mapping[str, Any]) -> Ensemble:
    rows = dict(data)
    laws = {n: law_from_dict(law) for n, law in rows.pop("parameters", {}).items()}
    return Ensemble({n: PreactivationLaw(**row) for n, row in rows.items()}, laws)


def _quantity(data: Mapping[str, Any]) -> Quantity:
    found = Quantity(**{**data, "status": Status(data["status"])})
    return replace(found, value=float(found.value), error=float(found.error))
