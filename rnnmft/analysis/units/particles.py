"""The infinite-width limit of any cell, sampled by units: every unit is a copy of one process.

As N -> infinity the units of a network become independent copies of one process driven by Gaussian
processes e_k, whose kernels are averages over the same units one step earlier:

    Cov(e_k^{t,a}, e_k^{s,b}) = sigma_w^2 E[y_k^{t,a} y_k^{s,b}]
                                + sigma_v^2 R kappa(t - s) c + sigma_b^2

(tied weights; untied: the same at t = s, independent otherwise). c is 1 for a = b and c_x
otherwise. M units are moved together; the kernels are averaged over them, and e^t is drawn given
the unit's own past (Eissfeller & Opper 1992). Only inner products of what W sees enter, so gaussian
and orthogonal W share this limit (Yang 2019): a bi-invariant W acts on a fixed set of vectors, once
their inner products are given, like any other bi-invariant W as N -> infinity.

Independent repetitions, each with kernels of its own, give the standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from rnnmft.analysis.units.kernel_memory import Covariance, KernelMemory
from rnnmft.analysis.units.normals import Draws, StandardNormals
from rnnmft.cells import Cell, Ensemble, Inputs, Preactivation
from rnnmft.errors import ParameterError
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.sampling import Sampling

__all__ = ["UnitProcess", "gram", "recurrent_groups"]

Tensor = torch.Tensor
_INPUT = "the input"


class UnitProcess:
    """M units of one cell on one or two trajectories, stepped together from t = 0.

    State arrays have shape (R, P, M): repetitions, trajectories, units. Two trajectories that
    cannot differ (equal inputs from the same start) are one: P = 1, and their moments are equal.

    Args:
        cell, ensemble, inputs: the setting.
        tying: "tied" or "untied".
        sampling: how many units, and how.
        trajectories: 1 or 2.
        repetitions: the numbers of the repetitions to run together; all when absent.
        start: {state: standard deviation at t = 0}; zero states when absent.

    Attributes:
        states, e, x: the current values; `x` is None where the input does not enter elementwise.
        now: the arguments of this step's update (old states; this step's e, parameters and x).
        time: how many steps were taken.
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        tying: str,
        sampling: Sampling,
        trajectories: int = 2,
        repetitions: Sequence[int] | None = None,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.cell, self.ensemble, self.inputs, self.tied = cell, ensemble, inputs, tying == "tied"
        _check_ensemble(cell, ensemble)
        self.sampling, self.trajectories = sampling, trajectories
        backend = torch_backend(sampling.device, sampling.dtype)
        chosen = range(sampling.repetitions) if repetitions is None else repetitions
        self.start = start or {}
        sides = 1 if _inputs_coincide(cell, ensemble, inputs, self.start) else trajectories
        self.shape = (len(chosen), sides, sampling.per_repetition)
        self.like = torch.zeros((), dtype=backend.dtype, device=backend.device)
        self.draws = Draws(sampling, chosen, self.like)
        self.time = 0
        self.states = {s.name: self._at_start(self.start.get(s.name, 0.0)) for s in cell.states}
        self.parameters = self._draw_parameters()
        self.x: Tensor | None = None
        self.e: dict[str, Tensor] = {}
        self.now: list[Tensor] = []
        self.arguments = [*cell.states, *cell.preactivations, *cell.parameters]
        self.arguments += [cell.input] if cell.input is not None else []
        self._update = compile_elementwise(tuple(cell.update.values()), self.arguments, backend)
        self._groups = recurrent_groups(cell)
        self._sees = {
            y: compile_elementwise((y,), self.arguments, backend) for y in self._groups if y != 0
        }
        self._kernels = {y: self._kernel(self.tied) for y in self._groups}
        self._input_kernel = self._kernel(inputs.temporal != "white")
        self._known = {p.name: self._known_covariance(p) for p in cell.preactivations}

    # --- set-up --------------------------------------------------------------------------------

    def _at_start(self, std: float) -> Tensor:
        """A state at t = 0, (R, P, M): N(0, std^2), correlated as the inputs are."""
        if std == 0.0:
            return self.like.new_zeros(self.shape)
        drawn, c = self.draws.normal(self.shape[1]), self.inputs.correlation
        if self.shape[1] == 2:
            drawn[:, 1] = c * drawn[:, 0] + (1.0 - c * c) ** 0.5 * drawn[:, 1]
        return std * drawn

    def _draw_parameters(self) -> dict[str, Tensor]:
        """The elementwise random parameters, (R, 1, M): shared by the trajectories of a unit."""
        if not self.cell.parameters:
            return {}
        uniform = self.draws.uniform(len(self.cell.parameters))
        laws = self.ensemble.parameters
        return {
            p.name: laws[p.name].quantile(uniform[:, i, None])
            for i, p in enumerate(self.cell.parameters)
        }

    def normals(self, block: int = 16) -> StandardNormals:
        """A new source of normal columns for these units."""
        return StandardNormals(self.draws, self.sampling.normals == "matched", block)

    def _kernel(self, persistent: bool) -> KernelMemory:
        block = 16 if persistent else self.shape[1]
        return KernelMemory(self.shape, self.like, lambda: self.normals(block), persistent)

    def _known_covariance(self, p: Preactivation) -> Covariance:
        """What input and bias add to the covariance of a preactivation."""
        law = self.ensemble[p.name]
        drive = law.sigma_v**2 * self.inputs.R if p.has_input else 0.0
        return lambda lags, same: drive * self._correlation(lags, same) + law.sigma_b**2

    def _correlation(self, lags: NDArray[np.int64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
        """kappa(lag), times c_x between trajectories."""
        distinct, back = np.unique(lags, return_inverse=True)
        kappa = np.array([self.inputs.kappa(int(lag)) for lag in distinct])
        return kappa[back].reshape(lags.shape) * np.where(same, 1.0, self.inputs.correlation)

    # --- one step ------------------------------------------------------------------------------

    def step(self) -> None:
        """Draw the input and every preactivation given the past, then update the states."""
        if self.cell.input is not None:
            self._input_kernel.see(None)
            self.x = self._input_kernel.draw(_INPUT, 0.0, self._input_covariance)
        started: set[sp.Expr] = set()
        for p in self.cell.preactivations:
            kernel, law = self._kernels[p.sees], self.ensemble[p.name]
            if p.sees not in started:
                started.add(p.sees)
                kernel.see(self._seen_by(p.sees))
            self.e[p.name] = law.mu_b + kernel.draw(p.name, law.sigma_w**2, self._known[p.name])
        for kernel in self._kernels.values():
            kernel.keep()
        self.now = self.values()
        new = [value.expand(self.shape) for value in self._update(*self.now)]
        self.states = dict(zip((s.name for s in self.cell.states), new, strict=True))
        self.time += 1

    def _input_covariance(
        self, lags: NDArray[np.int64], same: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        return self.inputs.R * self._correlation(lags, same)

    def _seen_by(self, y: sp.Expr) -> Tensor | None:
        """The values of y, (R, P, M); None where no weights look at them."""
        if all(self.ensemble[name].sigma_w == 0.0 for name in self._groups[y]):
            return None
        return self._sees[y](*self.values())[0].expand(self.shape)

    def values(self) -> list[Tensor]:
        """Every argument of the cell's expressions, in order; not yet drawn ones as zeros."""
        zero = self.like.new_zeros(1)
        found = [self.states[s.name] for s in self.cell.states]
        found += [self.e.get(p.name, zero) for p in self.cell.preactivations]
        found += [self.parameters[p.name] for p in self.cell.parameters]
        if self.cell.input is not None:
            found.append(zero if self.x is None else self.x)
        return found

    # --- averages ------------------------------------------------------------------------------

    def second_moments(self) -> dict[str, Tensor]:
        """E[s_a s_b] of every state, per repetition: (R, trajectories, trajectories)."""
        return {name: self._gram(s) for name, s in self.states.items()}

    def preactivation_moments(self) -> dict[str, Tensor]:
        """Covariance of every preactivation about mu_b, per repetition, of the same shape."""
        return {
            p.name: self._gram(self.e[p.name] - self.ensemble[p.name].mu_b)
            for p in self.cell.preactivations
        }

    def _gram(self, values: Tensor) -> Tensor:
        return gram(values).expand(-1, self.trajectories, self.trajectories)

    def setting(self) -> Mapping[str, Any]:
        """What was sampled, JSON-safe."""
        return {**self.sampling.to_dict(), "trajectories": self.trajectories}


def recurrent_groups(cell: Cell) -> dict[sp.Expr, list[str]]:
    """The preactivations by what their weights see: {y: names}; y = 0 for the input alone."""
    groups: dict[sp.Expr, list[str]] = {}
    for p in cell.preactivations:
        groups.setdefault(p.sees, []).append(p.name)
    return groups


def gram(values: Tensor) -> Tensor:
    """Averages of products over units: (R, P, M) -> (R, P, P)."""
    return torch.bmm(values, values.transpose(1, 2)) / values.shape[2]


def _check_ensemble(cell: Cell, ensemble: Ensemble) -> None:
    for p in cell.preactivations:
        if p.name not in ensemble:
            raise ParameterError(
                f"the ensemble has no preactivation {p.name!r}: it was made for another cell"
            )


def _inputs_coincide(
    cell: Cell, ensemble: Ensemble, inputs: Inputs, start: Mapping[str, float]
) -> bool:
    """Whether two trajectories cannot differ."""
    if any(start.values()) and inputs.correlation != 1.0:
        return False
    driven = [p for p in cell.preactivations if p.has_input and ensemble[p.name].sigma_v > 0]
    return inputs.correlation == 1.0 or inputs.R == 0.0 or not (driven or cell.input is not None)
