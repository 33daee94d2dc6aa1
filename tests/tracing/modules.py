"""Recurrent cells as people write them in PyTorch, from the papers' equations: tracing's test set.

Every class is a cell module whose forward takes the input and its state (or states) and returns the
new ones. They differ on purpose in how they are written: separate and fused matrices, `nn.Linear`
and bare parameters, products from the left and the right, joined inputs, one state or two.
`TRACEABLE` lists those that are a cell, `REFUSED` those that are not, with the reason.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

N_IN, N = 3, 4


def matrix(rows, columns):
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


def vector(size):
    return nn.Parameter(torch.randn(size))


class MGU(nn.Module):
    """Zhou et al. 2016 (arXiv 1603.09420): one gate, which also resets; separate parameters."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.W_f, self.U_f = matrix(hidden_size, input_size), matrix(hidden_size, hidden_size)
        self.W_h, self.U_h = matrix(hidden_size, input_size), matrix(hidden_size, hidden_size)
        self.b_f, self.b_h = vector(hidden_size), vector(hidden_size)

    def forward(self, x, h):
        f = torch.sigmoid(F.linear(x, self.W_f) + F.linear(h, self.U_f) + self.b_f)
        candidate = torch.tanh(F.linear(x, self.W_h, self.b_h) + F.linear(f * h, self.U_h))
        return (1 - f) * h + f * candidate


class UGRNN(nn.Module):
    """Collins et al. 2017 (arXiv 1611.09913): one update gate; one fused linear layer of [x, h]."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.layer = nn.Linear(input_size + hidden_size, 2 * hidden_size)

    def forward(self, x, h):
        g, c = self.layer(torch.cat([x, h], dim=-1)).chunk(2, dim=-1)
        g = torch.sigmoid(g + 1.0)
        return g * h + (1 - g) * torch.tanh(c)


class JANET(nn.Module):
    """van der Westhuizen & Lasenby 2018 (arXiv 1804.04849): the forget gate alone, beta = 1."""

    def __init__(self, input_size=N_IN, hidden_size=N, beta=1.0):
        super().__init__()
        self.beta = beta
        self.x2h = nn.Linear(input_size, 2 * hidden_size)
        self.h2h = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, hx):
        s, candidate = torch.split(self.x2h(x) + self.h2h(hx), hx.shape[-1], dim=1)
        return torch.sigmoid(s) * hx + (1 - torch.sigmoid(s - self.beta)) * torch.tanh(candidate)


class SRU(nn.Module):
    """Lei et al. 2018 (arXiv 1709.02755): the gates see x and elementwise v * c; highway output."""

    def __init__(self, hidden_size=N):
        super().__init__()
        self.linear = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.v_f, self.v_r = vector(hidden_size), vector(hidden_size)
        self.b_f, self.b_r = vector(hidden_size), vector(hidden_size)

    def forward(self, x, c_prev):
        u, u_f, u_r = self.linear(x).chunk(3, dim=-1)
        f = torch.sigmoid(u_f + self.v_f * c_prev + self.b_f)
        r = torch.sigmoid(u_r + self.v_r * c_prev + self.b_r)
        c = f * c_prev + (1 - f) * u
        h = r * c + (1 - r) * x
        return h, c


class FastRNN(nn.Module):
    """Kusupati et al. 2018 (arXiv 1901.02358), eq. 2: a residual with two learned scalars."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.W, self.U = matrix(hidden_size, input_size), matrix(hidden_size, hidden_size)
        self.b = vector(hidden_size)
        self.alpha = nn.Parameter(torch.tensor(-3.0))
        self.beta = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x, h):
        candidate = torch.tanh(x @ self.W.T + h @ self.U.t() + self.b)
        return torch.sigmoid(self.alpha) * candidate + torch.sigmoid(self.beta) * h


