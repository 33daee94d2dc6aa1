"""A step of a module as a graph of aten operations: `torch.export`, its errors, what it forbids.

The module is in evaluation mode while it is traced, and as it was afterwards.
"""

from __future__ import annotations

import io
import logging
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import torch

from rnnmft.errors import CellError
from rnnmft.tracing.calls import Call
from rnnmft.tracing.examples import examples
from rnnmft.tracing.fitting import Fit
from rnnmft.tracing.operations import KEPT
from rnnmft.tracing.refusal import one_unit, scripted
from rnnmft.tracing.source import aten_name, file_of, place_of_error
from rnnmft.tracing.values import replayed
from rnnmft.tracing.wrappers import check_kinds

__all__ = ["Exported", "check", "evaluation", "export", "quiet"]

_PREFIX = "module."


@dataclass(frozen=True)
class Exported:
    """A step as a graph.

    Attributes:
        graph: `torch.fx.Graph` of aten operations.
        call: how the module was called.
        widths: of the states.
        input_width: of the input; 0 where there is none.
        batch: the size of the batch, or None for a module that takes vectors.
        holds: {placeholder: the name of a parameter, buffer or constant}.
        constants: the tensors that the module holds without having registered them.
        input: the placeholder of x, or None.
        states: the placeholders of the states.
        vectors: {further argument: its placeholder}, of those that are one number a unit.
        vector_width: their size.
        results: the nodes of the new states, in the same order.
    """

    graph: torch.fx.Graph
    call: Call
    widths: tuple[int, ...]
    input_width: int
    batch: int | None
    holds: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    input: str | None
    states: tuple[str, ...]
    vectors: Mapping[str, str]
    vector_width: int
    results: tuple[Any, ...]

    @property
    def width(self) -> int:
        """N: that of the widest state."""
        return max(self.widths)


class _ExportedStep(torch.nn.Module):
    """A module as the function (x, *states, *vectors) -> the new states."""

    def __init__(self, module: torch.nn.Module, call: Call, vectors: Sequence[str]) -> None:
        super().__init__()
        self.module, self.call, self.vectors = module, call, tuple(vectors)

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        x, rest = (tensors[0], tensors[1:]) if self.call.input is not None else (None, tensors)
        count = len(self.call.states)
        vectors = dict(zip(self.vectors, rest[count:], strict=True))
        # A state that is returned as it came would be no result of an operation.
        return tuple(s.clone() for s in self.call.step(self.module, x, rest[:count], vectors))


def check(module: Any) -> None:
    """Refuse what is no module that can be traced.

    Raises:
        CellError: saying what to give instead.
    """
    if not isinstance(module, torch.nn.Module):
        raise CellError(f"from_torch takes a torch.nn.Module that is a cell, got {module!r}")
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise scripted(getattr(module, "original_name", name))
    check_kinds(module)
    if isinstance(module, torch.nn.RNNBase):
        kind = next(k for k in ("LSTM", "GRU", "RNN") if isinstance(module, getattr(torch.nn, k)))
        raise CellError(f"{name} runs over a sequence; give its cell, torch.nn.{kind}Cell")
    if getattr(module, "hidden_size", None) == 1:
        raise one_unit(module)
    if any(torch.nn.parameter.is_lazy(t) for t in (*module.parameters(), *module.buffers())):
        raise CellError(f"{name} has parameters without a shape yet: call it once before tracing")
    if not hasattr(torch.export, "default_decompositions"):
        raise CellError(
            f"from_torch needs torch 2.10 or newer to decompose a graph, not {torch.__version__}"
        )


