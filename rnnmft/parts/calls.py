"""One run of a model on an example, with every call of its sub-modules that take part written down.

Inputs of a module that is called once are sequences; of one that is called in a loop each call is a
step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from hashlib import sha256
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

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
        numbers: {argument: the number that every call had there}.
        recurs: whether a later call was given several tensors, or what an earlier one gave back.
        changed: how many later calls were given nothing beside their data that an earlier one had
            given back as it is.
    """

    arguments: list[Any] = field(default_factory=list)
    started: bool = False
    recurs: bool = False
    changed: int = 0
    numbers: dict[str, float] | None = None
    returned: list[Tensor] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)


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
            elif isinstance(example, tuple) and not isinstance(example, PackedSequence):
                model(*example)
            else:
                model(example)
        except (Exception, SystemExit) as error:
            said = str(error).strip().partition("\n")[0]
            raise ParameterError(
                f"{type(model).__name__} cannot be called with the example in data: "
                f"{type(error).__name__}: {said}; give a tuple of its arguments, or a dictionary "
                "by name"
            ) from error
    return ModelRun(calls)


@contextmanager
def _watched(model: torch.nn.Module, calls: dict[str, Calls]) -> Iterator[None]:
    """Every sub-module's forward noted, also where it is called by name, past all hooks."""
    before: list[tuple[torch.nn.Module, Any]] = []
    for path, module in model.named_modules():
        if path:
            before.append((module, vars(module).get("forward")))
            module.forward = _noted(module.forward, calls.setdefault(path, Calls()))
    try:
        yield
    finally:
        for module, own in before:
            if own is None:
                del module.forward
            else:
                module.forward = own


def _noted(forward: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    @wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(forward, args, kwargs)
        if calls.numbers is None:
            calls.numbers = numbers
        calls.numbers = {n: v for n, v in calls.numbers.items() if numbers.get(n) == v}
        _note([*args, *kwargs.values()], calls)
        output = forward(*args, **kwargs)
        calls.returned = list(_tensors(output))
        calls.known |= {_digest(t) for t in calls.returned}
        return output

    return noted


def _numbers(
    forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, float]:
    """The arguments of a call that are plain numbers, by name."""
    try:
        bound = inspect.signature(forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {}
    return {
        name: float(value)
        for name, value in bound.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _note(given: list[Any], calls: Calls) -> None:
    """One call's arguments."""
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
    beside = [t for a in given for t in _tensors(a)]
    if len(calls.arguments) == 1:
        calls.started = any(bool(t.any()) for t in beside)
    elif beside and not any(_digest(t) in calls.known for t in beside):
        calls.changed += 1


def _digest(tensor: Tensor) -> bytes:
    """What tells its numbers from others, whatever they are a view of."""
    numbers = tensor.detach().cpu().contiguous().view(-1)
    return sha256(numbers.view(torch.uint8).numpy().tobytes()).digest()


def _is_data(value: Any) -> bool:
    return isinstance(value, (Tensor, PackedSequence))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
