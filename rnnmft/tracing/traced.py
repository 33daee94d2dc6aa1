"""A PyTorch module as a cell, and the way back to its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, cast

import sympy as sp
import torch

from rnnmft.errors import CellError, ParameterError
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Input, RandomParameter, State
from rnnmft.tracing.assembly import Assembly
from rnnmft.tracing.beside import check_beside
from rnnmft.tracing.bindings import Binding, Slice, parameter_of, read, write
from rnnmft.tracing.calls import Call
from rnnmft.tracing.exporting import Exported, check, evaluation, export, quiet
from rnnmft.tracing.fitting import Fit, Search
from rnnmft.tracing.hints import drawn_arguments, read_hints
from rnnmft.tracing.projected import ProjectedLSTMCell
from rnnmft.tracing.refusal import MixedUnitsError, TwoPlacesError
from rnnmft.tracing.signature import signature_of
from rnnmft.tracing.sums import Group, Groups, Monomial
from rnnmft.tracing.walk import GraphWalk

__all__ = ["Traced", "trace"]

# PyTorch's cells have the names, and the LSTM the order of states, of the zoo.
_NAMES = {
    torch.nn.RNNCell: ("vanilla", ("h",)),
    torch.nn.GRUCell: ("gru_torch", ("h",)),
    torch.nn.LSTMCell: ("lstm", ("h", "c")),
    ProjectedLSTMCell: ("projection_lstm", ("h", "c")),
}


@dataclass(frozen=True)
class Traced:
    """A cell that was read from a module, and where its parameters are in the module.

    Attributes:
        cell: the cell.
        bindings: {preactivation: which parts of which parameters are its W, V and b}.
        elementwise: {random parameter: the parts of vectors that it is the sum of}.
        numbers: {scalar parameter or constant buffer: the number that stands for it in the cell}.
        states: the names of the states in the order in which forward takes and returns them.
        widths: of the states of the module that was traced, in that order.
        input_width: of its input.
        call: how forward is called.
        given: {argument of forward that is a vector: its values}, shape (N,) or (N_in,).
    """

    cell: Cell
    bindings: Mapping[str, Binding]
    elementwise: Mapping[str, tuple[Slice, ...]]
    numbers: Mapping[str, float]
    states: tuple[str, ...]
    widths: tuple[int, ...]
    input_width: int
    call: Call
    given: Mapping[str, torch.Tensor]

    @property
    def width(self) -> int:
        """N: the width of the widest state."""
        return max(self.widths)

    @property
    def batched(self) -> bool:
        """Whether forward takes batches, or vectors alone."""
        return self.call.batched

    def step(
        self, module: Callable[..., Any], x: torch.Tensor, states: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """The new states, by running the module itself, or a function that is called like it.

        Args:
            module: the traced module, or another one of the same class and sizes.
            x: the input, (batch, N_in), or (N_in,) where the module takes vectors alone.
            states: (batch, width) each (or (width,)), in the order of `states`, as is what is
                returned.
        """
        return self.call.step(module, x, states, self.given)

    def parameters(self, module: torch.nn.Module) -> dict[str, tuple[Any, Any, Any]]:
        """{preactivation: (W, V, b)} as they are in the module: new tensors, without gradients.

        Args:
            module: the traced module, or another one of the same class and sizes.

        Returns:
            W of shape (N, N), V (N, N_in), b (N,), N being the width of the preactivation or of
            what W sees. W and V are None where there is no such
            matrix; b is zero where the module has no bias.

        Raises:
            CellError: the module has other parameters, or other numbers, than the traced one.
        """
        self._check(module)
        found = {}
        for name, binding in self.bindings.items():
            w, v, b = (read(module, s) for s in (binding.recurrent, binding.input, binding.bias))
            if b is None:
                matrix = w if w is not None else v
                b = matrix.new_zeros(len(matrix))
            found[name] = (w, v, b)
        return found

    def elementwise_parameters(self, module: torch.nn.Module) -> dict[str, Any]:
        """{random parameter: its values, shape (N,)} as they are in the module: new tensors.

        Raises:
            CellError: the module has other parameters, or other numbers, than the traced one.
        """
        self._check(module)
        own = {name: read(module, slices) for name, slices in self.elementwise.items()}
        held = {p.name for p in self.cell.parameters}  # an argument may be seen by a matrix alone
        return {**own, **{n: values.clone() for n, values in self.given.items() if n in held}}

    def write_(
        self,
        module: torch.nn.Module,
        preactivations: Mapping[str, tuple[Any, Any, Any]],
        elementwise: Mapping[str, Any] = MappingProxyType({}),
    ) -> torch.nn.Module:
        """Set parameters of the module in place; what is not given stays as it is.

        Where the module adds two vectors to make one bias (or two matrices to make one), all of it
        goes into the first and the other becomes zero.

        Args:
            module: the traced module, or another one of the same class and sizes.
            preactivations: {name: (W, V, b)} with the shapes that `parameters` returns; None leaves
                a part as it is.
            elementwise: {random parameter: values of shape (N,)}.

        Returns:
            The module.

        Raises:
            ParameterError: an unknown name, another shape, or a part that the module does not have
                (where only a bias of zeros can be set). Nothing is written then.
        """
        self._check(module)
        plan: list[tuple[tuple[Slice, ...], torch.Tensor, str]] = []
        for name, values in preactivations.items():
            binding = _known(self.bindings, name, "preactivation")
            parts = (binding.recurrent, binding.input, binding.bias)
            for slices, value, part in zip(parts, values, "WVb", strict=True):
                if value is None or (part == "b" and not slices and not torch.any(value)):
                    continue
                plan.append((slices, value, f"{part} of {name!r}"))
        for name, value in elementwise.items():
            if name in self.given:
                continue  # an argument of forward is no part of the module
            plan.append((_known(self.elementwise, name, "parameter"), value, repr(name)))
        for slices, value, what in plan:
            _check_shape(slices, value, what)
        with torch.no_grad():
            for slices, value, _ in plan:
                write(module, slices, value)
        return module

    def _check(self, module: torch.nn.Module) -> None:
        """The numbers in the cell's equations are still those of the module."""
        for name, value in self.numbers.items():
            now = float(parameter_of(module, name).flatten()[0])
            if now != value:
                raise CellError(
                    f"{name!r} was {value} when the cell was traced and is {now} now: it stands "
                    "as a number in the cell's equations; trace the module again"
                )


