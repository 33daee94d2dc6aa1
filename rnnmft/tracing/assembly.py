"""From closed sums to a cell: which products and vectors make one preactivation.

Terms that occur together, in the same closed sums with the same ratio of coefficients, are one
preactivation. Terms that occur in several sums with different company are preactivations of their
own, so that what is shared stays shared: FastGRNN's two gates share W x + U h and have two biases,
which makes one preactivation and two elementwise random parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy as sp

from rnnmft.language.symbols import Average, Preactivation, RandomParameter
from rnnmft.tracing.bindings import Binding, Slice
from rnnmft.tracing.naming import Names, gate_name, plain_name
from rnnmft.tracing.refusal import TwoPlacesError
from rnnmft.tracing.source import SourcePlace, file_of
from rnnmft.tracing.sums import Atom, Group, Monomial, Vector, exact

__all__ = ["Assembly", "Term"]


@dataclass(frozen=True)
class Term:
    """One preactivation or elementwise parameter to be.

    Attributes:
        operand: what the recurrent matrix sees; 0 where there is none.
        binding: its parameters. An elementwise parameter has only bias.
    """

    operand: sp.Expr
    binding: Binding

    @property
    def rows(self) -> int:
        """How many units it has."""
        binding = self.binding
        return (*binding.recurrent, *binding.input, *binding.bias)[0].shape[0]

    @property
    def is_vector(self) -> bool:
        """Whether there is no matrix."""
        return not self.binding.recurrent and not self.binding.input


class Assembly:
    """The terms behind the symbols of closed sums, and their names.

    Args:
        groups: the closed sums that the updates reach.
        averages: {symbol: what it is the mean of over the units}.
        places: {atom: where the module makes it}, in the order of making.
        labels: {atom: what the source calls it}.
        module: the module, for the shapes of its parameters.
        taken: names that are used already.
        width: N.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        averages: Mapping[sp.Dummy, sp.Expr],
        places: Mapping[Atom, SourcePlace | None],
        labels: Mapping[Atom, str],
        module: Any,
        taken: Sequence[str],
        width: int,
    ) -> None:
        self.module, self._width = module, width
        self.labels = labels
        self.places = places
        self.parts: dict[sp.Dummy, list[tuple[sp.Expr, Term]]] = {g.symbol: [] for g in groups}
        self.terms: dict[Term, list[Atom]] = {}
        reached = dict.fromkeys(a for g in groups for a in g.atoms)
        used = [a for a in dict.fromkeys([*places, *reached]) if a in reached]
        self._check_independence(used)
        self._sort(groups, used)
        self._averages = averages
        names = Names(taken)
        self.names = self._name(names, taken)
        self._average_names = {m: names.claim("average") for m in averages}
        self._symbols: dict[Term, sp.Symbol] = {}

    def _check_independence(self, atoms: Sequence[Atom]) -> None:
        """Each entry of a parameter has one place in the cell."""
        for j, atom in enumerate(atoms):
            for other in atoms[:j]:
                if atom.block.overlaps(other.block):
                    places = dict.fromkeys(self.places.get(a) for a in (other, atom))
                    known = [f"at {place}" for place in places if place is not None]
                    raise TwoPlacesError(
                        f"cannot trace {type(self.module).__name__}: the parameter "
                        f"{atom.block.parameter!r} has two places in the cell, where it would need "
                        "two independent parameters; "
                        + (" and ".join(known) or file_of(self.module))
                    )

    def _sort(self, groups: Sequence[Group], atoms: Sequence[Atom]) -> None:
        """Put the atoms that always occur together into terms."""
        classes: dict[Any, list[Atom]] = {}
        for atom in atoms:
            found = [(g.symbol, g.atoms[atom]) for g in groups if atom in g.atoms]
            key = tuple((symbol, c / found[0][1]) for symbol, c in found)
            classes.setdefault(key, []).append(atom)
        for key, members in classes.items():
            first = next(g for g in groups if g.symbol == key[0][0])
            reference = _reference([(a, first.atoms[a]) for a in members])
            scales = {a: first.atoms[a] / reference for a in members}
            for term, own in _terms(scales):
                self.terms[term] = own
                for symbol, ratio in key:
                    self.parts[symbol].append((exact(ratio * reference), term))

    def _name(self, names: Names, taken: Sequence[str]) -> dict[Term, str]:
        """A name for each term; a gate that comes in two parts has _h and _x behind its name."""
        wanted = {}
        for term, atoms in self.terms.items():
            matrices = (*term.binding.recurrent, *term.binding.input)
            labels = [self.labels[a] for a in atoms if a in self.labels]
            if term.is_vector:
                wanted[term] = plain_name(term.binding.bias, self.module)
            else:
                wanted[term] = gate_name(matrices, term.binding.bias, labels, self.module)
        chosen = {}
        for term, name in wanted.items():
            rivals = [t for t, n in wanted.items() if n == name and not t.is_vector]
            whole = [t for t in rivals if t.binding.recurrent and t.binding.input]
            if not term.is_vector and len(rivals) > 1 and term not in whole[:1]:
                name += f"_{_seen(term)}"
            if name in taken:
                name = f"e_{name}"
            chosen[term] = names.claim(name)
        return chosen

    def symbol(self, term: Term) -> sp.Symbol:
        """The term's symbol, made when it is first asked for: what it sees comes first."""
        if term not in self._symbols:
            name = self.names[term]
            if term.is_vector:
                self._symbols[term] = RandomParameter(name)
            else:
                sees = self.resolve(term.operand)
                has_input = bool(term.binding.input)
                width = sp.Rational(term.rows, self._width)
                self._symbols[term] = Preactivation(name, sees, has_input, width)
        return self._symbols[term]

    def resolve(self, expression: sp.Expr) -> sp.Expr:
        """An expression with preactivations, parameters and averages in place of their symbols."""
        known: dict[sp.Basic, sp.Expr] = {
            symbol: sp.Add(*(c * self.symbol(term) for c, term in self.parts[symbol]))
            for symbol in expression.free_symbols & self.parts.keys()
        }
        for symbol in expression.free_symbols & self._averages.keys():
            content = self.resolve(self._averages[symbol])
            known[symbol] = Average(self._average_names[symbol], content)
        return expression.xreplace(known)

    @cached_property
    def preactivations(self) -> tuple[Preactivation, ...]:
        """The preactivations in the order in which the module computes them."""
        found = [self.symbol(term) for term in self.terms if not term.is_vector]
        return tuple(p for p in found if isinstance(p, Preactivation))


