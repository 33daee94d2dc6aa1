"""The walk through an exported graph: every node that the new states need, as a grid of sums."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch

from rnnmft.errors import CellError
from rnnmft.language.symbols import Input, RandomParameter, State
from rnnmft.tracing.arrays import Array, TracedParameter
from rnnmft.tracing.bindings import parameter_of
from rnnmft.tracing.constants import as_mask, described, is_mask
from rnnmft.tracing.context import Context, constant, is_constant
from rnnmft.tracing.elementwise import FUNCTIONS, LINEAR
from rnnmft.tracing.exporting import Exported
from rnnmft.tracing.hints import drawn_arguments
from rnnmft.tracing.operations import REASONS, apply
from rnnmft.tracing.refusal import MixedRefusalError, MixedUnitsError, RefusalError
from rnnmft.tracing.source import (
    SourcePlace,
    assigned_names,
    aten_name,
    file_of,
    place_of_node,
    spoken_name,
)
from rnnmft.tracing.sums import Atom, Groups, Polynomial

__all__ = ["GraphWalk"]

# What an operation's arguments raise where they are of a kind that its table does not foresee.
_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class GraphWalk:
    """The values of a graph's nodes, in the order of the graph.

    Args:
        module: the module, for the values of its scalars.
        exported: its graph.
        states: the symbols of the states, in the order in which forward takes them.
        x: the symbol of the input.
        vectors: the symbols of further arguments that are one number a unit.

    Attributes:
        groups: the closed sums.
        places: {atom: where the module makes it}, in the order of making.
        labels: {atom: what the source calls it}, for parts of fused matrices.
        numbers: {name: value} of the scalars and constant buffers that became numbers.
        results: the new states.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        exported: Exported,
        states: Sequence[State],
        x: Input,
        vectors: Mapping[str, RandomParameter],
    ) -> None:
        self.module = module
        self.exported = exported
        self.groups = Groups()
        self.places: dict[Atom, SourcePlace | None] = {}
        self.labels: dict[Atom, str] = {}
        self.numbers: dict[str, float] = {}
        self._first_names = _first_names(module)
        self._symbols: dict[str, tuple[sp.Symbol, int]] = {
            name: (state, width)
            for name, state, width in zip(exported.states, states, exported.widths, strict=True)
        }
        for name, place in exported.vectors.items():
            self._symbols[place] = (vectors[name], exported.vector_width)
        drawn = drawn_arguments(exported.call.given, exported.vector_width)
        self.groups.drawn |= {vectors[n]: tuple(v.tolist()) for n, v in drawn.items()}
        if exported.input is not None:
            self._symbols[exported.input] = (x, exported.input_width)
        self._values: dict[torch.fx.Node, Any] = {}
        needed = _ancestors(exported.results)
        for node in exported.graph.nodes:
            if node in needed:
                self._values[node] = self._value(node)
        self.results = [self._result(node) for node in exported.results]

    def _result(self, node: torch.fx.Node) -> Polynomial:
        value = self._values[node]
        if isinstance(value, Array) and value.grid.size == 1:
            return value.grid.flat[0]
        if isinstance(value, Array) and len(value.widths) > 1:
            reason = f"a new state joins groups of {' and '.join(map(str, value.widths))} units"
            raise self._refused(node, MixedRefusalError(reason))
        raise self._refused(node, "a state does not depend on any state or input")

    def _value(self, node: torch.fx.Node) -> Any:
        if node.op == "placeholder":
            if node.name in self._symbols:
                return self._argument(node.name)
            try:
                return self._held(node.name)
            except RefusalError as reason:
                raise self._refused(node, reason) from None
        if node.op != "call_function":
            raise self._refused(node, "it is no operation on tensors")
        args: Any = torch.fx.map_arg(node.args, self._valued)
        kwargs: Any = torch.fx.map_arg(node.kwargs, self._valued)
        if node.target is operator.getitem:
            return args[0][args[1]]
        try:
            value = self._apply(node, list(args), dict(kwargs))
        except RefusalError as reason:
            raise self._refused(node, reason) from None
        except _UNFORESEEN as error:
            reason = f"this use of it is not known ({type(error).__name__}: {error})"
            raise self._refused(node, reason) from error
        self._note(node, value)
        return value

    def _valued(self, node: torch.fx.Node) -> Any:
        return self._values[node]

    def _argument(self, name: str) -> Array:
        if name == self.exported.input and self.exported.call.inputs:
            return self._several(self.exported.call.inputs)
        symbol, width = self._symbols[name]
        batch = self.exported.batch
        grid = np.empty((1,) if batch is None else (1, 1), dtype=object)
        grid.fill(Polynomial(rest=symbol))
        if batch is None:
            return Array(grid, -1, (width,))
        return Array(grid, -1, (width,), -2, batch)

    def _several(self, inputs: Mapping[str, int]) -> Array:
        """Several inputs behind each other, each with a symbol of its own."""
        widths, batch = tuple(inputs.values()), self.exported.batch
        total, start = sum(widths), 0
        grid = np.empty(len(widths), dtype=object)
        for j, (name, width) in enumerate(inputs.items()):
            piece = Input(name)
            self.groups.pieces[piece] = (start, total)
            grid[j] = Polynomial(rest=piece)
            start += width
        if batch is None:
            return Array(grid, -1, widths)
        return Array(grid[None], -1, widths, -2, batch)

    def _held(self, placeholder: str) -> Array | TracedParameter:
        """A parameter; a scalar, or a buffer with one value everywhere, is a number."""
        name, tensor, unregistered = self._tensor(placeholder)
        learnable = name in dict(self.module.named_parameters())
        alike = not learnable and bool((tensor == tensor.flatten()[0]).all())
        if tensor.numel() == 1 or alike:
            value = float(tensor.flatten()[0])
            if not unregistered or _is_attribute(self.module, name):
                self.numbers[name] = value
            return constant(value)
        if unregistered and not _is_attribute(self.module, name):
            raise RefusalError(
                "its forward makes a tensor of numbers that are not all alike; a cell's parameters "
                "are held by the module"
            )
        if tensor.is_complex():
            raise RefusalError(REASONS["complex"])
        shape = tuple(tensor.shape)
        ranges, axes = tuple((0, n) for n in shape), tuple(range(len(shape)))
        parameter = TracedParameter(name, ranges, axes)
        if learnable and not self.module.get_parameter(name).requires_grad and is_mask(tensor):
            return as_mask(parameter, tensor)
        return parameter if learnable or len(shape) != 2 else described(parameter, tensor)

    def _tensor(self, placeholder: str) -> tuple[str, torch.Tensor, bool]:
        """(name, numbers, whether the module has not registered it) of what a placeholder is."""
        name = self.exported.holds[placeholder]
        if name in self.exported.constants:
            tensor = self.exported.constants[name].detach()
            registered = _registered(self.module, tensor)
            if registered is None:
                return name, tensor, True
            name = registered
        name = self._first_names.get(name, name)
        return name, parameter_of(self.module, name), False

    def _apply(self, node: torch.fx.Node, args: list[Any], kwargs: dict[str, Any]) -> Any:
        name = aten_name(node)
        if (name in LINEAR or name in FUNCTIONS) and all(
            is_constant(a)
            for a in (*args, *kwargs.values())
            if isinstance(a, Array | TracedParameter)
        ):
            return _folded(node, args, kwargs)
        value = node.meta.get("val")
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
        return apply(name, Context(self.groups, self.exported.width, shape), args, kwargs)

    def _note(self, node: torch.fx.Node, value: Any) -> None:
        """Remember where atoms were made, and the names that the source gives to parts."""
        pieces = value if isinstance(value, list) else [value]
        place = place_of_node(node)
        sums = [list(piece.grid.flat) if isinstance(piece, Array) else [] for piece in pieces]
        made = [atom for entries in sums for one in entries for atom in one.atoms]
        for atom in (*made, *self.groups.newly_closed()):
            self.places.setdefault(atom, place)
        names = assigned_names(place)
        if len(names) != len(pieces):
            return
        for name, entries in zip(names, sums, strict=True):
            if len(entries) == 1:
                behind = self.groups.behind(entries[0]) if len(names) > 1 else entries[0].atoms
                for atom in behind:
                    self.labels.setdefault(atom, name)

    def _refused(self, node: torch.fx.Node, reason: str | RefusalError) -> CellError:
        place = place_of_node(node) or next(
            (found for user in node.users if (found := place_of_node(user))), None
        )
        what = f"the parameter {self.exported.holds.get(node.name, node.name)!r}"
        if node.op == "call_function":
            what = spoken_name(node)
        kind = MixedUnitsError if isinstance(reason, MixedRefusalError) else CellError
        return kind(
            f"cannot trace {type(self.module).__name__}: {what} has no place in a cell: {reason}; "
            f"at {place or file_of(self.module)}"
        )


