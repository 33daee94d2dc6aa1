"""Predictions of m_1(T) through the matrices that a network has, and what they may be off by.

Units are drawn from the tied theory at the measured ensemble: nothing of the module is run. They
have the layer's own biases and elementwise parameters, its own V sees the sequences that the layer
saw, and its own W the mean of what it sees: which unit has which mean preactivation does not
average out over a network (`own_weights`).
What differs besides is how a perturbation goes from unit to unit. At infinite width it is Gaussian
with the theory's covariance. A network of finite width has one particular W, and where T^2 is not
small beside N its largest eigenvalues decide, which differ from network to network; so the
perturbations of N units at a time are also multiplied by the W_k that were found:

    de_k = W_k dy_k,    ds' = A ds + B de,    dy = C ds + D de

That what the units do about their means is independent of W is an assumption, which N is never
large enough for: the same with all of y through W, on the same inputs and perturbations, says what
it costs. The error is the standard error and this difference in one.

Of a W whose entries are not independent of each other the assumption is wrong at any N (through an
antisymmetric one what a unit sends out comes back reversed). All of y goes through it then, which
is the cell's own equations, and the error is the standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from rnnmft.deadline import deadline, seconds_left
from rnnmft.diagnosis.own_weights import OwnMeans, OwnWeights
from rnnmft.diagnosis.perturbations import Perturbations
from rnnmft.diagnosis.series import GradientSeries, gradient_series
from rnnmft.errors import CompileError, OutOfTimeError
from rnnmft.language import Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.tracing import Layer
from rnnmft.units.particles import UnitProcess
from rnnmft.units.weight_action import WeightAction

__all__ = ["GradientPrediction", "through_own_matrices"]

Tensor = torch.Tensor
# So many repetitions, whose averages are the kernels.
_REPETITIONS = 4
# Networks in all while they have no more units together than this, and how many units at least in
# a repetition.
_NETWORKS, _ALL_UNITS, _UNITS = 32, 1 << 13, 1024
# At least so many networks a repetition.
_FEWEST = 2
# Units start from zero too; their past is followed no longer than this before they have one.
_LONGEST_PAST = 300
# Perturbations in all, whose chance is 6 % of m_1 where one direction carries it, while a matrix
# takes no more multiplications a step than this (0.02 s on one core).
_PERTURBATIONS, _PRODUCTS = 512, 1 << 25


@dataclass(frozen=True)
class GradientPrediction:
    """m_1(T) at T = 1, .., horizon; the variance m_2 - m_1^2 of one step, and its error.

    `cut` says whether the time budget ended it at an earlier horizon.
    """

    gradients: GradientSeries
    isometry: tuple[float, float]
    cut: bool = False


def through_own_matrices(
    layer: Layer,
    x: Tensor,
    ensemble: Ensemble,
    inputs: Inputs,
    horizon: int,
    burn_in: int,
    seed: int,
    *,
    independent: bool = True,
) -> GradientPrediction:
    """The Jacobian's moments for units of the tied theory and the layer's own W_k.

    Args:
        layer: the layer.
        x: the sequences that it saw, (steps, sequences, N_in).
        ensemble: what the theory takes its parameters for.
        inputs: what it takes `x` for.
        horizon: the largest T.
        burn_in: steps before the Jacobian starts.
        seed: of everything random.
        independent: whether nothing tells W_k from random matrices.

    Returns:
        No steps where states or preactivations have several widths.
    """
    if layer.traced.cell.has_widths:
        # Its units are of one number; the theory of infinite width stands alone.
        empty = GradientSeries(np.zeros(0), np.zeros(0))
        return GradientPrediction(empty, (math.nan, math.nan))
    setting = (layer, x, ensemble, inputs, horizon, burn_in, seed)
    if not independent:
        return _predict(*setting, means=False)
    with deadline(seconds_left() / 2):
        found = _predict(*setting, means=True)
    if not len(found.gradients.log10):
        return found
    beside = _predict(*setting, means=False)
    gradients = _with_difference(found.gradients, beside.gradients)
    cut = found.cut or beside.cut
    if cut and not math.isfinite(gradients.at(horizon)[1]):
        # Too little was done to say how far off it is: that is no prediction.
        gradients = GradientSeries(np.zeros(0), np.zeros(0))
    return GradientPrediction(gradients, found.isometry, cut)


def _with_difference(found: GradientSeries, beside: GradientSeries) -> GradientSeries:
    """The series with errors that hold the difference from another, beyond whose end it grows."""
    known = min(len(found.log10), len(beside.log10))
    if known == 0:
        return GradientSeries(found.log10, np.full_like(found.error, math.inf))
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.log10[:known] - beside.log10[:known])
    # Both 0, of logarithm -inf.
    apart = np.where(found.log10[:known] == beside.log10[:known], 0.0, apart)
    apart = np.nan_to_num(apart, nan=math.inf)
    beyond = np.arange(known + 1, len(found.log10) + 1) / known * apart[-1]
    return GradientSeries(found.log10, np.hypot(found.error, np.append(apart, beyond)))


def _predict(
    layer: Layer,
    x: Tensor,
    ensemble: Ensemble,
    inputs: Inputs,
    horizon: int,
    burn_in: int,
    seed: int,
    *,
    means: bool,
) -> GradientPrediction:
    """With the mean of what W sees through the layer's own W, or with all of it."""
    width = layer.traced.width
    each = max(_FEWEST, min(_NETWORKS, _ALL_UNITS // width) // _REPETITIONS)
    each = max(each, math.ceil(_UNITS / width))
    networks = _REPETITIONS * each
    probes = max(1, min(_PERTURBATIONS, _PRODUCTS // width**2) // networks)
    found: list[Tensor] = []
    isometry, cut = (math.nan, math.nan), False
    try:
        matrices = _matrices(layer)
        process = _process(layer, x, ensemble, inputs, each, seed)
        _use_own(process, matrices, width, means)
        # Units that see nothing but themselves are cheap to follow for as long as the layer ran.
        for _ in range(min(burn_in, _LONGEST_PAST) if process.weights else burn_in):
            process.step()
        perturbations = Perturbations(process, matrices, (networks, width), probes, seed)
        for t in range(horizon):
            process.step()
            found.append(perturbations.step())
            if t == 0:
                isometry = perturbations.isometry()
    except OutOfTimeError:
        cut = True
    except CompileError:  # a jump has no derivative: `ask_theory` has the reason
        return GradientPrediction(GradientSeries(np.zeros(0), np.zeros(0)), isometry)
    series = GradientSeries(np.zeros(0), np.zeros(0))
    return GradientPrediction(
        gradient_series(torch.stack(found)) if found else series, isometry, cut
    )


def _matrices(layer: Layer) -> dict[str, Tensor | None]:
    """The W of every preactivation; None where there is none, or none but zeros."""
    return {
        name: None if w is None or not w.any() else w.to("cpu", torch.float64)
        for name, (w, _, _) in layer.parameters().items()
    }


def _use_own(
    process: UnitProcess, matrices: dict[str, Tensor | None], width: int, means: bool
) -> None:
    """Let the process's weights be the layer's own, for means or for all."""
    for y, action in process.weights.items():
        own = OwnMeans(matrices, width, action) if means else OwnWeights(matrices, width)
        # It has what a step asks of weights.
        process.weights[y] = cast("WeightAction", own)


def _process(
    layer: Layer, x: Tensor, ensemble: Ensemble, inputs: Inputs, each: int, seed: int
) -> UnitProcess:
    """Units of the tied theory with the layer's own biases, elementwise parameters and V x."""
    sampling = Sampling(
        units=_REPETITIONS * each * layer.traced.width,
        repetitions=_REPETITIONS,
        seed=seed,
        normals="random",
        device="cpu",
    )
    process = UnitProcess(layer.traced.cell, ensemble, inputs, "tied", sampling, 1)

    def own(values: Tensor) -> Tensor:
        return values.to("cpu", torch.float64).repeat(each).expand(_REPETITIONS, 1, -1)

    elementwise = layer.traced.elementwise_parameters(layer.module)
    process.parameters = {name: own(values) for name, values in elementwise.items()}
    for name, (_, v, b) in layer.parameters().items():
        process.biases[name] = own(b.double() - ensemble[name].mu_b)
        if name in process.drives and v is not None:
            size = ensemble[name].sigma_v * inputs.R**0.5
            process.drives[name] = _OwnInput(x, v.to("cpu", torch.float64).T / size, each)
    if process.signal is not None and inputs.R > 0.0:
        same = torch.eye(x.shape[2], dtype=torch.float64) / inputs.R**0.5
        process.signal = _OwnInput(x, same, each)
    return process


class _OwnInput:
    """V x along the sequences, one sequence a network of units: a call is a step, (R, 1, M)."""

    def __init__(self, x: Tensor, v: Tensor, each: int) -> None:
        self.x, self.v, self.time = x, v, -1
        self.sequence = torch.arange(_REPETITIONS * each) % x.shape[1]

    def __call__(self) -> Tensor:
        self.time += 1
        found = self.x[self.time % len(self.x)] @ self.v
        return found[self.sequence].view(_REPETITIONS, 1, -1)
