"""Averages at given preactivation laws by sampled units: for cells that nothing else solves.

Untied, nothing of a preactivation but its law enters: units are moved with N(mu_k, q_k) drawn
afresh at each step, and one such run serves every sigma_w. A perturbation's step follows from the
averages of a unit's squared derivatives,

    E[dy_k^2] = sum_b E[C_kb^2] + sum_j E[D_kj^2] sigma_w,j^2 E[dy_j^2]
    m_1       = (sum_ab E[A_ab^2] + sum_ak E[B_ak^2] sigma_w,k^2 E[dy_k^2]) / states

for ds' = A ds + B de, dy = C ds + D de: de_k = W_k dy_k is independent of everything before it.

Eq. (given-laws).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.language import Cell, Inputs
from rnnmft.language.laws import Law
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.solvers.tangents import Tangent
from rnnmft.theory.jacobian import jacobian_theory

if TYPE_CHECKING:
    from rnnmft.sampling import Sampling

__all__ = ["SampledLaws"]

Array = NDArray[np.float64]
# One unit in so many is moved, but read so often, over twice as many steps as the burn-in takes.
_FEWER, _READINGS = 4, 24
# Added to the variance of an input that a singular autocorrelation allows to be foretold.
_JITTER = 1e-9


@dataclass(frozen=True)
class SampledAverages:
    """Units at one set of preactivation laws."""

    of: SampledLaws
    q: Mapping[str, float]
    mu: Mapping[str, float]

    @cached_property
    def _averages(self) -> tuple[Array, Array, list[Array]]:
        """E[s^2], E[y^2], and the mean squares of A, B, C, D."""
        of, found = self.of, None
        for count, now in enumerate(self._steps(), 1):
            squares = [float(np.mean(v**2)) for v in of.read(*now)]
            found = np.array(squares) if found is None else found + (squares - found) / count
        assert found is not None
        states, preactivations = len(of.cell.states), len(of.cell.preactivations)
        second, seen, rest = np.split(found, [states, states + preactivations])
        shapes = [b.shape for b in jacobian_theory(of.cell).blocks]
        parts = np.split(rest, np.cumsum([r * c for r, c in shapes])[:-1])
        blocks = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return second, seen, blocks

    def _steps(self) -> Iterator[list[Array]]:
        """What a step's functions see, `_READINGS` times once the zero state is forgotten."""
        of, cell = self.of, self.of.cell
        random = np.random.default_rng(of.sampling.seed)
        stride = max(1, 2 * of.burn_in // _READINGS)
        count = of.burn_in + _READINGS * stride
        means = np.array([self.mu[p.name] for p in cell.preactivations])[:, None]
        roots = np.sqrt([self.q[p.name] for p in cell.preactivations])[:, None]
        fixed = [of.laws[p.name].quantile(_stratified(of.units, random)) for p in cell.parameters]
        inputs = _inputs(of.inputs, of.units, count, random) if cell.input is not None else None
        states = [np.zeros(of.units) for _ in cell.states]
        for step in range(1, count + 1):
            e = means + roots * _standard((len(means), of.units), random)
            now = [*states, *e, *fixed, *([] if inputs is None else [next(inputs)])]
            if step > of.burn_in and (step - of.burn_in) % stride == 0:
                yield now
            states = list(of.update(*now))

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        return {
            s.name: float(v) for s, v in zip(self.of.cell.states, self._averages[0], strict=True)
        }

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]}."""
        pairs = zip(self.of.cell.preactivations, self._averages[1], strict=True)
        return {p.name: float(v) for p, v in pairs if p.is_recurrent}

    @property
    def closed(self) -> None:
        """None: moments do not close."""

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 at the given sigma_w^2; growth is not read off one step of sampled units."""
        a, b, c, d = self._averages[2]
        variances: list[float] = []
        for p, row, earlier in zip(self.of.cell.preactivations, c, d, strict=True):
            perturbed = row.sum() + sum(e * v for e, v in zip(earlier, variances, strict=False))
            variances.append(squares.get(p.name, 0.0) * float(perturbed))
        return Tangent(float(a.sum() + (b @ variances).sum()) / len(a))


@dataclass(frozen=True)
class SampledLaws:
    """Any cell; `burn_in` steps bring the zero state to stationarity."""

    cell: Cell
    inputs: Inputs
    laws: Mapping[str, Law]
    sampling: Sampling
    burn_in: int
    method: str = "sampled units"
    closes: bool = False
    is_sampled: bool = True
    precision: float = 1e-2

    @property
    def units(self) -> int:
        """How many are moved."""
        return max(self.sampling.units // _FEWER, 16)

    @property
    def coarse(self) -> SampledLaws:
        """The averages with fewer units and half the steps."""
        units = max(self.sampling.units // 8, 16 * self.sampling.repetitions)
        sampling = replace(self.sampling, units=units)
        return replace(self, sampling=sampling, burn_in=self.burn_in // 2)

    @cached_property
    def update(self) -> Callable[..., tuple[Array, ...]]:
        """The new states, of old ones, preactivations, parameters and the input."""
        return self._compiled(list(self.cell.update.values()))

    @cached_property
    def read(self) -> Callable[..., tuple[Array, ...]]:
        """States, what weights see, and the entries of A, B, C, D, of the same arguments."""
        entries = [e for block in jacobian_theory(self.cell).blocks for e in block]
        return self._compiled([*self.cell.states, *self.cell.sees.values(), *entries])

    def _compiled(self, expressions: Sequence[sp.Expr]) -> Callable[..., tuple[Array, ...]]:
        cell = self.cell
        arguments = [*cell.states, *cell.preactivations, *cell.parameters]
        arguments += [cell.input] if cell.input is not None else []
        return compile_elementwise(expressions, arguments)

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> SampledAverages:
        """The averages at variances q and means mu."""
        return SampledAverages(self, dict(q), dict(mu))


def _standard(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Normal numbers, each row exactly of mean 0 and mean square 1."""
    drawn = random.standard_normal(shape)
    drawn -= drawn.mean(-1, keepdims=True)
    return drawn / np.sqrt((drawn**2).mean(-1, keepdims=True))


def _stratified(units: int, random: np.random.Generator) -> Array:
    """One uniform number in each of so many equal intervals, in random order."""
    return (random.permutation(units) + random.uniform(1e-9, 1 - 1e-9, units)) / units


def _inputs(inputs: Inputs, units: int, count: int, random: np.random.Generator) -> Iterator[Array]:
    """x of every unit, step by step: Gaussian, with its autocorrelation."""
    root = math.sqrt(inputs.R)
    if inputs.temporal == "constant":
        drawn = root * _standard((units,), random)
        yield from (drawn for _ in range(count))
        return
    memory = 1 if isinstance(inputs.temporal, str) else len(inputs.temporal)
    kappa = np.array([inputs.kappa(lag) for lag in range(count)])
    lags = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    factor = np.linalg.cholesky(kappa[lags] + _JITTER * np.eye(count))
    past: list[Array] = []
    for step in range(count):
        past = [*past, _standard((units,), random)][-memory:]
        weights = factor[step, step + 1 - len(past) : step + 1]
        yield root * np.einsum("k,ku->u", weights, np.array(past))
