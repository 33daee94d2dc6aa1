"""Moment recursions of the untied theory: which moments close, and how each is updated.

With fresh weights at every step e_k is Gaussian and independent of the unit's past, so

    E[prod s_a'] = E[prod F_a(s, x, e)],    q_k = sigma_w^2 E[y_k^2] + sigma_v^2 R + sigma_b^2.

Where every F_a is affine in the states the moments up to any degree close among themselves. An
input constant in time is a recurrent variable with the update x' = x. ([chen2018]: minimalRNN.)
Averages over the units are numbers that each step computes of the moments, as the q_k are.

Eq. (moments), Eq. (q), Eq. (second-moment), Eq. (population-average).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.expectation import GaussianExpectation
from rnnmft.language import Average, Cell, Preactivation
from rnnmft.language.symbols import RandomParameter
from rnnmft.theory.independence import GaussianLaw, expect
from rnnmft.theory.notation import MomentKey, Notation
from rnnmft.theory.powers import collect_powers

__all__ = ["MomentTheory", "moment_theory"]

_MOST_MOMENTS, _DEGREE_GROWTH = 400, 8
# Operations of an average that is written out where it stands in another: a choice.
_SHORT = 12


@dataclass(frozen=True)
class MomentTheory:
    """The closed moment recursion of one cell, untied.

    All expressions are in the symbols of `notation`. `variance` holds q_k, `covariance` q_k^ab.
    """

    cell: Cell
    notation: Notation

    def laws(
        self, trajectories: int, preactivations: Iterable[Preactivation] | None = None
    ) -> list[GaussianLaw]:
        """The Gaussian laws of the preactivations and of a white elementwise input."""
        n = self.notation
        found = []
        for p in self.cell.preactivations if preactivations is None else preactivations:
            cov = (n.q[p],) if trajectories == 1 else (n.q[p], n.q_ab[p], n.q[p])
            names = n.preactivation_on(p, trajectories)
            found.append(GaussianLaw(names, (n.mu_b[p],) * trajectories, cov))
        if self.cell.input is not None and not n.follow_input:
            cov = (n.R,) if trajectories == 1 else (n.R, n.c_x * n.R, n.R)
            names = tuple(n.on(self.cell.input, t, trajectories) for t in range(trajectories))
            found.append(GaussianLaw(names, (sp.S.Zero,) * trajectories, cov))
        return found

    def on(self, expression: sp.Expr, trajectory: int, trajectories: int) -> sp.Expr:
        """An expression of the cell with its symbols on one trajectory."""
        return expression.xreplace(
            {
                s: self.notation.on(s, trajectory, trajectories)
                for s in (*self.cell.states, *self.cell.preactivations, self.cell.input)
                if s is not None
            }
        )

    def expect(self, expression: sp.Expr, trajectories: int = 1) -> sp.Expr:
        """E over preactivations, input and states of an expression on one or two trajectories.

        Raises:
            DerivationError: a state enters other than polynomially, so that no moments close.
        """
        n = self.notation
        fixed = sorted(expression.atoms(RandomParameter), key=str)
        if fixed:
            raise DerivationError(
                f"the moments of cell {self.cell.name!r} do not close: its elementwise parameter "
                f"{fixed[0].name!r} is fixed in time, so the state depends on it"
            )
        followed = [n.on(s, t, trajectories) for t in range(trajectories) for s in n.recurrent]
        powers = collect_powers(expression, followed)
        if powers is None:
            raise DerivationError(
                f"the moments of cell {self.cell.name!r} do not close: a state enters nonlinearly "
                "in an expectation, which needs the law of the state and not only its moments"
            )
        laws, width = self.laws(trajectories), len(n.recurrent)
        white = [v for law in self.laws(trajectories, ()) for v in law.variables]
        terms = []
        for exponents, coefficient in powers.items():
            sides = [exponents[t * width : (t + 1) * width] for t in range(trajectories)]
            moment = self.moment(tuple(map(tuple, sides)))
            terms += [average * moment for average in _products(coefficient, white, laws)]
        return sp.Add(*terms)

    def moment(self, key: MomentKey) -> sp.Expr:
        """The moment of a key: 1, a symbol, or a known moment of the input alone."""
        n = self.notation
        sides = tuple(side for side in key if any(side))
        if not sides:
            return sp.S.One
        if n.follow_input and not any(any(side[:-1]) for side in sides):
            x = [sp.Symbol(f"x{i}") for i in range(2)]
            law = GaussianLaw(tuple(x), (sp.S.Zero,) * 2, (n.R, n.c_x * n.R, n.R))
            powers = [side[-1] for side in key]
            return law.node(sp.Mul(*(v**p for v, p in zip(x, powers, strict=False))))
        return n.moment(sides)

    def update(self, key: MomentKey) -> sp.Expr:
        """The moment of a key after one step, in the moments before it. Eq. (moments)."""
        n = self.notation
        factors = []
        for t, side in enumerate(key):
            for s, power in zip(n.recurrent, side, strict=True):
                new = s if s == self.cell.input else self.cell.update[s]
                factors.append(self.on(new, t, len(key)) ** power)
        return self.expect(sp.Mul(*factors), len(key))

    def closure(self, keys: Iterable[MomentKey]) -> dict[MomentKey, sp.Expr]:
        """The given moments and all others their updates need: {key: update}."""
        found: dict[MomentKey, sp.Expr] = {}
        queue = [tuple(sorted(k, reverse=True)) for k in keys]
        # An affine cell never raises the degree; a power of a state raises it at every step.
        highest = _DEGREE_GROWTH * max((sum(map(sum, k)) for k in queue), default=0)
        while queue:
            key = queue.pop(0)
            if key in found:
                continue
            if len(found) > _MOST_MOMENTS or sum(map(sum, key)) > highest:
                raise DerivationError(f"the moments of cell {self.cell.name!r} do not close")
            found[key] = self.update(key)
            queue += [k for k in self.moments_in(found[key]) if k not in found]
        return found

    def moments_in(self, expression: sp.Expr) -> list[MomentKey]:
        """The keys of the moments whose symbols an expression holds."""
        by_symbol = {s: k for k, s in self.notation.known().items()}
        held = expression.free_symbols.intersection(by_symbol)
        return [by_symbol[s] for s in sorted(held, key=str)]

    def variance(self, p: Preactivation) -> sp.Expr:
        """q_k = sigma_w^2 E[y_k^2] + sigma_v^2 R + sigma_b^2. Eq. (q)."""
        n = self.notation
        return self._affine(p, self.expect(self.cell.sees[p] ** 2), n.R)

    def average(self, m: Average) -> sp.Expr:
        """m = E[f], in moments, in q_k of this step, and in averages that it computes before.

        Two trajectories of one law have one such number. Eq. (population-average).
        """
        return self._averages[m]

    @cached_property
    def _averages(self) -> dict[Average, sp.Expr]:
        found: dict[Average, sp.Expr] = {}
        for m, f in self.cell.averages.items():
            value = self.expect(f)
            # E[(e - m)^2] = q, without the terms that cancel.
            plain = {a: found[a] for a in value.atoms(Average) if _is_plain(found[a])}
            found[m] = sp.expand(value.xreplace(plain)) if plain else value
        return found

    @cached_property
    def numbers(self) -> dict[sp.Symbol, sp.Expr]:
        """{symbol: what a step computes it as}, in order: the q_k and the averages over units."""
        return {
            self.notation.q[d] if isinstance(d, Preactivation) else d: (
                self.variance(d) if isinstance(d, Preactivation) else self.average(d)
            )
            for d in self.cell.order
        }

    def covariance(self, p: Preactivation) -> sp.Expr:
        """q_k^ab = sigma_w^2 E[y_k^a y_k^b] + sigma_v^2 c_x R + sigma_b^2. Eq. (q)."""
        n = self.notation
        both = [self.on(self.cell.sees[p], t, 2) for t in range(2)]
        return self._affine(p, self.expect(both[0] * both[1], 2), n.c_x * n.R)

    def _affine(self, p: Preactivation, seen: sp.Expr, drive: sp.Expr) -> sp.Expr:
        n = self.notation
        wide = n.sigma_v[p] ** 2 * drive if p.has_input else sp.S.Zero
        return n.sigma_w[p] ** 2 * seen + wide + n.sigma_b[p] ** 2


def _is_plain(value: sp.Expr) -> bool:
    """Whether it is short and no integral."""
    return not value.has(GaussianExpectation) and value.count_ops() <= _SHORT


def _products(
    coefficient: sp.Expr, white: list[sp.Symbol], laws: list[GaussianLaw]
) -> Iterator[sp.Expr]:
    """The expectation of a coefficient, term by term in the powers of a white elementwise input."""
    powers = collect_powers(coefficient, white)
    if powers is None:
        powers = {(0,) * len(white): coefficient}
    for exponents, factor in powers.items():
        number, rest = factor.primitive()
        drawn = sp.Mul(*(v**e for v, e in zip(white, exponents, strict=True)))
        yield number * expect(_tidy(rest) * drawn, laws)


def _tidy(product: sp.Expr) -> sp.Expr:
    """1 - u rather than u - 1, as the papers write it: flip such factors, keep the sign."""
    sign, factors = sp.S.One, []
    for factor in sp.Mul.make_args(product):
        base, power = factor.as_base_exp()
        if isinstance(base, sp.Add) and base.as_coeff_Add()[0].is_negative and power.is_Integer:
            sign *= sp.S.NegativeOne**power
            factor = (-base) ** power
        factors.append(factor)
    return sp.Mul(sign, *factors)


def moment_theory(cell: Cell, constant_input: bool = False) -> MomentTheory:
    """The moment theory of a cell; cached, since derivation and numbers both ask for it."""
    # Where no input enters elementwise there is one notation, whatever the input does in time.
    return _moment_theory(cell, constant_input and cell.input is not None)


@lru_cache(maxsize=64)
def _moment_theory(cell: Cell, follow_input: bool) -> MomentTheory:
    return MomentTheory(cell, Notation(cell, follow_input))