class FastGRNN(nn.Module):
    """Kusupati et al. 2018 (arXiv 1901.02358), eq. 3: gate and candidate share W x + U h."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.W, self.U = matrix(input_size, hidden_size), matrix(hidden_size, hidden_size)
        self.bias_gate, self.bias_update = vector((1, hidden_size)), vector((1, hidden_size))
        self.zeta = nn.Parameter(torch.ones(1, 1))
        self.nu = nn.Parameter(-4 * torch.ones(1, 1))

    def forward(self, x, h):
        pre = torch.matmul(x, self.W) + torch.matmul(h, self.U)
        z = torch.sigmoid(pre + self.bias_gate)
        c = torch.tanh(pre + self.bias_update)
        return z * h + (torch.sigmoid(self.zeta) * (1.0 - z) + torch.sigmoid(self.nu)) * c


class LiGRU(nn.Module):
    """Ravanelli et al. 2018 (arXiv 1803.10225): no reset gate, ReLU candidate, no batch norm."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.w = nn.Linear(input_size, 2 * hidden_size, bias=False)
        self.u = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, ht):
        gates = self.w(x) + self.u(ht)
        at, zt = gates.chunk(2, 1)
        zt = torch.sigmoid(zt)
        return zt * ht + (1 - zt) * torch.relu(at)


class LiGRUBatchNorm(LiGRU):
    """The same as it was published, with batch normalisation of the input's part."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * N)

    def forward(self, x, ht):
        gates = self.norm(self.w(x)) + self.u(ht)  # refused here
        at, zt = gates.chunk(2, 1)
        zt = torch.sigmoid(zt)
        return zt * ht + (1 - zt) * torch.relu(at)


class STAR(nn.Module):
    """Turkoglu et al. 2021 (arXiv 1911.11033): h' = tanh((1 - k) h + k z), z sees x alone."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.x_K = nn.Linear(input_size, hidden_size)
        self.x_z = nn.Linear(input_size, hidden_size)
        self.h_K = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, h):
        k = torch.sigmoid(self.x_K(x) + self.h_K(h))
        z = torch.tanh(self.x_z(x))
        return torch.tanh((1 - k) * h + k * z)


class AntisymmetricRNN(nn.Module):
    """Chang et al. 2019 (arXiv 1902.09689): W - W^T - gamma I, its entries not independent."""

    def __init__(self, input_size=N_IN, hidden_size=N, gamma=0.1, step=0.5):
        super().__init__()
        self.W, self.V = matrix(hidden_size, hidden_size), nn.Linear(input_size, hidden_size)
        self.gamma, self.step = gamma, step

    def forward(self, x, h):
        antisymmetric = self.W - self.W.T  # refused here
        z = F.linear(h, antisymmetric) - self.gamma * h + self.V(x)
        return h + self.step * torch.tanh(z)


class AntisymmetricByProducts(AntisymmetricRNN):
    """The same with W and W^T as two products: one matrix in two places."""

    def forward(self, x, h):
        z = h @ self.W.T - h @ self.W - self.gamma * h + self.V(x)  # refused here
        return h + self.step * torch.tanh(z)


class ResidualRNN(nn.Module):
    """The AntisymmetricRNN without its constraint: h' = h + step tanh(W h + V x + b)."""

    def __init__(self, input_size=N_IN, hidden_size=N, step=0.1):
        super().__init__()
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.input = nn.Linear(input_size, hidden_size)
        self.step = step

    def forward(self, x, h):
        return h + self.step * torch.tanh(self.recurrent(h) + self.input(x))


class MinGRU(nn.Module):
    """Feng et al. 2024 (arXiv 2410.01201): the gate and the candidate see the input alone."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.linear_z = nn.Linear(input_size, hidden_size)
        self.linear_h = nn.Linear(input_size, hidden_size)

    def forward(self, x_t, h_prev):
        z = torch.sigmoid(self.linear_z(x_t))
        return torch.lerp(h_prev, self.linear_h(x_t), z)


class MinLSTM(nn.Module):
    """Feng et al. 2024 (arXiv 2410.01201): normalised forget and input gates that see x alone."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.forget = nn.Linear(input_size, hidden_size)
        self.admit = nn.Linear(input_size, hidden_size)
        self.candidate = nn.Linear(input_size, hidden_size)

    def forward(self, x, h):
        f, i = self.forget(x).sigmoid(), self.admit(x).sigmoid()
        return (f * h + i * self.candidate(x)) / (f + i)


