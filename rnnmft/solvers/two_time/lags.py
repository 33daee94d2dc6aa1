"""Even functions of the lag on a window, their spectra, and the filter that the states are.

A stationary covariance is an even function of tau; on -L <= tau < L, taken as one period, its
spectrum S(omega) = sum_tau C(tau) cos(omega tau) at omega = pi j / L is a cosine transform of the
values at tau = 0, .., L. The states are the preactivations filtered: between E_l and the covariance
of u_k stands

    G_kl(omega) = [r_k (lambda e^{i omega} - A)^-1 b_l] [r_k (lambda e^{-i omega} - A)^-1 b_l],

|..|^2 at lambda = 1. At another lambda it moves what grows by lambda a step at either time.

Eq. (lag-filter), Eq. (rate-spectrum).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

__all__ = ["Lags", "gain"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Lags:
    """The window of lags 0, .., L of even functions of period 2 L."""

    length: int

    @cached_property
    def frequencies(self) -> Array:
        """omega = pi j / L, (L + 1,)."""
        return np.pi * np.arange(self.length + 1) / self.length

    @cached_property
    def weights(self) -> Array:
        """How often each lag stands in a period, (L + 1,)."""
        found = np.full(self.length + 1, 2.0)
        found[[0, -1]] = 1.0
        return found

    def spectrum(self, values: Array) -> Array:
        """S(omega) of values at the lags, along the last axis."""
        return np.asarray(dct(values, type=1, axis=-1))

    def values(self, spectrum: Array) -> Array:
        """The inverse of `spectrum`."""
        return np.asarray(dct(spectrum, type=1, axis=-1)) / (2 * self.length)

    def filtered(self, gains: Array, values: Array) -> Array:
        """sum_l of gains (.., K, L + 1) applied to values (K, L + 1)."""
        return self.values(np.einsum("...kw,kw->...w", gains, self.spectrum(values)))

    def tail(self, values: Array) -> float:
        """The largest size in the last eighth of the window."""
        return float(np.abs(values[..., -(self.length // 8 + 1) :]).max(initial=0.0))


def gain(rows: Array, A: Array, columns: Array, growth: complex, omega: Array) -> Array:
    """G(omega), (rows, columns, n), of r (lambda e^{+-i omega} - A)^-1 b. Eq. (lag-filter).

    Args:
        rows: r_k, (K, m).
        A: (m, m).
        columns: b_l, (m, n).
        growth: lambda.
        omega: real or complex, (n,).
    """
    omega, identity = np.asarray(omega), np.eye(len(A))

    def side(sign: int) -> Array:
        turned = growth * np.exp(sign * 1j * omega)
        return rows @ np.linalg.inv(turned[:, None, None] * identity - A) @ columns

    one = side(1)
    # Of real arguments the other side is the conjugate.
    real = np.isrealobj(omega) and not np.imag(growth)
    return np.moveaxis(np.abs(one) ** 2 if real else one * side(-1), 0, -1)