def trace(
    module: torch.nn.Module,
    *,
    states: Sequence[str] | Mapping[str, int] | None = None,
    input: int | str | Mapping[str, int] | None = None,
    arguments: Mapping[str, Any] | None = None,
    returned: int | Sequence[int] | None = None,
    name: str | None = None,
) -> Traced:
    """Read a cell from a PyTorch module; see `rnnmft.cells.from_torch`, which gives the cell alone.

    Args:
        module: the module.
        states: the names of the states in forward's order, or {name: width}; N is the largest.
        input: the width of the input, its argument's name, or {name: width}.
        arguments: {further argument of forward: a number, or a law of `rnnmft.language.laws`}.
        returned: the places of the new states among the tensors that forward returns.
        name: the cell's name.

    Raises:
        CellError: naming the operation that is no part of a cell, and the module's source line; or
            the cell, run beside the module on random numbers, does not step as it does.

    >>> traced = trace(torch.nn.GRUCell(3, 4))
    >>> traced.bindings["z"].recurrent
    (Slice(parameter='weight_hh', ranges=((4, 8), (0, 4)), axes=(0, 1), scale=1.0),)
    """
    check(module)
    hints = read_hints(states, input, arguments, returned)
    known = _NAMES.get(type(module))
    if known and hints.states is None:
        hints = replace(hints, states=known[1])
    if isinstance(module, ProjectedLSTMCell):
        sizes = (module.proj_size, module.hidden_size)
        hints = replace(hints, widths=sizes, input_width=module.input_size)
    with evaluation(module), quiet():
        named = {**hints.arguments, **{n: None for n in hints.inputs if n != hints.input}}
        signature = signature_of(module, hints.states, hints.input, named)
        search = Search(module, signature, hints)
        traced = _first(module, search, name)
        check_beside(module, traced)
    return traced


# How many more calls are exported where the first one that fits is refused for what it mixes.
_MORE = 5


def _first(module: torch.nn.Module, search: Search, name: str | None) -> Traced:
    """The first call whose graph is a cell's."""
    refused: CellError | None = None
    every = chain(search.fits(), _joined(module, search), search.of_two_widths())
    for fit in islice(every, 1 + _MORE):
        try:
            return _read(module, export(module, fit), name)
        except MixedUnitsError as error:
            refused = refused or error
        except TwoPlacesError as error:
            # What acts on each of a stack of states alike takes the axis of the stack for a batch.
            if fit.call.form.tensor not in ("stacked", "beside"):
                raise refused or error from error
        except CellError as error:
            raise refused or error from error
    raise refused or search.refusal()


