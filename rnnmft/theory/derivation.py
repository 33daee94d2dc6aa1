"""derive(cell): the untied mean-field theory of a cell as equations and as named steps.

A derivation is an ordered list of steps, each with what it starts from, what it gives, why it is
allowed, what it assumes and whom it follows. Reports and documentation print it.

Eq. (q), Eq. (affine), Eq. (affine-pair), Eq. (chi), Eq. (fixed-point).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import sympy as sp

from rnnmft.dirac_deltas import without_deltas
from rnnmft.errors import DerivationError, ParameterError
from rnnmft.language import Cell, State
from rnnmft.parameters import check_tying
from rnnmft.theory.jacobian import JacobianTheory, jacobian_theory
from rnnmft.theory.jacobian_steps import jacobian_steps
from rnnmft.theory.law_recursion import LawDerivation
from rnnmft.theory.moments import MomentTheory, moment_theory
from rnnmft.theory.notation import MomentKey, Notation
from rnnmft.theory.population_average import averages_step
from rnnmft.theory.spectral import SpectralRadius
from rnnmft.theory.steps import Step, StepsRecord
from rnnmft.theory.tangent import TangentTheory
from rnnmft.theory.tied import TiedDerivation

__all__ = ["Derivation", "closed_derivation", "derive"]


@dataclass(frozen=True, repr=False)
class Derivation(StepsRecord):
    """The symbolic theory of one cell (untied). All attributes are lazy and cached.

    `second_moment` and `cross_moment` map a state's name to its recursion; `means`, `products`
    hold the other moments these need; `preactivation_variance` and `preactivation_covariance`
    the q_k. `chi` is the slope of the correlation map; `jacobian` the moments of J J^T.
    """

    cell: Cell
    theory: MomentTheory
    tying: ClassVar[str] = "untied"

    @property
    def notation(self) -> Notation:
        """The symbols: q, q_ab, mu_b, sigma_w, ... by preactivation; moments by key."""
        return self.theory.notation

    @cached_property
    def moments(self) -> dict[MomentKey, sp.Expr]:
        """{key: update} of every one-trajectory moment the recursion needs."""
        theory = self.theory
        seen = [k for number in theory.numbers.values() for k in theory.moments_in(number)]
        singles = [k for k in self.cross_moments if len(k) == 1]
        return theory.closure([*(self._square(s, 1) for s in self.cell.states), *seen, *singles])

    @cached_property
    def cross_moments(self) -> dict[MomentKey, sp.Expr]:
        """{key: update} of every moment that the two-trajectory recursion needs."""
        theory = self.theory
        seen = [
            k for p in self.cell.preactivations for k in theory.moments_in(theory.covariance(p))
        ]
        return theory.closure([*(self._square(s, 2) for s in self.cell.states), *seen])

    def _equations(
        self, updates: dict[MomentKey, sp.Expr], keys: dict[str, MomentKey]
    ) -> dict[str, sp.Eq]:
        n = self.notation
        return {
            name: sp.Eq(_next(n.moment(key)), updates[key], evaluate=False)
            for name, key in keys.items()
        }

    def _square(self, state: State, trajectories: int) -> MomentKey:
        return self.notation.state_key(state, state, trajectories=trajectories)

    @cached_property
    def second_moment(self) -> dict[str, sp.Eq]:
        """{state: Eq(Q', ...)}: the variance recursion. Eq. (affine)."""
        return self._equations(self.moments, {s.name: self._square(s, 1) for s in self.cell.states})

    @cached_property
    def cross_moment(self) -> dict[str, sp.Eq]:
        """{state: Eq(Q_ab', ...)}: the correlation recursion. Eq. (affine-pair)."""
        return self._equations(
            self.cross_moments, {s.name: self._square(s, 2) for s in self.cell.states}
        )

    @cached_property
    def other_moments(self) -> dict[sp.Symbol, sp.Eq]:
        """{symbol: Eq}: means and mixed moments that the recursions need beside the squares."""
        n = self.notation
        every = {**self.moments, **self.cross_moments}
        squares = {self._square(s, t) for s in self.cell.states for t in (1, 2)}
        return {
            n.moment(k): sp.Eq(_next(n.moment(k)), v, evaluate=False)
            for k, v in every.items()
            if k not in squares
        }

    @cached_property
    def population_average(self) -> dict[str, sp.Eq]:
        """{average: Eq(m, E[f])}, in moments and in numbers of this step."""
        return {
            m.name: sp.Eq(m, self.theory.average(m), evaluate=False) for m in self.cell.averages
        }

    @cached_property
    def preactivation_variance(self) -> dict[str, sp.Eq]:
        """{preactivation: Eq(q, sigma_w^2 E[y^2] + sigma_v^2 R + sigma_b^2)}. Eq. (q)."""
        return {
            p.name: sp.Eq(self.notation.q[p], self.theory.variance(p), evaluate=False)
            for p in self.cell.preactivations
        }

    @cached_property
    def preactivation_covariance(self) -> dict[str, sp.Eq]:
        """{preactivation: Eq(q_ab, sigma_w^2 E[y_a y_b] + sigma_v^2 c_x R + sigma_b^2)}."""
        return {
            p.name: sp.Eq(self.notation.q_ab[p], self.theory.covariance(p), evaluate=False)
            for p in self.cell.preactivations
        }

    @cached_property
    def cross_keys(self) -> list[MomentKey]:
        """The two-trajectory moments, in the order of `slope`'s rows."""
        return [k for k in self.cross_moments if len(k) == 2]

    def _map_slope(self, trajectories: int) -> sp.Matrix:
        """The Jacobian matrix of a moment map, through the preactivations' (co)variances."""
        n, theory = self.notation, self.theory
        single = trajectories == 1
        updates = self.moments if single else self.cross_moments
        keys = [k for k in updates if len(k) == trajectories]
        symbols = [n.moment(k) for k in keys]
        gradients: dict[sp.Symbol, sp.Matrix] = {}

        def total(expression: sp.Expr) -> sp.Matrix:
            row = sp.Matrix(1, len(symbols), lambda _, j: sp.diff(expression, symbols[j]))
            for variance, gradient in gradients.items():
                row += sp.diff(expression, variance) * gradient
            return row

        between = {n.q_ab[p]: theory.covariance(p) for p in self.cell.preactivations}
        for variable, number in (theory.numbers if single else between).items():
            gradients[variable] = total(number)
        rows = [total(updates[k]) for k in keys]
        return sp.Matrix.vstack(*rows).applyfunc(without_deltas).applyfunc(sp.factor_terms)

    @cached_property
    def slope(self) -> sp.Matrix:
        """The Jacobian matrix of the map of two-trajectory moments, by Price. Eq. (chi)."""
        return self._map_slope(2)

    @cached_property
    def variance_slope(self) -> sp.Matrix:
        """The Jacobian matrix of the map of the moments, by Bonnet. Eq. (fixed-point)."""
        return self._map_slope(1)

    @cached_property
    def chi(self) -> sp.Expr:
        """The slope of the correlation map; several moments: `slope`'s radius. Eq. (chi)."""
        return SpectralRadius(self.slope) if self.slope.rows > 1 else self.slope[0, 0]

    @cached_property
    def jacobian(self) -> JacobianTheory:
        """Moments of the one-step J J^T, for gaussian and orthogonal weights."""
        return jacobian_theory(self.cell, self.notation.follow_input)

    @cached_property
    def tangent(self) -> TangentTheory:
        """The recursion of perturbations; its leading eigenvalue is the growth of m_1(T)."""
        return TangentTheory(self.jacobian)

    @property
    def shown(self) -> tuple[sp.Eq, ...]:
        """The equations that stand for the whole where it is printed."""
        return (
            *self.second_moment.values(),
            *self.preactivation_variance.values(),
            *self.population_average.values(),
        )

    def _derived(self) -> Iterable[Step]:
        return _steps(self)


def _next(symbol: sp.Symbol) -> sp.Symbol:
    """The symbol one step later: Q becomes Q'."""
    stem, *marks = symbol.name.split("_")
    return sp.Symbol("_".join([f"{stem}'", *marks]), real=True)


_CHEN = "Chen, Pennington & Schoenholz 2018 (arXiv 1806.05394)"


def _steps(d: Derivation) -> list[Step]:
    cell, n = d.cell, d.notation
    squares = {s: sp.Symbol(f"{s.name}'") for s in cell.states}
    update = [sp.Eq(squares[s], f, evaluate=False) for s, f in cell.update.items()]
    laws = [sp.Eq(sp.Function("Var")(p), n.q[p], evaluate=False) for p in cell.preactivations]
    steps = [
        Step("The cell", None, update, "The updates as defined; they act unit by unit."),
        Step(
            "Preactivations are Gaussian",
            None,
            laws,
            "A preactivation sums many independent weights times what they see: by the central "
            "limit theorem it is Gaussian over units, with mean mu_b.",
            "Infinite width; fresh weights at every step (untied), so that each preactivation is "
            "independent of the unit's past, of the input and of the other preactivations.",
            "Poole et al. 2016; " + _CHEN,
        ),
        Step(
            "Variance of the preactivations",
            None,
            list(d.preactivation_variance.values()),
            "Weights of variance sigma_w^2 / N see y, input weights of variance sigma_v^2 / N_in "
            "see the input; the terms are independent, so variances add.",
            citation=_CHEN,
        ),
        Step(
            "Variance recursion",
            [
                sp.Eq(
                    _next(n.moment(d.notation.state_key(s, s))),
                    sp.Function("E")(f**2),
                    evaluate=False,
                )
                for s, f in cell.update.items()
            ],
            list(d.second_moment.values()),
            "Square the update, collect powers of the state, and average: each coefficient depends "
            "on the preactivations and the input alone and factorises by independence.",
            citation=_CHEN,
        ),
    ]
    if d.other_moments:
        steps.append(
            Step(
                "The other moments it needs",
                None,
                list(d.other_moments.values()),
                "The squares couple to these moments, which obey recursions of the same kind.",
            )
        )
    if d.population_average:
        steps.append(averages_step(list(d.population_average.values())))
    steps += [
        Step(
            "Two trajectories",
            list(d.preactivation_covariance.values()),
            list(d.cross_moment.values()),
            "Two inputs of correlation c_x drive the same network; the same averages over "
            "correlated pairs of preactivations give the cross moment, and c = Q_ab / Q the "
            "correlation.",
            citation=_CHEN,
        ),
        Step(
            "Slope of the correlation map",
            None,
            [sp.Eq(sp.Symbol("chi"), d.chi, evaluate=False)],
            "Differentiate the cross recursion; d/dq_ab E[f(e_a) g(e_b)] = E[f' g'] (Price), and "
            "q_ab moves with the cross moments through what the weights see.",
            citation="Price 1958; Schoenholz et al. 2017; " + _CHEN,
        ),
    ]
    return [*steps, *jacobian_steps(d.jacobian)]


@lru_cache(maxsize=64)
def closed_derivation(cell: Cell, constant_input: bool = False) -> Derivation:
    """The theory of a cell whose moments close.

    Raises:
        DerivationError: they do not: a state enters nonlinearly.
    """
    found = Derivation(cell, moment_theory(cell, constant_input))
    _ = found.moments, found.cross_moments
    return found


@lru_cache(maxsize=64)
def derive(
    cell: Cell, tying: str = "untied", constant_input: bool = False
) -> Derivation | LawDerivation | TiedDerivation:
    """Derive the mean-field theory of a cell.

    Args:
        cell: any `Cell`. Where its moments close (affine in the states) this is a `Derivation`;
            otherwise a `LawDerivation`, a recursion over the law of the state.
        tying: "untied": fresh weights at every step, the equations that close, and so the first
            to be shown here (numbers are tied by default); "tied": one set of weights, as in a
            real network, a `TiedDerivation`: a recursion in two times.
        constant_input: whether the input is constant in time (else white); matters where it enters
            elementwise, and not to the tied equations, which name its autocorrelation.

    Raises:
        DerivationError: an unknown tying.

    >>> from rnnmft import cells
    >>> derive(cells.minimal()).second_moment["h"].rhs
    Q*E[sigmoid(z*)**2 | mu_b, q] + R*E[(1 - sigmoid(z*))**2 | mu_b, q]
    """
    if not isinstance(cell, Cell):
        raise ParameterError(f"cell must be a Cell, got {cell!r}")
    if check_tying(tying) == "tied":
        return TiedDerivation(cell)
    try:
        return closed_derivation(cell, constant_input)
    except DerivationError:
        return LawDerivation(cell, moment_theory(cell, constant_input))
