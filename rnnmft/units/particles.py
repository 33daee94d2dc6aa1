"""The infinite-width limit of any cell, sampled by units: every unit is a copy of one process.

As N -> infinity the units of a network become independent copies of one process driven by Gaussian
processes

    e_k = W_k y_k + V_k x + b_k,    Cov(W_k y^{t,a}, W_k y^{s,b}) = sigma_w,k^2 E[y^{t,a} y^{s,b}]

(tied weights; untied: fresh W, V, b at every step). Averages over the units, m = E[f], are the
same numbers for all copies. M units are moved together: W acts through an
orthonormal basis of what it has seen (`weight_action`), input and bias are independent Gaussian
parts beside it (`input_signal`). Only inner products of what W sees enter, so gaussian and
orthogonal W share this limit [yang2019].

Independent repetitions, each with a basis of its own, give the standard errors. A repetition of M
units is a gaussian network of width M in law, applied lazily, and has a network's bias of O(1/M).
Points of a parameter space that move together are further rows of units: see `points`.

Eq. (tied-kernel), Eq. (population-average).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
import torch

from rnnmft.deadline import check_deadline
from rnnmft.language import Average, Cell, Ensemble, Inputs, Preactivation
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.sampling import Sampling
from rnnmft.units.forgotten_covariance import OCTAVES
from rnnmft.units.input_signal import (
    DataSignal,
    InputSignal,
    MovingAverage,
    Signal,
    input_covariance,
)
from rnnmft.units.normals import Draws
from rnnmft.units.points import Number, Points, is_positive, spread
from rnnmft.units.recent_span import KEPT
from rnnmft.units.weight_action import WeightAction

__all__ = ["UnitProcess", "gram", "recurrent_groups", "trajectories_coincide"]

Tensor = torch.Tensor


class UnitProcess:
    """M units of one cell on one or two trajectories, stepped together from t = 0.

    State arrays have shape (R, P, M): repetitions (or rows, see `points`), trajectories, units. Two
    trajectories that cannot differ (equal inputs from the same start) are one: P = 1, and their
    moments are equal.

    Args:
        cell, ensemble, inputs: the setting.
        tying: "tied" or "untied".
        sampling: how many units, and how.
        trajectories: 1 or 2.
        repetitions: the numbers of the repetitions to run together; all when absent.
        start: {state: standard deviation} at t = 0, 0 where absent; two trajectories start with the
            correlation of their inputs.
        points: the ensembles and inputs of further points that move together with this one, this
            one first; R counts the rows of all of them.
        apart: whether every row has random numbers of its own; `repetitions` are then as many.
        kept: directions that weights have before any is dropped (`recent_span`).

    Attributes:
        states, e, x: the current values; `x` is None where the input does not enter elementwise.
        averages: {average: its number on each trajectory}, (R, P, 1), of the last step.
        prescribed: {preactivation: variance on each trajectory that this step's draw stands for},
            (R, P).
        weights: {y: what the weights that see y do to it}.
        biases: {preactivation: deviation of b from mu_b, (R, 1, M)}, drawn when first needed.
        drives, signal: V x of each preactivation, and x where it enters elementwise, over their
            standard deviations: a call is a step, (R, P, M).
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
        points: Sequence[tuple[Ensemble, Inputs]] = (),
        kept: int = KEPT,
        *,
        apart: bool = False,
    ) -> None:
        self.cell, self.ensemble, self.inputs, self.tied = cell, ensemble, inputs, tying == "tied"
        self.sampling, self.trajectories, self._kept = sampling, trajectories, kept
        backend = torch_backend(sampling.device, sampling.dtype)
        chosen = range(sampling.repetitions) if repetitions is None else repetitions
        self.like = torch.zeros((), dtype=backend.dtype, device=backend.device)
        settings = points or [(ensemble, inputs)]
        rows = len(chosen) if apart else len(chosen) * len(settings)
        self.points = Points(cell, settings, rows // len(settings), self.like)
        self._sharing = rows // len(chosen)
        self.laws = self.points.laws
        start = {name: size for name, size in (start or {}).items() if size > 0.0}
        sides = 1 if trajectories_coincide(cell, ensemble, inputs, start) else trajectories
        self.shape = (self.points.rows, sides, sampling.per_repetition)
        self.draws = Draws(sampling, chosen, self.like)
        self.time = 0
        self.parameters = self._draw_parameters()
        self.states = self._draw_states(start)
        self.x: Tensor | None = None
        self.e: dict[str, Tensor] = {}
        self.averages: dict[Average, Tensor] = {}
        self.prescribed: dict[str, Tensor] = {}
        self.now: list[Tensor] = []
        self._mix = self.like.new_zeros((sides, sides))
        self.arguments = cell.arguments
        self._update = compile_elementwise(tuple(cell.update.values()), self.arguments, backend)
        self._groups = recurrent_groups(cell)
        self._sees = {
            y: compile_elementwise((y,), self.arguments, backend) for y in self._groups if y != 0
        }
        self._averaged = {
            m: compile_elementwise((f,), self.arguments, backend) for m, f in cell.averages.items()
        }
        self.weights = {y: self._action() for y in self._sees if self._is_seen(y)}
        self._average = None
        if not isinstance(inputs.temporal, str):
            self._average = MovingAverage(inputs.temporal)
        self.signal: Signal | None = self._input_signal() if cell.input is not None else None
        driven = [p for p in cell.preactivations if is_positive(self._drive(p))]
        self.drives: dict[str, Signal] = (
            {p.name: self._input_signal() for p in driven} if self.tied else {}
        )
        self.biases: dict[str, Tensor] = {}

    # --- set-up --------------------------------------------------------------------------------

    def _draw_parameters(self) -> dict[str, Tensor]:
        """The elementwise random parameters, (R, 1, M): shared by the trajectories of a unit."""
        if not self.cell.parameters:
            return {}
        uniform = spread(self.draws.uniform(len(self.cell.parameters)), self.shape[0])
        laws = self.ensemble.parameters
        return {
            p.name: laws[p.name].quantile(uniform[:, i, None])
            for i, p in enumerate(self.cell.parameters)
        }

    def _draw_states(self, start: Mapping[str, float]) -> dict[str, Tensor]:
        """The states at t = 0, (R, P, M)."""
        found = {s.name: self.like.new_zeros(self.shape) for s in self.cell.states}
        for name, size in start.items():
            found[name] = size * self._correlated(self._normal(self.shape[1]))
        return found

    def _action(self) -> WeightAction:
        repetitions, _, units = self.shape
        shared = self._sharing, self._kept
        return WeightAction(self.like, repetitions, units, self.draws.normal, *shared)

    def _input_signal(self) -> Signal:
        if self.inputs.data is not None:
            return DataSignal(self.inputs, self._normal, self.shape[1])
        return InputSignal(self.inputs, self._normal, self.shape[1], self._average)

    def _normal(self, count: int) -> Tensor:
        """Independent standard normal numbers, the same for all points that share them."""
        return spread(self.draws.normal(count), self.shape[0])

    def _is_seen(self, y: sp.Expr) -> bool:
        """Whether any weights look at y."""
        return any(is_positive(self.laws[name].sigma_w) for name in self._groups[y])

    def _drive(self, p: Preactivation) -> Number:
        """The variance that the input adds to a preactivation, on average over the steps."""
        return self.laws[p.name].sigma_v ** 2 * self.points.R if p.has_input else 0.0

    # --- one step ------------------------------------------------------------------------------

    def step(self) -> None:
        """Draw the input and every preactivation given the past, then update the states."""
        check_deadline()
        self.inputs.require_steps(self.time + 1)
        covariance = input_covariance(self.inputs, self.time, self.shape[1])
        self._mix = torch.as_tensor(covariance).to(self.like)
        if self.signal is not None:
            self.x = self.points.R**0.5 * self.signal()
        seen: dict[sp.Expr, Tensor] = {}
        for p in self.cell.order:
            if isinstance(p, Average):
                (f,) = self._averaged[p](*self.values())
                self.averages[p] = f.expand(self.shape).mean(2, keepdim=True)
                continue
            y = p.sees
            if y in self.weights and y not in seen:
                seen[y] = self._sees[y](*self.values())[0].expand(self.shape)
                if self.tied:
                    self.weights[y].see(seen[y])
            value = self._tied(p) if self.tied else self._untied(p, seen.get(y))
            self.e[p.name] = self.laws[p.name].mu_b + value
        self.now = self.values()
        new = [value.expand(self.shape) for value in self._update(*self.now)]
        self.states = dict(zip((s.name for s in self.cell.states), new, strict=True))
        self.time += 1

    def _tied(self, p: Preactivation) -> Tensor:
        """W y + V x + b about mu_b, with the W, V and b of all steps: (R, P, M)."""
        law, drive = self.laws[p.name], self._drive(p)
        driven = drive * self._mix.diagonal()[:, None]
        variance = (driven + law.sigma_b**2).expand(*self.shape[:2], 1)[..., 0]
        value = self.like.new_zeros(1).expand(self.shape)
        if is_positive(drive):
            value = drive**0.5 * self.drives[p.name]()
        if is_positive(law.sigma_b):
            if p.name not in self.biases:
                self.biases[p.name] = law.sigma_b * self._normal(1)
            value = value + self.biases[p.name]
        if p.sees in self.weights and is_positive(law.sigma_w):
            weights = self.weights[p.sees]
            value = weights.product(p.name, law.sigma_w, value)
            variance = variance + weights.variance(law.sigma_w)
        self.prescribed[p.name] = variance
        return value

    def _untied(self, p: Preactivation, y: Tensor | None) -> Tensor:
        """The same with fresh W, V and b: Gaussian, of covariance sigma_w^2 E[y y] + .. ."""
        law, sides = self.laws[p.name], self.shape[1]
        covariance = self._drive(p) * self._mix + law.sigma_b**2
        if y is not None:
            covariance = covariance + law.sigma_w**2 * gram(y)
        covariance = covariance.expand(self.shape[0], sides, sides)
        self.prescribed[p.name] = torch.diagonal(covariance, dim1=1, dim2=2)
        return _gaussian(covariance, self._normal(sides))

    def _correlated(self, numbers: Tensor) -> Tensor:
        """Independent rows (R, P, M) given the correlation of the inputs."""
        if numbers.shape[1] == 1:
            return numbers
        c = self.inputs.correlation
        second = c * numbers[:, 0] + (1.0 - c * c) ** 0.5 * numbers[:, 1]
        return torch.stack([numbers[:, 0], second], 1)

    def values(self) -> list[Tensor]:
        """Every argument of the cell's expressions, in order; not yet drawn ones as zeros."""
        zero = self.like.new_zeros(1)
        found = [self.states[s.name] for s in self.cell.states]
        found += [self.e.get(p.name, zero) for p in self.cell.preactivations]
        found += [self.parameters[p.name] for p in self.cell.parameters]
        found += [self.averages.get(m, zero) for m in self.cell.averages]
        if self.cell.input is not None:
            found.append(zero if self.x is None else self.x)
        return found

    # --- copies ---------------------------------------------------------------------------------

    def copy(self) -> UnitProcess:
        """The same units, which go on as these would, and apart from them."""
        same = [self.cell, self.ensemble, self.inputs, self.sampling, self._update, self._sees]
        same += [self._groups, self.arguments, self._averaged, *self._groups, *self._averaged]
        return copy.deepcopy(self, {id(value): value for value in same})

    @property
    def bytes(self) -> int:
        """What it takes to keep it: the columns of the weights, and some numbers a unit."""
        columns = sum(w.columns for w in self.weights.values()) + 16 * self.shape[1]
        return columns * self.shape[0] * self.shape[2] * self.like.element_size()

    # --- averages ------------------------------------------------------------------------------

    def second_moments(self) -> dict[str, Tensor]:
        """E[s_a s_b] of every state, per repetition: (R, trajectories, trajectories)."""
        return {name: self._gram(s) for name, s in self.states.items()}

    def preactivation_moments(self) -> dict[str, Tensor]:
        """Covariance of every preactivation about mu_b, per repetition, of the same shape."""
        return {
            p.name: self._gram(self.e[p.name] - self.laws[p.name].mu_b)
            for p in self.cell.preactivations
        }

    def _gram(self, values: Tensor) -> Tensor:
        return gram(values).expand(-1, self.trajectories, self.trajectories)

    @property
    def directions(self) -> int:
        """The most directions that weights had at once, of those that had most."""
        return max((w.most for w in self.weights.values()), default=0)

    @property
    def defect(self) -> float:
        """How far the bases are from orthonormal: rounding, or something is wrong."""
        return max((w.basis.defect() for w in self.weights.values()), default=0.0)

    @property
    def forgotten(self) -> Tensor:
        """Mean and mean square gap of the covariance of W y by octave of the lag, (2, R, octaves).

        Of those weights whose gap is largest.
        """
        gaps = [w.forgotten.means for w in self.weights.values()]
        if not gaps:
            return self.like.new_zeros((2, self.shape[0], OCTAVES))
        return max(gaps, key=lambda means: float(means[1].max()))

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


def _gaussian(covariance: Tensor, numbers: Tensor) -> Tensor:
    """Gaussian rows of a covariance (R, P, P), P <= 2, from independent standard normal ones."""
    first = covariance[:, 0, 0, None].clamp_min(0).sqrt()
    rows = [first * numbers[:, 0]]
    if numbers.shape[1] == 2:
        shared = torch.where(first > 0, covariance[:, 0, 1, None] / first, 0.0)
        rest = (covariance[:, 1, 1, None] - shared.square()).clamp_min(0).sqrt()
        rows.append(shared * numbers[:, 0] + rest * numbers[:, 1])
    return torch.stack(rows, 1)


def trajectories_coincide(
    cell: Cell, ensemble: Ensemble, inputs: Inputs, start: Mapping[str, float]
) -> bool:
    """Whether two trajectories cannot differ: the same inputs, from the same start."""
    driven = [p for p in cell.preactivations if p.has_input and ensemble[p.name].sigma_v > 0]
    is_driven = inputs.R > 0.0 and bool(driven or cell.input is not None)
    return inputs.correlation == 1.0 or not (is_driven or any(start.values()))
