"""What a module's parameters are: each gate's standard deviations, means and orthogonality.

They make the ensemble that the theory is asked about. Only variances matter as the width grows, not
the law of the entries (universality), so PyTorch's uniform ones need no theory of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch

from rnnmft.diagnosis.structure import Structure, structure_of
from rnnmft.errors import ParameterError
from rnnmft.language import Constant, Empirical, Ensemble, Law
from rnnmft.page.numbers import rounded
from rnnmft.records import Record
from rnnmft.tracing import Layer

__all__ = ["GateStatistics", "elementwise_laws", "gate_statistics", "measured_ensemble"]

Tensor = torch.Tensor
# Correlation of the entries of two gates' matrices that counts: so many standard errors of 1 / N.
_STANDARD_ERRORS = 5.0


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
        shift: N |mean W| / sigma_w, N^2 the number of entries: the size of a common shift of all of
            them beside the random part; about N^(-1/2) for independent entries of mean 0.
        weights: "orthogonal" or "gaussian", whichever is nearer.
        structure: the statistics that tell whether W is such a random matrix; None without W, and
            where W is not square.
        alike: {"W of r", of a gate before it, or "V of e", of any: correlation of its entries, or
            of its transpose's, with those of this W}, where it is more than chance.
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
    structure: Structure | None = None
    alike: tuple[tuple[str, float], ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What does not fit a random matrix of either kind."""
        found = [] if self.structure is None else list(self.structure.remarks(self.name))
        found += [
            f"W of {self.name} is not independent of {other} (their entries correlate by "
            f"{value:+.2g})"
            for other, value in self.alike
        ]
        if self.shift > 1.0:
            found.append(
                f"W of {self.name} has entries with a common mean, which is "
                f"{rounded(self.shift, 2)} times as large as its random part in one direction"
            )
        return found


def gate_statistics(layer: Layer) -> tuple[GateStatistics, ...]:
    """The statistics of every preactivation of a layer.

    Raises:
        ParameterError: a parameter is not finite.
    """
    parameters = layer.parameters()
    found = [_statistics(name, *parts) for name, parts in parameters.items()]
    recurrent = {f"W of {name}": _unit(w) for name, (w, _, _) in parameters.items()}
    entering = {f"V of {name}": _unit(v) for name, (_, v, _) in parameters.items()}
    earlier = [{**entering, **dict(islice(recurrent.items(), k))} for k in range(len(found))]
    return tuple(
        replace(gate, alike=tuple(_alike(mine, others)))
        for gate, mine, others in zip(found, recurrent.values(), earlier, strict=True)
    )


def _unit(matrix: Tensor | None) -> Tensor | None:
    """A matrix of norm 1; None where there is none, or none but zeros."""
    if matrix is None or not matrix.any():
        return None
    return (matrix / torch.linalg.matrix_norm(matrix)).double()


def _alike(mine: Tensor | None, others: Mapping[str, Tensor | None]) -> Iterator[tuple[str, float]]:
    """Those whose entries correlate with a matrix's own, and by how much."""
    for name, other in others.items():
        if mine is not None and other is not None and mine.shape == other.shape:
            ways = [other, other.T] if mine.shape[0] == mine.shape[1] else [other]
            value = max((float((mine * one).sum()) for one in ways), key=abs)
            if abs(value) > _STANDARD_ERRORS / mine.numel() ** 0.5:
                yield name, value


def _statistics(name: str, w: Tensor | None, v: Tensor | None, b: Tensor) -> GateStatistics:
    for part, value in (("W", w), ("V", v), ("b", b)):
        if value is not None and not value.isfinite().all():
            raise ParameterError(f"{part} of {name!r} holds numbers that are not finite")
    b = b.double()
    square = w is not None and w.shape[0] == w.shape[1]
    structure = structure_of(w) if w is not None and square else None
    sigma_w = 0.0 if w is None else float(w.double().square().sum() / w.shape[0]) ** 0.5
    shift = 0.0
    if w is not None and sigma_w > 0.0:
        shift = w.numel() ** 0.5 * abs(float(w.double().mean())) / sigma_w
    spread = None if structure is None else structure.spread
    if w is not None and not square and sigma_w > 0.0:
        spread = _rectangle_spread(w)
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
        structure=structure,
    )


def _rectangle_spread(w: Tensor) -> float:
    """The spread of a matrix of fewer rows than columns, or turned, over independent entries'.

    These have the variance min(n, N) / max(n, N) of their squared singular values, in their mean.
    """
    short = w.double() if w.shape[0] < w.shape[1] else w.double().T
    gram = short @ short.T
    relative = float(gram.square().sum()) * len(gram) / float(gram.trace()) ** 2 - 1.0
    return max(relative, 0.0) * short.shape[1] / short.shape[0]


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
