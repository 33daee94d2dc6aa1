"""derive(cell, tying="tied"): the exact infinite-width theory of a recurrent network, as equations.

With one set of weights for all steps each preactivation is a Gaussian process over time. Its
covariance with its own past is an average over the very process that it drives, one step earlier:
a causal recursion in two times, Eq. (tied-kernel), of which the untied theory keeps t = s alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import sympy as sp

from rnnmft.language import Cell, Preactivation, State
from rnnmft.theory.gaussian_states import has_gaussian_states
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.theory.memoryless import is_memoryless, memoryless_theory
from rnnmft.theory.notation import Notation
from rnnmft.theory.population_average import averages_step
from rnnmft.theory.steps import Step, StepsRecord
from rnnmft.theory.two_time_equations import two_time_equations
from rnnmft.theory.unit_expectation import UnitExpectation

__all__ = ["TiedDerivation"]

_PROCESS = "Eissfeller & Opper 1992 (Phys. Rev. Lett. 68, 2094); Yang 2019 (arXiv 1910.12478)"
_T, _S = sp.Symbol("t", integer=True), sp.Symbol("s", integer=True)


@dataclass(frozen=True, repr=False)
class TiedDerivation(StepsRecord):
    """The symbolic theory of one cell with tied weights, exact at infinite width.

    `process` maps a state to its update in time, `covariance` and `cross_covariance` a
    preactivation to its covariance between two times, on one trajectory and between two.
    `tangent` is the process of a small perturbation, `tangent_covariance` its Gaussian drive.
    `dropped` are the covariances that the untied theory sets to zero. `kernel` is the closed
    two-time recursion where there is one (memoryless cells, and cells with Gaussian states), and
    empty elsewhere.
    """

    cell: Cell
    tying: ClassVar[str] = "tied"

    @cached_property
    def notation(self) -> Notation:
        """The symbols of the ensemble: sigma_w, sigma_v, sigma_b, mu_b, R, c_x."""
        return Notation(self.cell)

    # --- variables in time ---------------------------------------------------------------------

    def at(self, symbol: sp.Symbol, time: sp.Expr, trajectory: str = "") -> sp.Expr:
        """A cell's symbol at a time, on a trajectory: h(t), h_a(t). Parameters do not change."""
        if symbol in self.cell.parameters:
            return symbol
        name = f"{symbol.name}_{trajectory}" if trajectory else symbol.name
        return sp.Function(name, real=True)(time)

    def on(self, expression: sp.Expr, time: sp.Expr, trajectory: str = "") -> sp.Expr:
        """An expression of the cell at a time, on a trajectory."""
        symbols = [*self.cell.states, *self.cell.preactivations, *self.cell.averages]
        symbols += [self.cell.input] if self.cell.input is not None else []
        return expression.xreplace({v: self.at(v, time, trajectory) for v in symbols})

    def _name(self, stem: str, p: Preactivation | State, several: int, mark: str = "") -> sp.Expr:
        marks = [p.name] * (several > 1) + [mark] * bool(mark)
        return sp.Function("_".join([stem, *marks]), real=True)(_T, _S)

    def _covariance_of(self, p: Preactivation, mark: str = "") -> sp.Expr:
        return self._name("C", p, len(self.cell.preactivations), mark)

    # --- equations -----------------------------------------------------------------------------

    @cached_property
    def process(self) -> dict[str, sp.Eq]:
        """{state: s(t + 1) = F(s(t), x(t), e(t))}."""
        return {
            s.name: sp.Eq(self.at(s, _T + 1), self.on(f, _T), evaluate=False)
            for s, f in self.cell.update.items()
        }

    @cached_property
    def population_average(self) -> dict[str, sp.Eq]:
        """{average: m(t) = E[f(t)]}; each trajectory has its own."""
        return {
            m.name: sp.Eq(self.at(m, _T), UnitExpectation(self.on(f, _T)), evaluate=False)
            for m, f in self.cell.averages.items()
        }

    def _drive(self, p: Preactivation, between: bool) -> sp.Expr:
        n, kappa = self.notation, sp.Function("kappa", real=True)(_T - _S)
        power = n.R * kappa * (n.c_x if between else 1)
        wide = n.sigma_v[p] ** 2 * power if p.has_input else sp.S.Zero
        return wide + n.sigma_b[p] ** 2

    def _covariances(self, between: bool) -> dict[str, sp.Eq]:
        first, second = ("a", "b") if between else ("", "")
        found = {}
        for p, y in self.cell.sees.items():
            value = self._drive(p, between)
            if p.is_recurrent:
                seen = self.on(y, _T, first) * self.on(y, _S, second)
                value += self.notation.sigma_w[p] ** 2 * UnitExpectation(seen)
            mark = "ab" if between else ""
            found[p.name] = sp.Eq(self._covariance_of(p, mark), value, evaluate=False)
        return found

    @cached_property
    def covariance(self) -> dict[str, sp.Eq]:
        """{preactivation: C(t, s) = sigma_w^2 E[y(t) y(s)] + (input and bias)}."""
        return self._covariances(between=False)

    @cached_property
    def cross_covariance(self) -> dict[str, sp.Eq]:
        """{preactivation: C_ab(t, s)}, between two trajectories with inputs of correlation c_x."""
        return self._covariances(between=True)

    @cached_property
    def second_moment(self) -> dict[str, sp.Eq]:
        """{state: Q(t) = E[s(t)^2]}: averages over the process."""
        found = {}
        for s in self.cell.states:
            name = f"Q_{s.name}" if len(self.cell.states) > 1 else "Q"
            square = UnitExpectation(self.at(s, _T) ** 2)
            found[s.name] = sp.Eq(sp.Function(name, real=True)(_T), square, evaluate=False)
        return found

    @cached_property
    def dropped(self) -> dict[str, sp.Eq]:
        """{preactivation: Cov(e(t), e(s)) = 0 at t != s}: what the untied theory puts instead."""
        return {
            p.name: sp.Eq(self._covariance_of(p), sp.KroneckerDelta(_T, _S) * value, evaluate=False)
            for p in self.cell.preactivations
            for value in [self._covariance_of(p).subs(_S, _T)]
        }

    @cached_property
    def kernel(self) -> dict[str, sp.Eq]:
        """{preactivation: C(t + 1, s + 1) = ...} in Gaussian integrals, where that closes.

        Where the states remember and are Gaussian: C(t, s), and the filter that the states are.
        """
        if not is_memoryless(self.cell):
            if not has_gaussian_states(self.cell):
                return {}
            return two_time_equations(
                self.cell, self.notation, self._covariance_of, lambda p: self._drive(p, False)
            )
        theory, found = memoryless_theory(self.cell), {}
        values: dict[sp.Symbol, sp.Expr] = {}
        for p in self.cell.preactivations:
            c = self._covariance_of(p)
            values[theory.q_t[p]], values[theory.q_s[p]] = c.subs(_S, _T), c.subs(_T, _S)
            values[theory.q_ts[p]] = c
            values[theory.mu[p]] = self.notation.mu_b[p]
        kappa = sp.Function("kappa", real=True)(_T - _S)
        values |= {theory.R: self.notation.R, theory.R_ts: self.notation.R * kappa}
        for p in self.cell.preactivations:
            later = self._covariance_of(p).subs({_T: _T + 1, _S: _S + 1}, simultaneous=True)
            seen = self.notation.sigma_w[p] ** 2 * theory.seen[p].xreplace(values)
            found[p.name] = sp.Eq(later, seen + self._drive(p, False), evaluate=False)
        return found

    # --- perturbations -------------------------------------------------------------------------

    def _delta(self, symbol: sp.Symbol, time: sp.Expr) -> sp.Expr:
        return sp.Function(f"delta_{symbol.name}", real=True)(time)

    def _linear(self, expression: sp.Expr) -> sp.Expr:
        """The first-order change of an expression at time t."""
        moving = [*self.cell.states, *self.cell.preactivations]
        terms = ((sp.diff(expression, v), v) for v in moving)
        return sp.Add(*(self.on(slope, _T) * self._delta(v, _T) for slope, v in terms if slope))

    @cached_property
    def tangent(self) -> dict[str, sp.Eq]:
        """{state: delta s(t + 1) = sum dF/ds delta s(t) + sum dF/de delta e(t)}."""
        return {
            s.name: sp.Eq(self._delta(s, _T + 1), self._linear(f), evaluate=False)
            for s, f in self.cell.update.items()
        }

    @cached_property
    def tangent_covariance(self) -> dict[str, sp.Eq]:
        """{preactivation: Cov(delta e(t), delta e(s)) = sigma_w^2 E[delta y(t) delta y(s)]}."""
        found = {}
        for p, y in self.cell.sees.items():
            if not p.is_recurrent:
                continue
            change = self._linear(y)
            later = UnitExpectation(change * change.subs(_T, _S))
            name = self._name("D", p, len(self.cell.preactivations))
            found[p.name] = sp.Eq(name, self.notation.sigma_w[p] ** 2 * later, evaluate=False)
        return found

    def _square(self, s: State, time: sp.Expr) -> sp.Expr:
        return UnitExpectation(self._delta(s, time) ** 2)

    @cached_property
    def mean_squared_gradient(self) -> sp.Eq:
        """m_1(T) = sum_a w_a E[delta s_a(t + T)^2] / sum_a w_a E[delta s_a(t)^2]; w_a: widths."""
        length = sp.Symbol("T", integer=True, positive=True)
        after, before = (
            sp.Add(*(s.width * self._square(s, time) for s in self.cell.states))
            for time in (_T + length, _T)
        )
        return sp.Eq(sp.Function("m_1")(length), after / before, evaluate=False)

    @property
    def shown(self) -> tuple[sp.Eq, ...]:
        """The equations that stand for the whole where it is printed."""
        averages = self.population_average.values()
        return (*self.process.values(), *self.covariance.values(), *averages)

    def _derived(self) -> Iterable[Step]:
        return _steps(self)


