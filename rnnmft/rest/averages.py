"""Averages over independent Gaussians, of expressions that fall into factors of few variables.

E[sum of products] is a sum of products of averages, one for each set of variables that a factor
joins. What these share is made less first (`gaussian_parts`). One Gaussian variable: adaptive
quadrature. Several, or a random parameter: the trapezoidal rule on a grid, which converges
exponentially; every second point of it tells the error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.special import ndtr

from rnnmft.errors import ParameterError
from rnnmft.expectation import gaussian_expectation
from rnnmft.language.laws import Law, Normal
from rnnmft.numerics.compile import compile_elementwise, compile_program
from rnnmft.theory.gaussian_parts import LinearSum, by_parts, linear_sums

__all__ = ["FactoredAverages", "Gaussians"]

Array = NDArray[np.float64]
#: Points of a grid, 4 MB an array, and most along one side: two variables need no more.
_GRID, _SIDE = 500_000, 257
#: Standard deviations that a side reaches: beyond 8.5 there is 2e-17. At 0 its spacing is 0.02 of
#: that of t: among 0.2, .., 0.01 the one of the least errors for LSTMs whose variances are 1 to 25.
_REACH, _NEAR = 8.5, 0.02
#: Of the error that the last two doublings tell.
_SAFETY = 3.0
#: Rounding of a grid's sum, relative.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Gaussians:
    """Laws of independent variables: means and variances (B,) by symbol, and parameters' laws.

    `given` holds numbers (B,) that are the same for all units.
    """

    mean: Mapping[sp.Symbol, Any]
    variance: Mapping[sp.Symbol, Array]
    parameters: Mapping[sp.Symbol, Law]
    given: Mapping[sp.Symbol, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Factor:
    """E[expression] over its own variables; others are numbers that are given."""

    expression: sp.Expr
    variables: tuple[sp.Symbol, ...]
    given: tuple[sp.Symbol, ...]
    gaussian: bool
    sums: tuple[LinearSum, ...]

    @cached_property
    def _function(self) -> Any:
        return compile_elementwise([self.expression], [*self.variables, *self.given])

    @cached_property
    def _program(self) -> Any:
        (e,) = self.variables
        mu, q = sp.Symbol("mu_rest", real=True), sp.Symbol("q_rest", nonnegative=True)
        node = gaussian_expectation(self.expression, e, mu, q)
        return compile_program([], [node], [mu, q, *self.given])

    @cached_property
    def _coefficients(self) -> list[tuple[LinearSum, list[sp.Symbol], Any]]:
        found = []
        for u in self.sums:
            parts = [u.constant, *u.weights.values()]
            symbols = sorted({s for x in parts for s in x.free_symbols}, key=str)
            found.append((u, symbols, compile_elementwise(parts, symbols)))
        return found

    def _with_sums(self, laws: Gaussians) -> Gaussians:
        """The laws with those of the sums, which are Gaussians too."""
        mean, variance = dict(laws.mean), dict(laws.variance)
        for u, symbols, function in self._coefficients:
            constant, *weights = function(*(laws.given[s] for s in symbols))
            own = list(zip(u.weights, weights, strict=True))
            mean[u.name] = constant + sum(w * laws.mean[z] for z, w in own)
            variance[u.name] = np.sum([np.square(w) * laws.variance[z] for z, w in own], axis=0)
        return Gaussians(mean, variance, laws.parameters, laws.given)

    def average(self, laws: Gaussians, grid: int) -> tuple[Array, Array]:
        """The average and its error, (B,) each."""
        given = [laws.given[s] for s in self.given]
        if not self.variables:
            (value,) = self._function(*given)
            return np.asarray(value, dtype=float), np.zeros(1)
        laws = self._with_sums(laws)
        if self.gaussian and len(self.variables) == 1:
            (e,) = self.variables
            found = self._program(laws.mean[e], laws.variance[e], *given)
            return found.values[0], found.errors[0]
        drawn = [v for v in self.variables if v in laws.variance]
        arrays = [x for v in drawn for x in (laws.mean[v], laws.variance[v])]
        rows = np.broadcast_arrays(*arrays, *given, np.zeros(1))
        pairs = [
            self._on_grid(laws, drawn, [float(x[b]) for x in rows], grid)
            for b in range(rows[0].size)
        ]
        value, error = np.array(pairs).T
        return value, error

    def _on_grid(
        self, laws: Gaussians, drawn: list[sp.Symbol], at: list[float], grid: int
    ) -> tuple[float, float]:
        """Sums over all points, and over every second and fourth, which tell the error."""
        numbers = iter(at)
        normal = {v: Normal(next(numbers), math.sqrt(next(numbers))) for v in drawn}
        own = [normal.get(v) or laws.parameters[v] for v in self.variables]
        moving = max(1, sum(law.variance > 0 for law in own))
        side = min(_SIDE, int(grid ** (1 / moving))) // 4 * 4 + 1
        axes = [_axis(law, side) for law in own]
        mesh = np.meshgrid(*(x for x, _ in axes), indexing="ij", sparse=True)
        (values,) = self._function(*mesh, *at[2 * len(drawn) : -1])
        values = np.broadcast_to(values, [len(x) for x, _ in axes])
        one, two, four = (_sum(values, axes, step) for step in (1, 2, 4))
        # Each doubling gains at least as many digits as the last one did.
        last, before = abs(one - two), abs(two - four)
        gain = min(1.0, _SAFETY * last / before) if before else 1.0
        return one, last * gain + _ROUNDING * abs(one)


def _axis(law: Law, points: int) -> tuple[Array, Array]:
    """Nodes and weights of one variable: z = a sinh(t), t evenly spaced, close together at 0.

    There the cells' functions turn, in the more abruptly the more another variable multiplies them.
    """
    if law.variance == 0.0:
        return np.array([law.mean]), np.ones(1)
    far = math.asinh(_REACH / _NEAR)
    t = np.linspace(-far, far, points)
    z = _NEAR * np.sinh(t)
    weight = np.exp(-(z**2) / 2) * np.cosh(t)
    if isinstance(law, Normal):
        return law.mean + law.std * z, weight
    # Of other laws the quantile of u = Phi(z), which is flat at both ends.
    u = np.clip(ndtr(z), np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg)
    return np.asarray(law.quantile(u), dtype=float), weight


def _sum(values: Array, axes: list[tuple[Array, Array]], step: int) -> float:
    """The mean over every step-th point of each axis."""
    values = values[tuple(slice(None, None, step) for _ in axes)]
    for _, weight in reversed(axes):
        kept = weight[::step]
        values = values @ (kept / kept.sum())
    return float(values)


class FactoredAverages:
    """E[f_j] of expressions, as functions of the variables' laws.

    Args:
        expressions: in Gaussian variables, random parameters and `given` symbols.
        gaussian: the Gaussian variables.
        parameters: the random parameters.
        given: symbols whose values are given with the laws.

    >>> from rnnmft.activations import tanh
    >>> a, b = sp.symbols("a b", real=True)
    >>> two = FactoredAverages([tanh(a) ** 2 * b**2, tanh(a * b) ** 2], [a, b])
    >>> one = np.ones(1)
    >>> value, error = two(Gaussians({a: 0.0, b: 0.0}, {a: one, b: one}, {}))
    >>> value.round(10).tolist(), bool((error < 1e-10).all())
    ([[0.3942944904], [0.2773959453]], True)
    """

    def __init__(
        self,
        expressions: Sequence[sp.Expr],
        gaussian: Sequence[sp.Symbol],
        parameters: Sequence[sp.Symbol] = (),
        given: Sequence[sp.Symbol] = (),
    ) -> None:
        self._gaussian, self._parameters = list(gaussian), list(parameters)
        known = {*gaussian, *parameters, *given}
        for f in expressions:
            unknown = sorted(map(str, f.free_symbols - known))
            if unknown:
                raise ParameterError(f"{f} holds {', '.join(unknown)}, of which no law is given")
        self._mean = {z: sp.Dummy(f"mean_{z}", real=True) for z in gaussian}
        self._variance = {z: sp.Dummy(f"variance_{z}", nonnegative=True) for z in gaussian}
        self._factors: dict[sp.Expr, _Factor] = {}
        self._terms = [self._split(sp.sympify(f, strict=True)) for f in expressions]

    def _split(self, expression: sp.Expr) -> list[list[sp.Expr]]:
        """Of every term the factors, those that share a variable together."""
        found = []
        for term in sp.Add.make_args(sp.expand_mul(expression, deep=False)):
            groups = self._groups(term)
            for i, group in enumerate(groups):
                parted = by_parts(group, self._mean, self._variance)
                if parted is not None:
                    others = sp.Mul(*groups[:i], *groups[i + 1 :])
                    found += self._split(others * sp.expand_mul(parted, deep=False))
                    break
            else:
                found.append([self._factor(group) for group in groups])
        return found

    def _groups(self, term: sp.Expr) -> list[sp.Expr]:
        variables = {*self._gaussian, *self._parameters}
        groups: list[tuple[set[Any], sp.Expr]] = []
        for factor in sp.Mul.make_args(term):
            used, product = factor.free_symbols & variables, factor
            apart = []
            for names, other in groups:
                if names & used:
                    used, product = used | names, product * other
                else:
                    apart.append((names, other))
            groups = [*apart, (used, product)]
        return [product for _, product in groups]

    def _factor(self, product: sp.Expr) -> sp.Expr:
        if product not in self._factors:
            sums, rest = linear_sums(product, self._gaussian, self._parameters)
            names = {u.name for u in sums}
            own = rest.free_symbols & {*self._gaussian, *self._parameters, *names}
            given = rest.free_symbols - own
            self._factors[product] = _Factor(
                rest,
                tuple(sorted(own, key=str)),
                tuple(sorted(given, key=str)),
                not own & set(self._parameters),
                sums,
            )
        return product

    @property
    def is_joint(self) -> bool:
        """Whether some average joins several variables, and needs a grid."""
        return any(
            len(f.variables) > 1 or (f.variables and not f.gaussian) for f in self._factors.values()
        )

    def __call__(
        self, laws: Gaussians, given: Mapping[sp.Symbol, Array] | None = None, grid: int = _GRID
    ) -> tuple[Array, Array]:
        """Values and error bounds, (J, B) each.

        Args:
            laws: of the variables; their arrays and those of `given` broadcast to (B,).
            given: values of the given symbols.
            grid: points where several variables are joined.
        """
        numbers = {**laws.given, **(given or {})}
        for symbols, values in ((self._mean, laws.mean), (self._variance, laws.variance)):
            numbers |= {symbols[z]: values[z] for z in self._gaussian}
        laws = Gaussians(laws.mean, laws.variance, laws.parameters, numbers)
        average = {f: factor.average(laws, grid) for f, factor in self._factors.items()}
        shapes = [np.shape(x) for pair in average.values() for x in pair]
        shapes += [np.shape(x) for x in (*laws.variance.values(), *numbers.values())]
        shape = np.broadcast_shapes((1,), *shapes)
        values = np.zeros((len(self._terms), *shape))
        errors = np.zeros_like(values)
        for j, terms in enumerate(self._terms):
            for factors in terms:
                value, error = np.ones(shape), np.zeros(shape)
                with np.errstate(over="ignore", invalid="ignore"):  # a status says so
                    for f in factors:
                        x, dx = average[f]
                        value, error = value * x, error * np.abs(x) + np.abs(value) * dx
                values[j] += value
                errors[j] += error
        return values, errors