class IndRNN(nn.Module):
    """Li et al. 2018 (arXiv 1803.04831): a diagonal recurrent weight."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.weight = nn.Linear(input_size, hidden_size)
        self.u = vector(hidden_size)

    def forward(self, x, h):
        return F.relu(self.weight(x) + self.u * h)


class PeepholeLSTM(nn.Module):
    """Gers & Schmidhuber 2000: diagonal peepholes, the output gate's onto the new c."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.weight_ih, self.weight_hh = matrix(4 * N, input_size), matrix(4 * N, hidden_size)
        self.bias = vector(4 * hidden_size)
        self.p_i, self.p_f, self.p_o = vector(N), vector(N), vector(N)

    def forward(self, x, state):
        h, c = state
        gates = F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
        i, f, g, o = gates.chunk(4, -1)
        i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.p_o * c) * torch.tanh(c)
        return h, c


class DensePeepholeLSTM(nn.Module):
    """Graves 2013 (arXiv 1308.0850) with dense peephole matrices; d2l-style names."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        for gate in "ifgo":
            setattr(self, f"W_x{gate}", matrix(input_size, hidden_size))
            setattr(self, f"W_h{gate}", matrix(hidden_size, hidden_size))
            setattr(self, f"b_{gate}", vector(hidden_size))
        for gate in "ifo":
            setattr(self, f"W_c{gate}", matrix(hidden_size, hidden_size))

    def forward(self, x, state):
        h, c = state
        i = torch.sigmoid(x @ self.W_xi + h @ self.W_hi + c @ self.W_ci + self.b_i)
        f = torch.sigmoid(x @ self.W_xf + h @ self.W_hf + c @ self.W_cf + self.b_f)
        c = f * c + i * torch.tanh(x @ self.W_xg + h @ self.W_hg + self.b_g)
        o = torch.sigmoid(x @ self.W_xo + h @ self.W_ho + c @ self.W_co + self.b_o)
        return o * torch.tanh(c), (o * torch.tanh(c), c)


class CoupledLSTM(nn.Module):
    """Greff et al. 2017 (arXiv 1503.04069), CIFG: the input gate is 1 - f; states apart."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.gates = nn.Linear(input_size + hidden_size, 3 * hidden_size)

    def forward(self, x, h_prev, c_prev):
        f, g, o = (
            torch.cat((x, h_prev), 1)
            .matmul(self.gates.weight.T)
            .add(self.gates.bias)
            .tensor_split(3, dim=1)
        )
        f = f.sigmoid()
        c = f * c_prev + (1 - f) * g.tanh()
        return o.sigmoid() * c.tanh(), c


class LeakyRNN(nn.Module):
    """Jaeger 2001's leaky integrator, products from the left: vectors, no batch."""

    def __init__(self, input_size=N_IN, hidden_size=N, dt=0.1, tau=1.0):
        super().__init__()
        self.W, self.U = matrix(hidden_size, hidden_size), matrix(hidden_size, input_size)
        self.b = vector(hidden_size)
        self.register_buffer("leak", torch.tensor(dt / tau))

    def forward(self, x, h):
        drive = self.W @ torch.tanh(h) + self.U @ x + self.b
        return h + self.leak * (-h + drive)


class MinimalRNN(nn.Module):
    """Chen 2017 (arXiv 1711.06788): the candidate is a function of the input alone."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(input_size, hidden_size), nn.Tanh())
        self.u_h = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, h):
        z = self.phi(x)
        u = torch.sigmoid(self.u_h(h) + 1.0)
        return u * h + (1 - u) * z


class GRUResetBefore(nn.Module):
    """Cho et al. 2014 (arXiv 1406.1078): the reset gate multiplies the state before the product."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.gates = nn.Linear(input_size + hidden_size, 2 * hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        r, z = torch.sigmoid(self.gates(torch.cat([x, h], 1))).split(h.size(1), 1)
        n = torch.tanh(self.candidate(torch.cat([x, r * h], 1)))
        return z * h + (1 - z) * n


