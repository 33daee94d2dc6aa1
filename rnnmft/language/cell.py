"""What a recurrent cell is: states, one input, preactivations, and one elementwise update a state.

    e_k = W_k y_k + V_k x + b_k,    y_k = Y_k(s, x, e_1 .. e_{k-1})       ("what W_k sees")
    s_a' = F_a(s, x, e_1 .. e_K)

Y_k and F_a act elementwise, and may hold means over the units, m = E[f(s, x, e)]. The symbols are
SymPy symbols, so a cell is written as one writes it on paper; `Cell` checks that what was written
is one.

Eq. (cell), Eq. (population-average).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import sympy as sp

from rnnmft.errors import CellError
from rnnmft.language.definitions import (
    Definition,
    collect,
    dependency_order,
    elementwise,
    of_kind,
    place_of,
)
from rnnmft.language.ensemble import Ensemble, build_ensemble
from rnnmft.language.laws import Law
from rnnmft.language.symbols import (
    Average,
    Input,
    Preactivation,
    RandomParameter,
    State,
)
from rnnmft.language.toml_writer import cell_to_toml
from rnnmft.language.widths import widths_of

__all__ = [
    "Average",
    "Cell",
    "Input",
    "Preactivation",
    "RandomParameter",
    "State",
]


class Cell:
    """A recurrent cell: a name and one elementwise update for each state. Eq. (cell).

    Args:
        name: for titles and files.
        update: {state: expression}; all updates read the old states (they are simultaneous).
        preactivations: further preactivations, needed only where an expression refers to one by a
            plain symbol of its name instead of the object.
        averages: further averages, likewise.

    Attributes:
        states: in the order of `update`.
        preactivations: in dependency order.
        sees: read-only {preactivation: what its W multiplies}.
        averages: read-only {average over the units: of what}, in dependency order.
        order: preactivations and averages together, in the order in which a step computes them.
        input: the `Input` that some expression uses elementwise, or None.
        parameters: the elementwise `RandomParameter`s, by name.
        widths: read-only {symbol: its number of units over N}, of all that is a vector.
        seen_widths: read-only {preactivation: the columns of W over N}, and of what averages are.
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
        averages: Iterable[Average] = (),
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
            state: elementwise(value, f"the update of {state.name!r}")
            for state, value in update.items()
        }
        found = collect(
            expressions.values(),
            [*of_kind(Preactivation, preactivations), *of_kind(Average, averages)],
        )
        self.states: tuple[State, ...] = tuple(update)
        known = {s.name: s for s in (*update, *found)}
        resolve = {sp.Symbol(n): s for n, s in known.items()}
        resolve |= {sp.Symbol(n, real=True): s for n, s in known.items()}
        contents = {d: d.content.xreplace(resolve) for d in found}
        whole: dict[Definition, Definition] = {}
        for d in dependency_order(found, contents):
            content = contents[d].xreplace(whole)
            whole[d] = d if content == d.content else d.holding(content)
        self.order: tuple[Definition, ...] = tuple(whole.values())
        self.preactivations = tuple(d for d in self.order if isinstance(d, Preactivation))
        self.sees: Mapping[Preactivation, sp.Expr] = MappingProxyType(
            {p: p.sees for p in self.preactivations}
        )
        self.averages: Mapping[Average, sp.Expr] = MappingProxyType(
            {m: m.of for m in self.order if isinstance(m, Average)}
        )
        self.update: Mapping[State, sp.Expr] = MappingProxyType(
            {s: f.xreplace(resolve).xreplace(whole) for s, f in expressions.items()}
        )
        places = {f"the update of {s.name!r}": f for s, f in self.update.items()}
        places |= {place_of(d): d.content for d in self.order}
        self.input, self.parameters = self._check_symbols(places)
        needed = {f"the update of {s.name!r}": s.width for s in self.states}
        widths, seen = widths_of(self.name, {k: (f, needed.get(k)) for k, f in places.items()})
        self.widths: Mapping[sp.Symbol, sp.Rational] = MappingProxyType(widths)
        self.seen_widths: Mapping[Definition, sp.Rational] = MappingProxyType(
            {d: seen[place_of(d)] for d in self.order}
        )

    def _check_symbols(
        self, places: Mapping[str, sp.Expr]
    ) -> tuple[Input | None, tuple[RandomParameter, ...]]:
        """Every symbol is a state with an update, a preactivation, a parameter or the one input."""
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
                elif symbol not in self.order:
                    raise CellError(
                        f"cell {self.name!r}: unknown symbol {str(symbol)!r} in {place}; known are "
                        f"{', '.join(sorted(s.name for s in (*self.states, *self.order)))}"
                    )
        if len(inputs) > 1:
            raise CellError(
                f"cell {self.name!r} has more than one input: {sorted(map(str, inputs))}"
            )
        names = [s.name for s in (*self.states, *self.order, *inputs, *parameters)]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise CellError(f"cell {self.name!r} uses one name for two things: {', '.join(twice)}")
        return next(iter(inputs), None), tuple(sorted(parameters, key=lambda p: p.name))

    @property
    def shares(self) -> tuple[sp.Rational, ...]:
        """Each state's part of all units of the states: 1/m each where they have one width."""
        total = sp.Add(*(s.width for s in self.states))
        return tuple(s.width / total for s in self.states)

    @property
    def has_widths(self) -> bool:
        """Whether something is not N units wide."""
        return any(w != 1 for w in self.widths.values())

    @property
    def arguments(self) -> tuple[sp.Symbol, ...]:
        """Every symbol that an expression of the cell can hold."""
        entering = () if self.input is None else (self.input,)
        return (*self.states, *self.preactivations, *self.parameters, *self.averages, *entering)

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
            (c.name, tuple(c.update.items()), tuple(c.sees), tuple(c.averages))
            for c in (self, other)
        )
        return mine == theirs

    def __reduce__(self) -> Any:
        return type(self), (
            self.name,
            dict(self.update),
            self.preactivations,
            tuple(self.averages),
        )

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.update.items()), self.order))

    def __repr__(self) -> str:
        names = ", ".join(s.name for s in self.states)
        text = f"Cell {self.name!r}: states {names}; preactivations "
        text += ", ".join(p.name for p in self.preactivations) or "none"
        if self.averages:
            text += f"; averages {', '.join(m.name for m in self.averages)}"
        if self.parameters:
            text += f"; random parameters {', '.join(q.name for q in self.parameters)}"
        if self.has_widths:
            sized = (s for s in (*self.states, *self.preactivations) if s.width != 1)
            text += f"; widths {', '.join(f'{s.name} {s.width} N' for s in sized)}"
        return text + (f"; input {self.input.name} elementwise" if self.input else "")

    def _repr_latex_(self) -> str:
        return "$$" + self.latex() + "$$"

    def latex(self) -> str:
        """The cell's equations as one LaTeX `aligned` block."""
        lines = []
        x = sp.latex(self.input) if self.input else "x"
        for p in self.order:
            name = sp.latex(p)
            if isinstance(p, Average):
                lines.append(rf"{name} &= \mathbb{{E}}\!\left[{sp.latex(p.of)}\right]")
                continue
            terms = [rf"W_{{{name}}} {_bracket(self.sees[p])}"] if p.is_recurrent else []
            terms += [rf"V_{{{name}}} {x}"] if p.has_input else []
            lines.append(f"{name} &= {' + '.join([*terms, f'b_{{{name}}}'])}")
        lines += [f"{sp.latex(s)}' &= {sp.latex(f)}" for s, f in self.update.items()]
        return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def _bracket(expression: sp.Expr) -> str:
    text = sp.latex(expression)
    return text if expression.is_Symbol else rf"\left({text}\right)"
