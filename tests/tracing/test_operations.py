"""Operations as people write them: choices by value, products over gates, writes into blocks.

`trace` runs every cell beside its module in double precision, in value and in derivative, so that
a wrong reading raises. What is asked here besides is the form: kinks without Dirac deltas.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
import torch.nn.functional as F
from torch import nn

from rnnmft import CellError, Inputs, MeanField
from rnnmft.activations import step
from rnnmft.cells import from_torch
from rnnmft.tracing import trace

N_IN, N = 3, 4


class Act(nn.Module):
    """h' = tanh(f(W h + V x + b))."""

    def __init__(self, function):
        super().__init__()
        self.i, self.h, self.function = nn.Linear(N_IN, N), nn.Linear(N, N), function

    def forward(self, x, h):
        return torch.tanh(self.function(self.i(x) + self.h(h)))


CONTINUOUS = {
    "where": lambda e: torch.where(e > 0, e, 0.1 * e),
    "where not below": lambda e: torch.where(e >= 0, e + 0.5, e.sigmoid()),
    "where below": lambda e: torch.where(e < 0.25, 0.25, e),
    "softshrink": F.softshrink,
    "threshold": lambda e: F.threshold(e, 0.25, 0.25),
    "masked_fill": lambda e: e.masked_fill(e <= 0, 0.0),
    "a mask": lambda e: (e > 0) * e,
    "a float mask": lambda e: e * (e > 0).to(e.dtype),
    "sign and log": lambda e: torch.sign(e) * torch.log1p(e.abs()),
    "sign and shrink": lambda e: torch.sign(e) * F.relu(e.abs() - 0.25),
    "atan": torch.atan,
    "two choices": lambda e: torch.where(e > 1, e - 1, torch.where(e < -1, e + 1, 0.0)),
}


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_continuous_choices_have_no_jump(kind):
    cell = from_torch(Act(CONTINUOUS[kind]))
    ((h, update),) = cell.update.items()
    (e,) = cell.preactivations
    assert not update.has(step, sp.sign)
    assert not sp.diff(update, e).has(sp.DiracDelta)
    assert not sp.diff(update, h).free_symbols


JUMPS = {
    "hardshrink": F.hardshrink,
    "whole numbers": lambda e: (e > 0).float(),
    "window": lambda e: torch.where((e > 0) & (e < 1), e, 0.0),
    "one of two": lambda e: torch.where((e < 0) | (e > 1), e, 0.5),
    "not": lambda e: torch.where(torch.logical_not(e > 0), e, 1.0),
    "by its size": lambda e: torch.where(e.abs() > 1, e, 0.0),
}


@pytest.mark.parametrize("kind", JUMPS)
def test_jumps_stay_jumps(kind):
    (update,) = from_torch(Act(JUMPS[kind])).update.values()
    assert update.has(step)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda e: torch.where(e == 0, e, 1.0), "single values"),
        (lambda e: e.tan(), "tan"),
        (lambda e: (e * 1j).imag, "this use of it is not known"),
    ],
    ids=["equality", "a function with poles", "complex numbers"],
)
def test_other_choices_are_refused(function, message):
    with pytest.raises(CellError, match=message):
        from_torch(Act(function))


class Diagonal(nn.Module):
    """The LRU (arXiv 2303.06349): lambda = exp(-exp(nu) + i exp(theta)), a complex diagonal."""

    def __init__(self):
        super().__init__()
        self.nu, self.theta = nn.Parameter(torch.rand(N)), nn.Parameter(torch.rand(N))
        self.real, self.imag = nn.Linear(N_IN, N, bias=False), nn.Linear(N_IN, N, bias=False)


class InComplex(Diagonal):
    def forward(self, x, h):
        drive = torch.complex(self.real(x), self.imag(x))
        return torch.exp(torch.complex(-self.nu.exp(), self.theta.exp())) * h + drive


class AsAPair(Diagonal):
    def forward(self, x, h):
        real, imag = h
        size, angle = torch.exp(-self.nu.exp()), self.theta.exp()
        a, b = size * angle.cos(), size * angle.sin()
        return a * real - b * imag + self.real(x), b * real + a * imag + self.imag(x)


def test_a_complex_diagonal_is_read_as_a_pair():
    traced = trace(AsAPair())
    assert traced.states == ("real", "imag")
    assert {*traced.elementwise} == {"nu", "theta"}
    with pytest.raises(CellError, match="real and the imaginary part as a pair of states"):
        trace(InComplex())


def test_an_array_of_three_indices_is_no_matrix():
    class Bilinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.i, self.product = nn.Linear(N_IN, N), nn.Bilinear(N, N, N)

        def forward(self, x, h):
            return torch.tanh(self.i(x) + self.product(h, h))

    with pytest.raises(CellError, match="array of three indices, which no matrix does"):
        trace(Bilinear())


class Gated(nn.Module):
    """Two gates, a and b: h' = sigmoid(a) h + tanh(b); the subclasses compute them."""

    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(N_IN, 2 * N), nn.Linear(N, 2 * N)
        self.W, self.V = nn.Parameter(torch.randn(2, N, N)), nn.Parameter(torch.randn(2, N_IN, N))
        self.b = nn.Parameter(torch.randn(2, 1, N))

    def forward(self, x, h):
        a, b = self.gates(x, h)
        return torch.sigmoid(a) * h + torch.tanh(b)


class Matmul(Gated):
    def gates(self, x, h):
        return h @ self.W + x @ self.V + self.b


class Batched(Gated):
    def gates(self, x, h):
        e = torch.baddbmm(self.b, h.expand(2, *h.shape), self.W)
        return e + torch.bmm(x[None].expand(2, -1, -1), self.V)


