"""The T-step Jacobian: the same equations as for one step, with matrices over time.

A unit's changes over T steps are linear in s^0 and in the changes e^1..e^T of its preactivations:

    R_t = A_t R_{t-1} + B_t E_t,    Y_t = C_t R_{t-1} + D_t E_t,    R_0 = (1, 0),

rows over (s^0; e^1, .., e^T), E_t picking out e^t. tau_T = (R_T; Y_1, .., Y_T) takes the place of
tau, and the self-energies a_k, b_k become T x T matrices over time. Tied weights use all of them;
fresh weights only see equal times, so their diagonals.

Eq. (many-steps), Eq. (block).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from rnnmft.language.weight_ensembles import room_of
from rnnmft.parameters import check_tying
from rnnmft.theory.determining_series import determining_matrix, kinds_by_name
from rnnmft.theory.law_expectation import LawExpectation
from rnnmft.theory.linearised_unit import LinearisedUnit

_LENGTH = sp.Symbol("T", integer=True, positive=True)
_T, _S = sp.Symbol("t", integer=True), sp.Symbol("s", integer=True)

__all__ = ["many_step_equations", "transfer_over"]


def transfer_over(unit: LinearisedUnit, horizon: int) -> sp.ImmutableMatrix:
    """tau_T of a cell, its entries marked with their step: rows (s^T, y), columns (s^0, e).

    Eq. (many-steps).

    The places of a preactivation's T times are consecutive.

    >>> from rnnmft import cells
    >>> from rnnmft.theory.jacobian import jacobian_theory
    >>> transfer_over(jacobian_theory(cells.minimal()), 2)[0, :]
    Matrix([[A^1*A^2, A^2*B^1, B^2]])
    """
    m, kinds = len(unit.cell.states), len(unit.recurrent)
    size = m + kinds * horizon
    one = sp.eye(size)
    rows, seen = one[:m, :], []
    for t in range(1, horizon + 1):
        marks = {s: sp.Symbol(f"{s.name}^{t}", real=True) for s in unit.names.values()}
        tau = unit.named_transfer.xreplace(marks)
        at_t = sp.Matrix.vstack(
            sp.zeros(0, size), *(one[m + k * horizon + t - 1, :] for k in range(kinds))
        )
        seen.append(tau[m:, :m] * rows + tau[m:, m:] * at_t)
        rows = tau[:m, :m] * rows + tau[:m, m:] * at_t
    ordered = [seen[t][k, :] for k in range(kinds) for t in range(horizon)]
    return sp.ImmutableMatrix(sp.Matrix.vstack(rows, *ordered))


def many_step_equations(
    unit: LinearisedUnit, tying: str = "tied", weights: str | Mapping[str, str] = "gaussian"
) -> tuple[sp.Eq, ...]:
    """The equations of the T-step Jacobian's resolvent, for a symbolic T. Eq. (block).

    tau_T by its recursion, its characteristic function Delta_T, the self-energies, and the
    resolvent. The average is over a unit's trajectory: tied, its preactivations are correlated in
    time and every pair of times counts; untied, only equal times do. Phi acts on a matrix by its
    power series. Where widths differ there is a tau_T, and a Delta_T, for the units of each.

    Raises:
        ParameterError: an unknown tying.
    """
    check_tying(tying)
    kinds = kinds_by_name(weights, [p.name for p in unit.cell.preactivations])
    sigma_w = unit.theory.notation.sigma_w
    z = sp.Symbol("z")
    marks = [f"_{p.name}" if len(unit.recurrent) > 1 else "" for p in unit.recurrent]
    a, b, u, v = ([sp.MatrixSymbol(stem + x, _LENGTH, _LENGTH) for x in marks] for stem in "abuv")
    elements = [matrix[_T, _S] for matrix in (*a, *b)]
    found, taus, log = _recursion(unit), [], sp.S.Zero
    for width in (w for w, (rows, _) in unit.width_classes.items() if rows):
        tau, determinant = _determinant(unit, width, z, a, b)
        delta = sp.Function(_marked("Delta_T", width))(z, *elements)
        found.append(_equation(delta, determinant))
        taus.append(tau)
        log += width * sp.log(delta)
    kept = sp.KroneckerDelta(_T, _S) if tying == "untied" else sp.S.One
    for energies, averages in ((a, u), (b, v)):
        for energy, average in zip(energies, averages, strict=True):
            slope = sp.Derivative(log, energy[_T, _S])
            found.append(_equation(average[_T, _S], -kept * LawExpectation(slope, *taus)))
    for k, p in enumerate(unit.recurrent):
        phi = sp.MatrixSymbol(f"Phi{marks[k]}", _LENGTH, _LENGTH)
        seen, kind = unit.cell.seen_widths[p], kinds[p.name]
        room = room_of(kind, p.width, seen)
        matrix = determining_matrix(kind, sigma_w[p] / sp.sqrt(seen), v[k] * u[k] / room)
        found += [
            _equation(phi, matrix),
            _equation(a[k], phi * v[k]),
            _equation(b[k], u[k] * phi),
        ]
    slope = LawExpectation(sp.Derivative(log, z), *taus)
    count = sp.Add(*(s.width for s in unit.cell.states))
    return (*found, _equation(sp.Function("G_T")(z), slope / count))


def _determinant(
    unit: LinearisedUnit,
    width: sp.Rational,
    z: sp.Symbol,
    a: Sequence[sp.MatrixSymbol],
    b: Sequence[sp.MatrixSymbol],
) -> tuple[sp.MatrixSymbol, sp.Determinant]:
    """tau_T of the units of one width, and their Delta_T."""
    m, (rows, columns) = len(unit.cell.states), unit.width_classes[width]
    states = sum(i < m for i in rows)
    energies = [a[j - m] for j in columns if j >= m]
    far = [b[i - m] for i in rows if i >= m]
    tau = sp.MatrixSymbol(
        _marked("tau_T", width), states + len(far) * _LENGTH, states + len(energies) * _LENGTH
    )
    one = [sp.Identity(states)] if states else []
    left = _diagonal([*(z * x for x in one), *(sp.Identity(_LENGTH) for _ in far)])
    answered = tau * _diagonal([*one, *energies]) * tau.T
    return tau, sp.Determinant(left - answered * _diagonal([*one, *far]))


def _diagonal(blocks: list[sp.MatrixExpr]) -> sp.MatrixExpr:
    return blocks[0] if len(blocks) == 1 else sp.BlockDiagMatrix(*blocks)


def _marked(name: str, width: sp.Rational) -> str:
    return name if width == 1 else f"{name}_{width}"


def _recursion(unit: LinearisedUnit) -> list[sp.Eq]:
    """R_t and Y_t, and what tau_T is made of."""
    m, kinds = len(unit.cell.states), len(unit.recurrent)
    size = m + kinds * _LENGTH
    shapes = {"A": (m, m), "B": (m, kinds), "C": (kinds, m), "D": (kinds, kinds)}
    at = {name: sp.MatrixSymbol(f"{name}_t", *shape) for name, shape in shapes.items()}
    r, before, start = (sp.MatrixSymbol(x, m, size) for x in ("R_t", "R_{t-1}", "R_0"))
    if not kinds:
        return [_equation(r, at["A"] * before), _equation(start, sp.Identity(m))]
    y, e = (sp.MatrixSymbol(x, kinds, size) for x in ("Y_t", "E_t"))
    return [
        _equation(r, at["A"] * before + at["B"] * e),
        _equation(y, at["C"] * before + at["D"] * e),
    ]


def _equation(left: sp.Basic, right: sp.Basic) -> sp.Eq:
    return sp.Eq(left, right, evaluate=False)
