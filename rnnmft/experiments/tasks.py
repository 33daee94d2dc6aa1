"""What networks are asked to do with an image, as sequences of inputs.

image then noise: the image in the first step, then T - 1 steps of N(0, 1) noise in every feature:
can a network carry ten classes over T steps? [chen2018]
pixels: the image in T pieces, a row of pixels each: all of it must be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnmft.errors import ParameterError

__all__ = ["ImageThenNoise", "Pixels", "generator"]

#: Odd, so that multiples of it modulo 2^63 never repeat.
_STRIDE = 0x9E3779B97F4A7C15


def generator(seed: int, *place: int) -> torch.Generator:
    """A generator of its own for every place (step, purpose): going on needs no stored state."""
    mixed = seed
    for number in place:
        mixed = (mixed * _STRIDE + number + 1) % (1 << 63)
    return torch.Generator().manual_seed(mixed)


@dataclass(frozen=True)
class ImageThenNoise:
    """The image, then noise.

    Attributes:
        steps: T.
        noise: its standard deviation.
    """

    steps: int
    noise: float = 1.0

    def features(self, pixels: int) -> int:
        """Of an input."""
        return pixels

    def inputs(self, images: Tensor, own: torch.Generator) -> Iterator[Tensor]:
        """T inputs (B, pixels)."""
        yield images
        for _ in range(self.steps - 1):
            drawn = torch.randn(images.shape, generator=own)
            yield (self.noise * drawn).to(images.device, images.dtype)


@dataclass(frozen=True)
class Pixels:
    """The image piece by piece.

    Attributes:
        steps: T, which divides the number of pixels.
    """

    steps: int

    def features(self, pixels: int) -> int:
        """Of an input.

        Raises:
            ParameterError: T does not divide the number of pixels.
        """
        if pixels % self.steps:
            raise ParameterError(f"{pixels} pixels do not fall into {self.steps} equal pieces")
        return pixels // self.steps

    def inputs(self, images: Tensor, own: torch.Generator) -> Iterator[Tensor]:
        """T inputs (B, pixels / T)."""
        yield from images.reshape(len(images), self.steps, -1).unbind(1)
