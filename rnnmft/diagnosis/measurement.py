"""m_1(T) of a layer as it is: its own steps, and derivatives through them.

    m_1(T) = E |J_T u|^2 / (m N),    J_T = d s^{t0 + T} / d s^{t0},    E u u^T = 1

Tangents u are pushed through the module's own step, along sequences that have run for a burn-in
from the zero state, and rescaled at every step, so that hundreds of steps neither vanish nor
overflow. Each tangent starts in one state alone, so that what reaches h and what reaches c are
known apart:

    m_1(T) = (1/m) sum_{from, to} E |(J_T)_{to, from} u|^2 / N

Where inputs are independent from step to step the sequences of the tangents are drawn anew when a
few of them carry the mean (`islands`); what the layer hands on stays that of those it began with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from rnnmft.diagnosis.islands import islands_of, winners
from rnnmft.diagnosis.probes import orthogonal_probes
from rnnmft.diagnosis.series import GradientSeries, gradient_series
from rnnmft.diagnosis.settling import BurnInWatch
from rnnmft.diagnosis.stepping import LayerStep
from rnnmft.tracing import Layer

__all__ = ["GradientSeries", "Run", "gradient_series", "run_layer"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class Run:
    """What a layer did on its sequences.

    Attributes:
        outputs: (steps, sequences, N).
        gradients: m_1(T) from the end of the burn-in on.
        isometry: the variance m_2 - m_1^2 of the squared singular values of the first step after
            the burn-in, and its standard error.
        apart: {(from, to): the mean squared singular value of d to^{t0 + T} / d from^{t0}}, for
            every pair of states.
        burn_in: steps before the Jacobian starts.
        drift: by what fraction of itself the second moment of a state still moved at the end of
            the burn-in; 0 where it had settled.
        cut: whether the time budget ended the run.
    """

    outputs: Tensor
    gradients: GradientSeries
    isometry: tuple[float, float]
    apart: Mapping[tuple[str, str], GradientSeries] = field(default_factory=dict)
    burn_in: int = 0
    drift: float = 0.0
    cut: bool = False


def run_layer(
    layer: Layer,
    x: Tensor,
    burn_in: int | None,
    probes: int,
    generator: torch.Generator,
    horizon: int | None = None,
    *,
    fresh: bool = False,
    whole: bool = True,
    seconds: float = math.inf,
) -> Run:
    """Run a layer over sequences, and tangents after the burn-in.

    Args:
        layer: the layer, in evaluation mode.
        x: (steps, sequences, N_in), in the order in which this direction sees them.
        burn_in: steps before the tangents start; None: until the moments of the states have
            settled, or only the horizon (at most three quarters of the steps) is left.
        probes: tangents for each sequence; as many more as make it a multiple of the states.
        generator: of the tangents.
        horizon: steps that tangents are followed; all that are left when absent.
        fresh: whether x is independent from step to step.
        whole: whether to go on to the last step when the tangents are done.
        seconds: after which the run ends with what it has.
    """
    step, settling = LayerStep(layer), BurnInWatch()
    steps = x.shape[0]
    followed = steps if horizon is None else horizon
    latest = max(steps - followed, steps // 4) if burn_in is None else burn_in
    states = step.zeros(x.shape[1])
    outputs: list[Tensor] = []
    tangents: _Tangents | None = None
    start, end = 0, time.monotonic() + seconds
    for t, given in enumerate(step.cast(x)):
        if tangents is None and (t >= latest or (burn_in is None and settling.settled)):
            settling.close()
            start, tangents = t, _Tangents(step, x.shape[1], probes, generator, fresh)
            tangents.measure_isometry(given, states)
        if tangents is not None and t < start + followed:
            tangents.push(given, states)
        states = step.advance(given, states)
        outputs.append(states[step.output].double().cpu())
        if tangents is None:
            settling.watch(states)
        elif time.monotonic() > end or (not whole and t + 1 >= start + followed):
            break
    assert tangents is not None  # a burn-in leaves steps for the tangents
    gradients, apart = tangents.series()
    return Run(
        outputs=torch.stack(outputs),
        gradients=gradients,
        isometry=tangents.isometry,
        apart=apart,
        burn_in=start,
        drift=0.0 if settling.settled else settling.drift,
        cut=len(gradients.log10) < min(followed, steps - start),
    )


class _Tangents:
    """Tangents on their way, (probes, sequences, units) a state; each starts in one state alone.

    Attributes:
        isometry: the variance of the squared singular values of a step, once it was measured.
    """

    def __init__(
        self,
        step: LayerStep,
        sequences: int,
        probes: int,
        generator: torch.Generator,
        fresh: bool,
    ) -> None:
        self.step, self.states = step, step.traced.states
        self.generator = generator
        self.islands = islands_of(sequences) if fresh else sequences
        self._at: tuple[Tensor, ...] | None = None
        m, widths = len(self.states), step.traced.widths
        self.groups = math.ceil(probes / m)
        self.now = []
        for j, width in enumerate(widths):
            tangent = torch.zeros((m * self.groups, sequences, width), dtype=torch.float64)
            own = slice(j * self.groups, (j + 1) * self.groups)
            tangent[own] = orthogonal_probes((self.groups, sequences, width), generator)
            self.now.append(step.cast(tangent))
        self._widths = torch.tensor(widths, dtype=torch.float64)
        # Per unit of the state in which it starts, whose perturbation has so many.
        starts = -self._widths.log().repeat_interleave(self.groups)
        self._log_scale = starts[:, None].expand(-1, sequences).clone()
        self._log_squares: list[Tensor] = []
        self.isometry = (math.nan, math.nan)

    def push(self, x: Tensor, states: tuple[Tensor, ...]) -> None:
        """One step on: (from m, groups, sequences, to m) logarithms of squared sizes are noted.

        From the states of the layer's own run; once sequences were drawn anew, from theirs.
        """
        at = self._at or states
        pushed = self.step.push(x, at, self.now)
        squares = torch.stack([d.double().square().sum(-1) for d in pushed], -1)
        # Inputs and weights are finite: nan is an overflow of the states, and shown as one.
        squares = squares.nan_to_num(nan=math.inf)
        norm = squares.sum(-1)
        root = torch.where((norm > 0) & norm.isfinite(), norm.sqrt(), 1.0)
        self.now = [(d / root[..., None]).to(d.dtype) for d in pushed]
        squares = squares.log().cpu() + self._log_scale[..., None]
        self._log_scale = self._log_scale + norm.log().cpu()
        self._log_squares.append(squares.view(len(self.states), self.groups, *squares.shape[1:]))
        if self.islands < x.shape[0]:
            self._at = self.step.advance(x, at)
            self._go_with_winners()

    def _go_with_winners(self) -> None:
        """Draw the sequences anew on islands where few carry the mean."""
        drawn = winners(self._log_scale.logsumexp(0), self.islands, self.generator)
        if drawn is None or self._at is None:
            return
        parents, change = drawn
        self._log_scale = self._log_scale[:, parents] + change
        parents = parents.to(self.step.device)
        self._at = tuple(s[parents] for s in self._at)
        self.now = [d[:, parents] for d in self.now]

    def series(self) -> tuple[GradientSeries, dict[tuple[str, str], GradientSeries]]:
        """m_1 over the horizons, and its parts by the state that they start from and end in.

        The parts are of variance 1 a unit at the start, and per unit of the end.
        """
        m = len(self.states)
        # (horizon, from, groups, sequences, to); sequences of an island count as its probes.
        found = torch.stack(self._log_squares).permute(0, 3, 2, 1, 4)
        if found.shape[1] > self.islands:
            found = found.reshape(len(found), self.islands, -1, m, m)
        log = self._widths.log()
        shares = log - log.logsumexp(0)
        whole = gradient_series((found + shares[:, None]).flatten(3).logsumexp(3))
        if m == 1:
            return whole, {}
        return whole, {
            (a, b): gradient_series(found[..., j, k] + log[j] - log[k])
            for j, a in enumerate(self.states)
            for k, b in enumerate(self.states)
        }

    def measure_isometry(self, x: Tensor, states: tuple[Tensor, ...]) -> None:
        """m_2 - m_1^2 of one step, from |J u|^2 and |J^T J u|^2, and its standard error."""
        pushed = self.step.push(x, states, self.now)
        back = self.step.pull(x, states, pushed)
        # One average a sequence (a group of probes where there is only one): (samples,).
        m_1, m_2 = (self._per_sample(values) for values in (pushed, back))
        rows = m_2 - 2 * m_1.mean() * m_1
        value = float(m_2.mean() - m_1.mean() ** 2)
        error = float(rows.std()) / math.sqrt(len(rows)) if len(rows) > 1 else math.inf
        self.isometry = (value, error)

    def _per_sample(self, values: tuple[Tensor, ...]) -> Tensor:
        """Squared norms over units and states, averaged over the probes of a sequence, a unit."""
        squares = torch.stack([v.double().square().sum(-1) for v in values]).sum(0).cpu()
        squares = squares.view(len(self.states), self.groups, -1).sum(0) / self._widths.sum()
        return squares.mean(0) if squares.shape[1] > 1 else squares[:, 0]