class Einsum(Gated):
    def gates(self, x, h):
        e = torch.einsum("bi,gij->gbj", h, self.W) + torch.einsum("gij,bi->gbj", self.V, x)
        return e + self.b


class EinsumInside(Gated):
    def gates(self, x, h):
        e = torch.einsum("bi,gij->bgj", h, self.W) + torch.einsum("bi,gij->bgj", x, self.V)
        return (e + self.b.squeeze(1)).unbind(1)


class Ellipsis(Gated):
    def gates(self, x, h):
        a, b = (torch.einsum("...i,ij->...j", h, w) for w in self.W)
        return a + torch.einsum("...i,ij->...j", x, self.V[0]), b + x @ self.V[1]


class RepeatedBias(Gated):
    def gates(self, x, h):
        bias = self.b.expand(2, h.shape[0], N)
        e = torch.baddbmm(bias, h.expand(2, *h.shape), self.W)
        return torch.baddbmm(e, x.expand(2, *x.shape), self.V).unbind(0)


class View(Gated):
    def gates(self, x, h):
        return (self.i(x) + self.h(h)).view(len(x), 2, -1).permute(1, 0, 2)


class Unflatten(Gated):
    def gates(self, x, h):
        return (self.i(x) + self.h(h)).unflatten(-1, (2, N)).unbind(1)


class EmptyFilled(Gated):
    def gates(self, x, h):
        e = torch.zeros(2, len(x), N)
        for k, part in enumerate((self.i(x) + self.h(h)).chunk(2, 1)):
            e[k] = part
        return e


STACKS = (
    Matmul,
    Batched,
    Einsum,
    EinsumInside,
    Ellipsis,
    RepeatedBias,
    View,
    Unflatten,
    EmptyFilled,
)


@pytest.mark.parametrize("kind", STACKS, ids=lambda kind: kind.__name__)
def test_gates_along_an_axis(kind):
    module = kind()
    traced = trace(module)
    (update,) = traced.cell.update.values()
    a, b = traced.cell.preactivations
    (h,) = traced.cell.states
    assert {str(update.subs({a: sp.Symbol("a"), b: sp.Symbol("b")}))} == {"h*sigmoid(a) + tanh(b)"}
    assert set(traced.cell.sees.values()) == {h}
    assert all(part is not None for parts in traced.parameters(module).values() for part in parts)


class InPlace(Gated):
    """Blocks of the fused sum are overwritten."""

    def forward(self, x, h):
        g = self.i(x) + self.h(h)
        g[:, :N].sigmoid_()
        g[:, N:].tanh_()
        return g[:, :N] * h + (1 - g[:, :N]) * g[:, N:]


class IntoParts(Gated):
    def forward(self, x, h):
        g = self.i(x) + self.h(h)
        out = torch.empty_like(g)
        out[:, :N] = g[:, :N].sigmoid()
        out[:, N:] = torch.tanh(g[:, N:])
        return out[:, :N] * h + (1 - out[:, :N]) * out[:, N:]


class IntoSomeUnits(Gated):
    def forward(self, x, h):
        g = torch.tanh(self.i(x) + self.h(h))[:, :N]
        g[:, :1] = 0.0
        return g


def test_writes_into_blocks():
    one, two = from_torch(InPlace(), name="a"), from_torch(IntoParts(), name="a")
    assert one == two
    with pytest.raises(CellError, match="all alike"):
        from_torch(IntoSomeUnits())


class Constants(nn.Module):
    """Plain attributes: the identity, a mask of ones, and a matrix with a pattern."""

    def __init__(self, pattern=None):
        super().__init__()
        self.i, self.W = nn.Linear(N_IN, N), nn.Parameter(torch.randn(N, N))
        self.eye, self.mask = torch.eye(N), torch.ones(N, N)
        self.pattern = pattern

    def forward(self, x, h):
        new = h @ (self.W * self.mask) + 0.5 * (h @ self.eye)
        if self.pattern is not None:
            new = new + h @ self.pattern
        return torch.tanh(new + self.i(x))


def test_constant_matrices():
    cell = from_torch(Constants())
    (h,) = cell.states
    assert set(cell.sees.values()) <= {h, sp.S.Zero}
    assert cell.update[h].args[0].coeff(h) == sp.Rational(1, 2)
    for pattern in (
        torch.triu(torch.randn(N, N)),
        torch.ones(N, N) + torch.diag(torch.arange(4.0)),
    ):
        with pytest.raises(CellError, match="'pattern' is no matrix of independent entries"):
            from_torch(Constants(pattern))
    reservoir = from_torch(Constants(torch.randn(N, N)))
    assert [p.is_recurrent for p in reservoir.preactivations] == [True]


def test_a_sign_times_a_function_has_a_gradient_theory():
    """What a Dirac delta of weight zero kept from being compiled; m_1 by quadrature of its own."""
    cell = from_torch(Act(CONTINUOUS["sign and log"]))
    mean_field = MeanField(cell, cell.ensemble(), Inputs(R=0.5), tying="untied")
    q = mean_field.fixed_point().preactivation_variance[cell.preactivations[0].name]
    means = mean_field.jacobian_means(3)
    # The integrand is even and smooth for e > 0: Gauss-Legendre on [0, 9 sqrt(q)] is exact.
    nodes, weights = np.polynomial.legendre.leggauss(200)
    e = (nodes + 1) * 4.5 * np.sqrt(q)
    slope = (1 - np.tanh(np.log1p(e)) ** 2) / (1 + e)
    density = 2 * np.exp(-(e**2) / (2 * q)) / np.sqrt(2 * np.pi * q)
    chi = float((weights * density * slope**2).sum() * 4.5 * np.sqrt(q))
    for step_count, value in enumerate(means.value, 1):
        assert value == pytest.approx(chi**step_count, abs=1e-9)
