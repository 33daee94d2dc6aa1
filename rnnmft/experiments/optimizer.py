"""Adam for many networks at once: each has its own norm of the gradient and its own rate."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Adam", "clip"]

#: How fast the averages of gradients and of their squares forget, and what is added to a root:
#: what Adam's authors propose and PyTorch takes.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@torch.no_grad()
def clip(parameters: Mapping[str, Tensor], largest: float) -> Tensor:
    """Scale each network's gradient to norm `largest` where it is above.

    A gradient that is not finite becomes zero.

    Returns:
        Whether the gradient of each network was finite, (G,).
    """
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    square = sum(g.flatten(1).square().sum(1) for g in gradients)
    norm = torch.as_tensor(square).sqrt()
    finite = norm.isfinite()
    factor = torch.where(finite, largest / norm.clamp_min(largest), 0.0)
    for g in gradients:
        g.mul_(factor.reshape(-1, *[1] * (g.dim() - 1))).nan_to_num_(
            nan=0.0, posinf=0.0, neginf=0.0
        )
    return finite


class Adam:
    """Adam with a rate a network.

    Args:
        parameters: tensors by name, first axis the networks; they are changed.
        rates: of learning, (G,).

    Attributes:
        steps: taken so far.
        moments: averages of gradients and of their squares, by name.
    """

    def __init__(self, parameters: Mapping[str, Tensor], rates: Tensor) -> None:
        self.parameters, self.rates, self.steps = dict(parameters), rates, 0
        self.moments = {
            n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in self.parameters.items()
        }

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One step with so large a share of the rates; a tensor without gradient stays."""
        self.steps += 1
        unbiased = 1 - _BETA_1**self.steps, (1 - _BETA_2**self.steps) ** 0.5
        for name, value in self.parameters.items():
            if value.grad is None:
                continue
            first, second = self.moments[name]
            first.lerp_(value.grad, 1 - _BETA_1)
            second.mul_(_BETA_2).addcmul_(value.grad, value.grad, value=1 - _BETA_2)
            size = (share / unbiased[0]) * self.rates.reshape(-1, *[1] * (value.dim() - 1))
            value.sub_(size * first / (second.sqrt() / unbiased[1] + _EPSILON))
