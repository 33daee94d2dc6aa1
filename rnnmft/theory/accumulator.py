"""Cells nonlinear in one accumulated state (the LSTM and its kin): a recursion over a law.

Such a cell has one state c that its own past enters, c' = alpha c + beta with alpha and beta
functions of the preactivations, and other states that are read out from the new c alone:
h = G(c', e). Second moments of h need the law of c, which is not Gaussian; the law itself obeys

    law of c' = law of (alpha c + beta),    E[h'^2] = E[G(c', e)^2],

which closes: q_k follows from E[h^2] and E[c^2] [gilboa2019].

Eq. (law-recursion).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Preactivation, State

__all__ = ["AccumulatorForm", "Readout", "accumulator_form", "single_combination"]


@dataclass(frozen=True)
class Readout:
    """One factorised term of a readout h = sum_j factor_j(e) f_j(c')."""

    factor: sp.Expr
    of_state: sp.Expr


@dataclass(frozen=True)
class AccumulatorForm:
    """A cell written as c' = gain c + noise, h = sum_j factor_j(e) f_j(c').

    Attributes:
        state: the accumulated state c.
        new: the symbol of c'.
        gain, noise: alpha and beta, expressions in preactivations (and the white input).
        readouts: {other state: its terms}.
        independent: whether gain and noise share no variable.
    """

    cell: Cell
    state: State
    new: sp.Symbol
    gain: sp.Expr
    noise: sp.Expr
    readouts: Mapping[State, tuple[Readout, ...]]

    @property
    def independent(self) -> bool:
        """Whether gain and noise depend on different preactivations."""
        return not self.gain.free_symbols & self.noise.free_symbols


@lru_cache(maxsize=64)
def accumulator_form(cell: Cell) -> AccumulatorForm:
    """Write a cell as one accumulated state and its readouts. Eq. (law-recursion).

    Raises:
        DerivationError: it is not of this form; the message says what stands in the way.

    >>> from rnnmft import cells
    >>> form = accumulator_form(cells.lstm())
    >>> form.state, form.gain, form.readouts[cells.lstm().states[1]][0].of_state
    (c, sigmoid(f), tanh(c'))
    """
    held = {s for f in cell.update.values() for s in f.free_symbols if isinstance(s, State)}
    if cell.averages:
        raise _not_of_this_form(cell, "its averages over units move with the law")
    if len(held) != 1:
        raise _not_of_this_form(cell, f"its updates read {len(held)} old states, not one")
    if cell.parameters:
        raise _not_of_this_form(cell, "it has elementwise random parameters, fixed in time")
    (state,) = held
    update = cell.update[state]
    gain = sp.diff(update, state)
    if state in gain.free_symbols:
        raise _not_of_this_form(cell, f"{state.name!r} is not updated affinely")
    new = sp.Symbol(f"{state.name}'", real=True)
    form = AccumulatorForm(
        cell,
        state,
        new,
        gain,
        sp.expand(update - gain * state) if gain != 0 else update,
        {s: _readout(cell, s, state, new) for s in cell.states if s != state},
    )
    for p in cell.preactivations:
        _check_seen(form, p)
    return form


def _not_of_this_form(cell: Cell, reason: str) -> DerivationError:
    return DerivationError(
        f"cell {cell.name!r} has no one-dimensional recursion over a law: {reason}"
    )


def _readout(cell: Cell, read: State, state: State, new: sp.Symbol) -> tuple[Readout, ...]:
    """The terms of h = G(c', e), each a product of a function of c' and one of preactivations."""
    expression = cell.update[read].subs(cell.update[state], new)
    if state in expression.free_symbols:
        raise _not_of_this_form(
            cell, f"{read.name!r} reads the old {state.name!r}, not the new one"
        )
    shared = expression.free_symbols & cell.update[state].free_symbols
    if shared:
        names = ", ".join(sorted(map(str, shared)))
        raise _not_of_this_form(cell, f"{read.name!r} shares {names} with {state.name!r}")
    terms = []
    for term in sp.Add.make_args(sp.expand(expression)):
        factor, of_state = term.as_independent(new, as_Add=False)
        if of_state.free_symbols - {new}:
            raise _not_of_this_form(cell, f"{read.name!r} mixes {new} with a preactivation")
        terms.append(Readout(factor, of_state))
    return tuple(terms)


def _check_seen(form: AccumulatorForm, p: Preactivation) -> None:
    """A preactivation may see one state, the new accumulated state, or the input alone."""
    seen = form.cell.sees[p]
    if seen == 0 or seen in form.cell.states or seen == form.cell.update[form.state]:
        return
    raise _not_of_this_form(form.cell, f"{p.name!r} sees {seen}, more than one plain state")


def single_combination(
    expression: sp.Expr, symbols: Iterable[sp.Symbol]
) -> tuple[sp.Expr, sp.Symbol, dict[sp.Symbol, sp.Expr]] | None:
    """An expression as a function of one linear combination u of the symbols that it holds.

    A sum of independent Gaussians is one Gaussian: sigmoid(f + f_c) has one random argument.

    Returns:
        The expression in u, u, and {symbol: its coefficient, a number}; None where it depends on
        the symbols in any other way.

    >>> f, g = sp.symbols("f g")
    >>> _, u, coefficients = single_combination(sp.cos(f - 2 * g) ** 2, [f, g])
    >>> coefficients
    {f: 1, g: -2}
    """
    held = [s for s in symbols if s in expression.free_symbols]
    u = sp.Dummy("u", real=True)
    if len(held) == 1:
        return expression.xreplace({held[0]: u}), u, {held[0]: sp.S.One}
    for argument in _arguments(expression, held):
        slopes = {s: sp.diff(argument, s) for s in held}
        reduced = expression.xreplace({argument: u + argument.xreplace(dict.fromkeys(held, 0))})
        if all(slope.is_number for slope in slopes.values()) and not (
            reduced.free_symbols & set(held)
        ):
            return reduced, u, slopes
    return None


def _arguments(expression: sp.Expr, held: list[sp.Symbol]) -> list[sp.Expr]:
    """The arguments of functions inside that hold every one of the symbols."""
    arguments = {a for f in expression.atoms(sp.Function) for a in f.args}
    return sorted((a for a in arguments if set(held) <= a.free_symbols), key=sp.default_sort_key)
