"""From SymPy expressions to a block: equal parts once, expectations of one law together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from rnnmft.activations import Activation
from rnnmft.errors import CompileError
from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.average import GaussianAverage
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.block import Apply, Block, Instruction, Power, Product, Sum
from rnnmft.numerics.cancellation import without_cancellation
from rnnmft.numerics.iterated_pair import IteratedPair, mark_iterated_pairs, pair_form
from rnnmft.numerics.landmarks import find_landmarks
from rnnmft.numerics.mehler import compile_pair
from rnnmft.numerics.numpy_functions import NUMPY_FUNCTIONS
from rnnmft.numerics.pair_average import PairAverage
from rnnmft.regression import nested_pair

__all__ = ["Builder", "build_block"]

# Of a constant, before it becomes a double: where half of them cancel a double's are left.
_DIGITS = 30


def build_block(
    outputs: Sequence[sp.Expr],
    arguments: Sequence[sp.Symbol],
    backend: Backend,
    rtol: float,
    assignments: Iterable[tuple[sp.Symbol, sp.Expr]] = (),
    uncertain: Iterable[sp.Symbol] = (),
) -> Block:
    """A block that computes the outputs from the arguments.

    Args:
        outputs: expressions in the arguments and the assigned symbols.
        arguments: the block's inputs, in order.
        backend: the table.
        rtol: wanted relative accuracy of the expectations.
        assignments: (symbol, expression), each in the arguments and the symbols before it.
        uncertain: arguments that come with an error.

    Raises:
        CompileError: an unknown symbol or function.
    """
    builder = Builder(arguments, backend, rtol, uncertain)
    doubtful: set[sp.Basic] = set(uncertain)
    assigned: list[tuple[sp.Symbol, sp.Expr]] = []
    for symbol, expression in assignments:
        if expression.has(GaussianExpectation) or doubtful & expression.free_symbols:
            doubtful.add(symbol)
        assigned.append((symbol, _prepared(expression, backend, doubtful)))
    found = [_prepared(e, backend, doubtful) for e in outputs]
    builder.plan(assigned, found)
    for symbol, expression in assigned:
        builder.assign(symbol, expression)
    return builder.finish([builder.slot(e) for e in found])


def _prepared(expression: Any, backend: Backend, doubtful: set[sp.Basic]) -> sp.Expr:
    """The expression without cancelling sums, iterated pairs marked, other pairs nested.

    Activations that the table lacks are written out. A pair that depends on doubtful symbols is not
    marked: series do not carry their errors.
    """
    expression = Activation.written_out(sp.sympify(expression, strict=True), backend.functions)
    expression = without_cancellation(expression)
    return _nested(mark_iterated_pairs(expression, doubtful))


def _nested(expression: Any) -> Any:
    """Expectations over pairs as one inside another, but for the marked ones."""
    if isinstance(expression, IteratedPair) or not expression.args:
        return expression
    parts = tuple(_nested(part) for part in expression.args)
    if parts != expression.args:
        expression = expression.func(*parts)
    if isinstance(expression, GaussianExpectation) and len(expression.variables) == 2:
        return nested_pair(expression)
    return expression


class Builder:
    """Builds one block: a slot for each subexpression, by SymPy's structural equality."""

    def __init__(
        self,
        arguments: Sequence[sp.Symbol],
        backend: Backend,
        rtol: float,
        uncertain: Iterable[sp.Symbol] = (),
    ) -> None:
        self._backend = backend
        self._rtol = rtol
        self._known: dict[sp.Basic, int] = {}
        # Parts of derivatives: their own errors are of second order and are not followed.
        self._exact: dict[sp.Basic, int] = {}
        self._following = True
        self._template: list[Any] = []
        self._instructions: list[Instruction] = []
        self._uncertain: set[int] = set()
        self._groups: dict[sp.Basic, list[GaussianExpectation]] = {}
        self._weights: dict[sp.Basic, list[tuple[int, sp.Expr]]] | None = None
        self._arguments = tuple(self._new(None) for _ in arguments)
        self._known.update(zip(arguments, self._arguments, strict=True))
        self._uncertain.update(self._known[s] for s in uncertain)

    # --- expectations of one law ---------------------------------------------------------------

    def plan(
        self, assigned: Sequence[tuple[sp.Symbol, sp.Expr]], outputs: Sequence[sp.Expr]
    ) -> None:
        """Group the expectations by law and by stage, so that a group never needs itself.

        The stage of a node is one more than the latest stage of what its law and its integrand use.
        """
        stage_of: dict[sp.Basic, int] = {}
        groups: dict[tuple[Any, ...], list[GaussianExpectation]] = {}

        def stage(expression: sp.Basic) -> int:
            if isinstance(expression, sp.Symbol):
                return stage_of.get(expression, 0)
            if isinstance(expression, IteratedPair):
                return max((stage(s) for s in expression.free_symbols), default=0)
            if isinstance(expression, GaussianExpectation):
                if expression not in stage_of:
                    used = [stage(s) for s in expression.free_symbols]
                    used += [stage(p) for p in (*expression.means, *expression.covariance)]
                    stage_of[expression] = 1 + max(used, default=0)
                    nested = expression.integrand.has(GaussianExpectation)
                    law = (expression.means, expression.covariance, nested, stage_of[expression])
                    groups.setdefault(law, []).append(expression)
                return stage_of[expression]
            return max((stage(part) for part in expression.args), default=0)

        for symbol, expression in assigned:
            stage_of[symbol] = stage(expression)
        for expression in outputs:
            stage(expression)
        self._groups = {node: members for members in groups.values() for node in members}
        if not assigned and all(law[-1] == 1 for law in groups):
            self._weights = _weights(outputs, list(self._groups))

    def _iterated(self, mark: IteratedPair) -> int:
        """The series, with the quadrature for laws of which it does not end."""
        node = mark.node
        captured = tuple(sorted(node.free_symbols, key=sp.default_sort_key))
        slots = tuple(self.slot(s) for s in captured)

        def build(outputs: Any, arguments: Any, uncertain: Any) -> Block:
            return build_block(outputs, arguments, self._backend, self._rtol, uncertain=uncertain)

        def nested() -> Block:
            return build([_nested(node)], captured, ())

        rule = compile_pair(pair_form(node, captured), build, self._backend, self._rtol)
        average = PairAverage(slots, self._new(None), rule, nested, self._backend)
        self._instructions.append(average)
        self._uncertain.add(average.slot)
        return average.slot

    def _average(self, node: GaussianExpectation) -> int:
        members = self._groups.get(node, [node])
        variable = sp.Dummy("e", real=True)
        integrands = [m.integrand.xreplace({m.variables[0]: variable}) for m in members]
        captured = sorted(
            set().union(*(f.free_symbols for f in integrands)) - {variable}, key=sp.default_sort_key
        )
        captured_slots = tuple(self.slot(s) for s in captured)
        marks = [m for f in integrands for m in find_landmarks(f, variable)]
        marks = list(dict.fromkeys(marks))
        mean, variance = self.slot(node.means[0]), self.slot(node.covariance[0])
        doubtful = [
            s for s, i in zip(captured, captured_slots, strict=True) if i in self._uncertain
        ]
        block = build_block(
            integrands, [variable, *captured], self._backend, self._rtol, uncertain=doubtful
        )
        places = tuple(self.slot(m.place) for m in marks)
        widths = tuple(self.slot(m.width) for m in marks)
        slots = tuple(self._new(None) for _ in members)
        kinds = tuple(m.kind for m in marks)
        weights = None
        if self._weights is not None:
            found = [self._weights[m] for m in members]
            weights = tuple(tuple((k, self.slot(w)) for k, w in pairs) for pairs in found)
        self._instructions.append(
            GaussianAverage(
                mean,
                variance,
                captured_slots,
                places,
                widths,
                kinds,
                slots,
                block,
                self._backend,
                self._rtol,
                weights,
            )
        )
        self._known.update(zip(members, slots, strict=True))
        self._uncertain.update(slots)
        return self._known[node]

    # --- slots ---------------------------------------------------------------------------------

    def assign(self, symbol: sp.Symbol, expression: sp.Expr) -> None:
        """Give a symbol the slot of its expression."""
        self._known[symbol] = self.slot(expression)

    def finish(self, outputs: Sequence[int]) -> Block:
        """The block with these output slots."""
        nested = bool(self._groups)
        return Block(self._arguments, tuple(outputs), self._template, self._instructions, nested)

    def slot(self, expression: sp.Basic) -> int:
        """The slot of an expression; its instructions are added where it is new."""
        found = self._known.get(expression)
        if found is None and not self._following:
            found = self._exact.get(expression)
        if found is None:
            found = self._add(expression)
            (self._known if self._following else self._exact)[expression] = found
        return found

    def _derivative(self, expression: sp.Basic) -> int:
        """The slot of a derivative that weighs an error."""
        following, self._following = self._following, False
        found = self.slot(expression)
        self._following = following
        return found

    def _new(self, constant: float | None) -> int:
        self._template.append(constant)
        return len(self._template) - 1

    def _emit(self, instruction: Any) -> int:
        self._instructions.append(instruction)
        if self._following and self._uncertain.intersection(instruction.reads):
            self._uncertain.add(instruction.slot)
        return instruction.slot

    def _add(self, expression: sp.Basic) -> int:
        if isinstance(expression, GaussianExpectation):
            return self._average(expression)
        if isinstance(expression, IteratedPair):
            return self._iterated(expression)
        if isinstance(expression, sp.Symbol):
            raise CompileError(
                f"the expression uses {str(expression)!r}, neither an argument nor assigned before"
            )
        if not expression.free_symbols and not expression.has(GaussianExpectation):
            return self._new(_number(expression))
        if isinstance(expression, sp.Pow):
            return self._power(*expression.args)
        if isinstance(expression, (sp.Add, sp.Mul)):
            inputs = tuple(self.slot(part) for part in _ordered(expression.args))
            make = Sum if isinstance(expression, sp.Add) else Product
            return self._emit(make(inputs, self._new(None)))
        return self._function(expression)

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> int:
        if exponent.free_symbols or exponent.has(GaussianExpectation):
            return self.slot(sp.exp(exponent * sp.log(base)))
        i = self.slot(base)
        slopes: tuple[int, ...] = ()
        if self._following and i in self._uncertain:
            slopes = (self._derivative(exponent * base ** (exponent - 1)),)
        power = Power((i,), self._new(None), _number(exponent), self._backend.xp.sqrt, slopes)
        return self._emit(power)

    def _function(self, expression: sp.Basic) -> int:
        function = self._backend.function(expression.func)
        if isinstance(expression, (sp.Max, sp.Min)):
            inputs = [self.slot(part) for part in expression.args]
            found = inputs[0]
            for other in inputs[1:]:
                found = self._emit(
                    Apply((found, other), self._new(None), function, (self._one(),) * 2)
                )
            return found
        inputs = tuple(self.slot(part) for part in expression.args)
        slopes: tuple[int, ...] = ()
        if self._following and self._uncertain.intersection(inputs):
            slopes = tuple(
                self._slope(expression, k) if i in self._uncertain else i
                for k, i in enumerate(inputs)
            )
        return self._emit(Apply(inputs, self._new(None), function, slopes))

    def _one(self) -> int:
        return self.slot(sp.S.One)

    def _slope(self, expression: Any, k: int) -> int:
        """The slot of a partial derivative; at a jump, first order sees nothing."""
        if isinstance(expression, sp.Abs):
            return self._one()
        slope = expression.fdiff(k + 1)
        return self._derivative(slope.replace(sp.DiracDelta, lambda *_: sp.S.Zero))