def _folded(node: torch.fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Array:
    """An operation on numbers alone, done by torch in double precision."""

    def tensor(value: Any) -> Any:
        if isinstance(value, Array):
            return torch.tensor(float(value.grid.flat[0].rest), dtype=torch.float64)
        return value

    if not callable(node.target):
        raise RefusalError("it is no operation on tensors")
    done = node.target(*map(tensor, args), **{k: tensor(v) for k, v in kwargs.items()})
    value = float(done)
    if value != value or value in (float("inf"), float("-inf")):
        raise RefusalError(f"it makes the number {value}")
    return constant(value)


def _ancestors(nodes: Sequence[torch.fx.Node]) -> set[torch.fx.Node]:
    found: set[torch.fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def _registered(module: torch.nn.Module, tensor: torch.Tensor) -> str | None:
    """The name of a parameter that a forward reached by another way, as by a plain list or dict."""
    for name, held in (*module.named_parameters(), *module.named_buffers()):
        if held.data_ptr() == tensor.data_ptr() and held.shape == tensor.shape:
            return name
    return None


def _is_attribute(module: torch.nn.Module, name: str) -> bool:
    """Whether a tensor that is not registered can be read from the module by its name."""
    owner: Any = module
    for part in name.split("."):
        owner = getattr(owner, part, None)
    return isinstance(owner, torch.Tensor)


def _first_names(module: torch.nn.Module) -> dict[str, str]:
    """{name: the first name of the same tensor}, for tensors that a module holds twice."""
    first: dict[int, str] = {}
    named = [*module.named_parameters(remove_duplicate=False)]
    named += [*module.named_buffers(remove_duplicate=False)]
    return {name: first.setdefault(id(tensor), name) for name, tensor in named}