def _joined(module: torch.nn.Module, search: Search) -> Iterator[Fit]:
    """Calls that hold several states in one tensor, unless it is one state whose units are alike.

    Every cell of 2 N units could be read as one of two states of N.
    """
    for fit in search.one_state():
        try:
            _read(module, export(module, fit), None)
            return
        except MixedUnitsError:
            break
        except CellError:
            return
    yield from search.joined()


def _read(module: torch.nn.Module, exported: Exported, name: str | None) -> Traced:
    """The cell in a graph."""
    known = _NAMES.get(type(module))
    names = exported.call.states
    widths = [sp.Rational(n, exported.width) for n in exported.widths]
    symbols = [State(n, width) for n, width in zip(names, widths, strict=True)]
    x = cast("Input", Input("x" if "x" not in names else "x_in"))
    vectors = {n: RandomParameter(n) for n in exported.vectors}
    walk = GraphWalk(module, exported, symbols, x, vectors)
    closed = [walk.groups.close(value) for value in walk.results]
    reached = _reached(walk.groups, closed)
    taken = [x.name, *(s.name for s in symbols), *vectors]
    averages = walk.groups.averages
    assembly = Assembly(reached, averages, walk.places, walk.labels, module, taken, exported.width)
    update = {s: assembly.resolve(e) for s, e in zip(symbols, closed, strict=True)}
    if walk.groups.pieces.keys() & set().union(*(e.free_symbols for e in update.values())):
        raise CellError(
            f"cannot trace {type(module).__name__}: one of its several inputs acts on the units "
            "one by one, and not by a matrix: join them before, in a module of one input"
        )
    if known:
        update = {s: update[s] for s in sorted(symbols, key=lambda s: s.name)}
    cell = Cell(
        name or (known[0] if known else type(module).__name__),
        update=update,
        preactivations=assembly.preactivations,
    )
    return _record(cell, assembly, walk, exported, symbols)


def _reached(groups: Groups, expressions: Sequence[sp.Expr]) -> list[Group]:
    """The closed sums that the updates and their averages need, in the order of closing."""
    by_symbol = {g.symbol: g for g in groups.known.values()}
    found: set[sp.Basic] = set()
    waiting = list(expressions)
    while waiting:
        symbols = waiting.pop().free_symbols - found
        found |= symbols
        waiting += [groups.averages[s] for s in symbols & groups.averages.keys()]
        for symbol in symbols & by_symbol.keys():
            waiting += [
                atom.operand
                for atom in by_symbol[symbol].atoms
                if isinstance(atom, Monomial) and atom.operand is not None
            ]
    return [g for g in groups.known.values() if g.symbol in found]


def _record(
    cell: Cell, assembly: Assembly, walk: GraphWalk, exported: Exported, symbols: Sequence[State]
) -> Traced:
    order = [p.name for p in cell.preactivations]
    bindings = {assembly.names[term]: term.binding for term in assembly.terms if not term.is_vector}
    return Traced(
        cell=cell,
        bindings=MappingProxyType({n: bindings[n] for n in order}),
        elementwise=MappingProxyType(
            {assembly.names[t]: t.binding.bias for t in assembly.terms if t.is_vector}
        ),
        numbers=MappingProxyType(dict(walk.numbers)),
        states=tuple(s.name for s in symbols),
        widths=exported.widths,
        input_width=exported.input_width,
        call=exported.call,
        given=MappingProxyType(drawn_arguments(exported.call.given, exported.vector_width)),
    )


def _known(names: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in names:
        raise ParameterError(f"unknown {kind} {name!r}; this cell has {', '.join(names) or 'none'}")
    return names[name]


def _check_shape(slices: tuple[Slice, ...], value: Any, what: str) -> None:
    if not slices:
        raise ParameterError(f"{what} cannot be written: the module has no such term")
    if not isinstance(value, torch.Tensor) or tuple(value.shape) != slices[0].shape:
        raise ParameterError(
            f"{what} must be a tensor of shape {slices[0].shape}, got "
            f"{tuple(value.shape) if isinstance(value, torch.Tensor) else repr(value)}"
        )
