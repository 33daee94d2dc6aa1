"""The theory of cells whose moments do not close: every equation, as a recursion over a law.

With fresh weights at every step the preactivations are Gaussian with variances fed by second
moments, as for any cell. But a state that enters nonlinearly needs its law. For one accumulated
state (the LSTM) the law is one-dimensional, c' = alpha c + beta in law, and can be transported
without sampling; for any other cell the law of all states is sampled.

Eq. (law-recursion), Eq. (moments).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Preactivation, State
from rnnmft.theory.accumulator import AccumulatorForm, accumulator_form
from rnnmft.theory.independence import expect
from rnnmft.theory.jacobian import JacobianTheory, jacobian_theory
from rnnmft.theory.law_expectation import LawExpectation
from rnnmft.theory.moments import MomentTheory
from rnnmft.theory.notation import Notation
from rnnmft.theory.population_average import averages_step
from rnnmft.theory.steps import Step, StepsRecord
from rnnmft.theory.unit_average import unit_average

__all__ = ["LawDerivation"]

_GILBOA = "Gilboa et al. 2019 (arXiv 1901.08987)"


@dataclass(frozen=True, repr=False)
class LawDerivation(StepsRecord):
    """The symbolic theory of a cell that needs the law of its state (untied).

    `second_moment`, `cross_moment`, `preactivation_variance`, `preactivation_covariance`: equations
    keyed by name, as in `Derivation`; averages over the law are `LawExpectation` nodes. `law` is
    the recursion of the law itself. `closes` says which states have a recursion of moments.
    """

    cell: Cell
    theory: MomentTheory
    tying: ClassVar[str] = "untied"
    kind: ClassVar[str] = "untied, over a law"

    @property
    def notation(self) -> Notation:
        """The symbols: q, q_ab, mu_b, sigma_w, ... by preactivation; moments by key."""
        return self.theory.notation

    @cached_property
    def form(self) -> AccumulatorForm | None:
        """The cell as one accumulated state and its readouts, or None where it is not."""
        try:
            return accumulator_form(self.cell)
        except DerivationError:
            return None

    @cached_property
    def closes(self) -> dict[str, bool]:
        """{state: whether its second moment has a closed recursion}."""
        return {s.name: not self._second(s, 1).has(LawExpectation) for s in self.cell.states}

    def _second(self, state: State, trajectories: int) -> sp.Expr:
        """E[s'^2] or E[s_a' s_b'], closed where it closes."""
        theory, form = self.theory, self.form
        key = self.notation.state_key(*[state] * 2, trajectories=trajectories)
        try:
            return theory.update(key)
        except DerivationError:
            pass
        if form is None or state not in form.readouts:
            sides = [
                theory.on(self.cell.update[state], t, trajectories) for t in range(trajectories)
            ]
            return self._over_law(sides[0] * sides[-1])
        news = [self.notation.on(form.new, t, trajectories) for t in range(trajectories)]
        total = sp.S.Zero
        for j in form.readouts[state]:
            for k in form.readouts[state]:
                factors = [theory.on(j.factor, 0, trajectories)]
                factors.append(theory.on(k.factor, trajectories - 1, trajectories))
                values = j.of_state.subs(form.new, news[0]) * k.of_state.subs(form.new, news[-1])
                weight = expect(sp.Mul(*factors), theory.laws(trajectories))
                total += weight * LawExpectation(values, *news)
        return total

    def _over_law(self, product: sp.Expr) -> sp.Expr:
        inside = sorted(product.free_symbols - set(self.cell.averages), key=str)
        return LawExpectation(product, *inside)

    def _equations(self, trajectories: int) -> dict[str, sp.Eq]:
        found = {}
        for s in self.cell.states:
            symbol = self.notation.moment(self.notation.state_key(s, s, trajectories=trajectories))
            stem, *marks = symbol.name.split("_")
            name = "_".join([f"{stem}'", *marks])
            found[s.name] = sp.Eq(
                sp.Symbol(name, real=True), self._second(s, trajectories), evaluate=False
            )
        return found

    @cached_property
    def second_moment(self) -> dict[str, sp.Eq]:
        """{state: Eq(Q', ...)}."""
        return self._equations(1)

    @cached_property
    def cross_moment(self) -> dict[str, sp.Eq]:
        """{state: Eq(Q_ab', ...)}."""
        return self._equations(2)

    def _variance(self, p: Preactivation, trajectories: int) -> sp.Expr:
        theory, n = self.theory, self.notation
        try:
            return theory.variance(p) if trajectories == 1 else theory.covariance(p)
        except DerivationError:
            pass
        seen = self.cell.sees[p]
        sides = [theory.on(seen, t, trajectories) for t in range(trajectories)]
        drive = n.R if trajectories == 1 else n.c_x * n.R
        square = n.sigma_w[p] ** 2 * self._over_law(sides[0] * sides[-1])
        wide = n.sigma_v[p] ** 2 * drive if p.has_input else sp.S.Zero
        return square + wide + n.sigma_b[p] ** 2

    @cached_property
    def preactivation_variance(self) -> dict[str, sp.Eq]:
        """{preactivation: Eq(q, ...)}."""
        n = self.notation
        return {
            p.name: sp.Eq(n.q[p], self._variance(p, 1), evaluate=False)
            for p in self.cell.preactivations
        }

    @cached_property
    def preactivation_covariance(self) -> dict[str, sp.Eq]:
        """{preactivation: Eq(q_ab, ...)}."""
        n = self.notation
        return {
            p.name: sp.Eq(n.q_ab[p], self._variance(p, 2), evaluate=False)
            for p in self.cell.preactivations
        }

    @cached_property
    def population_average(self) -> dict[str, sp.Eq]:
        """{average: Eq(m, E[f])} over the law of a unit."""
        return {
            m.name: sp.Eq(m, unit_average(self.theory, f), evaluate=False)
            for m, f in self.cell.averages.items()
        }

    @cached_property
    def law(self) -> dict[str, sp.Eq]:
        """{state: s' = F(s, x, e)}: equality in law, s, x and e independent."""
        return {
            s.name: sp.Eq(sp.Symbol(f"{s.name}'", real=True), f, evaluate=False)
            for s, f in self.cell.update.items()
        }

    @property
    def chi(self) -> sp.Expr:
        """No closed expression: the slope is the leading eigenvalue of the tangent operator.

        Raises:
            DerivationError: always; it says where the number is.
        """
        raise DerivationError(
            f"chi of cell {self.cell.name!r} has no closed expression: it is the leading "
            "eigenvalue of the tangent operator over the law of the state "
            "(MeanField.timescales computes it)"
        )

    @cached_property
    def jacobian(self) -> JacobianTheory:
        """The linearised unit; moments of J J^T as averages over the law."""
        return jacobian_theory(self.cell, self.notation.follow_input)

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


def _steps(d: LawDerivation) -> list[Step]:
    cell, n = d.cell, d.notation
    laws = [sp.Eq(sp.Function("Var")(p), n.q[p], evaluate=False) for p in cell.preactivations]
    open_states = ", ".join(name for name, closed in d.closes.items() if not closed)
    blocks = [
        sp.Eq(sp.Symbol(name), block, evaluate=False)
        for name, block in zip("ABCD", d.jacobian.blocks, strict=True)
    ]
    return [
        Step("The cell", None, list(d.law.values()), "The updates as defined, unit by unit."),
        Step(
            "Preactivations are Gaussian",
            None,
            laws,
            "Each sums many independent weights times what they see.",
            "Infinite width; fresh weights at every step (untied).",
            "Poole et al. 2016; " + _GILBOA,
        ),
        Step(
            "Variance of the preactivations",
            None,
            list(d.preactivation_variance.values()),
            "The terms W y, V x and b are independent, so their variances add.",
            citation=_GILBOA,
        ),
        Step(
            "Where the recursion closes, and where it does not",
            None,
            list(d.second_moment.values()),
            f"The second moment of {open_states} is an average of a nonlinear function of a state: "
            "it needs the law of that state, whose own recursion is the cell's update read as an "
            "equality in law. The other moments close.",
            citation=_GILBOA,
        ),
        *_law_steps(d),
        *([averages_step(list(d.population_average.values()))] if d.cell.averages else []),
        Step(
            "Two trajectories",
            list(d.preactivation_covariance.values()),
            list(d.cross_moment.values()),
            "The same over the joint law of two runs driven by inputs of correlation c_x.",
        ),
        Step(
            "The linearised unit",
            None,
            blocks,
            "ds' = A ds + B de, dy = C ds + D de, de = W dy. The growth of perturbations is the "
            "leading eigenvalue of this map averaged over the law, E[ds^2 g(s)].",
        ),
    ]


def _law_steps(d: LawDerivation) -> list[Step]:
    form = d.form
    if form is None:
        return []
    equation = sp.Eq(form.new, form.gain * form.state + form.noise, evaluate=False)
    return [
        Step(
            "The law of the accumulated state",
            None,
            [equation],
            f"Gain and noise are independent of {form.state.name}: a random affine recursion. Its "
            "transfer operator, (P g)(c) = E[g(alpha c + beta)], acts on smooth functions, so a "
            "spectral discretisation moves the law to near machine precision.",
            citation="Kesten 1973; Goldie 1991; " + _GILBOA,
        )
    ]