class GRUResetAfter(nn.Module):
    """The GRU in the order of PyTorch's with gates stacked in one axis: view and unbind."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.ih = nn.Linear(input_size, 3 * hidden_size)
        self.hh = nn.Linear(hidden_size, 3 * hidden_size)

    def forward(self, x, h):
        i_r, i_z, i_n = self.ih(x).view(-1, 3, N).unbind(1)
        h_r, h_z, h_n = self.hh(h).view(-1, 3, N).unbind(1)
        r, z = torch.sigmoid(i_r + h_r), torch.sigmoid(i_z + h_z)
        n = torch.tanh(i_n + r * h_n)
        return n + z * (h - n)


class CFN(nn.Module):
    """Laurent & von Brecht 2017 (arXiv 1612.06212): h' = theta tanh(h) + eta tanh(W x)."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.theta_h, self.theta_x = matrix(N, hidden_size), nn.Linear(input_size, hidden_size)
        self.eta_h, self.eta_x = matrix(N, hidden_size), nn.Linear(input_size, hidden_size)
        self.W = matrix(hidden_size, input_size)

    def forward(self, x, h):
        theta = torch.sigmoid(torch.einsum("bj,ij->bi", h, self.theta_h) + self.theta_x(x))
        eta = torch.sigmoid(torch.einsum("ij,bj->bi", self.eta_h, h) + self.eta_x(x))
        return theta * torch.tanh(h) + eta * torch.tanh(torch.mm(x, self.W.transpose(0, 1)))


class RAN(nn.Module):
    """Lee et al. 2017 (arXiv 1705.07393), recurrent additive: c' = i W x + f c, h = tanh c."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.content = nn.Linear(input_size, hidden_size, bias=False)
        self.i_x, self.i_h = nn.Linear(input_size, N), nn.Linear(hidden_size, N, bias=False)
        self.f_x, self.f_h = nn.Linear(input_size, N), nn.Linear(hidden_size, N, bias=False)

    def forward(self, inputs, hidden):
        h, c = hidden
        i = torch.sigmoid(self.i_h(h) + self.i_x(inputs))
        f = torch.sigmoid(self.f_h(h) + self.f_x(inputs))
        c = i * self.content(inputs) + f * c
        return torch.tanh(c), c


class StackedWeights(nn.Module):
    """Two recurrent matrices in one parameter of three axes, in-place updates, and a readout."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.W = nn.Parameter(torch.randn(2, hidden_size, hidden_size) / 2)
        self.V = nn.Linear(input_size, hidden_size)
        self.readout = nn.Linear(hidden_size, 5)

    def forward(self, x, h):
        pre = h @ self.W[0]
        pre += self.V(x)
        z = F.hardsigmoid(h @ self.W[1] / math.sqrt(2))
        h = z * h + (1 - z) * F.softsign(pre)
        return torch.softmax(self.readout(h), -1), h


class Wrapped(nn.Module):
    """A module that holds PyTorch's own cell and drops out while it trains."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, state=None):
        h, c = self.cell(x, state)
        return self.dropout(h), c


class Simple(nn.Module):
    """h' = tanh(W h + V x + b), for the refusals to depart from."""

    def __init__(self, input_size=N_IN, hidden_size=N):
        super().__init__()
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.input = nn.Linear(input_size, hidden_size)

    def pre(self, x, h):
        return self.recurrent(h) + self.input(x)

    def forward(self, x, h):
        return torch.tanh(self.pre(x, h))


class LayerNormed(Simple):
    """Ba et al. 2016: normalisation over the units."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(N)

    def forward(self, x, h):
        return torch.tanh(self.norm(self.pre(x, h)))


class AlwaysDropping(Simple):
    """Dropout that is on in evaluation too."""

    def forward(self, x, h):
        return F.dropout(torch.tanh(self.pre(x, h)), 0.1, training=True)  # refused here


class Noisy(Simple):
    """Noise in the state."""

    def forward(self, x, h):
        return torch.tanh(self.pre(x, h)) + 0.1 * torch.randn_like(h)  # refused here


class SoftmaxGated(Simple):
    """A softmax over the units."""

    def forward(self, x, h):
        return h * torch.softmax(self.pre(x, h), dim=-1)  # refused here


class SelfProduct(Simple):
    """A product of states over the units."""

    def forward(self, x, h):
        overlap = torch.matmul(h, h.T)  # refused here
        return torch.tanh(self.pre(x, h) + overlap @ h)


class Convolved(Simple):
    """A convolution along the units."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(1, 1, 3))

    def forward(self, x, h):
        near = F.conv1d(h.unsqueeze(1), self.kernel, padding=1)  # refused here
        return torch.tanh(self.pre(x, h) + near.squeeze(1))


