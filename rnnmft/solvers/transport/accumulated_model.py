"""The untied theory of an accumulated state as maps: one trajectory, and two.

Couples the law's transport to the second moments that it feeds: q_k from E[y_k^2], the readouts'
E[h^2] = sum_jk E[factor_j factor_k] E[f_j f_k(c')].

Eq. (law-recursion), Eq. (q), Eq. (transport).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.deadline import check_deadline
from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.solvers.transport.accumulator_step import AccumulatorStep
from rnnmft.solvers.transport.coefficient import (
    Factor,
    Terms,
    coefficient_factors,
    factors_of,
)
from rnnmft.solvers.transport.gauss_rules import gaussian_mean, gaussian_pair_mean
from rnnmft.solvers.transport.law_grid import LawGrid
from rnnmft.theory.accumulator import AccumulatorForm, accumulator_form

__all__ = ["AccumulatedModel", "Joint", "OneLaw"]

Array = NDArray[np.float64]
#: {readout: [(f_j, f_j') at some values of c']}.
Values = dict[str, list[tuple[Array, Array]]]
#: The factors, f_j and f_j' of each term of a readout.
ReadoutTerms = list[tuple[tuple[Factor, ...], Array, Array]]


@dataclass(frozen=True)
class OneLaw:
    """One trajectory: weights of E[c^p g(c)], p = 0, 1, 2; E[c], and E[s^2] of every state."""

    law: tuple[Array, Array, Array]
    mean: Mapping[str, float]
    second: Mapping[str, float]


@dataclass(frozen=True)
class Joint:
    """Two trajectories: weights Omega of E[g(c_a) k(c_b)], and E[s_a s_b] of every state."""

    omega: Array
    cross: Mapping[str, float]


@lru_cache(maxsize=32)
def _readout_factors(cell: Cell) -> dict[str, tuple[tuple[Factor, ...], ...]]:
    """{readout: the factors of each term}; two terms share a combination or no preactivation."""
    form = accumulator_form(cell)
    found = {
        s.name: tuple(factors_of(t.factor, f"readout {s.name!r}", form) for t in terms)
        for s, terms in form.readouts.items()
    }
    for name, terms in found.items():
        combinations = {f.terms for factors in terms for f in factors}
        held = [p for combination in combinations for p, _ in combination]
        if len(set(held)) < len(held):
            raise DerivationError(
                f"the readout {name!r} in cell {cell.name!r} has a preactivation in two "
                "combinations"
            )
    return found


@lru_cache(maxsize=32)
def _values(cell: Cell, grid: LawGrid | None) -> Values:
    """The readouts at a grid's nodes; at c' = 0 without one."""
    form, nodes = accumulator_form(cell), np.zeros(1) if grid is None else grid.nodes
    found = {}
    for state, terms in form.readouts.items():
        rows = []
        for term in terms:
            pair = (term.of_state, sp.diff(term.of_state, form.new))
            f, slope = compile_elementwise(pair, [form.new])(nodes)
            rows.append((f, slope))
        found[state.name] = rows
    return found


@dataclass(frozen=True)
class AccumulatedModel:
    """The maps of one cell at one ensemble on one grid; `nodes` Gauss nodes a coefficient.

    Raises (on `check`):
        DerivationError: the cell or the input is not of this kind.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    grid: LawGrid
    nodes: int

    @cached_property
    def form(self) -> AccumulatorForm:
        """The cell as accumulated state and readouts."""
        return accumulator_form(self.cell)

    def check(self) -> None:
        """Raise DerivationError unless the transport applies."""
        coefficient_factors(self.cell)
        _readout_factors(self.cell)
        if self.cell.input is not None:
            raise DerivationError(
                f"the input enters cell {self.cell.name!r} elementwise: its law is not "
                "one-dimensional"
            )

    def sees(self, name: str) -> str | None:
        """Which second moment a preactivation sees: a state's name, "new" for c', None."""
        p = next(p for p in self.cell.preactivations if p.name == name)
        seen = self.cell.sees[p]
        if seen == 0:
            return None
        return "new" if seen == self.cell.update[self.form.state] else seen.name

    def variances(
        self, second: Mapping[str, Any], new: Any, correlation: float = 1.0
    ) -> dict[str, Any]:
        """q_k (or q_k^ab, from cross moments and c_x) of the preactivations known so far."""
        found = {}
        for p in self.cell.preactivations:
            law, sees = self.ensemble[p.name], self.sees(p.name)
            if sees == "new" and new is None:
                continue
            square = None if sees is None else new if sees == "new" else second[sees]
            drive = law.sigma_v**2 * self.inputs.R * correlation if p.has_input else 0.0
            seen = 0.0 if square is None else square
            found[p.name] = law.sigma_w**2 * seen + drive + law.sigma_b**2
        return found

    def step(self, second: Mapping[str, float]) -> AccumulatorStep:
        """The law's step at the variances that follow from second moments."""
        check_deadline()
        q = self.variances(second, None)
        laws = {name: (self.ensemble[name].mu_b, value) for name, value in q.items()}
        return AccumulatorStep(self.cell, self.grid, laws, self.nodes)

    # --- one trajectory ------------------------------------------------------------------------

    @cached_property
    def values(self) -> Values:
        """{readout: [(f_j, f_j') at the grid's nodes]}."""
        return _values(self.cell, self.grid)

    @cached_property
    def at_rest(self) -> Values:
        """The same at c' = 0 alone."""
        return _values(self.cell, None)

    def average(
        self,
        first: tuple[Factor, ...],
        second: tuple[Factor, ...],
        q: Mapping[str, float],
        qab: Mapping[str, float] | None = None,
        along: Terms = (),
    ) -> Any:
        """E[product of both terms' factors]; on two trajectories with qab; d/d`along` of each."""
        result: Any = 1.0
        laws = {name: (self.ensemble[name].mu_b, value) for name, value in q.items()}
        left, right = ({f.terms: f for f in factors} for factors in (first, second))
        if along and not (along in left and along in right):
            return 0.0
        for terms, factor in {**left, **right}.items():
            f, g = (
                (side[terms].derivative if terms == along else side[terms].function)
                if terms in side
                else _one
                for side in (left, right)
            )
            law = factor.law(laws)
            if qab is None:
                result *= gaussian_mean(lambda e, _f=f, _g=g: _f(e) * _g(e), *law)
            else:
                result *= gaussian_pair_mean(f, g, *law, factor.covariance(qab))
        return result

    def terms(self, values: Values | None = None) -> Iterator[tuple[str, ReadoutTerms]]:
        """(readout, [(factors, f_j, f_j') ...])."""
        for name, rows in (self.values if values is None else values).items():
            factors = _readout_factors(self.cell)[name]
            yield name, [(a, f, df) for a, (f, df) in zip(factors, rows, strict=True)]

    def read(
        self, law: Array, new: float, before: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Means and second moments of the readouts of c', at last step's second moments."""
        q = self.variances(before, new)
        mean, second = {}, {}
        # At rest the law is a point mass. A grid holds it to rounding, on which growth would feed.
        law, values = (np.ones(1), self.at_rest) if new == 0.0 else (law, self.values)
        for name, terms in self.terms(values):
            second[name] = max(0.0, float(self._square(terms, law, q)))
            mean[name] = float(sum(self.average(a, (), q) * (law @ f) for a, f, _ in terms))
        return mean, second

    def _square(self, terms: ReadoutTerms, law: Array, q: Mapping[str, Any]) -> Array:
        """E[h^2] of one readout."""
        every = (self.average(a, b, q) * (law @ (f * g)) for a, f, _ in terms for b, g, _ in terms)
        return np.asarray(sum(every))

    def seconds(self, before: Mapping[str, Any]) -> dict[str, Array]:
        """E[s^2] of every state, stationary at the variances of given second moments.

        Those of `stationary`, without what else it tells. Of many points at once where moments, the
        ensemble's parameters and the inputs are arrays: (B,).
        """
        step = self.step(before)
        a, aa, b, bb = step.coefficient_moments()
        new = (2 * a * b * b / (1.0 - a) + bb) / (1.0 - aa)
        q, law = self.variances(before, new), step.stationary_weights()
        at_rest = {
            name: self._square(terms, np.ones(1), q) for name, terms in self.terms(self.at_rest)
        }
        moving = {name: self._square(terms, law, q) for name, terms in self.terms()}
        found = {n: np.where(new == 0.0, at_rest[n], np.maximum(v, 0.0)) for n, v in moving.items()}
        return {**found, self.form.state.name: new}

    def advance(self, at: OneLaw) -> OneLaw:
        """One update of one trajectory."""
        step, c = self.step(at.second), self.form.state.name
        law = step.move(at.law)
        mean, new = step.moments(at.mean[c], at.second[c])
        return self._with_readouts(law, mean, new, at.second)

    def _with_readouts(
        self, law: tuple[Array, Array, Array], mean: float, new: float, before: Mapping[str, float]
    ) -> OneLaw:
        c = self.form.state.name
        means, seconds = self.read(law[0], new, before)
        return OneLaw(law, {**means, c: mean}, {**seconds, c: new})

    def stationary(self, second: Mapping[str, float]) -> OneLaw:
        """The law and readouts that are stationary at the variances of given second moments."""
        step = self.step(second)
        a, aa, b, bb = step.coefficient_moments()
        mean = b / (1.0 - a)
        new = (2 * a * b * mean + bb) / (1.0 - aa)
        return self._with_readouts(step.stationary(), float(mean), float(new), second)

    # --- two trajectories ----------------------------------------------------------------------

    def alike(self, at: OneLaw, share: float) -> Joint:
        """Two trajectories of the law `at`: equal in a share of the units, else independent."""
        law = at.law[0]
        omega = (1.0 - share) * np.outer(law, law) + share * np.diag(law)
        moments = ((n, m**2, at.second[n]) for n, m in at.mean.items())
        return Joint(omega, {n: (1.0 - share) * a + share * b for n, a, b in moments})

    def advance_joint(
        self, joint: Joint, at: OneLaw, after: OneLaw, step: AccumulatorStep | None = None
    ) -> Joint:
        """One update of two trajectories, each of which goes from `at` to `after` by `step`."""
        c = self.form.state.name
        qab = self.variances(joint.cross, None, self.inputs.correlation)
        step = self.step(at.second) if step is None else step
        move, (aa, bb) = step.joint(qab)
        a, _, b, _ = step.coefficient_moments()
        new = float(aa * joint.cross[c] + 2 * a * b * at.mean[c] + bb)
        omega = move(joint.omega)
        q = self.variances(at.second, after.second[c])
        qab = self.variances(joint.cross, new, self.inputs.correlation)
        cross = {c: new}
        at_rest = after.second[c] == 0.0
        seen, values = (np.ones((1, 1)), self.at_rest) if at_rest else (omega, self.values)
        for name, terms in self.terms(values):
            cross[name] = float(
                sum(
                    self.average(a, b, q, qab) * (f @ seen @ g)
                    for a, f, _ in terms
                    for b, g, _ in terms
                )
            )
        return Joint(omega, cross)


def _one(e: Array) -> Array:
    return np.ones_like(e)
