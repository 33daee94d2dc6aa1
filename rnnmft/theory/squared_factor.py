"""The law of d^2, where d is one diagonal factor of the Jacobian: moments, M(z) and S-transform.

    M(y) = sum_k mu_k y^-k = E[d^2 / (y - d^2)],   mu_k = E[d^2k],   S(x) = (1 + x) / (x M^-1(x)).

Closed where d takes few values (linear, ReLU, hard tanh) or is the exponential of a quadratic
(erf): the table of [pennington2018], found here from the derivative itself.

Eq. (factor).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from rnnmft.activations import (
    Activation,
    gaussian_cdf,
    hard_sigmoid_prime,
    hard_tanh_prime,
    leaky_relu_prime,
    step,
)
from rnnmft.expectation import gaussian_expectation

__all__ = ["SquaredFactor"]

#: Values of the piecewise constant activations far left and far right; between, their jumps add up.
_FAR = {
    step: (sp.S.Zero, sp.S.One),
    hard_tanh_prime: (sp.S.Zero, sp.S.Zero),
    leaky_relu_prime: (sp.Rational(1, 100), sp.S.One),
    hard_sigmoid_prime: (sp.S.Zero, sp.S.Zero),
}


@dataclass(frozen=True)
class SquaredFactor:
    """d(e)^2 for a function d of one Gaussian variable e of mean `mean` and variance `variance`.

    >>> from rnnmft.activations import relu
    >>> e, q, x = sp.symbols("e q x", real=True)
    >>> SquaredFactor(relu(e).diff(e), e, sp.S.Zero, q).s_transform(x)
    (x + 1)/(x + 1/2)
    """

    factor: sp.Expr
    variable: sp.Symbol
    mean: sp.Expr
    variance: sp.Expr

    def at_mean(self, mean: sp.Expr) -> SquaredFactor:
        """The same function at another mean."""
        return SquaredFactor(self.factor, self.variable, mean, self.variance)

    def moment(self, k: sp.Expr) -> sp.Expr:
        """mu_k = E[d^2k]; k may be a symbol where the law is closed."""
        if self.values is not None:
            return sp.Add(*(v**k * p for v, p in self.values.items()))
        if (found := self._exponential_moment(k)) is not None:
            return found
        return gaussian_expectation(self.factor ** (2 * k), self.variable, self.mean, self.variance)

    def generating_function(self, y: sp.Expr) -> sp.Expr:
        """M(y): closed, a series with closed coefficients, or E[d^2 / (y - d^2)]."""
        if self.values is not None:
            return sp.Add(*(v * p / (y - v) for v, p in self.values.items()))
        if self.exponent is not None:
            return self._exponential_series(y)
        square = self.factor**2
        return gaussian_expectation(square / (y - square), self.variable, self.mean, self.variance)

    @property
    def is_closed(self) -> bool:
        """Whether the S-transform is closed."""
        return self.values is not None and 1 <= len(self.values) <= 2

    def s_transform(self, x: sp.Expr) -> sp.Expr | None:
        """S(x) where M is invertible in closed form (d^2 has at most two values but 0), or None.

        One value v of probability p: S = (1 + x) / (v (x + p)). Two: the root of a quadratic.
        """
        if not self.is_closed or self.values is None:
            return None
        if len(self.values) == 1:
            ((v, p),) = self.values.items()
            return (1 + x) / (v * (x + p)) if p != 1 else 1 / v
        (v, p), (w, r) = self.values.items()
        linear, constant = x * (v + w) + p * v + r * w, v * w * (x + p + r)
        return 2 * (1 + x) / (linear + sp.sqrt(linear**2 - 4 * x * constant))

    # --- few values ----------------------------------------------------------------------------

    @cached_property
    def values(self) -> dict[sp.Expr, sp.Expr] | None:
        """{value of d^2 that is not 0: probability}, where d is piecewise constant; else None."""
        if self.factor.is_number:
            return {self.factor**2: sp.S.One}
        jumps = self._jumps()
        if jumps is None:
            return None
        edges = sorted(jumps)
        level = self._far_left()
        found: dict[sp.Expr, sp.Expr] = {}
        for i in range(len(edges) + 1):
            left, right = ([*edges, None][i - 1] if i else None), [*edges, None][i]
            level += jumps[left] if left is not None else 0
            if level != 0:
                found[level**2] = found.get(level**2, sp.S.Zero) + self._between(left, right)
        return found

    def _between(self, left: sp.Expr | None, right: sp.Expr | None) -> sp.Expr:
        """The probability of an interval of e; None is infinity."""
        scale = sp.sqrt(self.variance)
        if right is None:
            return sp.S.One if left is None else gaussian_cdf((self.mean - left) / scale)
        below = gaussian_cdf((right - self.mean) / scale)
        return below if left is None else below - gaussian_cdf((left - self.mean) / scale)

    def _jumps(self) -> dict[sp.Expr, sp.Expr] | None:
        """{place: height} where d' is a sum of Dirac deltas of affine arguments, else None."""
        e, found = self.variable, {}
        known = {type(a) for a in self.factor.atoms(Activation)} <= set(_FAR)
        if not known or self.factor.free_symbols != {e}:
            return None
        for term in sp.Add.make_args(sp.expand(sp.diff(self.factor, e))):
            height, delta = term.as_independent(e, as_Add=False)
            if not isinstance(delta, sp.DiracDelta) or len(delta.args) > 1:
                return None
            slope = sp.diff(delta.args[0], e)
            if not slope.is_number:
                return None
            place = sp.solve(delta.args[0], e)[0]
            found[place] = found.get(place, sp.S.Zero) + height / sp.Abs(slope)
        return found

    def _far_left(self) -> sp.Expr:
        """d at e -> -infinity."""
        return self.factor.replace(
            lambda part: isinstance(part, Activation),
            lambda part: _FAR[type(part)][int(bool(sp.diff(part.args[0], self.variable) < 0))],
        )

    # --- the exponential of a quadratic --------------------------------------------------------

    @cached_property
    def exponent(self) -> tuple[sp.Expr, sp.Expr] | None:
        """(c, f) with d = c exp(f(e)), f quadratic and bounded above, or None."""
        constant, rest = self.factor.as_independent(self.variable, as_Add=False)
        if not isinstance(rest, sp.exp) or not rest.args[0].is_polynomial(self.variable):
            return None
        curvature = sp.expand(rest.args[0]).coeff(self.variable, 2)
        quadratic = sp.degree(rest.args[0], self.variable) == 2
        return (constant, rest.args[0]) if quadratic and curvature.is_negative else None

    def _exponential_moment(self, k: sp.Expr) -> sp.Expr | None:
        """E[c^2k exp(2k (a e^2 + b e + f))]: complete the square in e ~ N(mu, q)."""
        if self.exponent is None:
            return None
        constant, f = self.exponent
        rest, b, a = (2 * k * sp.expand(f).coeff(self.variable, n) for n in range(3))
        mu, q = self.mean, self.variance
        scale = 1 - 2 * a * q
        shift = (2 * b * mu + b**2 * q + 2 * a * mu**2) / (2 * scale)
        return constant ** (2 * k) * sp.exp(rest + shift) / sp.sqrt(scale)

    def _exponential_series(self, y: sp.Expr) -> sp.Expr:
        """sum_k mu_k y^-k; at zero mean the Lerch transcendent Phi(c^2/y, 1/2, 1 + 1/(4 a q))."""
        constant, f = self.exponent or (sp.S.One, sp.S.Zero)
        a = -sp.expand(f).coeff(self.variable, 2)
        if self.mean == 0 and sp.expand(f + a * self.variable**2) == 0:
            ratio, width = constant**2 / y, 4 * a * self.variance
            lerch = sp.lerchphi(ratio, sp.Rational(1, 2), 1 + 1 / width)
            return ratio * lerch / sp.sqrt(width)
        k = sp.Symbol("k", integer=True, positive=True)
        return sp.Sum(self.moment(k) * y ** (-k), (k, 1, sp.oo))
