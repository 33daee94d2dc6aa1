"""Programs of the page: expressions with Gaussian expectations as JavaScript functions.

Expectations of one law are evaluated together, on the same nodes; one inside another becomes a
function inside another. Over a pair of equal laws, what is a sum of products f(z_a) g(z_b) becomes
Mehler's series (`js/average.js`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.errors import CompileError
from rnnmft.expectation import GaussianExpectation
from rnnmft.explorer.javascript import FUNCTIONS, JavaScriptPrinter

__all__ = ["ProgramWriter"]

# Where functions without kinks bend, and how far: sigmoid(x) is tanh(x / 2).
_WIDTHS = {"sigmoid": 2, "sigmoid_prime": 2, "softplus": 2, "silu": 2}
_Names = dict[sp.Basic, str]


class ProgramWriter:
    """Writes functions of one page; families of integrands that they share are written once."""

    def __init__(self) -> None:
        self._hoisted: dict[tuple[Any, ...], str] = {}
        self._families: list[str] = []

    def families(self) -> str:
        """The families of integrands that the functions written so far use."""
        return "\n".join(self._families)

    def function(
        self,
        arguments: Mapping[sp.Symbol, str],
        assignments: Sequence[tuple[sp.Symbol, sp.Expr]],
        outputs: Sequence[sp.Expr],
        head: str,
    ) -> str:
        """A JavaScript function that returns an array of the outputs.

        Args:
            arguments: {symbol: what it is called in the function}.
            assignments: (symbol, expression) in order.
            outputs: expressions in the arguments and the assigned symbols.
            head: the arguments, "m, p".

        Raises:
            CompileError: a function that the page lacks, or a pair that no series describes.
        """
        scope = _Scope(self, dict(arguments))
        used = {s for e in outputs for s in e.free_symbols}
        needed = []
        for symbol, expression in reversed(list(assignments)):
            if symbol in used:
                needed.append((symbol, _written_out(expression)))
                used |= expression.free_symbols
        found = [_written_out(e) for e in outputs]
        scope.plan([*(e for _, e in needed), *found])
        for symbol, expression in reversed(needed):
            scope.assign(symbol, expression)
        results = [scope.text(e) for e in found]
        body = "\n".join(f"  {line}" for line in scope.lines)
        return f"({head}) => {{\n{body}\n  return [{', '.join(results)}];\n}}"

    def hoist(self, key: tuple[Any, ...], text: str) -> str:
        """The name of a family or of pairs that is written once."""
        if key not in self._hoisted:
            self._hoisted[key] = f"F{len(self._hoisted)}"
            self._families.append(f"const {self._hoisted[key]} = {text};")
        return self._hoisted[key]


class _Scope:
    """Names and lines of one function body."""

    def __init__(self, writer: ProgramWriter, names: _Names, depth: int = 0) -> None:
        self._writer, self.names, self._depth = writer, names, depth
        self.lines: list[str] = []
        self._members: dict[sp.Basic, list[GaussianExpectation]] = {}
        self._count = 0

    def plan(self, expressions: Iterable[sp.Expr]) -> None:
        """Put together the expectations of one law whose integrands need nothing else."""
        laws: dict[tuple[Any, ...], list[GaussianExpectation]] = {}
        for expression in expressions:
            for node in _outermost(expression):
                if _is_fixed(node) or len(node.variables) == 1:
                    law = (node.means, node.covariance, _is_fixed(node))
                    members = laws.setdefault(law, [])
                    if node not in members:
                        members.append(node)
        self._members = {node: members for members in laws.values() for node in members}

    def assign(self, symbol: sp.Symbol, expression: sp.Expr) -> None:
        """A constant of the function."""
        self.names[symbol] = self._line(self.text(expression))

    def text(self, expression: sp.Expr) -> str:
        """The expression; what it needs is written before."""
        for node in _outermost(expression):
            if node not in self.names:
                self._define(node)
        return str(JavaScriptPrinter(self.names).doprint(expression))

    def _line(self, value: str) -> str:
        self._count += 1
        name = f"v{self._depth}_{self._count}"
        self.lines.append(f"const {name} = {value};")
        return name

    def _define(self, node: GaussianExpectation) -> None:
        mean, variance = self.text(node.means[0]), self.text(node.covariance[0])
        if len(node.variables) == 2:
            self._define_pairs(node, mean, variance)
            return
        if _is_fixed(node):
            members = self._members[node]
            family = self._fixed_family([m.integrand for m in members], node)
        else:
            members = [m for m in self._members.get(node, [node]) if self._ready(m)]
            family = self._inner_family([m.integrand for m in members], node)
        found = self._line(f"average({family}, {mean}, {variance})")
        self.names.update({m: f"{found}[{i}]" for i, m in enumerate(members)})

    def _fixed_family(self, integrands: Sequence[sp.Expr], node: GaussianExpectation) -> str:
        (variable,) = node.variables
        # What lies inside another expectation meets a new law at each node: no table is kept.
        text = _family(integrands, variable, kept=self._depth == 0)
        return self._writer.hoist((tuple(integrands), node.means, node.covariance), text)

    def _ready(self, node: GaussianExpectation) -> bool:
        """Whether everything that the integrand needs has a name."""
        return all(s in self.names for s in node.integrand.free_symbols - set(node.variables))

    def _inner_family(self, integrands: Sequence[sp.Expr], node: GaussianExpectation) -> str:
        """A family made within the function, which sees the function's names."""
        (variable,) = node.variables
        inner = _Scope(self._writer, {**self.names, variable: f"z{self._depth}"}, self._depth + 1)
        inner.plan(integrands)
        results = [f"o[{i}] = {inner.text(f)};" for i, f in enumerate(integrands)]
        body = " ".join([*inner.lines, *results])
        marks, kinked = _marks(integrands, variable)
        places = ", ".join(f"{{ place: {self.text(a)}, width: {self.text(b)} }}" for a, b in marks)
        return (
            f"makeFamily({len(integrands)}, (z{self._depth}, o) => {{ {body} }}, [{places}], "
            f"{'true' if kinked else 'false'})"
        )

    def _define_pairs(self, node: GaussianExpectation, mean: str, variance: str) -> None:
        if node.means[0] != node.means[1] or node.covariance[0] != node.covariance[2]:
            raise CompileError("a pair of unequal laws has no series in the page")
        members = self._members.get(node)
        if members is None:
            raise CompileError("an expectation over pairs inside another has no series in the page")
        variable = node.variables[0]
        functions: list[sp.Expr] = []
        products: list[tuple[int, int]] = []
        sums: list[list[tuple[sp.Expr, int]]] = []
        for member in members:
            sums.append([])
            for weight, *sides in _products(member):
                places = []
                for side in sides:
                    if side not in functions:
                        functions.append(side)
                    places.append(functions.index(side))
                pair = (min(places), max(places))
                if pair not in products:
                    products.append(pair)
                sums[-1].append((weight, products.index(pair)))
        text = (
            f"makePairs({_family(functions, variable, kept=False)}, {[list(p) for p in products]})"
        )
        key = ("pairs", tuple(functions), tuple(products), node.means, node.covariance)
        name = self._writer.hoist(key, text)
        covariance = self.text(node.covariance[1])
        found = self._line(f"pairAverage({name}, {mean}, {variance}, {covariance})")
        for member, terms in zip(members, sums, strict=True):
            parts = [f"{self.text(weight)}*{found}[{at}]" for weight, at in terms]
            self.names[member] = f"({' + '.join(parts)})"


