"""One run of a model on an example, with every call of its sub-modules that take part written down.

Inputs of a module that is called once are sequences; of one that is called in a loop each call is a
step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from rnnmft.errors import ParameterError
from rnnmft.tracing import evaluation
from rnnmft.tracing.examples import own_randomness

__all__ = ["Calls", "ModelRun", "record_run"]

Tensor = torch.Tensor


@dataclass
class Calls:
    """The calls of one sub-module.

    Attributes:
        arguments: the first tensor (or packed sequence) of each; None where it had none.
        started: whether the first was given a state that is not zero.
        recurs: whether a later call was given several tensors, or what an earlier one gave back.
    """

    arguments: list[Any] = field(default_factory=list)
    started: bool = False
    recurs: bool = False
    returned: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class ModelRun:
    """What a run showed: the calls by path."""

    calls: Mapping[str, Calls]

    def times(self, path: str) -> int:
        """How often a sub-module was called."""
        return len(self.calls[path].arguments) if path in self.calls else 0


def record_run(model: torch.nn.Module, example: Any) -> ModelRun:
    """ModelRun the model once, in evaluation mode and without gradients.

    Args:
        model: any module.
        example: what it is called with: a tuple of arguments, a mapping of keyword arguments, or
            one argument.

    Raises:
        ParameterError: the model cannot be called so; the sentence has its own error.
    """
    calls: dict[str, Calls] = {}
    with _watched(model, calls), evaluation(model), own_randomness(), torch.no_grad():
        try:
            if isinstance(example, Mapping):
                model(**example)
            elif isinstance(example, tuple):
                model(*example)
            else:
                model(example)
        except Exception as error:
            said = str(error).strip().partition("\n")[0]
            raise ParameterError(
                f"{type(model).__name__} cannot be called with the example in data: "
                f"{type(error).__name__}: {said}; give a tuple of its arguments, or a dictionary "
                "by name"
            ) from error
    return ModelRun(calls)


@contextmanager
def _watched(model: torch.nn.Module, calls: dict[str, Calls]) -> Iterator[None]:
    """Hooks on every sub-module, taken off again."""
    handles = []
    for path, module in model.named_modules():
        if path:
            one = calls.setdefault(path, Calls())
            handles.append(module.register_forward_pre_hook(_before(one), with_kwargs=True))
            handles.append(module.register_forward_hook(_after(one)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(calls: Calls) -> Any:
    def hook(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = [*args, *kwargs.values()]
        if calls.arguments:
            every = [t for a in given for t in _tensors(a)]
            fed_back = any(t is r for t in every for r in calls.returned)
            calls.recurs |= fed_back or len(every) > 1
        at = next((k for k, a in enumerate(given) if _is_data(a)), None)
        if at is None:
            calls.arguments.append(None)
            return
        found = given.pop(at)
        calls.arguments.append(found.detach() if isinstance(found, Tensor) else found)
        if len(calls.arguments) == 1:
            calls.started = any(bool(t.any()) for a in given for t in _tensors(a))

    return hook


def _after(calls: Calls) -> Any:
    def hook(_: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        calls.returned = list(_tensors(output))

    return hook


def _is_data(value: Any) -> bool:
    return isinstance(value, (Tensor, torch.nn.utils.rnn.PackedSequence))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
