"""GaussianExpectation: the expectation of an expression over one Gaussian or a correlated pair.

One SymPy node stays unevaluated until the last moment. Its bound variables have canonical names,
so that equal integrals compare equal; its derivatives are those of Bonnet and Price,

    d/dmu E[f] = E[f'],     d/dq E[f] = E[f''] / 2,     d/dq_ab E[f] = E[d^2 f / dz_a dz_b].

Nodes nest: the mean and the variance of an inner node may depend on an outer node's variable. The
bound names count the depth of nesting, so an inner name never captures an outer one.

Sources: [bonnet1964], [price1958]. Eq. (gaussian-expectation), Eq. (bonnet-price).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import sympy as sp

__all__ = ["GaussianExpectation", "bound_variables", "gaussian_expectation"]

_DEPTH_NAMES = "zyvt"


def bound_variables(depth: int, count: int) -> tuple[sp.Symbol, ...]:
    """The canonical bound symbols of a node that has `depth` levels of nodes inside it."""
    name = _DEPTH_NAMES[depth] if depth < len(_DEPTH_NAMES) else f"z_{depth}"
    if count == 1:
        return (sp.Symbol(f"{name}*", real=True),)
    return tuple(sp.Symbol(f"{name}{side}*", real=True) for side in "ab")


def _depth(expression: sp.Basic) -> int:
    """How many levels of nodes an expression has inside it (0: none)."""
    if isinstance(expression, GaussianExpectation):
        return 1 + _depth(expression.integrand)
    return max((_depth(part) for part in expression.args), default=0)


class GaussianExpectation(sp.Expr):
    """E[f(z)] for z ~ N(mu, q), or E[f(z_a, z_b)] for a Gaussian pair.

    Args (SymPy): `integrand`, `variables` (a Tuple of one or two symbols, canonical), `means`
    (Tuple of the same length), `covariance` (Tuple: (q,) or (q_a, q_ab, q_b)). Build it with
    `gaussian_expectation`, which canonicalises.
    """

    is_commutative = True

    def __new__(
        cls,
        integrand: sp.Expr,
        variables: sp.Tuple,
        means: sp.Tuple,
        covariance: sp.Tuple,
    ) -> GaussianExpectation:
        """The node as given; `gaussian_expectation` is what makes it canonical."""
        return cast(
            "GaussianExpectation", sp.Expr.__new__(cls, integrand, variables, means, covariance)
        )

    @property
    def func(self) -> Any:
        """How SymPy rebuilds the node, in `subs` and everywhere: canonical again."""
        return gaussian_expectation

    @property
    def integrand(self) -> sp.Expr:
        """f, in the bound variables."""
        return cast("sp.Expr", self.args[0])

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """The bound variables: (z,) or (z_a, z_b)."""
        return tuple(self.args[1].args)  # type: ignore[return-value]

    @property
    def means(self) -> tuple[sp.Expr, ...]:
        """(mu,) or (mu_a, mu_b)."""
        return tuple(self.args[2].args)  # type: ignore[return-value]

    @property
    def covariance(self) -> tuple[sp.Expr, ...]:
        """(q,) or (q_a, q_ab, q_b)."""
        return tuple(self.args[3].args)  # type: ignore[return-value]

    # --- scoping -------------------------------------------------------------------------------

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """Every symbol but the bound ones."""
        inside = self.integrand.free_symbols - set(self.variables)
        return inside | self.args[2].free_symbols | self.args[3].free_symbols

    @property
    def bound_symbols(self) -> list[sp.Symbol]:
        """The bound variables, as SymPy asks for them."""
        return list(self.variables)

    def _eval_subs(self, old: sp.Basic, new: sp.Basic) -> sp.Basic | None:
        bound = set(self.variables)
        if not bound & (old.free_symbols | new.free_symbols):
            return None
        integrand, variables = self._apart()
        if not bound & old.free_symbols:
            integrand = integrand._subs(old, new)
        outside = [[part._subs(old, new) for part in law.args] for law in self.args[2:]]
        return gaussian_expectation(integrand, variables, *outside)

    def _xreplace(self, rule: Any) -> tuple[sp.Basic, bool]:
        if self in rule:
            return rule[self], True
        bound = set(self.variables)
        unbound = {old: new for old, new in rule.items() if not bound & old.free_symbols}
        captures = any(bound & new.free_symbols for new in unbound.values())
        integrand, variables = self._apart() if captures else (self.integrand, self.variables)
        integrand, within = integrand._xreplace(unbound)
        outside = [law._xreplace(rule) for law in self.args[2:]]
        if not within and not any(changed for _, changed in outside):
            return self, False
        return gaussian_expectation(integrand, variables, *(law for law, _ in outside)), True

    def _apart(self) -> tuple[sp.Expr, tuple[sp.Symbol, ...]]:
        """Integrand and variables under names that occur nowhere else."""
        fresh = {v: sp.Dummy(v.name, real=True) for v in self.variables}
        return self.integrand.xreplace(fresh), tuple(fresh.values())

    def rebuild(
        self, integrand: sp.Expr, means: Sequence[sp.Expr], covariance: Sequence[sp.Expr]
    ) -> sp.Expr:
        """The same node with another integrand or parameters, made canonical again."""
        return gaussian_expectation(integrand, self.variables, means, covariance)

    # --- calculus ------------------------------------------------------------------------------

    def _eval_derivative(self, s: sp.Basic) -> sp.Expr:
        f, variables, means, covariance = (
            self.integrand,
            self.variables,
            self.means,
            self.covariance,
        )
        explicit = sp.S.Zero if s in variables else f.diff(s)
        weights: list[tuple[sp.Expr, sp.Expr]] = [(sp.S.One, explicit)]
        weights += [(m.diff(s), f.diff(z)) for m, z in zip(means, variables, strict=True)]
        if len(variables) == 1:
            weights.append((covariance[0].diff(s) / 2, f.diff(variables[0], 2)))
        else:
            a, b = variables
            q_a, q_ab, q_b = covariance
            weights.append((q_a.diff(s) / 2, f.diff(a, 2)))
            weights.append((q_ab.diff(s), f.diff(a).diff(b)))
            weights.append((q_b.diff(s) / 2, f.diff(b, 2)))
        return sp.Add(
            *(
                weight * self.rebuild(integrand, means, covariance)
                for weight, integrand in weights
                if weight != 0 and integrand != 0
            )
        )

    def _eval_expand_expectation(self, **hints: Any) -> sp.Expr:
        """Linearity: a sum splits, factors without a bound variable come out."""
        expanded = sp.expand(self.integrand, deep=False)
        terms = []
        for term in sp.Add.make_args(expanded):
            outside, inside = term.as_independent(*self.variables, as_Add=False)
            terms.append(outside * self.rebuild(inside, self.means, self.covariance))
        return sp.Add(*terms)

    def doit(self, **hints: Any) -> sp.Expr:
        """Closed form where one is known, otherwise the node (with its insides done)."""
        from rnnmft.closed_forms import closed_form

        if hints.get("deep", True):
            integrand = self.integrand.doit(**hints)
            means = [m.doit(**hints) for m in self.means]
            covariance = [c.doit(**hints) for c in self.covariance]
            node = self.rebuild(integrand, means, covariance).expand(expectation=True)
            if not isinstance(node, GaussianExpectation):
                return node.replace(
                    lambda part: isinstance(part, GaussianExpectation),
                    lambda part: closed_form(part),
                )
            return closed_form(node)
        return closed_form(self)

    def _eval_is_extended_real(self) -> bool:
        return True

    # --- printing ------------------------------------------------------------------------------

    def _sympystr(self, printer: Any) -> str:
        law = ", ".join(printer._print(part) for part in (*self.means, *self.covariance))
        return f"E[{printer._print(self.integrand)} | {law}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        renamed = self.integrand.xreplace(dict(zip(self.variables, self._printed(), strict=True)))
        means = () if not any(self.means) else self.means
        law = ",".join(printer._print(p) for p in (*self.covariance, *dict.fromkeys(means)))
        text = rf"\mathbb{{E}}_{{{law}}}\!\left[{printer._print(renamed)}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _mathml_presentation(self, printer: Any) -> Any:
        def element(tag: str, *parts: Any) -> Any:
            made = printer.dom.createElement(tag)
            for part in parts:
                text = printer.dom.createTextNode(part) if isinstance(part, str) else part
                made.appendChild(text)
            return made

        renamed = self.integrand.xreplace(dict(zip(self.variables, self._printed(), strict=True)))
        means = () if not any(self.means) else self.means
        law = [printer._print(p) for p in (*self.covariance, *dict.fromkeys(means))]
        spaced = [part for one in law for part in (one, element("mo", ","))][:-1]
        head = element("msub", element("mi", "\U0001d53c"), element("mrow", *spaced))
        inside = printer._print(renamed)
        return element("mrow", head, element("mo", "["), inside, element("mo", "]"))

    def _printed(self) -> tuple[sp.Symbol, ...]:
        name = self.variables[0].name[0]
        if len(self.variables) == 1:
            return (sp.Symbol(name, real=True),)
        return tuple(sp.Symbol(f"{name}_{side}", real=True) for side in "ab")


def gaussian_expectation(
    integrand: Any,
    variables: Sequence[sp.Symbol] | sp.Symbol,
    means: Sequence[Any] | Any,
    covariance: Sequence[Any] | Any,
) -> sp.Expr:
    """E[integrand] over a Gaussian variable, or over a Gaussian pair, as a canonical node.

    Eq. (gaussian-expectation).

    Args:
        integrand: an expression in the variables.
        variables: one symbol, or two.
        means: mu, or (mu_a, mu_b).
        covariance: the variance q, or (q_a, q_ab, q_b). Standard deviations do not appear here.

    Returns:
        A `GaussianExpectation`, times the factors without the variables; the integrand itself where
        it does not contain them; a univariate node where it contains only one of two.

    >>> import sympy as sp
    >>> from rnnmft.activations import tanh
    >>> e, f, q = sp.symbols("e f q")
    >>> gaussian_expectation(tanh(e)**2, e, 0, q) == gaussian_expectation(tanh(f)**2, f, 0, q)
    True
    """
    names = tuple(variables) if isinstance(variables, (tuple, list, sp.Tuple)) else (variables,)
    mus = tuple(means) if isinstance(means, (tuple, list, sp.Tuple)) else (means,)
    cov = tuple(covariance) if isinstance(covariance, (tuple, list, sp.Tuple)) else (covariance,)
    f = cast("sp.Expr", sp.sympify(integrand, strict=True))
    present = [name for name in names if name in f.free_symbols]
    if not present:
        return f
    if len(names) == 2 and len(present) == 1:
        side = names.index(present[0])
        names, mus, cov = (present[0],), (mus[side],), (cov[2 * side],)
    canonical = _canonical_names(f, names)
    if canonical != names:
        f = f.xreplace(dict(zip(names, canonical, strict=True)))
    if len(canonical) == 2:
        f, mus, cov = _order_pair(f, canonical, mus, cov)
    parts = [sp.Tuple(*(sp.sympify(p, strict=True) for p in part)) for part in (mus, cov)]
    outside, f = f.as_independent(*canonical, as_Add=False)
    return outside * GaussianExpectation(f, sp.Tuple(*canonical), *parts)


def _canonical_names(f: sp.Expr, names: tuple[sp.Symbol, ...]) -> tuple[sp.Symbol, ...]:
    """The bound variables of the integrand's depth, or the first after them that are not taken."""
    depth, taken = _depth(f), f.free_symbols - set(names)
    while taken & set(bound_variables(depth, len(names))):
        depth += 1
    return bound_variables(depth, len(names))


def _order_pair(
    f: sp.Expr, names: tuple[sp.Symbol, ...], mus: tuple[Any, ...], cov: tuple[Any, ...]
) -> tuple[sp.Expr, tuple[Any, ...], tuple[Any, ...]]:
    """Of the two ways to name a pair of equal laws, take the one SymPy sorts first."""
    if mus[0] != mus[1] or cov[0] != cov[2]:
        return f, mus, cov
    a, b = names
    swapped = f.xreplace({a: b, b: a})
    if sp.default_sort_key(swapped) < sp.default_sort_key(f):
        f = swapped
    return f, mus, cov
