"""Closed forms of Gaussian expectations: one table, tried in order; unknown integrals stay nodes.

Univariate: polynomials, Dirac deltas, exp of quadratics times polynomials, erf and gaussian_cdf,
their squares at zero mean, sin, relu and step. Bivariate at zero mean: the arcsine kernels
[williams1998] and the arc-cosine kernels of degree 0 and 1 [cho2009].

Eq. (arcsine), Eq. (arc-cosine).
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
from sympy.simplify.fu import TR8

from rnnmft.activations import Activation, gaussian_cdf, gaussian_cdf_prime, relu, step
from rnnmft.dirac_deltas import affine, density, integrate_deltas
from rnnmft.expectation import GaussianExpectation

__all__ = ["closed_form", "rule"]

Rule = Callable[[GaussianExpectation], "sp.Expr | None"]
# The rules for one variable and for a pair, in the order in which they stand below.
_RULES: dict[int, list[Rule]] = {1: [], 2: []}


def rule(*, variables: int) -> Callable[[Rule], Rule]:
    """Add a rule: a function of a node of one variable, or of a pair, that gives its value or None.

    >>> @rule(variables=1)
    ... def nothing(node: GaussianExpectation) -> sp.Expr | None:
    ...     return sp.S.Zero if node.integrand.is_zero else None
    """

    def add(found: Rule) -> Rule:
        _RULES[variables].append(found)
        return found

    return add


def closed_form(node: GaussianExpectation) -> sp.Expr:
    """The value of a node where a rule knows it, otherwise the node itself.

    Rules are tried on the node as it stands, and then with the definitions of its activations.

    >>> from rnnmft.activations import erf
    >>> from rnnmft.expectation import gaussian_expectation
    >>> z, q = sp.Symbol("z"), sp.Symbol("q", positive=True)
    >>> closed_form(gaussian_expectation(erf(z) ** 2, z, 0, q))
    2*asin(2*q/(2*q + 1))/pi
    """
    for known in _RULES[len(node.variables)]:
        value = known(node)
        if value is not None:
            return value
    plain = Activation.written_out(node.integrand)
    return node if plain == node.integrand else _of_the_definition(node, plain)


def _of_the_definition(node: GaussianExpectation, plain: sp.Expr) -> sp.Expr:
    """The value with the activations written out; the node itself where a part stays unknown."""
    again = node.rebuild(plain, node.means, node.covariance).expand(expectation=True)
    value = again.replace(
        lambda part: isinstance(part, GaussianExpectation), lambda part: closed_form(part)
    )
    return node if value.has(GaussianExpectation) else value


@rule(variables=1)
@rule(variables=2)
def _delta(node: GaussianExpectation) -> sp.Expr | None:
    return integrate_deltas(node) if node.integrand.has(sp.DiracDelta) else None


# --- one variable --------------------------------------------------------------------------------


@rule(variables=1)
def _exponential(node: GaussianExpectation) -> sp.Expr | None:
    """E[p(z) exp(a z^2 + b z + c)]: complete the square.

    The integral exists where 1 - 2 a q > 0; where that is not certain the node stays as it is.
    """
    (z,), (mu,), (q,) = node.variables, node.means, node.covariance
    f = node.integrand.replace(
        gaussian_cdf_prime, lambda x: sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    )
    exponent, polynomial = sp.S.Zero, sp.S.One
    for factor in sp.Mul.make_args(f):
        base, power = factor.as_base_exp()
        if isinstance(factor, sp.exp):
            exponent += factor.args[0]
        elif isinstance(base, sp.exp) and z not in power.free_symbols:
            exponent += base.args[0] * power
        else:
            polynomial *= factor
    if not (polynomial.is_polynomial(z) and exponent.is_polynomial(z)):
        return None
    c, b, a = (sp.expand(exponent).coeff(z, k) for k in range(3))
    if sp.degree(exponent, z) > 2 if exponent.has(z) else False:
        return None
    scale = 1 - 2 * a * q
    if not (a.is_nonpositive or scale.is_positive):
        return None
    mean = (mu + b * q) / scale
    weight = sp.exp(c + (2 * b * mu + b**2 * q + 2 * a * mu**2) / (2 * scale)) / sp.sqrt(scale)
    d = sp.Dummy()
    poly = sp.Poly(sp.expand(polynomial.subs(z, mean + d)), d)
    moments = (
        k * sp.factorial2(n - 1) * (q / scale) ** sp.Rational(n, 2)
        for (n,), k in poly.terms()
        if n % 2 == 0
    )
    return weight * sp.Add(*moments)


@rule(variables=1)
def _error_functions(node: GaussianExpectation) -> sp.Expr | None:
    """E[erf(a z + b)], E[Phi(a z + b)]; their squares at zero mean by the arcsine law."""
    (z,), (mu,), (q,) = node.variables, node.means, node.covariance
    base, power = node.integrand.as_base_exp()
    if not isinstance(base, (sp.erf, gaussian_cdf)) or power not in (1, 2):
        return None
    line = affine(base.args[0], z)
    if line is None:
        return None
    a, b = line
    widen = 2 if isinstance(base, sp.erf) else 1
    if power == 1:
        return base.func((a * mu + b) / sp.sqrt(1 + widen * a**2 * q))
    if sp.expand(a * mu + b) != 0:
        return None
    return _arcsine(base.func, widen, a**2 * q, a**2 * q, a**2 * q)


@rule(variables=1)
def _sine(node: GaussianExpectation) -> sp.Expr | None:
    """E of products of sin and cos of a z + b: E[sin(a z + b)] = exp(-a^2 q / 2) sin(a mu + b)."""
    (z,), (mu,), (q,) = node.variables, node.means, node.covariance
    if not node.integrand.has(sp.sin, sp.cos):
        return None
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(TR8(node.integrand))):
        outside, inside = term.as_independent(z, as_Add=False)
        if inside != 1:
            line = affine(inside.args[0], z) if isinstance(inside, (sp.sin, sp.cos)) else None
            if line is None:
                return None
            a, b = line
            outside *= sp.exp(-(a**2) * q / 2) * type(inside)(a * mu + b)
        total += outside
    return total


@rule(variables=1)
def _relu(node: GaussianExpectation) -> sp.Expr | None:
    """E[z^k step(z)], and relu(z) = z step(z), by the truncated Gaussian's moment recursion."""
    (z,), (mu,), (q,) = node.variables, node.means, node.covariance
    f = sp.expand(node.integrand.replace(relu, lambda x: x * step(x)))
    f = f.replace(lambda p: isinstance(p, sp.Pow) and isinstance(p.base, step), lambda p: p.base)
    gate = step(z)
    if f.atoms(step) != {gate} or not f.has(gate):
        return None
    on, off = f.subs(gate, 1), f.subs(gate, 0)
    if not (on.is_polynomial(z) and off.is_polynomial(z)):
        return None
    s = sp.sqrt(q)
    below = gaussian_cdf(-mu / s)

    def above(k: int) -> sp.Expr:
        if k == 0:
            return gaussian_cdf(mu / s)
        edge = q * density(sp.S.Zero, mu, q) if k == 1 else sp.S.Zero
        return mu * above(k - 1) + ((k - 1) * q * above(k - 2) if k > 1 else 0) + edge

    if off != 0:
        return None if off.has(z) else off * below + _relu_sum(on, z, above)
    return _relu_sum(on, z, above)


