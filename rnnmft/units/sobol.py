"""Scrambled Sobol points, any dimensions of them: quasi-random numbers for units.

The first 2^k points of a Sobol sequence are a digital net: in every dimension one point in each of
2^k equal intervals, and nearly as even in the first dimensions jointly. A random linear scramble
and a random digital shift [matousek1998] make each point uniform, so that averages are unbiased
and independent scrambles give their standard error.

`torch.quasirandom.SobolEngine` draws all dimensions at once; here the dimensions are drawn as they
are needed, from the engine's direction numbers [joe2008].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

__all__ = ["DIMENSIONS", "sobol_points"]

Tensor = torch.Tensor
DIMENSIONS = torch.quasirandom.SobolEngine.MAXDIM
_BITS = torch.quasirandom.SobolEngine.MAXBIT
# Numbers that a processor keeps near itself: a megabyte of them.
_NEAR = 1 << 17


@lru_cache(maxsize=1)
def _directions() -> Tensor:
    """The direction numbers of every dimension, (DIMENSIONS, bits), most significant bit first."""
    return torch.quasirandom.SobolEngine(DIMENSIONS, scramble=False).sobolstate.clone()


def sobol_points(
    first: int,
    count: int,
    points: int,
    generators: Sequence[torch.Generator | None],
    device: torch.device,
) -> Tensor:
    """The first points of dimensions first, .., first + count - 1, as numbers in (0, 1).

    Args:
        first: the number of the first dimension.
        count: of dimensions; first + count <= DIMENSIONS.
        points: how many, a power of two.
        generators: of the scrambles, on the CPU, so that every device gets the same points; None
            for the sequence as it is.
        device: of the result.

    Returns:
        (generators, count, points), in natural (not Gray code) order, in double precision.
    """
    # A point's binary digits choose among the first direction numbers, one each.
    bits = points.bit_length() - 1
    directions = _directions()[first : first + count, :bits]
    pairs = [_scramble(count, g) for g in generators]
    mix, start = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    steps = _mixed(directions, mix).to(device)
    start = start.to(device)
    # So many scrambles at a time that their numbers stay near the processor.
    together = max(1, _NEAR // (count * points))
    found = torch.empty((len(pairs), count, points), dtype=torch.float64, device=device)
    whole = found.new_empty((min(together, len(pairs)), count, points), dtype=torch.int64)
    for one in range(0, len(pairs), together):
        rows, step = found[one : one + together], steps[one : one + together]
        numbers = whole[: len(rows)]
        numbers[..., :1] = start[one : one + together]
        for bit in range(bits):
            half = 1 << bit
            digit, more = step[..., bit : bit + 1], numbers[..., half : 2 * half]
            torch.bitwise_xor(numbers[..., :half], digit, out=more)
        rows.copy_(numbers).add_(0.5).mul_(2.0**-_BITS)
    return found


def _scramble(count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A random lower triangular matrix of bits and a random shift for each dimension."""
    one = torch.eye(_BITS, dtype=torch.int64)
    if generator is None:
        return one.expand(count, -1, -1), torch.zeros((count, 1), dtype=torch.int64)
    mix = torch.randint(0, 2, (count, _BITS, _BITS), generator=generator).tril(-1) + one
    return mix, torch.randint(0, 1 << _BITS, (count, 1), generator=generator)


def _mixed(directions: Tensor, mix: Tensor) -> Tensor:
    """The first n direction numbers (count, n) times matrices of bits, (scrambles, count, ..).

    The k-th has its binary digits among the first k: of the matrices n columns are enough.
    """
    weights, n = 1 << torch.arange(_BITS - 1, -1, -1), directions.shape[1]
    bits = (directions[:, None, :] // weights[:n, None]) % 2
    mixed = torch.matmul(mix[..., :n].double(), bits.double()).long() % 2
    return (mixed * weights[:, None]).sum(-2)
