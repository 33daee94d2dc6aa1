"""What a recurrent cell is: states, one input, preactivations, and one elementwise update a state.

    e_k = W_k y_k + V_k x + b_k,    y_k = Y_k(s, x, e_1 .. e_{k-1})       ("what W_k sees")
    s_a' = F_a(s, x, e_1 .. e_K)

Y_k and F_a act elementwise. The symbols are SymPy symbols, so a cell is written as one writes it
on paper; `Cell` checks that what was written is one.

Eq. (cell).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import sympy as sp
from sympy.core.function import AppliedUndef

from rnnmft.activations import Activation, canonical_functions
from rnnmft.errors import CellError
from rnnmft.language.choices import without_jumps
from rnnmft.language.ensemble import Ensemble, build_ensemble
from rnnmft.language.laws import Law
from rnnmft.language.symbols import Input, Preactivation, RandomParameter, State, evaluated
from rnnmft.language.toml_writer import cell_to_toml

__all__ = ["Cell", "Input", "Preactivation", "RandomParameter", "State", "dependency_order"]

_ELEMENTWISE = (sp.Add, sp.Mul, sp.Pow, sp.Number, sp.NumberSymbol, sp.exp, sp.erf, sp.sin, sp.cos)
_ELEMENTWISE += (sp.log, sp.Abs, sp.sign, sp.atan, Activation)
_ARGUMENTS = ("self", "weights", "parameters")


class Cell:
    """A recurrent cell: a name and one elementwise update for each state. Eq. (cell).

    Args:
        name: for titles and files.
        update: {state: expression}; all updates read the old states (they are simultaneous).
        preactivations: further preactivations, needed only where an expression refers to one by a
            plain symbol of its name instead of the object.

    Attributes:
        states: in the order of `update`.
        preactivations: in dependency order.
        sees: read-only {preactivation: what its W multiplies}.
        input: the `Input` that some expression uses elementwise, or None.
        parameters: the elementwise `RandomParameter`s, by name.
        update: read-only {state: expression}.

    Raises:
        CellError: a circle among preactivations, an unknown symbol, an operation that is not
            elementwise, a state without an update, one name for two things.

    >>> from rnnmft.activations import sigmoid
    >>> h, x = State("h"), Input("x")
    >>> e = Preactivation("e", h)
    >>> Cell("minimal", update={h: sigmoid(e) * h + (1 - sigmoid(e)) * x})
    Cell 'minimal': states h; preactivations e; input x elementwise
    """

    def __init__(
        self,
        name: str,
        update: Mapping[State, Any],
        preactivations: Iterable[Preactivation] = (),
    ) -> None:
        if not name or not isinstance(name, str):
            raise CellError(f"a cell needs a name, got {name!r}")
        if not isinstance(update, Mapping):
            raise CellError(f"cell {name!r}: update must map states to expressions, got {update!r}")
        if not update:
            raise CellError(f"cell {name!r} has no state: update is empty")
        for state in update:
            if not isinstance(state, State):
                raise CellError(f"cell {name!r}: update's keys must be State, got {state!r}")
        self.name = name
        expressions = {
            state: _expression(value, f"the update of {state.name!r}")
            for state, value in update.items()
        }
        found = _collect(expressions.values(), preactivations)
        named = {p.name: p for p in found}
        known = {**{s.name: s for s in update}, **named}
        self.states: tuple[State, ...] = tuple(update)
        resolve = {sp.Symbol(n): s for n, s in known.items()}
        resolve |= {sp.Symbol(n, real=True): s for n, s in known.items()}
        sees = {p: p.sees.xreplace(resolve) for p in found}
        whole: dict[Preactivation, Preactivation] = {}
        for p in dependency_order(found, sees):
            y = sees[p].xreplace(whole)
            whole[p] = p if y == p.sees else Preactivation(p.name, y, p.has_input)
        self.preactivations: tuple[Preactivation, ...] = tuple(whole.values())
        self.sees: Mapping[Preactivation, sp.Expr] = MappingProxyType(
            {p: p.sees for p in self.preactivations}
        )
        self.update: Mapping[State, sp.Expr] = MappingProxyType(
            {s: f.xreplace(resolve).xreplace(whole) for s, f in expressions.items()}
        )
        self.input, self.parameters = self._check_symbols()

    def _check_symbols(self) -> tuple[Input | None, tuple[RandomParameter, ...]]:
        """Every symbol is a state with an update, a preactivation, a parameter or the one input."""
        places = {f"the update of {s.name!r}": f for s, f in self.update.items()}
        places |= {f"what {p.name!r} sees": f for p, f in self.sees.items()}
        inputs: set[Input] = set()
        parameters: set[RandomParameter] = set()
        for place, expression in places.items():
            for symbol in sorted(expression.free_symbols, key=str):
                if isinstance(symbol, Input):
                    inputs.add(symbol)
                elif isinstance(symbol, RandomParameter):
                    parameters.add(symbol)
                elif isinstance(symbol, State):
                    if symbol not in self.states:
                        raise CellError(
                            f"cell {self.name!r}: state {symbol.name!r} is used in {place} "
                            "but has no update"
                        )
                elif symbol not in self.preactivations:
                    raise CellError(
                        f"cell {self.name!r}: unknown symbol {str(symbol)!r} in {place}; known are "
                        f"{', '.join(sorted(s.name for s in (*self.states, *self.preactivations)))}"
                    )
        if len(inputs) > 1:
            raise CellError(
                f"cell {self.name!r} has more than one input: {sorted(map(str, inputs))}"
            )
        names = [s.name for s in (*self.states, *self.preactivations, *inputs, *parameters)]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise CellError(f"cell {self.name!r} uses one name for two things: {', '.join(twice)}")
        return next(iter(inputs), None), tuple(sorted(parameters, key=lambda p: p.name))

    def ensemble(
        self,
        weights: str | Mapping[str, str] = "gaussian",
        parameters: Mapping[str, Law] | None = None,
        **preactivations: Mapping[str, float],
    ) -> Ensemble:
        """The law of this cell's weights, biases and elementwise parameters.

        Args:
            weights: "gaussian", "orthogonal" (every recurrent matrix), or one of them by name.
            parameters: {name: law} for each elementwise random parameter of the cell.
            preactivations: {sigma_w, sigma_v, mu_b, sigma_b} by the name of the preactivation.

        Raises:
            ParameterError: a value outside its domain, an unknown name, a parameter without a law.

        >>> from rnnmft import cells
        >>> cells.minimal().ensemble(e=dict(sigma_w=4.0, mu_b=0.5))["e"].sigma_w
        4.0
        """
        names = [p.name for p in self.parameters]
        return build_ensemble(self.preactivations, weights, preactivations, names, parameters or {})

    def to_toml(self) -> str:
        """The cell's text form, which `rnnmft.cells.loads` reads back to an equal cell.

        Raises:
            CellError: the cell holds a function, number or name that the text form cannot express.

        >>> from rnnmft import cells
        >>> cells.loads(cells.gru().to_toml()) == cells.gru()
        True
        """
        return cell_to_toml(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cell):
            return NotImplemented
        mine, theirs = (
            (c.name, tuple(c.update.items()), tuple(c.sees.items())) for c in (self, other)
        )
        return mine == theirs

    def __reduce__(self) -> Any:
        return type(self), (self.name, dict(self.update), self.preactivations)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.update.items()), tuple(self.sees.items())))

    def __repr__(self) -> str:
        names = ", ".join(s.name for s in self.states)
        text = f"Cell {self.name!r}: states {names}; preactivations "
        text += ", ".join(p.name for p in self.preactivations) or "none"
        if self.parameters:
            text += f"; random parameters {', '.join(q.name for q in self.parameters)}"
        return text + (f"; input {self.input.name} elementwise" if self.input else "")

    def _repr_latex_(self) -> str:
        return "$$" + self.latex() + "$$"

    def latex(self) -> str:
        """The cell's equations as one LaTeX `aligned` block."""
        lines = []
        x = sp.latex(self.input) if self.input else "x"
        for p in self.preactivations:
            name = sp.latex(p)
            terms = [rf"W_{{{name}}} {_bracket(self.sees[p])}"] if p.is_recurrent else []
            terms += [rf"V_{{{name}}} {x}"] if p.has_input else []
            lines.append(f"{name} &= {' + '.join([*terms, f'b_{{{name}}}'])}")
        lines += [f"{sp.latex(s)}' &= {sp.latex(f)}" for s, f in self.update.items()]
        return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def _bracket(expression: sp.Expr) -> str:
    text = sp.latex(expression)
    return text if expression.is_Symbol else rf"\left({text}\right)"


