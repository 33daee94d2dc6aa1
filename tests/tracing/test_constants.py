"""Constants in a module: matrices that see one, masks, identities, parameters in plain containers.

`trace` runs every cell beside its module in double precision, in value and in derivative, so that
a wrong reading raises. What is asked here besides is what the parameters are, and what is refused.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rnnmft import CellError
from rnnmft.language.laws import Normal
from rnnmft.tracing import trace

N_IN, N = 16, 64


class Decay(nn.Module):
    """GRU-D's: the state decays by a linear layer of the time since each input was seen."""

    def __init__(self):
        super().__init__()
        self.decay, self.cell = nn.Linear(N_IN, N), nn.GRUCell(N_IN, N)

    def forward(self, x, h, delta):
        return self.cell(x, torch.exp(-torch.relu(self.decay(delta))) * h)


@pytest.mark.parametrize("delta", [1.0, 0.25, Normal(0.0, 1.0)], ids=["1", "1/4", "a law"])
def test_an_argument_may_pass_through_a_matrix(delta):
    module = Decay()
    traced = trace(module, arguments={"delta": delta})
    assert [p.name for p in traced.cell.parameters] == ["decay"]
    vector = traced.given["delta"] if isinstance(delta, Normal) else torch.full((N_IN,), delta)
    wanted = module.decay(vector.float()).detach()
    assert torch.allclose(traced.elementwise_parameters(module)["decay"], wanted, atol=1e-6)


def test_what_a_matrix_makes_of_an_argument_is_written_by_the_smallest_change():
    module = Decay()
    traced = trace(module, arguments={"delta": 0.5})
    before = module.decay.weight.detach().clone()
    wanted = torch.linspace(-1.0, 1.0, N)
    traced.write_(module, {}, {"decay": wanted})
    assert torch.allclose(traced.elementwise_parameters(module)["decay"], wanted, atol=1e-6)
    assert not module.decay.bias.any()
    change = module.decay.weight.detach() - before
    assert change.any()
    assert torch.allclose(change, change.mean(1, keepdim=True).expand_as(change), atol=1e-6)


class WithZeros(nn.Module):
    """An optional second state that is left out: its matrix sees zeros."""

    def __init__(self):
        super().__init__()
        self.i, self.h, self.d = nn.Linear(N_IN, N), nn.Linear(N, N), nn.Linear(N, N)

    def forward(self, x, h, delayed=None):
        delayed = torch.zeros_like(h) if delayed is None else delayed
        return torch.tanh(self.i(x) + self.h(h) + self.d(delayed))


def test_a_matrix_that_sees_zeros_is_no_part():
    (gate,) = trace(WithZeros()).bindings.values()
    assert [s.parameter for s in gate.recurrent] == ["h.weight"]
    assert "d.bias" in [s.parameter for s in gate.bias]


class Masked(nn.Module):
    """A sparse recurrent matrix; the mask is a buffer, a frozen parameter or a plain attribute."""

    def __init__(self, mask, held="buffer"):
        super().__init__()
        self.i, self.W = nn.Linear(N_IN, N), nn.Parameter(torch.randn(N, N) / 8)
        if held == "buffer":
            self.register_buffer("mask", mask)
        else:
            self.mask = nn.Parameter(mask, requires_grad=False) if held == "parameter" else mask

    def forward(self, x, h):
        return torch.tanh(self.i(x) + h @ (self.W * self.mask))


def random_mask(share=0.5):
    return torch.from_numpy(np.random.default_rng(0).binomial(1, share, (N, N))).float()


@pytest.mark.parametrize("held", ["buffer", "parameter", "attribute"])
def test_a_random_mask_leaves_a_matrix_of_independent_entries(held):
    mask = random_mask()
    module = Masked(mask, held)
    traced = trace(module)
    ((w, _, _),) = traced.parameters(module).values()
    assert torch.equal(w, (module.W.detach() * mask).T)
    assert torch.equal(module.mask, mask)


def test_a_matrix_is_written_under_its_mask_with_its_variance():
    module = Masked(random_mask())
    traced = trace(module)
    (name,) = traced.bindings
    w = torch.randn(N, N, generator=torch.Generator().manual_seed(0))
    traced.write_(module, {name: (w, None, None)})
    found = traced.parameters(module)[name][0]
    assert not found[module.mask.T == 0].any()
    # Half of N^2 squares with the variance 2 each: a relative deviation of 2 / N.
    assert abs(found.square().mean() / w.square().mean() - 1.0) < 8.0 / N
    traced.write_(module, {name: (found, None, None)})
    assert torch.allclose(traced.parameters(module)[name][0], found)


MASKS = {
    "triangle": (torch.tril(torch.ones(N, N)), "do not lie at random"),
    "blocks": (torch.block_diag(*[torch.ones(N // 2, N // 2)] * 2), "do not lie at random"),
    "few": (random_mask(0.05), "sums so few is not Gaussian"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_with_a_structure_is_refused(kind):
    mask, reason = MASKS[kind]
    with pytest.raises(CellError, match=reason):
        trace(Masked(mask))


def test_a_mask_of_ones_is_none():
    for held in ("buffer", "parameter", "attribute"):
        module = Masked(torch.ones(N, N), held)
        (gate,) = trace(module).bindings.values()
        assert gate.recurrent[0].mask is None


def test_a_symmetric_matrix_is_called_so():
    class Symmetric(Masked):
        def forward(self, x, h):
            return torch.tanh(self.i(x) + h @ (self.W + self.W.T))

    with pytest.raises(CellError, match="the symmetric matrix of the matrix 'W' and its transpose"):
        trace(Symmetric(torch.ones(N, N)))


class InADict(nn.Module):
    """Parameters that are used by way of a plain dictionary, and of PyTorch's containers."""

    def __init__(self):
        super().__init__()
        self.lists = nn.ParameterList([torch.randn(N, N) / 8, torch.randn(N, N) / 8])
        self.named = nn.ParameterDict({"r": torch.randn(N, N_IN), "n": torch.randn(N, N_IN)})
        self.bias = nn.Parameter(torch.randn(N))
        self.held = {"bias": self.bias}

    def forward(self, x, h):
        r = torch.sigmoid(x @ self.named["r"].T + h @ self.lists[0] + self.held["bias"])
        return r * h + (1 - r) * torch.tanh(x @ self.named["n"].T + h @ self.lists[1])


def test_parameters_in_containers_are_found():
    traced = trace(InADict())
    parameters = {
        s.parameter
        for gate in traced.bindings.values()
        for s in (*gate.recurrent, *gate.input, *gate.bias)
    }
    assert parameters == {"lists.0", "lists.1", "named.r", "named.n", "bias"}
