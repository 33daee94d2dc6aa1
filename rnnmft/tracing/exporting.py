"""A module's forward as a graph of aten operations: example inputs, `torch.export`, its errors.

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
from rnnmft.tracing.operations import KEPT
from rnnmft.tracing.signature import Call, calls
from rnnmft.tracing.sizes import guesses
from rnnmft.tracing.source import aten_name, file_of, place_of_error

__all__ = ["Exported", "evaluation", "export"]


@dataclass(frozen=True)
class Exported:
    """A forward as a graph.

    Attributes:
        graph: `torch.fx.Graph` of aten operations.
        call: how the module was called.
        width: of the states.
        input_width: of the input.
        batch: the size of the batch, or None for a module that takes vectors.
        holds: {placeholder: the name of a parameter, buffer or constant}.
        constants: the tensors that the module holds without having registered them.
        input: the placeholder of x.
        states: the placeholders of the states.
        results: the nodes of the new states, in the same order.
        returned: their places among the tensors that forward returns.
    """

    graph: torch.fx.Graph
    call: Call
    width: int
    input_width: int
    batch: int | None
    holds: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    input: str
    states: tuple[str, ...]
    results: tuple[Any, ...]
    returned: tuple[int, ...]


class _MisfitError(Exception):
    """The module cannot be called, or does not return its states, with these sizes."""


def export(
    module: torch.nn.Module, states: Sequence[str] | None, width: int | None, inputs: int | None
) -> Exported:
    """The graph of the module's forward for the first sizes and call that fit.

    Raises:
        CellError: none fits; the forward depends on its data; it keeps a memory of its own.
    """
    _check(module)
    misfit: Exception | None = None
    with evaluation(module), _quiet():
        ways = list(calls(module, states))
        for batched in (True, False):
            for sizes in guesses(module, width, inputs):
                for call in ways:
                    try:
                        return _export(module, call, *sizes, batched)
                    except _MisfitError as error:
                        misfit = misfit or error
    raise _no_fit(module, width, inputs, misfit) from misfit


def _check(module: Any) -> None:
    if not isinstance(module, torch.nn.Module):
        raise CellError(f"from_torch takes a torch.nn.Module that is a cell, got {module!r}")
    name = type(module).__name__
    if isinstance(module, torch.nn.RNNBase):
        raise CellError(f"{name} runs over a sequence; give its cell, torch.nn.{name}Cell")
    if any(torch.nn.parameter.is_lazy(t) for t in (*module.parameters(), *module.buffers())):
        raise CellError(f"{name} has parameters without a shape yet: call it once before tracing")
    if not hasattr(torch.export, "default_decompositions"):
        raise CellError(
            f"from_torch needs torch 2.6 or newer to decompose a graph; this is {torch.__version__}"
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
def _quiet() -> Iterator[None]:
    """Without what torch.export logs and prints about failures: they become exceptions here."""
    logger = logging.getLogger("torch")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _export(
    module: torch.nn.Module, call: Call, width: int, inputs: int, batched: bool
) -> Exported:
    batch = _batch_size(module, width, inputs) if batched else None
    arguments = call.arguments(*_examples(module, width, inputs, batch, len(call.states)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            program = torch.export.export(module, arguments, strict=False)
            if not _is_mapped(program.graph):
                program = program.run_decompositions(_decompositions())
        except Exception as error:
            raise _translated(module, error) from error
    _check_memory(module, program, said)
    shape = (width,) if batch is None else (batch, width)
    return _exported(program, call, width, inputs, batch, shape)


def _batch_size(module: torch.nn.Module, *sizes: int) -> int:
    """A prime that is no size of the module, so that the axis of the batch can be told apart."""
    taken = {n for t in (*module.parameters(), *module.buffers()) for n in t.shape} | {*sizes}
    candidate = 7
    while candidate in taken or any(candidate % d == 0 for d in range(2, candidate)):
        candidate += 1
    return candidate


def _examples(
    module: torch.nn.Module, width: int, inputs: int, batch: int | None, count: int
) -> tuple[Any, list[Any]]:
    first = next((t for t in module.parameters() if t.is_floating_point()), torch.zeros(0))
    lead = () if batch is None else (batch,)
    make = {"dtype": first.dtype, "device": first.device}
    # Separate tensors: torch.export takes two names of one tensor for one state.
    return torch.zeros(*lead, inputs, **make), [
        torch.zeros(*lead, width, **make) for _ in range(count)
    ]


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


def _translated(module: torch.nn.Module, error: Exception) -> Exception:
    """A misfit of shapes, or a `CellError` for what no sizes can mend."""
    kind = type(error).__name__
    text = str(error).strip().splitlines()[0] if str(error).strip() else kind
    if "DataDependent" in kind or "data-dependent" in str(error):
        place = place_of_error(error)
        return CellError(
            f"cannot trace {type(module).__name__}: its forward depends on the values of its data, "
            f"at {place or file_of(module)}"
        )
    return _MisfitError(f"{kind}: {text}")


def _check_memory(module: torch.nn.Module, program: Any, said: Sequence[Any]) -> None:
    """What a module remembers by itself is a state that its arguments do not show."""
    name = type(module).__name__
    signature = program.graph_signature
    changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    changed += [*getattr(signature, "parameters_to_mutate", {}).values()]
    if changed:
        raise CellError(
            f"cannot trace {name}: its forward changes {', '.join(map(repr, changed))} in place; "
            "a cell's states are its arguments, and it returns the new ones"
        )
    for one in said:
        if "assigned during export" in str(one.message):
            raise CellError(
                f"cannot trace {name}: its forward keeps a tensor in an attribute of the module "
                f"({str(one.message).splitlines()[0]}); a cell's states are its arguments"
            )


def _exported(
    program: Any,
    call: Call,
    width: int,
    inputs: int,
    batch: int | None,
    shape: tuple[int, ...],
) -> Exported:
    signature = program.graph_signature
    holds = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    users = list(signature.user_inputs)
    x = users.pop(call.input if not call.nested else min(call.input * len(call.states), len(users)))
    output = next(n for n in program.graph.nodes if n.op == "output")
    leaves = output.args[0]
    returned = _returned(leaves, program.call_spec.out_spec, len(call.states), shape)
    return Exported(
        graph=program.graph,
        call=call,
        width=width,
        input_width=inputs,
        batch=batch,
        holds=holds,
        constants=program.constants,
        input=x,
        states=tuple(users),
        results=tuple(leaves[j] for j in returned),
        returned=returned,
    )


def _returned(
    leaves: Sequence[Any], spec: Any, count: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Which of the tensors that forward returns are the new states: all, or what follows an output.

    PyTorch's own modules return (output, state); a tuple of states followed by one tensor is taken
    as (states, output).
    """
    if dict in _kinds(spec):
        raise _MisfitError("forward returns a dictionary: its entries have no order")
    nested = spec.children() if callable(getattr(spec, "children", None)) else spec.children_specs
    leads = count > 1 and len(nested) == 2 and nested[0].num_leaves == count < len(leaves)
    start = 0 if leads else max(len(leaves) - count, 0)
    chosen = leaves[start : start + count]
    if len(chosen) != count or any(_shape(n) != shape for n in chosen):
        found = ", ".join(str(_shape(n)) for n in leaves)
        raise _MisfitError(
            f"forward must return {count} new states of shape {shape}, got {found or 'nothing'}"
        )
    return tuple(range(start, start + count))


def _kinds(spec: Any) -> set[Any]:
    nested = spec.children() if callable(getattr(spec, "children", None)) else spec.children_specs
    return {spec.type, *(kind for one in nested for kind in _kinds(one))}


def _shape(node: Any) -> tuple[int, ...] | None:
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None


def _no_fit(
    module: torch.nn.Module, width: int | None, inputs: int | None, misfit: Exception | None
) -> CellError:
    name = type(module).__name__
    if misfit is None:
        return CellError(
            f"cannot trace {name}: no sizes of its state and input are known; pass them, as in "
            "from_torch(module, states={'h': 64}, input=32) (widths of 2 or more)"
        )
    known = "" if width and inputs else " pass states={'h': width} and input=width, or"
    place = place_of_error(misfit.__cause__) if misfit.__cause__ else None
    where = f" (at {place})" if place else ""
    return CellError(
        f"cannot trace {name}: no call of it fits.{known} see what the first one says: "
        f"{misfit}{where}"
    )
