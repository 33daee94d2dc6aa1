"""The infinite-width limit of any cell, sampled by units: every unit is a copy of one process.

As N -> infinity the units of a network become independent copies of one process driven by Gaussian
processes e_k, whose kernels are averages over the same units one step earlier:

    Cov(e_k^{t,a}, e_k^{s,b}) = sigma_w^2 E[y_k^{t,a} y_k^{s,b}] + sigma_v^2 R kappa(t - s) c + sigma_b^2

(tied weights; untied: the same at t = s, independent otherwise). M units are moved together; the
kernels are averaged over them, e^t is drawn given the unit's own past: Eissfeller & Opper 1992.
Only inner products of what W sees enter, so gaussian and orthogonal W share this limit (Yang 2019).

Independent repetitions, each with kernels of its own, give the standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from rnnmft.analysis.gaussian_memory import GaussianMemory
from rnnmft.cells import Cell, Ensemble, Inputs, Preactivation
from rnnmft.errors import ParameterError
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.sampling import Sampling

__all__ = ["UnitProcess"]

Tensor = torch.Tensor


@dataclass
class _Past:
    """One kernel's history: what was seen at the times that own a column of a memory."""

    memory: GaussianMemory
    seen: Tensor | None
    times: list[int] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)


class UnitProcess:
    """M units of one cell on one or two trajectories, stepped together from the zero state.

    State arrays have shape (R, P, M): repetitions, trajectories, units.

    Args:
        cell, ensemble, inputs: the setting.
        tying: "tied" or "untied".
        sampling: how many units, and how.
        trajectories: 1 or 2.
        horizon: the largest number of steps that will be taken.
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        tying: str,
        sampling: Sampling,
        trajectories: int = 2,
        horizon: int = 100,
    ) -> None:
        self.cell, self.ensemble, self.inputs, self.tied = cell, ensemble, inputs, tying == "tied"
        for p in cell.preactivations:
            if p.name not in ensemble:
                raise ParameterError(
                    f"the ensemble has no preactivation {p.name!r}: it was made for another cell"
                )
        self.sampling, self.trajectories, self.horizon = sampling, trajectories, horizon
        backend = torch_backend(sampling.device, sampling.dtype)
        self.like = torch.zeros((), dtype=backend.dtype, device=backend.device)
        self.generator = torch.Generator(device=self.like.device).manual_seed(sampling.seed)
        self.shape = (sampling.repetitions, trajectories, sampling.per_repetition)
        self.time = 0
        self.states = {s.name: self.like.new_zeros(self.shape) for s in cell.states}
        self.parameters = self._draw_parameters()
        self.x: Tensor | None = None
        self.e: dict[str, Tensor] = {}
        self.seen: dict[str, Tensor] = {}
        self.arguments = [*cell.states, *cell.preactivations, *cell.parameters]
        self.arguments += [cell.input] if cell.input is not None else []
        self._update = compile_elementwise(tuple(cell.update.values()), self.arguments, backend)
        self._sees = {
            p.name: compile_elementwise((cell.sees[p],), self.arguments, backend)
            for p in cell.preactivations
            if p.is_recurrent
        }
        self._pasts: dict[str, _Past] = {}
        self.now: list[Tensor] = []

    # --- set-up --------------------------------------------------------------------------------

    def _draw_parameters(self) -> dict[str, Tensor]:
        """The elementwise random parameters: shared by the trajectories of a unit."""
        drawn = {}
        for p in self.cell.parameters:
            uniform = torch.rand(
                (self.shape[0], 1, self.shape[2]),
                generator=self.generator,
                dtype=self.like.dtype,
                device=self.like.device,
            ).clamp_(min=torch.finfo(self.like.dtype).tiny)
            drawn[p.name] = self.ensemble.parameters[p.name].quantile(uniform)
        return drawn

    def _past(self, name: str, sees: bool, persistent: bool) -> _Past:
        """The history of one kernel; a fresh one at every step where nothing persists."""
        if persistent and name in self._pasts:
            return self._pasts[name]
        repetitions, trajectories, units = self.shape
        capacity = trajectories * (self.horizon if persistent else 1)
        memory = GaussianMemory(
            repetitions, units, capacity, self.generator, self.like, self.sampling.matched
        )
        keep = sees and persistent
        seen = self.like.new_zeros((repetitions, capacity, units)) if keep else None
        past = _Past(memory, seen)
        if persistent:
            self._pasts[name] = past
        return past

    # --- one step ------------------------------------------------------------------------------

    def step(self) -> None:
        """Draw the input and every preactivation given the past, then update the states.

        `now` keeps the arguments of the update: the old states with this step's e and x.
        """
        if self.cell.input is not None:
            self.x = self._draw_input()
        for p in self.cell.preactivations:
            self._draw_preactivation(p)
        self.now = self.values()
        new = [value.expand(self.shape) for value in self._update(*self.now)]
        self.states = dict(zip((s.name for s in self.cell.states), new, strict=True))
        self.time += 1

    def values(self) -> list[Tensor]:
        """Every argument of the cell's expressions, in order; not yet drawn ones as zeros."""
        zero = self.like.new_zeros(1)
        found = [self.states[s.name] for s in self.cell.states]
        found += [self.e.get(p.name, zero) for p in self.cell.preactivations]
        found += [self.parameters[p.name] for p in self.cell.parameters]
        if self.cell.input is not None:
            found.append(zero if self.x is None else self.x)
        return found

    def _draw_input(self) -> Tensor:
        """The input as it enters elementwise, (R, P, M); constant or correlated in time."""
        past = self._past("the input", False, self.inputs.temporal != "white")
        return self._draw(past, None, 0.0, self.inputs.R, 0.0)

    def _draw_preactivation(self, p: Preactivation) -> None:
        law = self.ensemble[p.name]
        seen = None
        if p.is_recurrent:
            seen = self._sees[p.name](*self.values())[0].expand(self.shape)
            self.seen[p.name] = seen
        past = self._past(p.name, p.is_recurrent, self.tied)
        drive = law.sigma_v**2 * self.inputs.R if p.has_input else 0.0
        centred = self._draw(past, seen, law.sigma_w**2, drive, law.sigma_b**2)
        self.e[p.name] = law.mu_b + centred

    def _draw(
        self, past: _Past, seen: Tensor | None, weight: float, drive: float, bias: float
    ) -> Tensor:
        """Both trajectories' variables of this time, given the past ones that own a column."""
        values = []
        for side in range(self.trajectories):
            covariance = self._past_covariance(past, seen, side, weight, drive, bias)
            variance = self.like.new_full((self.shape[0],), drive + bias)
            if seen is not None:
                variance = variance + weight * seen[:, side].square().mean(1)
            before = past.memory.count
            values.append(past.memory.draw(covariance, variance))
            if past.memory.count > before:
                past.times.append(self.time)
                past.sides.append(side)
                if past.seen is not None and seen is not None:
                    past.seen[:, before] = seen[:, side]
        return torch.stack(values, 1)

    def _past_covariance(
        self,
        past: _Past,
        seen: Tensor | None,
        side: int,
        weight: float,
        drive: float,
        bias: float,
    ) -> Tensor:
        """Covariance of this variable with those that own a column: (R, n)."""
        count = past.memory.count
        known = [
            bias
            + drive
            * self.inputs.kappa(self.time - t)
            * (1.0 if s == side else self.inputs.correlation)
            for t, s in zip(past.times, past.sides, strict=True)
        ]
        row = self.like.new_tensor(known).expand(self.shape[0], count)
        if seen is None or count == 0:
            return row
        now = seen[:, side]
        if past.seen is not None:
            overlap = torch.bmm(past.seen[:, :count], now[:, :, None])[:, :, 0]
        else:
            overlap = torch.stack([(seen[:, s] * now).sum(1) for s in past.sides], 1)
        return row + weight * overlap / self.shape[2]

    # --- averages ------------------------------------------------------------------------------

    def second_moments(self) -> dict[str, Tensor]:
        """E[s_a s_b] of every state, per repetition: (R, P, P)."""
        return {name: gram(s) for name, s in self.states.items()}

    def preactivation_moments(self) -> dict[str, Tensor]:
        """Covariance of every preactivation about mu_b, per repetition: (R, P, P)."""
        return {
            p.name: gram(self.e[p.name] - self.ensemble[p.name].mu_b)
            for p in self.cell.preactivations
        }

    def setting(self) -> Mapping[str, Any]:
        """What was sampled, JSON-safe."""
        return {**vars(self.sampling), "trajectories": self.trajectories}


def gram(values: Tensor) -> Tensor:
    """Averages of products over units: (R, P, M) -> (R, P, P)."""
    return torch.bmm(values, values.transpose(1, 2)) / values.shape[2]
