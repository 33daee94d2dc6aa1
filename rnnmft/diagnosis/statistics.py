"""What a module's parameters are: each gate's standard deviations, means and orthogonality.

They make the ensemble that the theory is asked about. Only variances matter as the width grows, not
the law of the entries (universality), so PyTorch's uniform ones need no theory of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from rnnmft.errors import ParameterError
from rnnmft.language import Constant, Empirical, Ensemble, Law
from rnnmft.records import Record
from rnnmft.tracing import Layer

__all__ = ["GateStatistics", "elementwise_laws", "gate_statistics", "measured_ensemble"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class GateStatistics(Record):
    """The parameters of one preactivation e = W y + V x + b as they were found.

    Attributes:
        name: of the preactivation.
        sigma_w: (N mean W^2)^(1/2), 0 without W.
        sigma_v: (N_in mean V^2)^(1/2), 0 without V.
        mu_b, sigma_b: mean and standard deviation of b.
        spread: the variance of the squared singular values of W over their squared mean: 0 for an
            orthogonal W, 1 for one with independent entries; None without W.
        orthogonality: |W^T W / sigma_w^2 - 1|_F / N^(1/2): 0 for an orthogonal W, 1 for one with
            independent entries; None without W.
        shift: N |mean W| / sigma_w, the size of a common shift of all entries beside the random
            part; about N^(-1/2) for independent entries of mean 0.
        weights: "orthogonal" or "gaussian", whichever is nearer.
    """

    name: str
    sigma_w: float
    sigma_v: float
    mu_b: float
    sigma_b: float
    spread: float | None
    orthogonality: float | None
    shift: float
    weights: str

    @property
    def remarks(self) -> list[str]:
        """What does not fit a random matrix of either kind."""
        found = []
        if self.spread is not None and self.spread > 2.0:
            found.append(
                f"W of {self.name} has a few dominating singular values (their squares vary "
                f"{self.spread:.3g} times as much as those of independent entries)"
            )
        if self.shift > 1.0:
            found.append(
                f"W of {self.name} has entries with a common mean, which is {self.shift:.2g} times "
                "as large as its random part in one direction"
            )
        return found


def gate_statistics(layer: Layer) -> tuple[GateStatistics, ...]:
    """The statistics of every preactivation of a layer.

    Raises:
        ParameterError: a parameter is not finite.
    """
    return tuple(_statistics(name, *parts) for name, parts in layer.parameters().items())


def _statistics(name: str, w: Tensor | None, v: Tensor | None, b: Tensor) -> GateStatistics:
    for part, value in (("W", w), ("V", v), ("b", b)):
        if value is not None and not value.isfinite().all():
            raise ParameterError(f"{part} of {name!r} holds numbers that are not finite")
    b = b.double()
    sigma_w, spread, shift = (0.0, None, 0.0) if w is None else _spectrum(w.double())
    return GateStatistics(
        name=name,
        sigma_w=sigma_w,
        sigma_v=0.0 if v is None else float(v.double().square().mean() * v.shape[1]) ** 0.5,
        mu_b=float(b.mean()),
        sigma_b=float(b.std(correction=0)),
        spread=spread,
        orthogonality=None if spread is None else math.sqrt(spread),
        shift=shift,
        weights="orthogonal" if spread is not None and spread < 0.5 else "gaussian",
    )


def _spectrum(w: Tensor) -> tuple[float, float | None, float]:
    """(sigma_w, spread of the squared singular values, shift) of a matrix (N, N)."""
    width = w.shape[0]
    mean_square = float(w.square().sum()) / width
    if mean_square == 0.0:
        return 0.0, None, 0.0
    fourth = float((w.T @ w).square().sum()) / width
    spread = max(fourth / mean_square**2 - 1.0, 0.0)
    sigma = math.sqrt(mean_square)
    return sigma, spread, width * abs(float(w.mean())) / sigma


def elementwise_laws(layer: Layer) -> dict[str, Law]:
    """The laws of a layer's elementwise parameters: their own numbers, each as often as another."""
    found: dict[str, Law] = {}
    for name, values in layer.traced.elementwise_parameters(layer.module).items():
        own = values.detach().double().flatten().tolist()
        found[name] = Constant(own[0]) if len(set(own)) == 1 else Empirical(tuple(own))
    return found


def measured_ensemble(layer: Layer, gates: tuple[GateStatistics, ...]) -> Ensemble:
    """The ensemble whose statistics these are."""
    laws: dict[str, dict[str, Any]] = {}
    for p, gate in zip(layer.traced.cell.preactivations, gates, strict=True):
        laws[p.name] = {"mu_b": gate.mu_b, "sigma_b": gate.sigma_b}
        laws[p.name] |= {"sigma_w": gate.sigma_w} if p.is_recurrent else {}
        laws[p.name] |= {"sigma_v": gate.sigma_v} if p.has_input else {}
    kinds = {g.name: g.weights for g in gates}
    return layer.traced.cell.ensemble(kinds, elementwise_laws(layer), **laws)
