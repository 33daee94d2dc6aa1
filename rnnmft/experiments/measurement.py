"""What is measured of networks while they learn, and what theory says of their statistics.

Theory is about weights as they are drawn. Three things are held side by side, over the same horizon
T and inputs:

    trained    the networks that learn, by direct products of their Jacobians
    redrawn    fresh networks of the same width whose weights have the current second moments
    theory     m_1(T) of tied weights at infinite width, fed with the same second moments

Where redrawn and theory agree but trained departs, what was learnt is more than its statistics.

Eq. (ensemble), Eq. (jacobian-product).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnmft.analysis.mean_field import MeanField
from rnnmft.experiments.tasks import generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.language import Cell, Ensemble, Inputs, Preactivation
from rnnmft.simulation.jacobians import measure
from rnnmft.simulation.network import Network
from rnnmft.simulation.weights import DenseMatrix, Matrix

__all__ = [
    "Horizon",
    "current_ensemble",
    "input_scale",
    "measured",
    "noises",
    "predicted",
    "redrawn",
]

#: What a generator is for.
_NOISE = 7
#: Units of the theory where they are sampled, and independent parts of them.
_UNITS, _REPETITIONS = 1 << 13, 8


@dataclass(frozen=True)
class Horizon:
    """Where a Jacobian is taken.

    Attributes:
        burn_in: steps of noise from the zero state before it starts.
        steps: T.
        inputs: sequences a network.
    """

    burn_in: int
    steps: int
    inputs: int = 1


class _Now:
    """Parameters at one step: what x gives to the preactivations stands in their biases."""

    def __init__(self, given: Mapping[str, Tensor], copies: int) -> None:
        self.given = {n: p.detach().repeat_interleave(copies, 0) for n, p in given.items()}
        self.elementwise: tuple[Tensor, ...] = ()
        self.x = torch.empty(0)

    def recurrent(self, p: Preactivation) -> Matrix | None:
        """W_k."""
        found = self.given.get(f"W_{p.name}")
        return None if found is None else DenseMatrix(found, 1.0)

    def input(self, p: Preactivation) -> Matrix | None:
        """None: see `bias`."""
        return None

    def bias(self, p: Preactivation) -> Tensor:
        """V_k x + b_k, (networks, 1, N)."""
        vx = torch.bmm(self.x, self.given[f"V_{p.name}"].mT)
        return vx + self.given[f"b_{p.name}"][:, None]


@torch.no_grad()
def measured(trainees: Trainees, at: Horizon, seed: int) -> dict[str, Any]:
    """q of every preactivation, m_1(T) and the largest singular value of J_T, network by network.

    Inputs are N(0, 1) in every feature. m_1 is a mean over a network's sequences.

    Returns:
        {"m_1": (networks,), "top": (networks,), "q": {preactivation: (networks,)}}.
    """
    shapes, own = trainees.shapes, _Now(trainees.parameters, at.inputs)
    rows = shapes.networks * at.inputs
    network = Network(trainees.cell, shapes.width, trainees.device, trainees.dtype)
    states, tangent = network.zero_state(rows, 1), network.tangent(rows)
    q = {p.name: torch.zeros(rows) for p in trainees.cell.preactivations}
    for t, noise in enumerate(noises(trainees, at, seed)):
        own.x = noise.repeat(shapes.networks, 1)[:, None]
        if "embedding" in own.given:
            own.x = torch.bmm(own.x, own.given["embedding"].mT)
        # Where x enters through V alone its own width is of no concern to the step.
        seen = own.x if trainees.cell.input is not None else torch.zeros_like(states[0])
        late = t >= at.burn_in
        states, e = network.step(states, seen, own, tangent if late else None)
        if late:
            for p, value in zip(trainees.cell.preactivations, e, strict=True):
                q[p.name] += value.square().mean((1, 2)).cpu() / at.steps
    found = measure(tangent, spectrum=True, resolvent=False)
    values = found.singular_values
    assert values is not None
    split = (shapes.networks, at.inputs)
    return {
        "m_1": found.moments[:, 0].reshape(split).mean(1).tolist(),
        "top": values[:, 0].reshape(split).mean(1).tolist(),
        "q": {n: v.reshape(split).mean(1).tolist() for n, v in q.items()},
    }


def noises(trainees: Trainees, at: Horizon, seed: int) -> list[Tensor]:
    """The inputs, (sequences, features) a step, the same for all networks."""
    shape = (at.inputs, trainees.shapes.features)
    drawn = (
        torch.randn(shape, generator=generator(seed, t, _NOISE))
        for t in range(at.burn_in + at.steps)
    )
    return [x.to(trainees.device, trainees.dtype) for x in drawn]


@torch.no_grad()
def current_ensemble(trainees: Trainees) -> Ensemble:
    """The Gaussian ensemble with the second moments of the networks as they are now, all pooled.

    sigma_w^2 = N <W^2>, sigma_v^2 = N_in <V^2>, mu_b = <b>, sigma_b^2 = <b^2> - <b>^2.
    """
    laws: dict[str, Any] = {}
    for p in trainees.cell.preactivations:
        v, b = (trainees.parameters[f"{kind}_{p.name}"].double() for kind in "Vb")
        law = {
            "sigma_v": sqrt(v.shape[-1] * float(v.square().mean())),
            "mu_b": float(b.mean()),
            "sigma_b": float(b.std(correction=0)),
        }
        w = trainees.parameters.get(f"W_{p.name}")
        if w is not None:
            law["sigma_w"] = sqrt(w.shape[-1] * float(w.double().square().mean()))
        laws[p.name] = law
    return trainees.cell.ensemble(**laws)


@torch.no_grad()
def input_scale(trainees: Trainees) -> float:
    """R: the second moment of what enters the cell when every feature is N(0, 1)."""
    embedding = trainees.parameters.get("embedding")
    return 1.0 if embedding is None else float(embedding.double().square().sum(-1).mean())


def redrawn(trainees: Trainees, ensemble: Ensemble, copies: int, seed: int) -> Trainees:
    """For every network so many of the same shapes, fresh from the ensemble; embeddings stay."""
    shapes = trainees.shapes
    fresh = Trainees(
        trainees.cell,
        [ensemble] * (copies * shapes.networks),
        width=shapes.width,
        features=shapes.features,
        classes=shapes.classes,
        seed=seed,
        device=str(trainees.device),
        dtype=trainees.dtype,
    )
    if "embedding" in trainees.parameters:
        kept = trainees.parameters["embedding"].detach().repeat_interleave(copies, 0)
        fresh.load(fresh.parameters | {"embedding": kept})
    return fresh


def predicted(cell: Cell, ensemble: Ensemble, scale: float, at: Horizon) -> dict[str, Any]:
    """m_1(T) of tied weights at infinite width, with its error and status."""
    field = MeanField(
        cell,
        ensemble,
        Inputs(R=scale),
        "tied",
        particles=_UNITS,
        repetitions=_REPETITIONS,
        device="cpu",
    )
    means = field.jacobian_means(at.steps, burn_in=at.burn_in)
    last = np.atleast_1d(means.value)[-1], np.atleast_1d(means.error)[-1]
    value, error = (float(x) for x in last)
    return {"m_1": value, "error": error, "status": str(means.status)}