@contextmanager
def evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, set without calling `module.eval`, which a user may have overridden.

    Afterwards every attribute is what it was: a forward may set some.
    """
    before = [(vars(m), dict(vars(m))) for m in module.modules()]
    try:
        for attributes, _ in before:
            attributes["training"] = False
        yield
    finally:
        for attributes, saved in before:
            attributes.clear()
            attributes.update(saved)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch.export logs and prints about failures: they become exceptions here."""
    logger = logging.getLogger("torch")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def export(module: torch.nn.Module, fit: Fit) -> Exported:
    """The graph of a module's step, called as it fits.

    Raises:
        CellError: the forward depends on its data, keeps a memory of its own, or torch cannot
            export it.
    """
    call, batch = fit.call, fit.batch
    x, states = examples(module, fit.widths, fit.inputs, batch)
    vectors = [n for n, value in call.given.items() if not isinstance(value, (int, float))]
    size = call.vector_width(fit.width, fit.inputs)
    _, rows = examples(module, [size] * len(vectors), 1, batch)
    tensors = [*([x] if call.input is not None else []), *states, *rows]
    step = _ExportedStep(module, call, vectors).train(module.training)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with replayed(fit.values):
                program = torch.export.export(step, tuple(tensors), strict=False)
            if not _is_mapped(program.graph):
                program = program.run_decompositions(_decompositions())
        except Exception as error:
            raise _translated(module, error) from error
    signature: Any = program.graph_signature
    users = list(signature.user_inputs)
    x_name = users.pop(0) if call.input is not None else None
    count = len(states)
    _check_memory(module, program, said, dict(zip(users, call.holders, strict=False)))
    output = next(n for n in program.graph.nodes if n.op == "output")
    return Exported(
        graph=program.graph,
        call=call,
        widths=fit.widths,
        input_width=fit.inputs,
        batch=batch,
        holds={
            place: name.removeprefix(_PREFIX)
            for place, name in {
                **signature.inputs_to_parameters,
                **signature.inputs_to_buffers,
                **signature.inputs_to_lifted_tensor_constants,
            }.items()
        },
        constants={
            n.removeprefix(_PREFIX): t
            for n, t in program.constants.items()
            if isinstance(t, torch.Tensor)
        },
        input=x_name,
        states=tuple(users[:count]),
        vectors=dict(zip(vectors, users[count:], strict=True)),
        vector_width=size,
        results=tuple(output.args[0]),
    )


def _is_mapped(graph: torch.fx.Graph) -> bool:
    """Whether every operation is known as it is: then there is nothing to decompose."""
    return all(
        node.target is operator.getitem or aten_name(node) in KEPT
        for node in graph.nodes
        if node.op == "call_function"
    )


def _decompositions() -> Any:
    """The decompositions of torch.export, but for the operations that are known as they are."""
    table = torch.export.default_decompositions()
    for name in KEPT:
        base, _, overload = name.partition(".")
        packet = getattr(torch.ops.aten, base, None)
        operation = getattr(packet, overload or "default", None)
        if operation is not None:
            table.pop(operation, None)
    return table


def _translated(module: torch.nn.Module, error: Exception) -> CellError:
    """Why torch cannot export a forward that runs."""
    kind, name = type(error).__name__, type(module).__name__
    place = place_of_error(error) or file_of(module)
    if "DataDependent" in kind or "data-dependent" in str(error):
        return CellError(
            f"cannot trace {name}: its forward depends on the values of its data, at {place}"
        )
    text = str(error).strip().splitlines()
    return CellError(
        f"cannot trace {name}: torch.export fails with {kind}"
        f"{f' ({text[0][:160]})' if text else ''}, at {place}"
    )


def _check_memory(
    module: torch.nn.Module, program: Any, said: Sequence[Any], holders: Mapping[str, str]
) -> None:
    """What a module remembers by itself is a state that its arguments do not show."""
    name = type(module).__name__
    signature = program.graph_signature
    changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    changed += [*getattr(signature, "parameters_to_mutate", {}).values()]
    if changed:
        known = [holders.get(n, n.removeprefix(_PREFIX)) for n in changed]
        raise CellError(
            f"cannot trace {name}: its forward changes {', '.join(map(repr, known))} in place; "
            "a cell's states are its arguments, and it returns the new ones"
        )
    for one in said:
        if "assigned during export" in str(one.message):
            text = str(one.message).splitlines()[0].replace(f"self.{_PREFIX}", "self.")
            raise CellError(
                f"cannot trace {name}: its forward keeps a tensor in an attribute of the module "
                f"({text}); a cell's states are its arguments"
            )
