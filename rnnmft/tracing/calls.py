"""One way to call a module as a step of a cell: what goes where, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from rnnmft.tracing.forms import Form, forms
from rnnmft.tracing.results import ResultError, leaves_of
from rnnmft.tracing.signature import Signature, state_name

__all__ = ["Call", "calls", "joined_calls"]

_TUPLES = {1: ("h",), 2: ("h", "c"), 3: ("h", "c", "m")}


@dataclass(frozen=True)
class Call:
    """One way to call a module: forward(x, h), forward(x, (h, c)), forward(h), forward(x, h, ts=1).

    Attributes:
        states: their names.
        form: how they are held.
        holders: the arguments that hold them.
        input: the argument that is the input, or None.
        inputs: {argument: width} where several together are the input, one behind the other.
        given: {further argument: its value: a number, or a vector of one number a unit}.
        number: how further arguments that are numbers are given: "plain", or as tensors "column"
            (B, 1), "elements" (B,), "units" (B, N) and "inputs" (B, N_in); of the latter kind
            are then those that are vectors, too.
        positional: the arguments that may be given by position.
        called: what the source calls the states.
        returned: the places of the new states' tensors among the tensors that forward returns.
    """

    states: tuple[str, ...]
    form: Form
    holders: tuple[str, ...]
    input: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    number: str = "plain"
    positional: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    returned: tuple[int, ...] = ()
    inputs: Mapping[str, int] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Whether forward takes batches, or vectors alone."""
        return self.form.tensor != "vector"

    def arguments(
        self, x: Any, states: Sequence[Any], vectors: Mapping[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of forward, by position and by name.

        Args:
            x: the input, (B, N_in).
            states: (B, N) each.
            vectors: values of the arguments that are vectors, instead of those in `given`.
        """
        values = dict(zip(self.holders, self.form.pack(states), strict=True))
        if self.inputs:
            parts = x.split(list(self.inputs.values()), -1)
            values |= zip(self.inputs, map(self.form.given_input, parts), strict=True)
        elif self.input is not None:
            values[self.input] = self.form.given_input(x)
        for name, value in self.given.items():
            like = x if self.number == "inputs" and x is not None else states[0]
            values[name] = self._argument((vectors or {}).get(name, value), like)
        by_position = []
        for name in self.positional:
            if name not in values:
                break
            by_position.append(values.pop(name))
        return tuple(by_position), values

    def _argument(self, value: Any, like: Any) -> Any:
        """A vector as the states are held: a row for each element of the batch."""
        if not isinstance(value, torch.Tensor):
            lead = tuple(like.shape[:-1])
            shapes = {"column": (*lead, 1), "elements": lead, "units": tuple(like.shape)}
            shapes["inputs"] = tuple(like.shape)
            shape = shapes.get(self.number)
            return value if shape is None else like.new_full(shape, float(value))
        row = value.to(like.device, like.dtype)
        if not self.batched or row.ndim == 2:
            return row
        return self.form._tensors([row.expand(like.shape[0], -1)])[0]

    def vector_width(self, width: int, inputs: int) -> int:
        """The size of an argument that is a vector."""
        return inputs if self.number == "inputs" else width

    def results(self, result: Any) -> tuple[Any, ...]:
        """The new states, (B, N) each, in what forward returned."""
        found = leaves_of(result)
        if max(self.returned, default=0) >= len(found):
            raise ResultError(
                f"it returns {len(found)} tensor{'s' * (len(found) > 1)}, and returned names the "
                f"place {max(self.returned)}, from 0"
            )
        return self.form.unpack([found[j].value for j in self.returned])

    def step(
        self,
        module: Callable[..., Any],
        x: Any,
        states: Sequence[Any],
        vectors: Mapping[str, Any] | None = None,
    ) -> tuple[Any, ...]:
        """The new states."""
        args, kwargs = self.arguments(x, states, vectors)
        return self.results(module(*args, **kwargs))


def calls(
    signature: Signature, names: Sequence[str] | None, given: Mapping[str, Any]
) -> Iterator[Call]:
    """The ways to call a module of this signature, likely ones first."""
    held: tuple[str, ...] = signature.states
    spelling = signature.spelling
    count = None if names is None else len(names)
    if count is not None and len(held) > 1 and count != len(held):
        held = held[:1]
    first = next(iter(held))
    keys = spelling.keys.get(first, ())
    fields = spelling.fields.get(first, ())
    kinds = ("plain", "column", "elements", "units", "inputs") if given else ("plain",)
    if given and not any(isinstance(value, (int, float)) for value in given.values()):
        kinds = ("plain", "inputs")
    for form in forms(len(held), keys, fields, count):
        if count is None or form.count == count:
            for number in kinds:
                yield _call(signature, form, held, names, given, number)


def joined_calls(
    signature: Signature, names: Sequence[str] | None, given: Mapping[str, Any]
) -> Iterator[Call]:
    """One argument of shape (B, k N) that holds k states."""
    for k in (2, 3, 4) if names is None else (len(names),):
        if len(signature.states) == 1 and k > 1:
            form = Form(tensor="joined", count=k)
            yield _call(signature, form, signature.states, names, given)


def _call(
    signature: Signature,
    form: Form,
    held: tuple[str, ...],
    names: Sequence[str] | None,
    given: Mapping[str, Any],
    number: str = "plain",
) -> Call:
    own = _state_names(form, signature)
    return Call(
        states=tuple(names) if names else own,
        form=form,
        holders=held,
        input=signature.input,
        given=given,
        number=number,
        positional=signature.positional,
        called=own,
    )


def _state_names(form: Form, signature: Signature) -> tuple[str, ...]:
    """Names for the states: of their arguments, keys or parts, or the usual ones."""
    if len(signature.states) > 1:
        return _distinct([state_name(n) for n in signature.states])
    held = next(iter(signature.states))
    parts = form.keys or signature.spelling.parts.get(held, ())
    if form.count == 1 and not form.container:
        return (state_name(held),)
    if len(parts) == form.count:
        return _distinct([state_name(n) for n in parts])
    if form.count in _TUPLES and not form.group:
        return _TUPLES[form.count]
    inner = _TUPLES.get(form.group or 1, ("h",))
    layers = form.count // len(inner)
    return tuple(f"{n}_{j + 1}" for j in range(layers) for n in inner)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name}_{len(found) + 1}")
    return tuple(found)
