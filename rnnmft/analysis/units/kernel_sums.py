"""Sums of a two-time kernel over pairs of times with one sum: S(n) = sum_{t + s = n} C(t, s).

A kernel whose modes are running waves, C(t, s) ~ exp(g (t + s) / 2) times a Gaussian in t - s that
widens like sqrt(t + s), has C(T, T) ~ T^(-1/2) exp(g T): the power hides the rate. The sum over
t - s takes out the widening, S(n) ~ exp(g n / 2), and is as good where one mode decides.
"""

from __future__ import annotations
import math
import torch

Tensor = torch.Tensor


class KernelSums:
    def __init__(self, halves):
        self.halves = halves
        self._past = []
        self._newest = []
        self._exp = []

    def append(self, past, kernels, exponent):
        self._past.append(past)
        self._newest.append(sum(k[:, 0] for k in kernels.values()))
        self._exp.append(exponent)

    def log_sums(self):
        T = len(self._exp)
        R = len(self._exp[0])
        K = torch.zeros(T, T, R, dtype=torch.float64)
        for t in range(T):
            K[t, :t] = self._past[t][0]
            K[:t, t] = self._past[t][-1]
            K[t, t] = self._newest[t]
        E = torch.stack(self._exp).double()
        L = E[:, None] + E[None]
        F = K.flip(1)
        LF = L.flip(1)
        out = []
        for n in range(T):
            o = T - 1 - n
            v = torch.diagonal(F, o)
            l = torch.diagonal(LF, o)
            m = l.max(-1).values
            out.append((v * torch.exp2(l - m[:, None])).sum(-1).abs().log() + m * math.log(2))
        return torch.stack(out)