def _steps(d: TiedDerivation) -> list[Step]:
    means = [
        sp.Eq(UnitExpectation(d.at(p, _T)), d.notation.mu_b[p], evaluate=False)
        for p in d.cell.preactivations
    ]
    blocks = [
        sp.Eq(sp.Symbol(name), block, evaluate=False)
        for name, block in zip("ABCD", jacobian_theory(d.cell).blocks, strict=True)
    ]
    return [
        Step(
            "The cell in time",
            None,
            list(d.process.values()),
            "The update as defined, unit by unit, with the time written out. The weights, the bias "
            "and the elementwise parameters are drawn once and act at every step.",
        ),
        Step(
            "Preactivations are Gaussian processes",
            None,
            means,
            "Given what the same W multiplied at all earlier steps, W y(t) sums many weakly "
            "dependent terms: over units e is jointly Gaussian over all times and trajectories, "
            "about its mean, independent between different W. Only inner products of what W sees "
            "enter, so gaussian and orthogonal weights have the same forward theory.",
            "Infinite width; the weights are independent of the inputs and of one another. Nothing "
            "is assumed about time.",
            _PROCESS,
        ),
        Step(
            "Covariance between two times",
            None,
            list(d.covariance.values()),
            "W y(t) and W y(s) share W, V x(t) and V x(s) share V, and b is the same at all times: "
            "the bias is a constant of the unit, not noise. The input has the autocorrelation "
            "kappa.",
            citation=_PROCESS,
        ),
        Step(
            "Two trajectories",
            None,
            list(d.cross_covariance.values()),
            "Two runs a, b of the same network on inputs of correlation c_x: the same covariance, "
            "with the input's multiplied by c_x.",
            citation=_PROCESS,
        ),
        *([averages_step(list(d.population_average.values()))] if d.cell.averages else []),
        *_solution(d),
        Step(
            "What the untied theory drops",
            list(d.covariance.values()),
            list(d.dropped.values()),
            "Fresh weights at every step would make e(t) independent of e(s): the covariances at "
            "t != s are set to zero, the equal-time ones keep their form. But a unit that saw a "
            "large e before sees one again, and its state has grown with it: wherever a state "
            "outlives a step, E[s^2] depends on the covariances that are dropped.",
            "Not made here: this is the assumption of the untied theory.",
            "Chen, Pennington & Schoenholz 2018 (arXiv 1806.05394); Gilboa et al. 2019",
        ),
        Step(
            "The linearised unit",
            None,
            [*blocks, *d.tangent.values()],
            "A perturbation of the states moves by the derivatives along the unit's own "
            "trajectory: ds' = A ds + B de, dy = C ds + D de.",
        ),
        Step(
            "The tangent process",
            None,
            [*d.tangent_covariance.values(), d.mean_squared_gradient],
            "W multiplies perturbations as it multiplies states: delta e is Gaussian, and again "
            "correlated with its own past. m_1(T) is the mean squared singular value of the T-step "
            "Jacobian, and tied criticality is that it neither grows nor decays: "
            "lim (1/T) log m_1(T) = 0.",
            "The perturbation's direction is independent of the weights, as a random one is.",
            _PROCESS,
        ),
    ]