def _expression(value: Any, place: str) -> sp.Expr:
    """The value as an elementwise SymPy expression, or CellError."""
    if isinstance(value, str):
        raise CellError(f"{place} is text; write an expression, or use cells.load for text")
    try:
        written = canonical_functions(sp.sympify(value, strict=True))
        expression = evaluated(without_jumps(written))
    except sp.SympifyError:
        raise CellError(f"{place} is not an expression: {value!r}") from None
    for node in sp.preorder_traversal(expression):
        if isinstance(node, AppliedUndef):
            raise CellError(
                f"{place} uses the undefined function {node.func.__name__!r}; "
                "define it with rnnmft.activations.define_activation"
            )
        complex_root = isinstance(node, sp.Pow) and node.is_number and node.is_real is False
        if complex_root or node in (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I):
            raise CellError(f"{place} holds {node}: it must be a finite real expression")
        if not isinstance(node, (sp.Symbol, *_ELEMENTWISE)):
            raise CellError(f"{place} is not elementwise: it uses {type(node).__name__}")
    return cast("sp.Expr", expression)


def _collect(
    expressions: Iterable[sp.Expr], extra: Iterable[Preactivation]
) -> tuple[Preactivation, ...]:
    """All preactivations that the expressions reach, first met first; one name, one meaning."""
    found: dict[str, Preactivation] = {}
    queue: list[Any] = [*extra]
    for p in queue:
        if not isinstance(p, Preactivation):
            raise CellError(f"preactivations must hold Preactivation, got {p!r}")
    for expression in expressions:
        queue += sorted(expression.atoms(Preactivation), key=lambda p: p.name)
    while queue:
        p = queue.pop(0)
        if p.name in _ARGUMENTS:
            raise CellError(f"no preactivation can be named {p.name!r}: Cell.ensemble has it")
        if p.name not in found:
            found[p.name] = p
            _expression(p.sees, f"what {p.name!r} sees")
            queue += sorted(p.sees.atoms(Preactivation), key=lambda q: q.name)
        elif found[p.name] != p:
            raise CellError(
                f"preactivation {p.name!r} is defined twice: "
                f"it sees {found[p.name].sees} and {p.sees}"
            )
    return tuple(found.values())


def dependency_order(
    preactivations: Sequence[Preactivation], sees: Mapping[Preactivation, sp.Expr]
) -> tuple[Preactivation, ...]:
    """Sort preactivations so that each sees only earlier ones; ties keep the given order.

    Raises:
        CellError: naming the preactivations of a circle.
    """
    needs = {p: sees[p].free_symbols for p in preactivations}
    order: list[Preactivation] = []
    waiting = list(preactivations)
    while waiting:
        ready = next((p for p in waiting if needs[p].isdisjoint(waiting)), None)
        if ready is None:
            raise CellError(f"circle among preactivations: {_circle(waiting, sees)}")
        order.append(ready)
        waiting.remove(ready)
    return tuple(order)


def _circle(waiting: Sequence[Preactivation], sees: Mapping[Preactivation, sp.Expr]) -> str:
    path = [waiting[0]]
    while True:
        following = next(q for q in waiting if q in sees[path[-1]].free_symbols)
        if following in path:
            return " -> ".join(p.name for p in [*path[path.index(following) :], following])
        path.append(following)
