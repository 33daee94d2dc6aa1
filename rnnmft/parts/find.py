"""The recurrent parts of a model: PyTorch's layers and cells, and cells that it calls in a loop.

One run shows which sub-modules are called again and again with what they gave back, and those of
them that read as a cell are parts; what does not read as one is named, with the reason. Without an
example every sub-module that could take an input and a state is tried.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import torch

from rnnmft.errors import CellError
from rnnmft.parts.calls import ModelRun, record_run
from rnnmft.parts.sequences import sequences_of
from rnnmft.tracing import HintOptions, Layer, recurrent_layers

__all__ = ["Part", "Parts", "recurrent_parts", "single_layers"]

#: PyTorch's own layers and cells.
_OWN = (torch.nn.RNNBase, torch.nn.RNNCellBase)


@dataclass(frozen=True)
class Part:
    """One recurrent part.

    Attributes:
        path: of the sub-module, as in model.get_submodule(path).
        module: it.
        sequences: what it gets, (steps, sequences, features); None where that is not known.
        remarks: what is uncertain about these, in sentences.
        hints: of `from_torch`: the numbers that it was called with.
    """

    path: str
    module: torch.nn.Module
    sequences: torch.Tensor | None
    remarks: tuple[str, ...] = ()
    hints: HintOptions = field(default_factory=HintOptions)


@dataclass(frozen=True)
class Parts:
    """The parts in the order of the model; why others that look recurrent are not among them."""

    parts: tuple[Part, ...]
    unread: tuple[str, ...]


def single_layers(module: Any, **hints: Unpack[HintOptions]) -> tuple[Layer, ...] | None:
    """The layers of a module that is one layer or cell by itself; None for a model that holds some.

    Args:
        module: any, without its wrappers.
        hints: of `from_torch`; a module with hints is a cell.

    Raises:
        CellError: it is meant to be a cell, and is none.
    """
    meant = any(value is not None for value in hints.values())
    if meant or not isinstance(module, torch.nn.Module) or isinstance(module, _OWN):
        return recurrent_layers(module, **hints)
    try:
        return recurrent_layers(module)
    except CellError:
        if next(module.children(), None) is None:
            raise
        return None


def recurrent_parts(model: torch.nn.Module, example: Any = None) -> Parts:
    """Find them.

    Args:
        model: a module that is no cell by itself.
        example: what the model is called with (`record_run`); nothing is run without it.

    Raises:
        CellError: there is none; the sentence says what to give instead.
        ParameterError: the model cannot be called with the example.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GRU(4, 5))
    >>> [part.path for part in recurrent_parts(model).parts]
    ['1']
    """
    run = None if example is None else record_run(model, example)
    parts, unread = [], []
    taken: list[str] = []
    for path, module in model.named_modules():
        if not path or any(path.startswith(f"{outer}.") for outer in taken):
            continue
        own = isinstance(module, _OWN)
        if not own and not _may_be_cell(path, module, run):
            continue
        if run is not None and not run.times(path):
            unread.append(f"{path} is not called by this example")
            continue
        numbers = {} if run is None else run.calls[path].numbers or {}
        hints: HintOptions = {"arguments": numbers} if numbers and not own else {}
        try:
            if not own:
                recurrent_layers(module, **hints)
        except CellError as error:
            if run is not None:
                unread.append(f"{path} is called in a loop and is no cell: {error}")
            continue
        taken.append(path)
        parts.append(replace(_part(path, module, run), hints=hints))
    if not parts:
        raise CellError(_nothing(model, run, unread))
    return Parts(tuple(parts), tuple(unread))


def _part(path: str, module: torch.nn.Module, run: ModelRun | None) -> Part:
    if run is None:
        return Part(path, module, None)
    whole = isinstance(module, torch.nn.RNNBase)
    batch_first = bool(getattr(module, "batch_first", False)) if whole else None
    found, remarks = sequences_of(run.calls[path], batch_first)
    return Part(path, module, found, remarks)


def _may_be_cell(path: str, module: torch.nn.Module, run: ModelRun | None) -> bool:
    """Whether to read it: a run showed a recurrence; without one, it could take a state."""
    if next(module.parameters(), None) is None or type(module).__module__.startswith("torch.nn."):
        return False
    if run is not None:
        return run.times(path) > 1 and run.calls[path].recurs
    return len(inspect.signature(module.forward).parameters) > 1


def _nothing(model: torch.nn.Module, run: ModelRun | None, unread: list[str]) -> str:
    name = type(model).__name__
    if unread:
        return f"{name} has no recurrent part that can be read: {'; '.join(unread)}"
    holds = ", ".join(_children(model)) or "none"
    more = "" if run is not None else " (an example call as data shows what it calls in a loop)"
    try:
        recurrent_layers(model)
        own = ""
    except CellError as error:
        own = f". As one cell it cannot be read either: {error}"
    return (
        f"{name} holds no recurrent layer of PyTorch and no cell that it calls in a loop{more}; "
        f"give the module that makes one step; its sub-modules are {holds}{own}"
    )


def _children(model: torch.nn.Module) -> Iterator[str]:
    for path, module in model.named_children():
        yield f"{path} ({type(module).__name__})"