def _written_out(expression: sp.Expr) -> sp.Expr:
    return Activation.written_out(expression, FUNCTIONS)


def _outermost(expression: sp.Basic) -> list[GaussianExpectation]:
    """The expectations of an expression that lie in no other."""
    if isinstance(expression, GaussianExpectation):
        return [expression]
    found = [node for part in expression.args for node in _outermost(part)]
    return list(dict.fromkeys(found))


def _is_fixed(node: GaussianExpectation) -> bool:
    """Whether the integrand needs nothing but the variables."""
    f = node.integrand
    return f.free_symbols <= set(node.variables) and not f.has(GaussianExpectation)


def _products(node: GaussianExpectation) -> list[tuple[sp.Expr, sp.Expr, sp.Expr]]:
    """(weight, f, g) of an integrand sum w f(z_a) g(z_b), all in the first variable."""
    a, b = node.variables
    f = node.integrand
    for terms in ([f], list(sp.Add.make_args(sp.expand(f)))):
        found = []
        for term in terms:
            weight, rest = term.as_independent(a, b, as_Add=False)
            left, right = rest.as_independent(b, as_Add=False)
            if a in right.free_symbols:
                break
            found.append((weight, left, right.xreplace({b: a})))
        else:
            return cast("list[tuple[sp.Expr, sp.Expr, sp.Expr]]", found)
    raise CompileError(f"{f} is no sum of products of one trajectory each")


