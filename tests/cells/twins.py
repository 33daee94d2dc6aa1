"""Plain PyTorch steps of the zoo's cells, typed from each paper's equations.

Each takes the weights as `p`, where p.a(name, y, x) = W y + V x + b, without the term that the
preactivation lacks (y or x None), and p[name] is an elementwise parameter; then the input and the
old states. It returns the new states. Nothing of rnnmft is used here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, sigmoid, tanh


@dataclass
class Weights:
    """W, V and b by preactivation; elementwise parameters by name."""

    matrices: dict[str, tuple[Tensor, Tensor, Tensor]]
    elementwise: dict[str, Tensor]

    def a(self, name: str, y: Tensor | None, x: Tensor | None) -> Tensor:
        """W y + V x + b for rows y (batch, units) and x (batch, N_in)."""
        w, v, b = self.matrices[name]
        total = b
        if y is not None:
            total = total + y @ w.T
        if x is not None:
            total = total + x @ v.T
        return total

    def __getitem__(self, name: str) -> Tensor:
        return self.elementwise[name]


def vanilla(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (tanh(p.a("e", h, x)),)


def minimal(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    u = sigmoid(p.a("e", h, x))
    return (u * h + (1 - u) * x,)


def gru(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    r, z = sigmoid(p.a("r", h, x)), sigmoid(p.a("z", h, x))
    n = tanh(p.a("n", r * h, x))
    return (z * h + (1 - z) * n,)


def gru_torch(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    r, z = sigmoid(p.a("r", h, x)), sigmoid(p.a("z", h, x))
    n = tanh(p.a("n_x", None, x) + r * p.a("n_h", h, None))
    return (z * h + (1 - z) * n,)


def lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    i, f, o = (sigmoid(p.a(gate, h, x)) for gate in "ifo")
    c = f * c + i * tanh(p.a("g", h, x))
    return c, o * tanh(c)


def peephole_lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    i = sigmoid(p.a("i", h, x) + p.a("i_c", c, None))
    f = sigmoid(p.a("f", h, x) + p.a("f_c", c, None))
    c = f * c + i * tanh(p.a("g", h, x))
    o = sigmoid(p.a("o", h, x) + p.a("o_c", c, None))  # the new c
    return c, o * tanh(c)


def diagonal_peephole_lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    i = sigmoid(p.a("i", h, x) + p["p_i"] * c)
    f = sigmoid(p.a("f", h, x) + p["p_f"] * c)
    c = f * c + i * tanh(p.a("g", h, x))
    o = sigmoid(p.a("o", h, x) + p["p_o"] * c)
    return c, o * tanh(c)


def coupled_lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    f, o = sigmoid(p.a("f", h, x)), sigmoid(p.a("o", h, x))
    c = f * c + (1 - f) * tanh(p.a("g", h, x))
    return c, o * tanh(c)


def chrono_lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    i = sigmoid(p.a("i", h, x) - p["b"])
    f = sigmoid(p.a("f", h, x) + p["b"])
    o = sigmoid(p.a("o", h, x))
    c = f * c + i * tanh(p.a("g", h, x))
    return c, o * tanh(c)


def mgu(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    f = sigmoid(p.a("f", h, x))
    candidate = tanh(p.a("g", f * h, x))
    return ((1 - f) * h + f * candidate,)


def ugrnn(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    g, c = sigmoid(p.a("g", h, x)), tanh(p.a("c", h, x))
    return (g * h + (1 - g) * c,)


def janet(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    beta = 1.0
    s = p.a("f", h, x)
    c = tanh(p.a("c", h, x))
    return (sigmoid(s) * h + (1 - sigmoid(s - beta)) * c,)


def min_gru(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    z = sigmoid(p.a("z", None, x))
    return ((1 - z) * h + z * p.a("g", None, x),)


def projection_lstm(p: Weights, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    i, f, o = (sigmoid(p.a(name, h, x)) for name in "ifo")
    c = f * c + i * tanh(p.a("g", h, x))
    return c, p.a("p", o * tanh(c), None)


def min_lstm(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    f, i = sigmoid(p.a("f", None, x)), sigmoid(p.a("i", None, x))
    f, i = f / (f + i), i / (f + i)
    return (f * h + i * p.a("g", None, x),)


def leaky_rnn(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    leak = 0.2
    return ((1 - leak) * h + leak * tanh(p.a("e", h, x)),)


def rate(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    leak = 0.2
    return ((1 - leak) * h + leak * p.a("e", tanh(h), x),)


def two_populations(p: Weights, x: Tensor, h: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    fast = p.a("e_1_1", tanh(h), x) + p.a("e_1_2", tanh(g), None)
    slow = p.a("e_2_1", tanh(h), None) + p.a("e_2_2", tanh(g), x)
    return 0.5 * h + 0.5 * fast, 0.75 * g + 0.25 * slow


def low_rank(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    n = p["overlap"] * p["m"] + p["z"]
    low = torch.outer(p["m"], n) / h.shape[-1]
    return (0.8 * h + 0.2 * (p.a("e", tanh(h), x) + tanh(h) @ low.T),)


def residual_rnn(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    step, shortcut = 0.5, 0.9
    return (shortcut * h + step * tanh(p.a("e", h, x)),)


def indrnn(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (torch.relu(p.a("e", None, x) + p["u"] * h),)


def rms_norm_rnn(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (tanh(torch.nn.functional.rms_norm(p.a("e", h, x), h.shape[-1:], eps=1e-5)),)


def layer_norm_minimal(p: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    u = sigmoid(torch.nn.functional.layer_norm(p.a("e", h, x), h.shape[-1:], eps=1e-5))
    return (u * h + (1 - u) * x,)


# Every function of this file is the twin of the cell whose name it has.
TWINS: dict[str, Callable[..., Any]] = {
    name: twin
    for name, twin in [*globals().items()]
    if inspect.isfunction(twin) and twin.__module__ == __name__
}
