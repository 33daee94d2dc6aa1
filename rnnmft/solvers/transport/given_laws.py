"""Averages at given preactivation laws of cells nonlinear in an accumulated state.

The stationary law of c depends on the laws in its gain and noise alone: it is found once, by
transport, and the equations for the weights are as linear as those of a cell whose moments close.

Eq. (given-laws), Eq. (transport).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.given_ensemble import given_ensemble
from rnnmft.solvers.tangents import Tangent, tangent_of
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, OneLaw
from rnnmft.solvers.transport.accumulated_tangent import (
    tangent_operator,
    tangent_shares,
    tangent_start,
)
from rnnmft.solvers.transport.accumulator_step import AccumulatorStep
from rnnmft.theory.accumulator import accumulator_form

__all__ = ["TransportedLaws"]

# Points of the law's grid and Gauss nodes a coefficient: m_1 to 1e-6 for the LSTM. `precision` says
# so.
_SIZE, _NODES = 96, 16

Laws = tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class _GivenModel(AccumulatedModel):
    """The model with variances that are given: nothing is fed back."""

    q: Mapping[str, float] = field(default_factory=dict)
    given_step: AccumulatorStep | None = None

    def variances(
        self, second: Mapping[str, float], new: float | None, correlation: float = 1.0
    ) -> dict[str, float]:
        """The given ones."""
        return dict(self.q)

    def step(self, second: Mapping[str, float]) -> AccumulatorStep:
        """The one that was made for the given laws."""
        return super().step(second) if self.given_step is None else self.given_step


@dataclass(frozen=True)
class TransportedAverages:
    """The stationary law at one set of preactivation laws."""

    model: _GivenModel
    law: OneLaw

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        return self.law.second

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]}: a state's, or that of the accumulated state just made."""
        state = self.model.form.state.name
        sees = {p.name: self.model.sees(p.name) for p in self.model.cell.preactivations}
        second = {**self.law.second, "new": self.law.second[state]}
        return {name: float(second[y]) for name, y in sees.items() if y is not None}

    @property
    def closed(self) -> None:
        """None: moments do not close."""

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 and growth at the given sigma_w^2."""
        model = self.model
        means = {name: law.mu_b for name, law in model.ensemble.items()}
        rows = {n: {"sigma_w": math.sqrt(squares.get(n, 0.0)), "mu_b": m} for n, m in means.items()}
        absent = {p.name for p in model.cell.preactivations if not p.has_input}
        ensemble = model.cell.ensemble(
            "gaussian",
            None,
            **{n: row | ({} if n in absent else {"sigma_v": 0.0}) for n, row in rows.items()},
        )
        given = _GivenModel(
            model.cell, ensemble, model.inputs, model.grid, model.nodes, model.q, model.given_step
        )
        start = tangent_start(given, self.law)
        operator = tangent_operator(given, self.law)
        return tangent_of(operator, start, tangent_shares(given))


class TransportedLaws:
    """One cell with an accumulated state.

    Raises:
        DerivationError: the cell is not of this kind.
    """

    method = "transport of the law"
    closes = False
    is_sampled = False
    precision = 1e-6

    def __init__(self, cell: Cell, inputs: Inputs) -> None:
        self.cell, self.inputs = cell, inputs
        form = accumulator_form(cell)
        TransportedLaw(cell, cell.ensemble(), inputs)
        symbols = form.gain.free_symbols | form.noise.free_symbols
        self._moving = {p.name for p in cell.preactivations if p in symbols}
        self._known: dict[Laws, tuple[AccumulatorStep, AccumulatedModel]] = {}

    def _transported(
        self, ensemble: Ensemble, laws: Laws
    ) -> tuple[AccumulatorStep, AccumulatedModel]:
        """The step of the accumulated state, made once for the laws that move it."""
        if laws not in self._known:
            model = TransportedLaw(self.cell, ensemble, self.inputs).model_at(_SIZE, _NODES)
            step = model.step(dict.fromkeys((s.name for s in self.cell.states), 0.0))
            self._known[laws] = step, model
        return self._known[laws]

    @property
    def coarse(self) -> TransportedLaws:
        """Itself."""
        return self

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> TransportedAverages:
        """The averages at variances q and means mu."""
        ensemble = given_ensemble(self.cell, self.inputs, q, mu, {}, {}, {})
        laws = tuple((n, q[n], mu[n]) for n in sorted(self._moving))
        step, plain = self._transported(ensemble, laws)
        model = _GivenModel(
            self.cell, ensemble, self.inputs, plain.grid, plain.nodes, dict(q), step
        )
        law = model.stationary(dict.fromkeys((s.name for s in self.cell.states), 0.0))
        if not all(np.isfinite(v) for v in law.second.values()):
            raise ConvergenceError(Status.DIVERGES, "At these gates nothing is ever forgotten.")
        return TransportedAverages(model, law)
