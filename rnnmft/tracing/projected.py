"""One step of torch.nn.LSTM with a projection, of which PyTorch has no cell."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

__all__ = ["ProjectedLSTMCell"]


class ProjectedLSTMCell(torch.nn.Module):
    """h of `proj_size` units is a matrix times o tanh(c); parameters as of `torch.nn.LSTM`.

    Args:
        input_size: N_in.
        hidden_size: N, the width of c.
        bias: whether there are two bias vectors.
        proj_size: the width of h.
        device: where the parameters are made.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, proj_size: int, device: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.bias = bias

        def made(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.zeros(shape, device=device))

        self.weight_ih = made(4 * hidden_size, input_size)
        self.weight_hh = made(4 * hidden_size, proj_size)
        self.weight_hr = made(proj_size, hidden_size)
        self.bias_ih = made(4 * hidden_size) if bias else None
        self.bias_hh = made(4 * hidden_size) if bias else None

    def forward(self, input: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        """(h, c) after one step."""
        h, c = state
        gates = linear(input, self.weight_ih, self.bias_ih)
        gates = gates + linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        p = linear(torch.sigmoid(o) * torch.tanh(c), self.weight_hr)
        return p, c
