"""Sequences that go with the winners: a mean that few of many carry, without waiting for them.

    m_1(T) = E prod_t w_t,    w_t = |J_t u_t|^2 / |u_t|^2

Over hundreds of steps ln prod w scatters by more than ln of any number of sequences, and their mean
is that of the one or two largest. So sequences live on islands of k, and where a few of an island
carry its mean it is drawn anew from its own, with probabilities proportional to the w that each
gathered, and all go on with the mean w (P. Grassberger, Computer Physics Communications 147, 64
(2002)). The mean of an island stays unbiased, and islands stay independent, so that their spread is
its error. That asks for inputs which are independent from step to step: who is drawn twice has two
futures.
"""

from __future__ import annotations

import math

import torch

__all__ = ["islands_of", "winners"]

Tensor = torch.Tensor
# As many islands as give their spread to a fifth; half where each would have one sequence. Fewer
# do not tell an error.
_ISLANDS, _FEWEST = 16, 8
# An island is drawn anew when the effective number of its sequences is below this part of them.
# Two that carry 85 and 15 % count as 1.34.
_EFFECTIVE = 2.0 / 3.0


def islands_of(sequences: int) -> int:
    """Into how many islands of equal size so many sequences part; each its own if into too few."""
    islands = min(math.gcd(sequences, _ISLANDS), sequences // 2)
    return islands if islands >= _FEWEST else sequences


def winners(
    log_weights: Tensor, islands: int, generator: torch.Generator
) -> tuple[Tensor, Tensor] | None:
    """Who goes on in the place of whom: (parents, change of ln w), (sequences,) each.

    Systematic draws: a sequence of weight w has floor or ceil of k w / sum w children. None where
    every island is well as it is.

    Args:
        log_weights: ln prod w of every sequence, (sequences,), islands one after the other.
        islands: how many there are.
        generator: of the draws.
    """
    log_w = log_weights.view(islands, -1)
    k = log_w.shape[1]
    share = (log_w - log_w.logsumexp(1, keepdim=True)).exp()
    # nan, where all of an island are 0 or one overflowed: such an island is left alone.
    few = share.square().sum(1) * k * _EFFECTIVE > 1.0
    if not bool(few.any()):
        return None
    offset = torch.rand(islands, 1, generator=generator, dtype=share.dtype)
    marks = (torch.arange(k) + offset) / k
    drawn = torch.searchsorted(share.cumsum(1), marks).clamp_max(k - 1)
    places = torch.where(few[:, None], drawn, torch.arange(k))
    parents = places + k * torch.arange(islands)[:, None]
    mean = log_w.logsumexp(1, keepdim=True) - math.log(k)
    change = torch.where(few[:, None], mean - log_w.gather(1, places), 0.0)
    return parents.flatten(), change.flatten()
