"""What a part got, as sequences (steps, sequences, features) of numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnmft.parts.calls import Calls

__all__ = ["sequences_of"]

Tensor = torch.Tensor


def sequences_of(calls: Calls, batch_first: bool | None) -> tuple[Tensor | None, tuple[str, ...]]:
    """The sequences, or None where they are no numbers a cell could take, and remarks about them.

    Args:
        calls: of the part.
        batch_first: of a layer that is called once; None for a cell that is called in a loop.
    """
    remarks = []
    if calls.started:
        remarks.append(
            "the model starts it from a state of its own; the diagnosis starts from zero"
        )
    if calls.changed:
        remarks.append(
            "between its calls the model changes the state that it hands back "
            f"({calls.changed} of {len(calls.arguments) - 1} times: a mask, a start anew); the "
            "diagnosis is of the cell alone"
        )
    if batch_first is None:
        steps = [a for a in calls.arguments if isinstance(a, Tensor) and a.is_floating_point()]
        shapes = {tuple(a.shape) for a in steps}
        if len(steps) < len(calls.arguments) or len(shapes) != 1:
            return None, tuple(remarks)
        x = torch.stack([a.reshape(-1, a.shape[-1]) for a in steps])
        return x.double().cpu(), tuple(remarks)
    first = calls.arguments[0]
    if _step_by_step(calls.arguments, batch_first):
        # A layer that is called for one step at a time: its calls are its sequence.
        first = torch.cat(calls.arguments, 1 if batch_first else 0)
    elif len(calls.arguments) > 1:
        remarks.append(f"the model calls it {len(calls.arguments)} times; the first was looked at")
    if isinstance(first, PackedSequence):
        first, left_out = _unpacked(first)
        if left_out:
            remarks.append(
                f"packed sequences of different lengths: {left_out} that are shorter than the "
                "median were left out, and longer ones cut"
            )
        batch_first = False
    if not isinstance(first, Tensor) or not first.is_floating_point() or first.dim() not in (2, 3):
        return None, tuple(remarks)
    x = first[:, None] if first.dim() == 2 else first.transpose(0, 1) if batch_first else first
    return x.double().cpu(), tuple(remarks)


def _step_by_step(arguments: list[Any], batch_first: bool) -> bool:
    steps = 1 if batch_first else 0
    return len(arguments) > 1 and all(
        isinstance(a, Tensor)
        and a.dim() == 3
        and a.shape[steps] == 1
        and a.shape == arguments[0].shape
        for a in arguments
    )


def _unpacked(packed: Any) -> tuple[Tensor, int]:
    """Those at least as long as the median, cut there, and how many were not."""
    padded, lengths = pad_packed_sequence(packed)
    median = int(lengths.median())
    kept = lengths >= median
    return padded[:median, kept.to(padded.device)], int((~kept).sum())
