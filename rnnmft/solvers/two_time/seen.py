"""What one W sees, as numbers: averages over a Gaussian pair, by quadrature or in closed form.

Eq. (gaussian-states), Eq. (bonnet-price), Eq. (arc-cosine).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Preactivation
from rnnmft.numerics.charts import Kind
from rnnmft.numerics.compile import (
    STATUSES,
    Evaluation,
    Program,
    compile_elementwise,
    compile_program,
)
from rnnmft.numerics.landmarks import find_landmarks
from rnnmft.theory.gaussian_states import GaussianStatesTheory, PairAverages

__all__ = ["KINDS", "SMALLEST", "Seen", "seen_by"]

Array = NDArray[np.float64]
#: The averages of a pair: E[y y], E[y' y'] and E[y'' y] / 2.
KINDS = ("overlap", "slope", "curvature")
#: Variances below this count as this: an integral over a point would lose its derivatives. Its
#: root, 1e-50, moves no f(mu + z) that is not steeper than 1e30.
SMALLEST = 1e-100
# So close to +-1 no rounding makes a residual variance q_s - q_ts^2 / q_t negative. The slope holds
# no such variance, and with a kink its derivative is infinite there.
_CLOSEST = 1.0 - 1e-15


class Seen:
    """A function y of one Gaussian variable u, and its averages over pairs (u_t, u_s).

    Attributes:
        functions: y as "overlap" and y' as "slope", elementwise.
        closed: whether every average is known in closed form.
        kinks: the values of u at which y is not smooth.
        hidden: whether there are kinks that cannot be placed.
    """

    def __init__(self, y: sp.Expr, u: sp.Symbol, averages: PairAverages) -> None:
        self._averages = averages
        self.functions = {"overlap": _elementwise(y, u), "slope": _elementwise(sp.diff(y, u), u)}
        self.closed = averages.is_closed
        marks = [m for m in find_landmarks(y, u) if m.kind in (Kind.KINK, Kind.HIDDEN)]
        self.hidden = any(m.kind is Kind.HIDDEN for m in marks)
        self.kinks = sorted({float(m.place) for m in marks if m.kind is Kind.KINK})

    @cached_property
    def _programs(self) -> dict[str, Program]:
        averages = self._averages
        found = {}
        for kind in KINDS:
            assignments, expression = _with_one_cosine(getattr(averages, kind))
            found[kind] = compile_program(assignments, [expression], averages.arguments)
        return found

    @cached_property
    def _equal(self) -> dict[str, Program]:
        averages = self._averages
        arguments = [averages.arguments[0], averages.arguments[2]]
        return {
            kind: compile_program([], [f], arguments)
            for kind, f in zip(KINDS, averages.equal, strict=True)
        }

    def average(
        self, kind: str, mu_t: Any, mu_s: Any, q_t: Any, q_ts: Any, q_s: Any
    ) -> tuple[Array, Array]:
        """One of `KINDS` and its error, at arrays that broadcast together.

        Raises:
            ConvergenceError: an integral does not exist.
        """
        q_t, q_s = np.maximum(q_t, SMALLEST), np.maximum(q_s, SMALLEST)
        most = np.sqrt(q_t * q_s) * (1.0 if kind == "slope" else _CLOSEST)
        return _values(self._programs[kind](mu_t, mu_s, q_t, np.clip(q_ts, -most, most), q_s))

    def at_one_time(self, kind: str, mu: Any, q: Any) -> tuple[Array, Array]:
        """The same at equal times, E[y^2], E[y'^2] or E[y'' y] / 2, and its error."""
        return _values(self._equal[kind](mu, np.maximum(q, SMALLEST)))


def _with_one_cosine(expression: sp.Expr) -> tuple[list[tuple[sp.Symbol, sp.Expr]], sp.Expr]:
    """The arc-cosine kernels with one rounded cosine c, and sqrt((1 - c)(1 + c)) for its sine.

    sin(theta) - theta cancels near theta = 0 unless both come from the same c.
    """
    assignments = []
    for node in sorted(expression.atoms(sp.acos), key=sp.default_sort_key):
        c = sp.Dummy("c", real=True)
        assignments.append((c, node.args[0]))
        sine = sp.sqrt(1 - node.args[0] ** 2)
        parts = {node: sp.acos(c), sine: sp.sqrt(sp.Mul(1 - c, 1 + c, evaluate=False))}
        expression = expression.xreplace(parts)
    return assignments, expression


def _values(found: Evaluation) -> tuple[Array, Array]:
    # An integral that is next to nothing may miss a relative tolerance: its error says so.
    codes = np.asarray(found.status)
    failed = (codes != 0) & (codes != STATUSES.index(Status.NOT_CONVERGED))
    if failed.any():
        raise ConvergenceError(STATUSES[int(codes[failed].flat[0])])
    return np.asarray(found.values[0]), np.asarray(found.errors[0])


def _elementwise(y: sp.Expr, u: sp.Symbol) -> Callable[[Array], Array]:
    compiled = compile_elementwise([y], [u])
    return lambda values: np.asarray(compiled(values)[0])


@lru_cache(maxsize=64)
def _seen(y: sp.Expr, u: sp.Symbol, averages: PairAverages) -> Seen:
    return Seen(y, u, averages)


def seen_by(theory: GaussianStatesTheory, p: Preactivation, centred: bool) -> Seen:
    """What a preactivation's weights see; `centred`: where every mean is zero at all times."""
    averages = theory.averages(p)
    return _seen(theory.seen[p], theory.u, averages.centred() if centred else averages)