class Branching(Simple):
    """A branch on the values of the state."""

    def forward(self, x, h):
        if h.norm() > 1:  # refused here
            return torch.tanh(self.pre(x, h))
        return torch.relu(self.pre(x, h))


class CuttingGradients(Simple):
    """A state without its gradient."""

    def forward(self, x, h):
        return torch.tanh(self.pre(x, h)) + 0.5 * h.detach()  # refused here


class HalfFrozen(Simple):
    """Two kinds of units in one state."""

    def forward(self, x, h):
        new = torch.tanh(self.pre(x, h))
        return torch.cat([h[:, :1], new[:, 1:]], dim=1)  # refused here


class FixedRank(nn.Module):
    """A low-rank recurrent matrix, a product of two parameters, whose rank is no part of N."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(4 * N, 2, bias=False), nn.Linear(2, 4 * N)
        self.input = nn.Linear(N_IN, 4 * N)

    def forward(self, x, h):
        low = self.down(h)  # refused here
        return torch.tanh(self.up(low) + self.input(x))


class TiedGates(Simple):
    """One matrix for two operands."""

    def forward(self, x, h):
        reset = torch.sigmoid(self.pre(x, h))
        return torch.tanh(self.recurrent(reset * h) + self.input(x))  # refused here


class MaskedWeights(Simple):
    """A sparse recurrent matrix by a mask."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.triu(torch.ones(N, N)))

    def forward(self, x, h):
        weight = self.recurrent.weight * self.mask  # refused here
        return torch.tanh(F.linear(h, weight) + self.input(x))


class Remembering(Simple):
    """A memory in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("trace", torch.zeros(N))

    def forward(self, x, h):
        self.trace.mul_(0.9).add_(1.0)
        return torch.tanh(self.pre(x, h) + self.trace)


class KeepingTensors(Simple):
    """A memory in a plain attribute."""

    def forward(self, x, h):
        new = torch.tanh(self.pre(x, h))
        self.last = new
        return new


class ChangingItsArgument(Simple):
    """The old state is overwritten."""

    def forward(self, x, h):
        return h.mul_(0.5).add_(torch.tanh(self.pre(x, h)))


TRACEABLE = (
    MGU,
    UGRNN,
    JANET,
    SRU,
    FastRNN,
    FastGRNN,
    LiGRU,
    STAR,
    ResidualRNN,
    MinGRU,
    MinLSTM,
    IndRNN,
    PeepholeLSTM,
    DensePeepholeLSTM,
    CoupledLSTM,
    LeakyRNN,
    MinimalRNN,
    GRUResetBefore,
    GRUResetAfter,
    CFN,
    RAN,
    StackedWeights,
    Wrapped,
    LayerNormed,
)

# {module: what the message says}; the line with "# refused here" is the one that it names.
REFUSED = {
    LiGRUBatchNorm: "batch_norm",
    AntisymmetricRNN: "independent",
    AntisymmetricByProducts: "two places",
    AlwaysDropping: "dropout",
    Noisy: "randn_like",
    SoftmaxGated: "softmax",
    SelfProduct: "couples the units",
    Convolved: "conv1d",
    Branching: "depends on the values",
    CuttingGradients: "gradient",
    HalfFrozen: "units of a cell are all alike",
    FixedRank: "a rank that stays 2 while N grows",
    TiedGates: "two places",
    MaskedWeights: "sums so few is not Gaussian",
}
# Refused for the whole of their forward, without a line.
FORGETFUL = {
    Remembering: "'trace' in place",
    KeepingTensors: "in an attribute",
    ChangingItsArgument: "'h' in place",
}
