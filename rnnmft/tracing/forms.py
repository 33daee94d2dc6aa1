"""How people hold the states of a cell: one by one, in tuples, lists, dictionaries, or one tensor.

A `Form` packs states of shape (B, N) (and the input, (B, N_in)) into what forward takes, and takes
what forward returns apart again. It does so with views and joins alone, so that a graph of it is
one of the same cell.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

__all__ = ["Form", "forms"]


@dataclass(frozen=True)
class Form:
    """One way to hold states.

    Attributes:
        container: "" for arguments of their own (or the one tensor that is the state), "tuple",
            "list", "dict" or "fields" (a named tuple).
        tensor: the shape of each tensor: "rows" (B, N), "vector" (N,), "columns" (N, B),
            "layers" (1, B, N); of several states in one: "stacked" (k, B, N), "beside" (B, k, N),
            "joined" (B, k N).
        count: the number of states, k.
        keys: of a dictionary, or the names of fields.
        group: of a nested tuple or list, the number of states in each inner one; 0 where flat.
        input: the shape of the input: "rows" (B, N_in), or "time first" (1, B, N_in) and
            "batch first" (B, 1, N_in), a sequence of one step.
    """

    container: str = ""
    tensor: str = "rows"
    count: int = 1
    keys: tuple[str, ...] = ()
    group: int = 0
    input: str = "rows"

    @property
    def leaves(self) -> int:
        """The number of tensors that hold the states."""
        return 1 if self.tensor in ("stacked", "beside", "joined") else self.count

    def shape(self, batch: int, width: int) -> tuple[int, ...]:
        """The shape of each of those tensors, for one width."""
        k = self.count
        return {
            "rows": (batch, width),
            "vector": (width,),
            "columns": (width, batch),
            "layers": (1, batch, width),
            "stacked": (k, batch, width),
            "beside": (batch, k, width),
            "joined": (batch, k * width),
        }[self.tensor]

    @property
    def separate(self) -> bool:
        """Whether every state is a tensor of its own, which may have a width of its own."""
        return self.tensor in ("rows", "vector", "columns", "layers")

    def shapes(self, batch: int, widths: Sequence[int]) -> list[tuple[int, ...]]:
        """The shape of each tensor that holds states of these widths."""
        own = widths if self.separate else [widths[0]] * self.leaves
        return [self.shape(batch, width) for width in own]

    def given_input(self, x: Any) -> Any:
        """The input as forward takes it."""
        if self.tensor == "columns":
            return x.transpose(0, 1)
        if self.input == "rows":
            return x
        return x.unsqueeze(0 if self.input == "time first" else 1)

    def pack(self, states: Sequence[Any]) -> list[Any]:
        """The values of forward's arguments that hold the states."""
        tensors = self._tensors(states)
        if not self.container:
            return tensors
        if self.container == "dict":
            return [dict(zip(self.keys, tensors, strict=True))]
        if self.container == "fields":
            return [namedtuple("State", self.keys)(*tensors)]
        kind = list if self.container == "list" else tuple
        if self.group:
            inner = [tuple(tensors[j : j + self.group]) for j in range(0, len(tensors), self.group)]
            return [kind(inner)]
        return [kind(tensors)]

    def _tensors(self, states: Sequence[Any]) -> list[Any]:
        if self.tensor == "columns":
            return [s.transpose(0, 1) for s in states]
        if self.tensor == "layers":
            return [s.unsqueeze(0) for s in states]
        if self.tensor == "stacked":
            return [torch.stack(list(states), 0)]
        if self.tensor == "beside":
            return [torch.stack(list(states), 1)]
        if self.tensor == "joined":
            return [torch.cat(list(states), -1)]
        return list(states)

    def unpack(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """The states, (B, N) each, in tensors that forward returned."""
        if self.tensor == "columns":
            return tuple(t.transpose(0, 1) for t in tensors)
        if self.tensor == "layers":
            return tuple(t.squeeze(0) for t in tensors)
        if self.tensor == "stacked":
            return tuple(tensors[0].unbind(0))
        if self.tensor == "beside":
            return tuple(tensors[0].unbind(1))
        if self.tensor == "joined":
            return tuple(tensors[0].chunk(self.count, -1))
        return tuple(tensors)


def forms(
    arguments: int, keys: tuple[str, ...], fields: tuple[str, ...], count: int | None
) -> Iterator[Form]:
    """The forms of states in this many arguments, common ones first.

    Args:
        arguments: how many of forward's arguments are states.
        keys: by which the one argument is indexed, `state["h"]`.
        fields: its attributes, `state.h`.
        count: the number of states, where the user named them.
    """
    if arguments > 1:
        for tensor in ("rows", "vector", "columns"):
            yield Form(tensor=tensor, count=arguments)
        yield from _in_sequences(Form(tensor="layers", count=arguments))
        return
    counts = (1, 2, 3, 4) if count is None else (count,)
    for tensor in ("rows", "vector", "columns"):
        if keys:
            yield Form("dict", tensor, len(keys), keys)
        if fields:
            yield Form("fields", tensor, len(fields), fields)
        if 1 in counts:
            yield Form(tensor=tensor)
        # The least number that runs: one more than forward reads would be a state of nothing.
        for k in counts:
            yield Form("tuple", tensor, k)
            yield Form("list", tensor, k)
    yield from _stacked(counts)


def _stacked(counts: Sequence[int]) -> Iterator[Form]:
    """Axes for layers and states, as PyTorch's layers have them, and stacks of layers."""
    for k in counts:
        if k == 1:
            yield from _in_sequences(Form(tensor="layers"))
            yield from _in_sequences(Form(tensor="beside"))
        else:
            yield from _in_sequences(Form(tensor="stacked", count=k))
            yield Form(tensor="beside", count=k)
        yield from _in_sequences(Form("tuple", "layers", k))
    for k in counts if len(counts) == 1 else (2, 4, 6):
        for group in (1, 2, 3):
            if k % group == 0 and k > group:
                yield Form("list", "rows", k, group=group)


def _in_sequences(form: Form) -> Iterator[Form]:
    for x in ("rows", "time first", "batch first"):
        yield replace(form, input=x)
