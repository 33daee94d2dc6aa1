"""The sequences that a diagnosis runs on, and what the theory takes them for.

    R = E[x_i^2]      kappa(tau) = E[x_i^t x_i^{t - tau}] / R

averaged over time, sequences and features. What the layer below hands up is measured in the same
way.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from rnnmft.errors import ParameterError
from rnnmft.language import Inputs

__all__ = ["estimated_inputs", "given_sequences", "white_sequences"]

Tensor = torch.Tensor
# The longest lag that is looked at: 64 products with the sequences.
_LAGS = 64
# Of a correlation that counts: chance does more at 6 lags of 100,000.
_STANDARD_ERRORS = 4.0
# A constant part is one that falls to 0 so many sequences later: by at most a quarter within one.
_CONSTANT = 4
# A constant part of the input below this fraction of R counts as none, one above as all of it.
_NONE, _ALL = 0.02, 0.98


def white_sequences(shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Independent standard normal numbers (steps, sequences, N_in): white inputs with R = 1."""
    options: Any = {"generator": generator, "device": generator.device, "dtype": torch.float64}
    try:
        return torch.randn(shape, **options)
    except RuntimeError:  # torch's word for it
        raise ParameterError(
            f"{shape[1]} sequences of {shape[0]} steps do not fit into memory"
        ) from None


def given_sequences(
    data: Any, width: int, batch_first: bool, most: int, generator: torch.Generator
) -> Tensor:
    """At most `most` of the user's sequences, as (steps, sequences, N_in).

    Raises:
        ParameterError: no numbers, too short, not finite, or of another width than the module's.
    """
    try:
        x = torch.as_tensor(data).detach()
        if x.is_complex():
            raise ParameterError("data must be real numbers, got complex ones")
        x = x.to_dense().to("cpu", torch.float64)
    except ParameterError:
        raise
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(
            f"data must be an array of numbers, got {type(data).__name__}"
        ) from None
    if x.ndim == 2:
        x = x[:, None]
        batch_first = False
    order = "(sequences, steps, features)" if batch_first else "(steps, sequences, features)"
    if x.ndim != 3 or x.shape[2] != width or 0 in x.shape:
        raise ParameterError(
            f"data must have shape {order} with {width} features, as the module takes it, got "
            f"{tuple(x.shape)}"
        )
    x = x.transpose(0, 1) if batch_first else x
    if x.shape[0] < 4:
        raise ParameterError(f"data must have at least 4 steps, got {x.shape[0]}")
    if not x.float().square().isfinite().all():
        raise ParameterError("data must be finite, and their squares too, in single precision")
    if x.shape[1] > most:
        x = x[:, torch.randperm(x.shape[1], generator=generator)[:most]]
    return x


def estimated_inputs(x: Tensor) -> Inputs:
    """R and kappa of sequences (steps, sequences, N_in).

    A part p of R is constant over a sequence (its squared time average, corrected for what white
    noise would leave there); the rest has the autocovariance of the sample, tapered as its biased
    estimate is, which keeps it positive semidefinite.
    """
    steps = x.shape[0]
    R = float(x.square().mean())
    if R == 0.0:
        return Inputs(R=0.0)
    noise = 1.0 / steps
    constant = float(x.mean(0).square().mean()) / R
    constant = min(max((constant - noise) / (1.0 - noise), 0.0), 1.0)
    rest = x - x.mean(0)
    if constant > _ALL or not rest.any():
        return Inputs(R=R, temporal="constant")
    lags = min(steps - 1, _LAGS)
    products = _products(rest, lags)
    rho = [p / products[0] for p in products]
    # Removing the average of a sequence leaves -1/T at every lag; numbers below their noise are 0.
    scatter = _STANDARD_ERRORS / math.sqrt(x.numel()) + 2.0 / steps
    last = max((lag for lag in range(1, lags + 1) if abs(rho[lag]) > scatter), default=0)
    if constant < _NONE and last == 0:
        return Inputs(R=R)
    constant = 0.0 if constant < _NONE else constant
    length = _CONSTANT * steps if constant else last + 1
    kappa = [
        constant * (1.0 - lag / length)
        + (1.0 - constant) * (rho[lag] * (1.0 - lag / (last + 1)) if lag <= last else 0.0)
        for lag in range(length)
    ]
    return Inputs(R=R, temporal=tuple(kappa))


def _products(x: Tensor, lags: int) -> list[float]:
    """sum_t x_t x_{t - lag} over sequences and features, for lag = 0 .. lags: by their spectrum."""
    padded = x.shape[0] + lags
    power = torch.zeros(padded // 2 + 1, dtype=torch.float64)
    for sequence in x.unbind(1):  # as much memory as one sequence has
        power += torch.fft.rfft(sequence, padded, dim=0).abs().square().sum(1)
    return torch.fft.irfft(power, padded)[: lags + 1].tolist()
