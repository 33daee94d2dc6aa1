"""What an average over units adds to a network's Jacobian: a matrix of low rank, and no bulk.

Networks typed by hand are differentiated twice: as they are, and with their averages held.
Deterministic, by seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, sigmoid, tanh
from torch.func import jacrev

EPS = 1e-5
Averaged = Callable[[Tensor], Tensor]


def rms_norm_rnn(h: Tensor, e: Tensor, x: Tensor, average: Averaged) -> Tensor:
    return tanh(e / (average(e**2) + EPS).sqrt())


def layer_norm_minimal(h: Tensor, e: Tensor, x: Tensor, average: Averaged) -> Tensor:
    centred = e - average(e)
    u = sigmoid(centred / (average(centred**2) + EPS).sqrt())
    return u * h + (1 - u) * x


def jacobians(cell: Callable[..., Tensor], width: int) -> tuple[Tensor, Tensor]:
    """dh^4 / dh^3 of one network, with averages that answer and with averages held."""
    draw = torch.Generator().manual_seed(11)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    w, v = (s * normal(width, width) / math.sqrt(width) for s in (1.5, 0.5))
    b, inputs = 0.1 + 0.2 * normal(width), normal(4, width)

    def step(h: Tensor, x: Tensor, average: Averaged = torch.mean) -> Tensor:
        return cell(h, w @ h + v @ x + b, x, average)

    h = torch.zeros(width, dtype=torch.float64)
    for x in inputs[:3]:
        h = step(h, x)
    ways = (torch.mean, lambda values: values.mean().detach())
    whole, held = (jacrev(lambda h, a=a: step(h, inputs[3], a))(h) for a in ways)
    return whole, held


@pytest.mark.parametrize(
    ("cell", "rank"), [(rms_norm_rnn, 1), (layer_norm_minimal, 2)], ids=["rms", "layer norm"]
)
def test_an_average_adds_a_term_of_low_rank(cell: Callable[..., Tensor], rank: int) -> None:
    """Eq. (rank-one): of norm O(1), which moves (1/N) tr J J^T by O(1/N)."""
    for width in (60, 480):
        whole, held = jacobians(cell, width)
        values = torch.linalg.svdvals(whole - held)
        assert values[rank] < 1e-12
        # Neither small nor growing: widths differ by a factor of 8.
        assert 0.1 < values[rank - 1] <= values[0] < 1.0
        traces = [m.square().sum() / width for m in (whole, held)]
        assert 0.05 < width * abs(traces[0] - traces[1]) < 1.0