def _relu_sum(on: sp.Expr, z: sp.Symbol, above: Callable[[int], sp.Expr]) -> sp.Expr:
    return sp.Add(*(c * above(k) for (k,), c in sp.Poly(on, z).terms()))


# --- a pair --------------------------------------------------------------------------------------


def _arcsine(
    function: type[sp.Function], widen: int, q_a: sp.Expr, q_ab: sp.Expr, q_b: sp.Expr
) -> sp.Expr:
    """E[erf erf] = (2/pi) asin(2 q_ab / sqrt((1 + 2 q_a)(1 + 2 q_b))); Phi likewise, q for 2 q.

    Eq. (arcsine).
    """
    both = (1 + widen * q_a) * (1 + widen * q_b)
    root = 1 + widen * q_a if q_a == q_b else sp.sqrt(both)
    angle = sp.asin(widen * q_ab / root)
    if function is sp.erf:
        return 2 * angle / sp.pi
    return sp.Rational(1, 4) + angle / (2 * sp.pi)


def _pair(node: GaussianExpectation) -> tuple[sp.Function, sp.Function] | None:
    """The two functions of a zero-mean product f(z_a) g(z_b) of plain activations."""
    factors = sp.Mul.make_args(node.integrand)
    if len(factors) != 2 or any(m != 0 for m in node.means):
        return None
    ordered = sorted(factors, key=lambda f: node.variables[1] in f.free_symbols)
    if any(
        not isinstance(f, sp.Function) or f.args != (v,)
        for f, v in zip(ordered, node.variables, strict=True)
    ):
        return None
    return ordered[0], ordered[1]


@rule(variables=2)
def _arcsine_kernel(node: GaussianExpectation) -> sp.Expr | None:
    pair = _pair(node)
    if pair is None or pair[0].func != pair[1].func:
        return None
    q_a, q_ab, q_b = node.covariance
    function = pair[0].func
    if function is sp.sin:
        return sp.exp(-(q_a + q_b) / 2) * sp.sinh(q_ab)
    if function not in (sp.erf, gaussian_cdf):
        return None
    return _arcsine(function, 2 if function is sp.erf else 1, q_a, q_ab, q_b)


@rule(variables=2)
def _arc_cosine_kernel(node: GaussianExpectation) -> sp.Expr | None:
    """Degree 0: (pi - theta) / 2 pi; degree 1: sqrt(q_a q_b) (sin + (pi - theta) cos) / 2 pi.

    Eq. (arc-cosine).
    """
    pair = _pair(node)
    if pair is None or {f.func for f in pair} not in ({relu}, {step}):
        return None
    q_a, q_ab, q_b = node.covariance
    scale = q_a if q_a == q_b else sp.sqrt(q_a * q_b)
    theta = sp.acos(q_ab / scale)
    if pair[0].func is step:
        return (sp.pi - theta) / (2 * sp.pi)
    c = q_ab / scale
    return scale / (2 * sp.pi) * (sp.sqrt(1 - c**2) + (sp.pi - theta) * c)


@rule(variables=2)
def _exponential_pair(node: GaussianExpectation) -> sp.Expr | None:
    """E[exp(a z_a + b z_b + c)] = exp of mean plus half the variance."""
    f = node.integrand
    if isinstance(f, sp.Mul):
        f = sp.powsimp(f)
    if not isinstance(f, sp.exp):
        return None
    z_a, z_b = node.variables
    lines = [sp.diff(f.args[0], v) for v in (z_a, z_b)]
    if any(x.free_symbols & {z_a, z_b} for x in lines):
        return None
    constant = f.args[0].subs({z_a: node.means[0], z_b: node.means[1]})
    q_a, q_ab, q_b = node.covariance
    variance = lines[0] ** 2 * q_a + 2 * lines[0] * lines[1] * q_ab + lines[1] ** 2 * q_b
    return sp.exp(constant + variance / 2)
