"""Expectations over Gaussian pairs by Mehler's series, for pairs inside pairs.

With h_k the orthonormal Hermite polynomials and rho the correlation of a standard normal pair,

    E[h_j(z_a) h_k(z_b)] = rho^k [j = k],     E[K(z_a, z_b)] = sum_k C_k rho^k,

where C_k is the coefficient of h_k(z_a) h_k(z_b) in K: f_k g_k for a product f(z_a) g(z_b), so that
a product costs two sums over one variable and not one over two. The coefficients are trapezoidal
sums of step h. Where f and g are analytic for |Im z| < d these are off by exp(-2 pi d / h), and
(pi / h)^2 terms leave out as much at rho = 1; less correlated pairs need fewer.

Sources: [mehler1866], [daniely2016]. Eq. (mehler).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.block import Block
from rnnmft.numerics.hermite_coefficients import hermite_rule
from rnnmft.numerics.iterated_pair import PairForm
from rnnmft.numerics.residual_variance import pair_slack

__all__ = ["STEPS", "PairRule", "Series", "compile_pair"]

#: The step of the nodes, in standard deviations, until two of these agree: each about 0.7 of the
#: one before, so that all of them cost twice the last, (12 / h)^2 pairs. The last meets 1e-11 from
#: d = 1 / 4 on.
STEPS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.175, 0.125, 0.09, 0.0625)

# Mean and standard deviation on each trajectory.
_Laws = tuple[tuple[Any, Any], tuple[Any, Any]]

# The error, in units of the last change: with exp(-2 pi d / h) at h = 1 and 0.7, the worst of these
# steps, 1.04 are left where d = 1 / 4, and 2 where d = 0.15.
_BEYOND = 2.0
# From this step on series that will not end are given up, where twice the fall that is seen would
# still not do: a matter of time, since quadrature gives what series do not.
_SMALL, _OPTIMISM = 0.35, 2.0
# Rounding of a weighted sum, in units of eps E|f|, as in `doubling`.
_ROUNDING = 50.0
# Errors below so many times that rounding are nothing but it: two coefficients' and their sum's.
_FLOORS = 3.0
# Of the error that the outer level may have, what each value inside it may have: they are added
# over the nodes with weights that sum to 1, and leave 90 % to the outer nodes.
_SHARE = 0.1


@dataclass(frozen=True)
class Series:
    """Values, absolute errors, and root mean squares that are sizes of the integrands."""

    values: Any
    errors: Any
    size: Any

    def after(self, before: Any) -> Series:
        """The same with the error that values of fewer nodes show."""
        change = abs(self.values - before)
        return Series(self.values, self.errors + _BEYOND * change, self.size)


@lru_cache(maxsize=64)
def _hermite(backend: Backend, step: float, terms: int) -> tuple[Any, Any]:
    """As `hermite_rule`, the map (terms, n), in the backend's arrays."""
    z, matrix = hermite_rule(step, terms)
    return backend.asarray(z), backend.asarray(matrix.T)


