"""The generating function of J J^T: implicit equations of M(z) and S(z), for one step and for many.

    M(z) = sum_k m_k z^-k = z G(z) - 1,    G(z) = (1/mN) tr (z - J J^T)^-1,
    S(x) = (1 + x) / (x M^-1(x)).

Any cell: G from the characteristic function of a unit. One product of matrices (vanilla): a closed
S-transform besides, and its power for T steps. T steps of any cell: the same with matrices over
time, for tied weights and for fresh ones.

Eq. (generating-function), Eq. (s-transform), Eq. (free-power), Eq. (many-steps).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import sympy as sp

from rnnmft.language import Cell
from rnnmft.theory.characteristic_function import CharacteristicFunction
from rnnmft.theory.determining_series import determining_function
from rnnmft.theory.linearised_unit import LinearisedUnit
from rnnmft.theory.many_steps import many_step_equations
from rnnmft.theory.s_transform import FactorChain, factor_chain
from rnnmft.theory.steps import Step, StepsRecord

__all__ = ["GeneratingFunction"]

Weights = str | Mapping[str, str]

_FREE = "Voiculescu 1987; Nica & Speicher 1997"
_LINEARISED = "Belinschi, Mai & Speicher 2017; Yang 2020 (arXiv 2009.10685)"
_PENNINGTON = "Pennington, Schoenholz & Ganguli 2017 (arXiv 1711.04735), 2018 (arXiv 1802.09979)"


@dataclass(frozen=True)
class GeneratingFunction(StepsRecord):
    """The equations of the spectrum of one cell's J J^T; all attributes are lazy.

    >>> from rnnmft import cells, derive
    >>> for equation in derive(cells.vanilla()).jacobian.generating_function.s_transform()[:1]:
    ...     print(equation.lhs, "=", equation.rhs)
    S(x) = S_B(x)/(sigma_w**2*(x + 1))
    """

    cell: Cell
    unit: LinearisedUnit
    tying: ClassVar[str] = "untied"

    @cached_property
    def characteristic(self) -> CharacteristicFunction:
        """Delta(z; a, b), and the symbols of the unknowns."""
        return CharacteristicFunction(self.unit)

    @cached_property
    def chain(self) -> FactorChain | None:
        """The Jacobian as one product of matrices, where it is one."""
        return factor_chain(self.unit)

    @cached_property
    def equations(self) -> tuple[sp.Eq, ...]:
        """The implicit equations of M(z) and S(x), with Delta and Phi as they are named."""
        return (*self.characteristic.general(), self.moments, self.s_definition)

    @cached_property
    def moments(self) -> sp.Eq:
        """M(z) = z G(z) - 1. Eq. (generating-function)."""
        z = self.characteristic.z
        return _equation(sp.Function("M")(z), z * sp.Function("G")(z) - 1)

    @cached_property
    def s_definition(self) -> sp.Eq:
        """S(M(z)) = (1 + M(z)) / (z M(z))."""
        z = self.characteristic.z
        m = sp.Function("M")(z)
        return _equation(sp.Function("S")(m), (1 + m) / (z * m))

    def system(self, weights: Weights = "gaussian", written_out: bool = False) -> tuple[sp.Eq, ...]:
        """The equations of the unknowns and of G(z), for one ensemble: see `characteristic`."""
        return self.characteristic.system(weights, written_out)

    def s_transform(self, weights: Weights = "gaussian") -> tuple[sp.Eq, ...]:
        """S(x) in closed form as far as it has one; else its definition by M(z). Eq. (s-transform).

        Args:
            weights: "gaussian" or "orthogonal" for every W_k, or {preactivation: ensemble}.
        """
        return (self.s_definition,) if self.chain is None else self.chain.s_transform(weights)

    @property
    def powers_are_exact(self) -> bool:
        """Whether S^T is exact for T steps; elsewhere it is an approximation.

        Gates of different steps are diagonal in the same basis: they commute, so they are not free.
        """
        return self.chain is not None and self.chain.powers_are_exact

    def over_steps(self, weights: Weights = "gaussian") -> tuple[sp.Eq, ...]:
        """T steps as a free product: S_T, mean and variance, and the master equation of a chain.

        Eq. (free-power).

        Exact where `powers_are_exact`, an approximation elsewhere.
        """
        x, length = sp.Symbol("x"), sp.Symbol("T", positive=True)
        m_1, m_2 = sp.symbols("m_1 m_2")
        spread = length * (m_2 - m_1**2) / m_1**2 * m_1 ** (2 * length)
        found = [
            _equation(sp.Function("S_T")(x), sp.Function("S")(x) ** length),
            _equation(sp.Function("m_1")(length), m_1**length),
            _equation(sp.Function("sigma^2")(length), spread),
        ]
        master = None if self.chain is None else self.chain.master_equation(weights)
        return tuple(found) if master is None else (*found, master)

    def block_equation(
        self, tying: str = "tied", weights: Weights = "gaussian"
    ) -> tuple[sp.Eq, ...]:
        """The exact equations of T steps, tied or untied: see `many_step_equations`.

        Eq. (block).
        """
        return many_step_equations(self.unit, tying, weights)

    def _derived(self) -> Iterable[Step]:
        return (*_one_step(self), *_closed(self), *_many_steps(self))

    @property
    def shown(self) -> tuple[sp.Eq, ...]:
        """The equations that stand for the whole where it is printed."""
        return self.equations

    def __repr__(self) -> str:
        rows = [f"  {e.lhs} = {e.rhs}" for e in (*self.s_transform()[:1], self.moments)]
        return "\n".join([f"GeneratingFunction of {self.cell.name!r}", *rows])


def _one_step(function: GeneratingFunction) -> list[Step]:
    """The system for any cell."""
    unit, delta = function.unit, function.characteristic
    entries = [_equation(n, unit.entries[place]) for place, n in unit.names.items()]
    x = sp.Symbol("x")
    phi = [
        _equation(
            sp.Function(f"Phi_{kind}")(x), determining_function(kind, sp.Symbol("sigma_w"), x)
        )
        for kind in ("gaussian", "orthogonal")
    ]
    *general, resolvent = delta.general()
    return [
        Step(
            "The linearised unit",
            None,
            [_equation(sp.Symbol("tau"), unit.named_transfer), *entries],
            "ds' = A ds + B de, dy = C ds + D de: the derivatives of one unit, with the matrices "
            "that answer dy by de = W dy cut out.",
            citation=_LINEARISED,
        ),
        Step(
            "The weights",
            None,
            phi,
            "A bi-invariant ensemble (W, U W and W U have one law for any orthogonal U) enters by "
            "its determining series alone.",
            "Infinite width: each W is asymptotically free of the diagonal factors and of the "
            "other matrices, whether it is tied or fresh at every step.",
            _FREE + "; Yang 2020",
        ),
        Step(
            "Self-energies",
            None,
            general,
            "The resolvent of the linearisation, with each W replaced by what an average over "
            "units leaves of it: a unit contributes like a small matrix of characteristic "
            "function Delta.",
            citation=_LINEARISED,
        ),
        Step(
            "Resolvent, moments and S-transform",
            None,
            [resolvent, function.moments, function.s_definition],
            "G is the normalised trace of the resolvent; its expansion at large z has the moments "
            "m_k, and S is the inverse of M rescaled.",
            citation=_LINEARISED,
        ),
        *_written_out(function),
    ]


def _written_out(function: GeneratingFunction) -> list[Step]:
    """Delta and Phi inserted, where that can be read."""
    if not function.characteristic.is_short:
        return []
    return [
        Step(
            "The system written out",
            None,
            list(function.system("gaussian")),
            "Delta and Phi inserted, for gaussian weights. Every quantity is a power series in "
            "1/z, so the branch is the one connected to large z.",
            citation=_LINEARISED,
        )
    ]


def _closed(function: GeneratingFunction) -> list[Step]:
    """What is closed for a chain."""
    if function.chain is None:
        return []
    return [
        Step(
            f"S-transform, {kind} weights",
            None,
            list(function.s_transform(kind)),
            "J is one product of free matrices, so S-transforms multiply. A factor d of few values "
            "has a closed one; for any other S_d is given with y as its parameter.",
            citation=_PENNINGTON,
        )
        for kind in ("gaussian", "orthogonal")
    ]


def _many_steps(function: GeneratingFunction) -> list[Step]:
    """T steps: the free product, and the exact equations."""
    assumption = (
        "None beside infinite width: diagonals of different steps are separated by a W."
        if function.powers_are_exact
        else "The Jacobians of different steps are free. This cell's are not: gates of different "
        "steps are diagonal in one basis, so they commute. An approximation."
    )
    exact = [
        Step(
            f"T steps, {tying} weights",
            None,
            list(function.block_equation(tying)),
            "The changes over T steps are linear in s^0 and e^1..e^T: tau_T takes the place of "
            "tau, and self-energies are matrices over time. " + reason,
            citation=_LINEARISED,
        )
        for tying, reason in (
            ("untied", "Fresh weights at every step couple equal times only."),
            ("tied", "One set of weights couples all pairs of times."),
        )
    ]
    return [
        Step(
            "T steps as a free product",
            None,
            list(function.over_steps()),
            "S-transforms of free factors multiply: S_T = S^T; the first two orders give mean and "
            "variance.",
            assumption,
            "Chen, Pennington & Schoenholz 2018 (arXiv 1806.05394); " + _PENNINGTON,
        ),
        *exact,
    ]


def _equation(left: sp.Basic, right: sp.Basic) -> sp.Eq:
    return sp.Eq(left, right, evaluate=False)