def _solution(d: TiedDerivation) -> list[Step]:
    """How the recursion is solved: closed in two times, or by units."""
    if d.kernel and not is_memoryless(d.cell):
        return [
            Step(
                "The states are Gaussian, and the recursion closes in two times",
                list(d.covariance.values()),
                list(d.kernel.values()),
                "The states are linear in the preactivations, with constant coefficients: Gaussian "
                "processes, filtered from Gaussian processes. E[y(t) y(s)] is an integral over one "
                "Gaussian pair, whose covariance is the filtered one.",
                citation="Sompolinsky, Crisanti & Sommers 1988",
            )
        ]
    if d.kernel:
        return [
            Step(
                "The recursion closes in two times",
                list(d.covariance.values()),
                list(d.kernel.values()),
                "The states are functions of the preactivations of their own step: E[y(t) y(s)] is "
                "an integral over one Gaussian pair. At t = s these are the untied equations, so "
                "one-time laws, correlations and gradients agree with the untied theory's.",
                citation="Sompolinsky, Crisanti & Sommers 1988; Yang 2019",
            )
        ]
    return [
        Step(
            "The recursion is causal, and does not close in moments",
            None,
            list(d.second_moment.values()),
            "The averages at time t need the process before t only, so no equation is left to "
            "solve. But a state depends on all earlier preactivations of its unit: no finite set "
            "of moments is enough. Units are sampled: each e(t) is drawn given the unit's own past "
            "from the covariances above, which are averages over the same units.",
            citation="Eissfeller & Opper 1992",
        )
    ]
