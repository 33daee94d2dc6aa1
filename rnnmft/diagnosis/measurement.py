"""m_1(T) of a layer as it is: its own steps, and forward-mode derivatives through them.

    m_1(T) = E |J_T u|^2 / (m N),    J_T = d s^{t0 + T} / d s^{t0},    u standard normal

Tangents u are pushed by `torch.func.jvp` through the module's own step, along sequences that have
run for a burn-in from the zero state, and rescaled at every step, so that hundreds of steps neither
vanish nor overflow.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.tracing import Layer

__all__ = ["GradientSeries", "Run", "gradient_series", "run_layer"]

Tensor = torch.Tensor
Array = NDArray[np.float64]


@dataclass(frozen=True)
class GradientSeries:
    """log10 m_1(T) at T = 1, .., horizon, with standard errors; shapes (horizon,)."""

    log10: Array
    error: Array

    def at(self, horizon: int) -> tuple[float, float]:
        """(log10 m_1, its error) at a horizon; beyond the last one along a straight line.

        The line is fitted over the later half; that its slope differs between the quarters of this
        half is in the error.
        """
        known = len(self.log10)
        if horizon <= known:
            return float(self.log10[horizon - 1]), float(self.error[horizon - 1])
        if not np.isfinite(self.log10).all():
            return float(self.log10[-1]), math.inf
        beyond = horizon - known
        half, quarter = known // 2, known // 4
        if half < 2:
            return float(self.log10[-1]) * horizon / known, math.inf
        bend = 0.0
        if quarter > 1:
            middle = known - quarter
            bend = abs(self._slope(middle, known) - self._slope(known - half, middle))
        noise = math.hypot(float(self.error[-1]), bend * beyond)
        return float(self.log10[-1]) + self.slope * beyond, noise

    @property
    def slope(self) -> float:
        """The slope of the line through the later half, per step."""
        known = len(self.log10)
        if not np.isfinite(self.log10).all():
            return float(self.log10[-1])
        if known < 4:
            return float(self.log10[-1]) / known
        return self._slope(known - known // 2, known)

    def _slope(self, low: int, high: int) -> float:
        return float(np.polyfit(np.arange(low, high), self.log10[low:high], 1)[0])


@dataclass(frozen=True)
class Run:
    """What a layer did on its sequences.

    Attributes:
        outputs: (steps, sequences, N).
        gradients: m_1(T) from the end of the burn-in on.
        isometry: the variance m_2 - m_1^2 of the squared singular values of the first step after
            the burn-in, and its standard error.
    """

    outputs: Tensor
    gradients: GradientSeries
    isometry: tuple[float, float]


def gradient_series(log_squares: Tensor) -> GradientSeries:
    """From ln |J_T u|^2 / (m N), (horizon, samples, ...), of samples that count as independent.

    The samples are the second axis; what is behind it is averaged within a sample.
    """
    if log_squares.shape[1] == 1 and log_squares.ndim == 3:
        log_squares = log_squares.transpose(1, 2)  # one sequence: its probes are the samples
    top = log_squares.flatten(1).max(1).values
    top = torch.where(top.isfinite(), top, 0.0)
    scaled = (log_squares - top.view(-1, *[1] * (log_squares.ndim - 1))).exp()
    means = scaled.flatten(2).mean(2) if scaled.ndim > 2 else scaled
    value, count = means.mean(1), means.shape[1]
    spread = means.std(1) / math.sqrt(count) if count > 1 else torch.full_like(value, math.inf)
    log10 = (value.log() + top) / math.log(10)
    # 0 / 0 where every sample is 0 (set to 0 below) or inf / inf where they overflow: nothing is
    # known.
    error = (spread / value / math.log(10)).nan_to_num(nan=math.inf)
    return GradientSeries(log10.numpy(), torch.where(log10 == -math.inf, 0.0, error).numpy())


def run_layer(
    layer: Layer, x: Tensor, burn_in: int, probes: int, generator: torch.Generator
) -> Run:
    """Run a layer over sequences, and tangents after the burn-in.

    Args:
        layer: the layer, in evaluation mode.
        x: (steps, sequences, N_in), in the order in which this direction sees them.
        burn_in: steps before the tangents start.
        probes: tangents for each sequence.
        generator: of the tangents.
    """
    step = _Step(layer)
    states = step.zeros(x.shape[1])
    outputs, squares = [], []
    tangents: tuple[Tensor, ...] = ()
    isometry = (math.nan, math.nan)
    log_scale = torch.zeros(x.shape[1], probes, dtype=torch.float64)
    for t, given in enumerate(step.cast(x)):
        if t == burn_in:
            shape = (probes, *states[0].shape)
            tangents = tuple(step.cast(_normals(shape, generator)) for _ in states)
            log_scale -= math.log(layer.traced.width * len(states))
            isometry = step.isometry(given, states, tangents)
        if t >= burn_in:
            tangents = step.push(given, states, tangents)
            norm = torch.stack([d.double().square().sum(-1) for d in tangents]).sum(0)
            # Inputs and weights are finite: nan is an overflow of the states, and shown as one.
            norm = norm.nan_to_num(nan=math.inf)
            root = torch.where((norm > 0) & norm.isfinite(), norm.sqrt(), 1.0)
            tangents = tuple((d / root[..., None]).to(d.dtype) for d in tangents)
            log_scale = log_scale + norm.log().T.cpu()
            squares.append(log_scale)
        states = step(given, states)
        outputs.append(states[step.output].double().cpu())
    return Run(torch.stack(outputs), gradient_series(torch.stack(squares)), isometry)


class _Step:
    """One step of a layer on batches, with its parameters in at least single precision."""

    def __init__(self, layer: Layer) -> None:
        self.traced, self.module = layer.traced, layer.module
        first = next(layer.module.parameters())
        self.device = first.device
        self.dtype = torch.promote_types(first.dtype, torch.float32)
        tensors = {**dict(layer.module.named_parameters()), **dict(layer.module.named_buffers())}
        self.held = {
            n: t.detach().to(self.dtype) if t.is_floating_point() else t.detach()
            for n, t in tensors.items()
        }
        names = self.traced.states
        # What a recurrent layer hands on is its h; a cell of one's own, its last state.
        self.output = names.index("h") if "h" in names else len(names) - 1

    def zeros(self, sequences: int) -> tuple[Tensor, ...]:
        shape = (sequences, self.traced.width)
        make: Any = {"dtype": self.dtype, "device": self.device}
        return tuple(torch.zeros(shape, **make) for _ in self.traced.states)

    def cast(self, values: Tensor) -> Tensor:
        return values.to(self.device, self.dtype)

    def __call__(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        def call(*arguments: Any, **named: Any) -> Any:
            return torch.func.functional_call(self.module, self.held, arguments, named)

        if self.traced.batched:
            return self.traced.step(call, x, states)
        return torch.vmap(lambda x, *s: self.traced.step(call, x, s))(x, *states)

    def push(
        self, x: Tensor, states: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Every tangent, (probes, sequences, N) a state, through the step."""

        def one(*tangent: Tensor) -> tuple[Tensor, ...]:
            return torch.func.jvp(lambda *s: self(x, s), states, tangent)[1]

        return torch.vmap(one)(*tangents)

    def isometry(
        self, x: Tensor, states: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
    ) -> tuple[float, float]:
        """m_2 - m_1^2 of one step, from |J u|^2 and |J^T J u|^2, and its standard error."""
        _load_forward_mode()
        pull = torch.func.vjp(lambda *s: self(x, s), *states)[1]
        pushed = self.push(x, states, tangents)
        back = torch.vmap(lambda *u: pull(u))(*pushed)
        size = self.traced.width * len(states)
        # One average a sequence (a probe where there is only one): (samples,).
        m_1, m_2 = (_per_sample(values) / size for values in (pushed, back))
        rows = m_2 - 2 * m_1.mean() * m_1
        value = float(m_2.mean() - m_1.mean() ** 2)
        return value, float(rows.std()) / math.sqrt(len(rows)) if len(rows) > 1 else math.inf


def _load_forward_mode() -> None:
    """Let torch load what forward-mode derivatives need without its own deprecation warning.

    On first use it compiles decompositions by `torch.jit.script`, which warns wherever warnings are
    errors, as in a test suite that asks whether a network is healthy.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


def _per_sample(values: tuple[Tensor, ...]) -> Tensor:
    """Squared norms over units and states, averaged over the probes of a sequence."""
    squares = torch.stack([v.double().square().sum(-1) for v in values]).sum(0)
    return squares.mean(0) if squares.shape[1] > 1 else squares[:, 0]


def _normals(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    options: Any = {"generator": generator, "dtype": torch.float64}
    return torch.randn(shape, **options)
