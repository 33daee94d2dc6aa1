"""Predictions of m_1(T): of the infinite network, and through the matrices that this one has.

Units are drawn from the tied theory at the measured ensemble: nothing of the module is run. They
have the layer's own biases and elementwise parameters, and its own V sees the sequences that the
layer saw: which unit has which bias, and inputs of few features, do not average out over a network.
What differs besides is how a perturbation goes from unit to unit. At infinite width it is Gaussian
with the theory's covariance. A network of finite width has one particular W, and where T^2 is not
small beside N its largest eigenvalues decide, which differ from network to network; so the
perturbations of N units at a time are also multiplied by the W_k that were found:

    de_k = W_k dy_k,    ds' = A ds + B de,    dy = C ds + D de
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from rnnmft.diagnosis.series import GradientSeries, gradient_series
from rnnmft.errors import OutOfTimeError
from rnnmft.language import Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.tracing import Layer
from rnnmft.units.local_derivatives import LocalDerivatives, combine
from rnnmft.units.particles import UnitProcess

__all__ = ["GradientPrediction", "through_own_matrices"]

Tensor = torch.Tensor
# Of as many networks of units, whose spread is the error.
_REPETITIONS = 4
# Networks in all while they have no more units together than this, and how many units at least in
# a repetition, whose averages are the kernels.
_NETWORKS, _ALL_UNITS, _UNITS = 32, 1 << 13, 1024
# At least so many networks a repetition.
_FEWEST = 2
# Units start from zero too; their past is followed no longer than this before they have one.
_LONGEST_PAST = 300
_ONE = torch.ones((), dtype=torch.float64)


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
    """
    width = layer.traced.width
    each = max(_FEWEST, min(_NETWORKS, _ALL_UNITS // width) // _REPETITIONS)
    each = max(each, math.ceil(_UNITS / width))
    process = _process(layer, x, ensemble, inputs, each, seed)
    found: list[Tensor] = []
    isometry, cut = (math.nan, math.nan), False
    try:
        for _ in range(min(burn_in, _LONGEST_PAST)):
            process.step()
        tangent = _Tangent(process, layer, each, seed)
        for t in range(horizon):
            process.step()
            found.append(tangent.step())
            if t == 0:
                isometry = tangent.isometry()
    except OutOfTimeError:
        cut = True
    series = GradientSeries(np.zeros(0), np.zeros(0))
    return GradientPrediction(
        gradient_series(torch.stack(found)) if found else series, isometry, cut
    )


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


class _Tangent:
    """Perturbations of networks of units, (repetitions * each, N), one a network."""

    def __init__(self, process: UnitProcess, layer: Layer, each: int, seed: int) -> None:
        self.process = process
        self.derivatives = LocalDerivatives(process)
        self.shape = (_REPETITIONS, each * layer.traced.width)
        self.networks = (_REPETITIONS * each, layer.traced.width)
        self.matrices = {
            name: None if w is None or not w.any() else w.to("cpu", torch.float64)
            for name, (w, _, _) in layer.parameters().items()
        }
        random = torch.Generator().manual_seed(seed)
        states = process.cell.states
        self.ds = [torch.randn(self.shape, generator=random, dtype=torch.float64) for _ in states]
        self.log_squares = torch.full(
            self.networks[:1], -math.log(self.networks[1] * len(states)), dtype=torch.float64
        )

    def step(self) -> Tensor:
        """ln |ds|^2 / (m N) of every network after the step that the process just took."""
        self.local = self.derivatives()
        a, b, c, d = self.local
        de: list[Tensor | None] = []
        for k, p in enumerate(self.process.cell.preactivations):
            matrix = self.matrices[p.name]
            if matrix is None:
                de.append(None)
                continue
            dy = combine([*c[k], *d[k]], [*self.ds, *de])
            de.append(None if dy is None else self._times(dy, matrix.T))
        moved = [combine([*x, *y], [*self.ds, *de]) for x, y in zip(a, b, strict=True)]
        new = [torch.zeros(self.shape, dtype=torch.float64) if s is None else s for s in moved]
        norm = torch.stack([s.reshape(self.networks).square().sum(1) for s in new]).sum(0)
        root = torch.where((norm > 0) & norm.isfinite(), norm.sqrt(), 1.0)
        self.ds = [(s.reshape(self.networks) / root[:, None]).view(self.shape) for s in new]
        self.log_squares = self.log_squares + norm.log()
        return self.log_squares

    def isometry(self) -> tuple[float, float]:
        """m_2 - m_1^2 of the first step, from |J u|^2 and |J^T J u|^2, and its standard error."""
        a, b, c, d = self.local
        names = [p.name for p in self.process.cell.preactivations]
        back = [combine([row[j] for row in a], [*self.ds]) for j in range(len(self.ds))]
        on_e = [combine([row[k] for row in b], [*self.ds]) for k in range(len(names))]
        # Backwards through the chain of preactivations: what W_k sees may hold earlier ones.
        for k in reversed(range(len(names))):
            matrix, above = self.matrices[names[k]], on_e[k]
            if matrix is None or above is None:
                continue
            on_y = self._times(above, matrix)
            back = [combine([c[k][j], _ONE], [on_y, x]) for j, x in enumerate(back)]
            on_e = [combine([d[k][j], _ONE], [on_y, x]) for j, x in enumerate(on_e)]
        m_1 = self.log_squares.exp()
        # The tangents have been rescaled to |J u| = 1.
        m_2 = torch.zeros_like(m_1)
        for x in back:
            if x is not None:
                m_2 += x.reshape(self.networks).square().sum(1) * m_1
        rows = m_2 - 2 * m_1.mean() * m_1
        return float(m_2.mean() - m_1.mean() ** 2), float(rows.std()) / math.sqrt(len(rows))

    def _times(self, values: Tensor, matrix: Tensor) -> Tensor:
        """Row vectors of every network times a matrix (N, N)."""
        return (values.reshape(self.networks) @ matrix).view(self.shape)
