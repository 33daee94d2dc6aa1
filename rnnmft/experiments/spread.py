"""Weights that differ in the spread of their singular values and in nothing else.

    W = sigma_w U diag(s) V^T,    s the singular values of an N x (N / a) Gaussian matrix

with entries of variance a / N: E[s^2] = 1, and the variance of s^2 is a. a = 0 is an orthogonal W,
a = 1 a Gaussian one. Whatever a, both theories and the largest eigenvalue are the same; the
singular values of many steps are not. With S(y) = 1 / (1 + a y),

    psi(y) = (1 + a y) / (1 + y)

Eq. (determining), (lyapunov-memoryless).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

from rnnmft.analysis.mean_field import MeanField
from rnnmft.experiments.tasks import generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.weight_ensembles import WeightEnsemble, register_weights
from rnnmft.records import Quantity

__all__ = ["Spread", "directions", "same_but_spread"]

#: What a generator is for.
_SINGULAR_VALUES = 12


@dataclass(frozen=True)
class Spread:
    """A start of a network with one recurrent matrix.

    Attributes:
        scale: its sigma_w over the critical one.
        variance: a, of the squared singular values.
    """

    scale: Fraction
    variance: Fraction

    @property
    def name(self) -> str:
        """Of the start."""
        return f"sigma_w x {self.scale}, a = {self.variance}"

    def ensemble(self, cell: Cell, critical: Ensemble) -> Ensemble:
        """Its law, for the theory."""
        (p,) = cell.preactivations
        law = critical[p.name]
        weights = register_weights(
            WeightEnsemble(f"spread {self.variance}", (1, self.variance), (1, 1))
        )
        law_of: dict[str, Any] = {
            p.name: {"sigma_w": float(self.scale) * law.sigma_w, "sigma_v": law.sigma_v}
        }
        return cell.ensemble(weights=weights.name, **law_of)


@torch.no_grad()
def same_but_spread(trainees: Trainees, starts: Sequence[Spread], seed: int = 0) -> None:
    """Give every start the networks of the first, but for scale and spread of singular values.

    Args:
        trainees: as many networks a start, all drawn with critical Gaussian weights; changed.
        starts: of them, in this order.
        seed: of singular values.
    """
    (p,) = trainees.cell.preactivations
    seeds, width = trainees.shapes.networks // len(starts), trainees.shapes.width
    for network in range(seeds):
        left, s, right = torch.linalg.svd(trainees.parameters[f"W_{p.name}"][network])
        sigma_w = s.square().mean().sqrt()
        for k, start in enumerate(starts):
            for values in trainees.parameters.values():
                values[k * seeds + network] = values[network]
            own = generator(seed, k, network, _SINGULAR_VALUES)
            spread = sigma_w * _singular_values(width, start.variance, own)
            w = float(start.scale) * (left * spread) @ right
            trainees.parameters[f"W_{p.name}"][k * seeds + network] = w


def _singular_values(width: int, variance: Fraction, own: torch.Generator) -> torch.Tensor:
    """s, largest first, of mean square 1 in expectation."""
    if variance == 0:
        return torch.ones(width)
    columns = round(width / variance)
    return torch.linalg.svdvals(torch.randn(width, columns, generator=own)) / columns**0.5


def directions(cell: Cell, ensemble: Ensemble, length: int) -> Quantity:
    """The fraction of directions that shrink by 1 / e at most in so many steps, by the theory.

    Of the Lyapunov exponents, those above -1 / T.
    """
    spectrum = MeanField(cell, ensemble, Inputs()).lyapunov_spectrum()
    return spectrum.fraction_above(-1.0 / length)
