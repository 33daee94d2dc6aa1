"""Numbers to try a module on: random inputs and states in its own precision, on its own device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["batch_size", "examples", "own_randomness"]


def batch_size(module: torch.nn.Module, *sizes: int) -> int:
    """A prime that is no size of the module, so that the axis of the batch can be told apart."""
    taken = {n for t in (*module.parameters(), *module.buffers()) for n in t.shape} | {*sizes}
    candidate = 7
    while candidate in taken or any(candidate % d == 0 for d in range(2, candidate)):
        candidate += 1
    return candidate


def examples(
    module: torch.nn.Module, widths: Sequence[int], inputs: int, batch: int | None
) -> tuple[Any, list[Any]]:
    """Standard normal x, (batch, inputs), and states, (batch, width); vectors without a batch."""
    first = next((t for t in module.parameters() if t.is_floating_point()), torch.zeros(0))
    lead = () if batch is None else (batch,)
    seed = len(widths) + 2 * max(widths, default=0) + 3 * inputs
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int) -> Any:
        drawn = torch.randn(*lead, size, generator=generator)
        return drawn.to(device=first.device, dtype=first.dtype)

    # Separate tensors: torch.export takes two names of one tensor for one state.
    return draw(inputs), [draw(width) for width in widths]


@contextmanager
def own_randomness() -> Iterator[None]:
    """Random numbers that a module draws leave torch's generators as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
