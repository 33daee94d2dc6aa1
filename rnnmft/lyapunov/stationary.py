"""The Lyapunov spectrum of a stationary network of any cell, from the bath that its units make.

At every mu the bath of `responses` is a fixed point: the weights return what the units answer,

    S_u(w) = sigma_w^2 psi(-S_u g_u) g_v,     S_v(w) = sigma_w^2 psi(-S_v g_v) g_u

at each frequency w (psi = 1 for gaussian weights, 1/(1+y) for orthogonal ones); of untied weights
only what is at one time. The scale g_v -> c g_v, g_u -> g_u / c is free and kept even. Above the
largest exponent the bath is 0.

Eq. (lyapunov-stationary).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from rnnmft.lyapunov.responses import Bath, Responses
from rnnmft.lyapunov.unit_steps import UnitSteps

__all__ = ["BathPoint", "solve_baths"]

Tensor = torch.Tensor
#: Rounds at one mu; five to ten are usual, more near lambda_1.
_ROUNDS = 60
#: Of the bath's largest number: a change that is of no weight beside sampling errors.
_TOLERANCE = 2e-4
#: Answers below this are none: the bath dies out.
_VANISHED = 1e-7
#: How far mixing goes beyond the last round, in its difference to the one before.
_LARGEST = 2.0


@dataclass(frozen=True)
class BathPoint:
    """u at one mu, and the bath there."""

    mu: float
    above: float
    bath: Bath
    converged: bool


def solve_baths(
    units: UnitSteps,
    at: Sequence[float],
    first: Sequence[Bath] = (),
    advance: Callable[[], object] = lambda: None,
) -> list[BathPoint]:
    """The bath at each mu, from the one before.

    Args:
        units: sampled.
        at: mu, decreasing from a little below the largest exponent.
        first: where to begin at each; from white noise and on when absent.
        advance: called after each mu.
    """
    kinds, length = len(units.sigma_w), units.window
    bath = first[0] if first else _white(units, kinds, length)
    points = []
    for i, mu in enumerate(at):
        begin = first[i] if first else bath
        found = _solve(Responses(units, mu), begin, units, mu)
        bath = found.bath
        points.append(found)
        advance()
    return points


def _white(units: UnitSteps, kinds: int, length: int) -> Bath:
    white = torch.zeros((kinds, length), dtype=torch.float64, device=units.a.device)
    white[:, 0] = torch.tensor(units.sigma_w, dtype=torch.float64) ** 2 / 4
    return Bath(white, white.clone())


def _solve(responses: Responses, bath: Bath, units: UnitSteps, mu: float) -> BathPoint:
    """Rounds with Anderson's mixing of the last two, until the bath stays [anderson1965]."""
    above, change = 0.0, 1.0
    before: tuple[Tensor, Tensor] | None = None
    for _ in range(_ROUNDS):
        g_v, g_u, above = responses(bath)
        size_v, size_u = float(g_v[:, 0].sum()), float(g_u[:, 0].sum())
        if min(size_v, size_u) < _VANISHED:  # above the largest exponent of these units
            return BathPoint(mu, above, bath, True)
        new = _returned(units, bath, g_v, g_u, (size_u / size_v) ** 0.5)
        here, there = (torch.stack([x.source, x.weight]) for x in (bath, new))
        step = there - here
        change = float(step.abs().max() / there.abs().max())
        mixed = there
        if before is not None:
            turned = step - before[0]
            share = float((step * turned).sum() / (turned * turned).sum())
            mixed = there - max(min(share, _LARGEST), -_LARGEST) * (there - before[1])
        before = step, there
        bath = Bath(*mixed)
        if change < _TOLERANCE:
            break
    return BathPoint(mu, above, bath, change < _TOLERANCE)


def _returned(units: UnitSteps, bath: Bath, g_v: Tensor, g_u: Tensor, even: float) -> Bath:
    """The bath that the weights make of the answers, with the free scale kept even."""
    answers = (_spectra(x, units.tied) for x in (bath.source, bath.weight, g_v, g_u))
    s_u, s_v, v, u = answers
    source, weight = torch.empty_like(v), torch.empty_like(u)
    for k, (sigma, ensemble) in enumerate(zip(units.sigma_w, units.weights, strict=True)):
        source[k] = sigma**2 * _psi(ensemble, -s_u[k] * u[k]) * v[k] * even
        weight[k] = sigma**2 * _psi(ensemble, -s_v[k] * v[k]) * u[k] / even
    return Bath(*(_lags(x, units) for x in (source, weight)))


def _psi(ensemble: object, y: Tensor) -> Tensor:
    top, below = torch.zeros_like(y), torch.zeros_like(y)
    for c in reversed(ensemble.numerator):  # type: ignore[attr-defined]
        top = top * y + float(c)
    for c in reversed(ensemble.denominator):  # type: ignore[attr-defined]
        below = below * y + float(c)
    return top / below


def _spectra(kernel: Tensor, tied: bool) -> Tensor:
    """The Fourier transform of an even function of the time difference; untied: its value at 0."""
    if not tied:
        return kernel[:, :1]
    length = kernel.shape[1]
    both = torch.cat([kernel, torch.zeros_like(kernel[:, :1]), kernel[:, 1:].flip(1)], dim=1)
    return torch.fft.rfft(both, n=2 * length, dim=1).real


def _lags(spectrum: Tensor, units: UnitSteps) -> Tensor:
    """Back again: time differences 0, .., T - 1, those that were not read left out."""
    found = spectrum.new_zeros((len(spectrum), units.window))
    if not units.tied:
        found[:, :1] = spectrum
        return found
    kept = units.window // 2
    found[:, :kept] = torch.fft.irfft(spectrum, n=2 * units.window, dim=1)[:, :kept]
    return found