def _family(integrands: Sequence[sp.Expr], variable: sp.Symbol, kept: bool) -> str:
    """A family of integrands that need nothing but the variable."""
    names = (sp.Symbol(f"_t{i}", real=True) for i in range(10_000))
    shared, reduced = sp.cse(list(integrands), symbols=names)
    known: _Names = {variable: "z", **{s: s.name for s, _ in shared}}
    printer = JavaScriptPrinter(known)
    lines = [f"const {s.name} = {printer.doprint(e)};" for s, e in shared]
    lines += [f"o[{i}] = {printer.doprint(e)};" for i, e in enumerate(reduced)]
    marks, kinked = _marks(integrands, variable)
    places = ", ".join(
        f"{{ place: {float(place)!r}, width: {float(width)!r} }}" for place, width in marks
    ).replace("inf", "Infinity")
    return (
        f"makeFamily({len(integrands)}, (z, o) => {{ {' '.join(lines)} }}, [{places}], "
        f"{'true' if kinked else 'false'}{', true' if kept else ''})"
    )


def _marks(
    integrands: Sequence[sp.Expr], variable: sp.Symbol
) -> tuple[list[tuple[sp.Expr, sp.Expr]], bool]:
    """(place, width) of every bend along the variable, and whether one of them is a kink.

    A kink between straight lines is as wide as they are long.
    """
    found: dict[tuple[sp.Expr, sp.Expr], None] = {}
    kinked = False
    for node in sorted({n for f in integrands for n in _functions(f)}, key=sp.default_sort_key):
        argument = node.args[0]
        if argument.has(GaussianExpectation):
            continue
        slope = sp.diff(argument, variable)
        if slope.has(variable):
            curvature = sp.diff(slope, variable)
            if curvature != 0 and not curvature.has(variable):  # exp(-z^2)
                centre = -slope.xreplace({variable: sp.S.Zero}) / curvature
                found[(centre, sp.sqrt(2 / sp.Abs(curvature)))] = None
            continue
        if slope == 0:
            continue
        kinks = _kinks(node)
        kinked |= bool(kinks)
        width = sp.Integer(_WIDTHS.get(type(node).__name__, 1)) / sp.Abs(slope)
        if _is_straight(node):
            width = sp.oo
        offset = argument.xreplace({variable: sp.S.Zero})
        for value in kinks or (sp.S.Zero,):
            found[((value - offset) / slope, width)] = None
    return list(found), kinked


def _functions(expression: sp.Basic) -> set[Any]:
    """The functions of an expression, but for the integrands of expectations."""
    if isinstance(expression, GaussianExpectation):
        laws = (*expression.means, *expression.covariance)
        return set().union(*(_functions(part) for part in laws))
    own = {expression} if isinstance(expression, sp.Function) else set()
    return own.union(*(_functions(part) for part in expression.args))


def _is_straight(function: Any) -> bool:
    """Whether it is made of straight lines.

    >>> from rnnmft.activations import relu, softsign, tanh
    >>> x = sp.Symbol("x")
    >>> _is_straight(relu(x)), _is_straight(softsign(x)), _is_straight(tanh(x))
    (True, False, False)
    """
    if isinstance(function, (sp.Abs, sp.sign)):
        return True
    x = sp.Dummy("x", real=True)
    line = function.func(x)
    try:
        for _ in range(2):
            line = line.diff(x).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
    except NotImplementedError:  # an activation without a derivative
        return False
    return bool(line == 0)


def _kinks(node: Any) -> tuple[sp.Expr, ...]:
    if isinstance(node, (sp.Abs, sp.sign)):
        return (sp.S.Zero,)
    return tuple(type(node).kinks) if isinstance(node, Activation) else ()
