"""`diagnose`: run a module's layers, ask the theory about their parameters, say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch

from rnnmft.diagnosis.advice import advise
from rnnmft.diagnosis.diagnosis import Diagnosis
from rnnmft.diagnosis.measurement import Run, run_layer
from rnnmft.diagnosis.prediction import through_own_matrices
from rnnmft.diagnosis.record import LayerDiagnosis
from rnnmft.diagnosis.sequences import estimated_inputs, given_sequences, white_sequences
from rnnmft.diagnosis.statistics import gate_statistics, measured_ensemble
from rnnmft.diagnosis.theory import LONGEST, ask_theory
from rnnmft.errors import ParameterError
from rnnmft.language import Inputs
from rnnmft.parameters import check_count
from rnnmft.tracing import HintOptions, Layer, evaluation, recurrent_layers

__all__ = ["diagnose"]

Tensor = torch.Tensor


def diagnose(
    module: torch.nn.Module,
    sequence_length: int,
    *,
    data: Any = None,
    batch_first: bool | None = None,
    threshold: float = 2.0,
    sequences: int = 16,
    probes: int = 16,
    burn_in: int = 30,
    particles: int = 1 << 14,
    advice: bool = True,
    seed: int = 0,
    **hints: Unpack[HintOptions],
) -> Diagnosis:
    """Say whether gradients live through a module's sequences, where it stands, and what mends it.

    The parameters are read as they are; the theory is asked about an ensemble with the same
    standard deviations and means; m_1(T), the mean squared singular value of the T-step Jacobian
    d s^{t+T} / d s^t, is predicted, and measured by automatic differentiation of the module. One
    row a layer and direction. Nothing of the module changes.

    Args:
        module: nn.RNN, nn.GRU, nn.LSTM, one of their cells, or a module of one's own that
            `rnnmft.cells.from_torch` reads.
        sequence_length: T, the number of steps over which gradients shall live.
        data: sample sequences, (steps, sequences, features), or (steps, features) for one. From
            them come R, the correlation in time, and what the module is run on. Without them it is
            run on white noise of R = 1, which suits normalised data.
        batch_first: whether data is (sequences, steps, features); as the module has it when absent.
        threshold: the largest |log10 m_1(T)| that is healthy: 2 lets a gradient (its norm goes with
            the root of m_1) change by a factor of 10 over the sequence.
        sequences: how many sequences are run.
        probes: how many tangents are pushed along each.
        burn_in: steps from the zero state before the Jacobian starts.
        particles: units that the theory samples.
        advice: whether to look for an ensemble that mends it, and to try it on a copy.
        seed: of everything random.
        hints: states, input, arguments, returned: of `from_torch`, for a module of one's own.

    Raises:
        CellError: the module is no cell, or has a projection.
        ParameterError: an argument outside its domain, parameters or data that are not finite.

    >>> found = diagnose(torch.nn.RNN(16, 64), 20, particles=4096, advice=False)
    >>> found.healthy, found.layers[0].phase
    (False, 'ordered')
    """
    length = check_count("sequence_length", sequence_length)
    check_count("sequences", sequences)
    check_count("probes", probes)
    check_count("burn_in", burn_in, 0)
    check_count("seed", seed, 0)
    if not 0.0 < threshold < float("inf"):
        raise ParameterError(f"threshold must be a positive number, got {threshold!r}")
    layers = recurrent_layers(module, **hints)
    random = torch.Generator().manual_seed(seed)
    width = layers[0].traced.input_width
    if data is None:
        x = white_sequences((burn_in + length, sequences, width), random)
        source = "white noise of second moment R = 1 (no data were given)"
    else:
        first = getattr(module, "batch_first", False) if batch_first is None else batch_first
        x = given_sequences(data, width, first, sequences, random)[: burn_in + length]
        source = f"{x.shape[1]} of the given sequences, {x.shape[0]} steps each"
    burn_in = min(burn_in, x.shape[0] // 4) if x.shape[0] < burn_in + length else burn_in
    setting = _Setting(length, threshold, burn_in, probes, particles, seed)
    told = data is not None
    with evaluation(module), torch.no_grad():
        found = [
            _examine(layer, seen, run, told or layer.index > 0, setting)
            for layer, seen, run in _runs(layers, x, burn_in, probes, random)
        ]

    def measure(other: torch.nn.Module) -> list[float]:
        with evaluation(other), torch.no_grad():
            runs = _runs(recurrent_layers(other, **hints), x, burn_in, probes, random)
            return [run.gradients.at(length)[0] for _, _, run in runs]

    given = advise(found, module, measure, threshold, seed, hints) if advice else ()
    return Diagnosis(type(module).__name__, length, source, threshold, tuple(found), given)


@dataclass(frozen=True)
class _Setting:
    """How a layer is looked at."""

    length: int
    threshold: float
    burn_in: int
    probes: int
    particles: int
    seed: int


def _runs(
    layers: Sequence[Layer], x: Tensor, burn_in: int, probes: int, random: torch.Generator
) -> Iterator[tuple[Layer, Tensor, Run]]:
    """Every layer, the sequences that it sees in its own direction, and what it did on them."""
    for index in dict.fromkeys(layer.index for layer in layers):
        outputs = []
        for layer in (each for each in layers if each.index == index):
            seen = x.flip(0) if layer.reverse else x
            run = run_layer(layer, seen, burn_in, probes, random)
            outputs.append(run.outputs.flip(0) if layer.reverse else run.outputs)
            yield layer, seen, run
        x = torch.cat(outputs, dim=2)


def _examine(
    layer: Layer, x: Tensor, run: Run, estimate: bool, setting: _Setting
) -> LayerDiagnosis:
    """One layer and direction."""
    gates = gate_statistics(layer)
    ensemble = measured_ensemble(layer, gates)
    inputs = estimated_inputs(x) if estimate else Inputs()
    cell, length, burn_in = layer.traced.cell, setting.length, setting.burn_in
    horizon = min(length, LONGEST)
    predicted = through_own_matrices(layer, ensemble, inputs, horizon, burn_in, setting.seed)
    asked = (length, burn_in, setting.particles, setting.seed)
    return LayerDiagnosis(
        layer=layer.name,
        cell=cell,
        width=layer.traced.width,
        input_width=layer.traced.input_width,
        gates=gates,
        ensemble=ensemble,
        inputs=inputs,
        length=length,
        tied=ask_theory(cell, ensemble, inputs, "tied", *asked),
        untied=ask_theory(cell, ensemble, inputs, "untied", *asked),
        predicted=predicted.gradients,
        measured=run.gradients,
        isometry=(*run.isometry, *predicted.isometry),
        threshold=setting.threshold,
    )