def _reference(members: Sequence[tuple[Atom, float]]) -> float:
    """The coefficient that stays outside of a term: the bias's, or the one that all have."""
    vectors = [c for atom, c in members if isinstance(atom, Vector)]
    if vectors:
        return vectors[0]
    coefficients = {c for _, c in members}
    return coefficients.pop() if len(coefficients) == 1 else 1.0


def _terms(scales: Mapping[Atom, float]) -> list[tuple[Term, list[Atom]]]:
    """One term, and one more for each further thing that a matrix of the class sees."""
    seen: dict[sp.Expr, list[Atom]] = {}
    others: list[Atom] = []
    for atom in scales:
        if isinstance(atom, Monomial) and atom.operand is not None:
            seen.setdefault(atom.operand, []).append(atom)
        else:
            others.append(atom)

    def blocks(atoms: Sequence[Atom], kind: type[Atom]) -> tuple[Slice, ...]:
        return tuple(replace(a.block, scale=scales[a]) for a in atoms if isinstance(a, kind))

    found = []
    for operand, atoms in seen.items() or [(sp.S.Zero, [])]:
        rest = [] if found else others
        binding = Binding(blocks(atoms, Monomial), blocks(rest, Monomial), blocks(rest, Vector))
        found.append((Term(operand, binding), [*atoms, *rest]))
    return found


def _seen(term: Term) -> str:
    """What stands behind the name of a part of a gate: the state it sees, or x."""
    if not term.binding.recurrent:
        return "x"
    return term.operand.name if term.operand.is_Symbol and "group" not in str(term.operand) else "y"