@dataclass(frozen=True)
class PairRule:
    """A compiled `PairForm`: the law, and either the sides of a product or one body, as blocks."""

    law: Block
    integrand: tuple[Block, Block] | Block
    inner: tuple[PairRule, ...]
    backend: Backend
    rtol: float

    @property
    def depth(self) -> int:
        """How many pairs one inside another."""
        return 1 + max((rule.depth for rule in self.inner), default=0)

    def evaluate(self, given: Sequence[Any], step: float) -> Series:
        """The expectation at arrays that broadcast together; `step` of the outer variables."""
        law = self.law.run(given)
        mu_a, q_a, q_ab, q_b, mu_b = (self._array(law.values[i]) for i in self.law.outputs)
        std_a, std_b, rho = self._standardised(q_a, q_ab, q_b)
        laws = (mu_a, std_a), (mu_b, std_b)
        if isinstance(self.integrand, tuple):
            return self._of_product(self.integrand, given, laws, rho)
        return self._of_body(self.integrand, given, laws, rho, step)

    def _array(self, value: Any) -> Any:
        return self.backend.full((), value) if isinstance(value, (int, float)) else value

    def _standardised(self, q_a: Any, q_ab: Any, q_b: Any) -> tuple[Any, Any, Any]:
        """Standard deviations and correlation; nan where they are not those of a pair."""
        xp = self.backend.xp
        std_a, std_b = xp.sqrt(q_a), xp.sqrt(q_b)
        size = std_a * std_b
        point = size == 0
        rho = xp.where(point, 0.0 * size, q_ab / xp.where(point, size + 1.0, size))
        bound = 1.0 + 0.0 * rho
        inside = xp.maximum(xp.minimum(rho, bound), -bound)
        # rho^2 <= 1 + slack; what is farther outside is nan, and that a status.
        most = math.sqrt(1.0 + pair_slack(self.backend.eps))
        return std_a, std_b, xp.where(abs(rho) <= most, inside, float("nan") * bound)

    def _of_product(
        self, sides: tuple[Block, Block], given: Sequence[Any], laws: _Laws, rho: Any
    ) -> Series:
        """sum_k f_k g_k rho^k, with as many coefficients as it takes."""
        backend, xp = self.backend, self.backend.xp
        beside = [g[..., None] for g in given]
        before, found = float("nan") * rho, Series(rho, rho, rho)
        for step in STEPS:
            nodes, transform = _hermite(backend, step, self._terms(rho, step))
            f, g = (
                self._coefficients(side, beside, mu[..., None] + std[..., None] * nodes, transform)
                for side, (mu, std) in zip(sides, laws, strict=True)
            )
            size = _norm(xp, f) * _norm(xp, g)
            found = Series(_power_series(f, g, rho), self._floor * size, size).after(before)
            before = found.values
            if bool(xp.all(self.met(found, _SHARE) | self.hopeless(found, step))):
                break
        return found

    def _terms(self, rho: Any, step: float) -> int:
        """How many terms leave out no more than the step does."""
        most = math.ceil((math.pi / step) ** 2)
        strongest = float(self.backend.xp.amax(abs(rho)))
        if not 0.0 < strongest < 1.0:
            return 2 if strongest == 0.0 else most
        return min(most, 2 + math.ceil(math.log(self.backend.eps) / math.log(strongest)))

    @property
    def _floor(self) -> float:
        return _ROUNDING * self.backend.eps

    def met(self, found: Series, share: float = 1.0) -> Any:
        """Whether errors are within a share of the tolerance, beside rounding; nan is not."""
        return found.errors <= (share * self.rtol + _FLOORS * self._floor) * found.size

    def hopeless(self, found: Series, step: float) -> Any:
        """Whether errors that fall like exp(-constant / step) stay above the tolerance."""
        if step > _SMALL:
            return found.errors < 0.0
        # The last change is the error of the step before.
        before = STEPS[STEPS.index(step) - 1]
        size = self.backend.xp.where(found.size > 0, found.size, found.size + 1.0)
        at_last = (found.errors / size) ** (_OPTIMISM * before / STEPS[-1])
        return ~(at_last <= self.rtol + _FLOORS * self._floor)

    def _coefficients(self, side: Block, beside: list[Any], points: Any, transform: Any) -> Any:
        """The Hermite coefficients of one side, along the last axis."""
        state = side.run((points, *beside))
        (slot,) = side.outputs
        values = self._array(state.values[slot])
        shape = self.backend.xp.broadcast_shapes(tuple(values.shape), (transform.shape[1],))
        return self.backend.broadcast(values, shape) @ transform.T

    def _of_body(
        self, body: Block, given: Sequence[Any], laws: _Laws, rho: Any, step: float
    ) -> Series:
        """sum_k C_k rho^k of an integrand known on the grid of nodes of a and b.

        The error is the integrand's own and rounding; that of the nodes shows when they grow.
        """
        backend, xp = self.backend, self.backend.xp
        nodes, transform = _hermite(backend, step, self._terms(rho, step))
        count = len(nodes)
        beside = [g[..., None, None] for g in given]
        (mu_a, std_a), (mu_b, std_b) = (tuple(p[..., None, None] for p in law) for law in laws)
        a, b = mu_a + std_a * nodes[:, None], mu_b + std_b * nodes
        inside = [rule.evaluate((*beside, a, b), step) for rule in self.inner]
        places = len(beside) + 2
        uncertain = [*[None] * places, *(one.errors for one in inside)]
        state = body.run((*beside, a, b, *(one.values for one in inside)), uncertain)
        (slot,) = body.outputs
        values = self._array(state.values[slot])
        shape = xp.broadcast_shapes(tuple(values.shape), (count, count))
        values = backend.broadcast(values, shape)
        diagonal = xp.sum((transform @ values) * transform, -1)
        # E[K^2] where a and b are independent; the sum of the squares of all coefficients.
        root = transform[0]
        size = xp.sqrt(xp.sum(xp.sum(values * values * root, -1) * root, -1))
        errors = self._floor * size
        if state.errors[slot] is not None:
            carried = backend.broadcast(state.errors[slot], shape)
            errors = errors + xp.amax(carried.reshape(*shape[:-2], -1), -1)
        return Series(_power_series(diagonal, None, rho), errors, size)


def _norm(xp: Any, coefficients: Any) -> Any:
    """The root of the sum of squares along the last axis."""
    return xp.sqrt(xp.sum(coefficients * coefficients, -1))


def _power_series(f: Any, g: Any, rho: Any) -> Any:
    """sum_k f_k g_k rho^k by Horner's scheme; g = None stands for ones."""

    def term(k: int) -> Any:
        return f[..., k] if g is None else f[..., k] * g[..., k]

    last = f.shape[-1] - 1
    total = 0.0 * rho + term(last)
    for k in reversed(range(last)):
        # In place: these arrays are the largest there are.
        total *= rho
        total += term(k)
    return total


def compile_pair(
    form: PairForm,
    build: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], Block],
    backend: Backend,
    rtol: float,
) -> PairRule:
    """The rule of a form; `build(outputs, arguments, uncertain arguments)` makes a block."""
    a, b = form.variables
    integrand: tuple[Block, Block] | Block
    if form.sides is not None:
        f, g = form.sides
        integrand = build([f], [a, *form.symbols], []), build([g], [b, *form.symbols], [])
    else:
        held = list(form.inner)
        integrand = build([form.body], [*form.symbols, a, b, *held], held)
    return PairRule(
        build(form.law, form.symbols, []),
        integrand,
        tuple(compile_pair(inner, build, backend, rtol) for inner in form.inner.values()),
        backend,
        rtol,
    )
