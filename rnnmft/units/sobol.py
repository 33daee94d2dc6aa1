"""Scrambled Sobol points, any dimensions of them: quasi-random numbers for units.

The first 2^k points of a Sobol sequence are a digital net: in every dimension one point in each of
2^k equal intervals, and nearly as even in the first dimensions jointly. A random linear scramble
and a random digital shift [matousek1998] make each point uniform, so that averages are unbiased
and independent scrambles give their standard error.

`torch.quasirandom.SobolEngine` draws all dimensions at once; here the dimensions are drawn as they
are needed, from the engine's direction numbers [joe2008].
"""

from __future__ import annotations

from functools import lru_cache

import torch

__all__ = ["DIMENSIONS", "sobol_points"]

Tensor = torch.Tensor
DIMENSIONS = torch.quasirandom.SobolEngine.MAXDIM
_BITS = torch.quasirandom.SobolEngine.MAXBIT


@lru_cache(maxsize=1)
def _directions() -> Tensor:
    """The direction numbers of every dimension, (DIMENSIONS, bits), most significant bit first."""
    return torch.quasirandom.SobolEngine(DIMENSIONS, scramble=False).sobolstate.clone()


def sobol_points(
    first: int, count: int, points: int, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """The first points of dimensions first, .., first + count - 1, as numbers in (0, 1).

    Args:
        first: the number of the first dimension.
        count: of dimensions; first + count <= DIMENSIONS.
        points: how many, a power of two.
        generator: of the scramble, on the CPU, so that every device gets the same points; None for
            the sequence as it is.
        device: of the result.

    Returns:
        (count, points), in natural (not Gray code) order, in double precision.
    """
    steps = _directions()[first : first + count]
    start = torch.zeros((count, 1), dtype=torch.int64)
    if generator is not None:
        steps = _scrambled(steps, generator)
        start = torch.randint(0, 1 << _BITS, (count, 1), generator=generator)
    steps = steps.to(device)
    found = torch.empty((count, points), dtype=torch.int64, device=device)
    found[:, :1] = start.to(device)
    for bit in range(points.bit_length() - 1):
        half = 1 << bit
        torch.bitwise_xor(found[:, :half], steps[:, bit : bit + 1], out=found[:, half : 2 * half])
    return (found.double() + 0.5) * 2.0**-_BITS


def _scrambled(steps: Tensor, generator: torch.Generator) -> Tensor:
    """The direction numbers times a random lower triangular matrix of bits, one a dimension."""
    shape = (len(steps), _BITS, _BITS)
    mix = torch.randint(0, 2, shape, generator=generator).tril(-1)
    mix += torch.eye(_BITS, dtype=torch.int64)
    weights = 1 << torch.arange(_BITS - 1, -1, -1)
    bits = (steps[:, None, :] // weights[None, :, None]) % 2
    mixed = torch.bmm(mix.double(), bits.double()).long() % 2
    return (mixed * weights[None, :, None]).sum(1)