def _weights(
    outputs: Sequence[sp.Expr], nodes: Sequence[sp.Basic]
) -> dict[sp.Basic, list[tuple[int, sp.Expr]]] | None:
    """(output, d output / d node times the nodes in it), where outputs are affine in the nodes."""
    names = {node: sp.Dummy() for node in nodes}
    found: dict[sp.Basic, list[tuple[int, sp.Expr]]] = {node: [] for node in nodes}
    for k, output in enumerate(outputs):
        plain = output.xreplace(names)
        inside = [node for node in nodes if names[node] in plain.free_symbols]
        for node in inside:
            slope = sp.diff(plain, names[node])
            if slope.free_symbols.intersection(names.values()):
                return None
            found[node].append((k, len(inside) * slope))
    return found if all(found.values()) else None


def _ordered(parts: Sequence[sp.Basic]) -> Sequence[sp.Basic]:
    """Numbers first, so that a constant meets the smallest array."""
    return sorted(parts, key=lambda part: not part.is_number)


def _number(expression: sp.Basic) -> float:
    """A constant expression as a float; SymPy does not know the values of activations."""
    known = expression.replace(
        lambda part: isinstance(part, Activation) and type(part) in NUMPY_FUNCTIONS,
        lambda part: sp.Float(float(NUMPY_FUNCTIONS[type(part)](np.float64(part.args[0])))),
    )
    value = sp.N(known, _DIGITS)
    if not value.is_real:
        raise CompileError(f"the constant {expression} is not a finite real number")
    return float(value)
