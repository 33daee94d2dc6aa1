"""`diagnose`: run a module's layers, ask the theory about their parameters, say what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import torch

from rnnmft.deadline import deadline, seconds_left
from rnnmft.diagnosis.advice import advise
from rnnmft.diagnosis.diagnosis import Diagnosis
from rnnmft.diagnosis.measurement import Run, run_layer
from rnnmft.diagnosis.prediction import through_own_matrices
from rnnmft.diagnosis.record import LayerDiagnosis
from rnnmft.diagnosis.remarks import remarks
from rnnmft.diagnosis.sequences import estimated_inputs, given_sequences, white_sequences
from rnnmft.diagnosis.settling import LONGEST_BURN_IN
from rnnmft.diagnosis.statistics import gate_statistics, measured_ensemble
from rnnmft.diagnosis.theory import TheoryAnswer, ask_theory
from rnnmft.diagnosis.whole_model import diagnose_model
from rnnmft.errors import CellError, ParameterError
from rnnmft.language import Inputs
from rnnmft.parameters import check_count
from rnnmft.parts.find import Part, single_layers
from rnnmft.tracing import HintOptions, Layer, Traced, evaluation, recurrent_layers
from rnnmft.tracing.effective import plain
from rnnmft.tracing.wrappers import check_numbers, unwrapped

__all__ = ["diagnose"]

Tensor = torch.Tensor


# Gradients are followed over so many steps; further on their growth and its error say the rest.
_FOLLOWED = 1000
# And predicted over so many: the theory's units have a past to carry. As many as are followed where
# units see nothing but themselves.
_PREDICTED = 400
# White sequences leave a burn-in of so many steps, or of so many lengths, whichever is more.
_BURN_IN, _LENGTHS = 200, 2
# At least and at most so many sequences, and between them as many as make so many states; a
# multiple of the least, that they part into islands.
_SEQUENCES, _STATES = (16, 256), 1 << 14
# At least and at most so many units a layer for the theory, which has twice as many for them all.
_PARTICLES = (1 << 11, 1 << 13)
# Whole numbers above do not fit into a generator's seed, and above 2^1024 into no number.
_LARGEST = (1 << 63) - 1
# Of the time that is left: for running the layers, and then for the theory of all of them.
_RUNNING, _THEORY = 0.3, 0.55
# Of a layer's time for the theory: for the prediction through its own matrices, twice what that of
# infinite width takes; of the rest, for tied weights.
_OWN, _TIED = 0.6, 0.6


def diagnose(
    module: torch.nn.Module,
    sequence_length: int,
    *,
    data: Any = None,
    batch_first: bool | None = None,
    threshold: float = 2.0,
    sequences: int | None = None,
    probes: int = 8,
    burn_in: int | None = None,
    particles: int | None = None,
    advice: bool = True,
    seed: int = 0,
    budget: float | None = 60.0,
    progress: Callable[[float, float], None] | None = None,
    **hints: Unpack[HintOptions],
) -> Diagnosis:
    """Say whether gradients live through a module's sequences, where it stands, and what mends it.

    The parameters are read as they are; the theory is asked about an ensemble with the same
    standard deviations and means; m_1(T), the mean squared singular value of the T-step Jacobian
    d s^{t+T} / d s^t, is predicted, and measured by automatic differentiation of the module. One
    row a layer and direction. Nothing of the module changes.

    Args:
        module: nn.RNN, nn.GRU, nn.LSTM, one of their cells, a module of one's own that
            `rnnmft.cells.from_torch` reads, or a whole model that holds some of these or calls
            them in a loop; wrappers (DataParallel, torch.compile) are taken off.
        sequence_length: T, the number of steps over which gradients shall live. Beyond 1000 they
            are followed for 1000 and continued at their rate of growth, whose error is told.
        data: for a whole model, what it is called with: a tuple of arguments, a dictionary by
            name, or one argument; each part is then run on what it gets. For a layer or a cell
            sample sequences, (steps, sequences, features), or (steps, features) for one. From
            them come R, the correlation in time, and what the module is run on. Without them it is
            run on white noise of R = 1, which suits normalised data.
        batch_first: whether data is (sequences, steps, features); as the module has it when absent.
        threshold: the largest |log10 m_1(T)| that is healthy: 2 lets a gradient (its norm goes with
            the root of m_1) change by a factor of 10 over the sequence.
        sequences: how many sequences are run; from 16 in a wide layer to 256 in a narrow one when
            absent: over long horizons a few of them carry the mean.
        probes: how many tangents are pushed along each.
        burn_in: steps from the zero state before the Jacobian starts; when absent, as many as the
            second moments of the states take to settle, where there are so many.
        particles: units that the theory samples; when absent 8192 for one layer or two, and fewer
            for each of more.
        advice: whether to look for an ensemble that mends it, and to try it on a copy.
        seed: of everything random.
        budget: seconds for all of it; what is not done by then is left out, and said. None: no end.
        progress: is called with (done, total) after every part.
        hints: states, input, arguments, returned: of `from_torch`, for a module of one's own.

    Raises:
        CellError: the module is no cell.
        ParameterError: an argument outside its domain, parameters or data that are not finite.

    >>> found = diagnose(torch.nn.RNN(16, 64), 20, particles=4096, advice=False)
    >>> found.healthy, found.layers[0].phase
    (False, 'ordered')
    """
    length = check_count("sequence_length", sequence_length)
    if not isinstance(module, torch.nn.Module):
        raise CellError(f"module must be a torch.nn.Module, got {module!r:.80}")
    _check_options(length, sequences, probes, particles, seed, burn_in, threshold, progress)
    check_numbers(module)
    seconds = math.inf if budget is None else _check_positive("budget", budget)
    with deadline(seconds), torch.inference_mode(False):
        module = plain(unwrapped(module))
        layers = single_layers(module, **hints)
        if layers is None:
            options: dict[str, Any] = {"threshold": threshold, "sequences": sequences}
            options |= {"probes": probes, "burn_in": burn_in, "particles": particles}
            options |= {"advice": advice, "seed": seed}

            def one(part: Part, x: Any, first: bool | None, share: float) -> Diagnosis:
                left = share if math.isfinite(share) else None
                own = {**options, "data": x, "batch_first": first, "budget": left}
                return diagnose(part.module, length, **own, **part.hints)

            return diagnose_model(module, length, data, threshold, one, progress)
        random = torch.Generator().manual_seed(seed)
        told = data is not None
        least, most = _PARTICLES
        units = particles or max(least, min(most, 2 * most // len(layers)))
        setting = _Setting(length, threshold, burn_in, probes, units, seed)
        first = getattr(module, "batch_first", False) if batch_first is None else batch_first
        x, source = _sequences(data, layers[0].traced, first, sequences, setting, random)
        count = _Count(progress, 2 * len(layers) + 1)
        found = []
        with evaluation(module), torch.no_grad():
            runs = [count(each) for each in _runs(layers, x, setting, random, not told)]
            with deadline(_THEORY * seconds_left()):
                for k, (layer, seen, run) in enumerate(runs):
                    estimate = told or layer.index > 0
                    with deadline(seconds_left() / (len(runs) - k)):
                        found.append(count(_examine(layer, seen, run, estimate, setting)))

        def measure(other: torch.nn.Module) -> list[float]:
            with evaluation(other), torch.no_grad():
                again = _runs(recurrent_layers(other, **hints), x, setting, random, not told)
                return [run.gradients.at(length)[0] for _, _, run in again]

        given = advise(found, module, measure, threshold, seed, hints) if advice else ()
        count(None)
    return Diagnosis(type(module).__name__, length, source, threshold, tuple(found), given)


def _check_options(
    length: int,
    sequences: Any,
    probes: Any,
    particles: Any,
    seed: Any,
    burn_in: Any,
    threshold: Any,
    progress: Any,
) -> None:
    """Refuse what is no number of the kind that it should be."""
    for name, value, least in (
        ("sequences", sequences, 1),
        ("probes", probes, 1),
        ("particles", particles, 1),
        ("seed", seed, 0),
        ("burn_in", burn_in, 0),
    ):
        if value is not None:
            check_count(name, value, least)
    if max(length, seed) > _LARGEST:
        raise ParameterError("sequence_length and seed must be below 2^63")
    if progress is not None and not callable(progress):
        raise ParameterError(f"progress must be called with (done, total), got {progress!r:.80}")
    _check_positive("threshold", threshold)


def _check_positive(name: str, value: Any) -> float:
    """A positive number, or a ParameterError that names it."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0.0 < value < math.inf:
        raise ParameterError(f"{name} must be a positive number, got {value!r}")
    return float(value)


class _Count:
    """Tells a progress how many parts are done; what it is called with it gives back."""

    def __init__(self, progress: Callable[[float, float], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, part: Any) -> Any:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
        return part


@dataclass(frozen=True)
class _Setting:
    """How a layer is looked at."""

    length: int
    threshold: float
    burn_in: int | None
    probes: int
    particles: int
    seed: int

    @property
    def followed(self) -> int:
        """Steps over which gradients are followed."""
        return min(self.length, _FOLLOWED)


def _sequences(
    data: Any,
    first: Traced,
    batch_first: bool,
    count: int | None,
    setting: _Setting,
    random: torch.Generator,
) -> tuple[Tensor, str]:
    """What the layers are run on, (steps, sequences, N_in), and what that is."""
    past, followed, width = setting.burn_in, setting.followed, first.input_width
    if count is None:
        least, most = _SEQUENCES
        count = max(least, min(most, _STATES // first.width) // least * least)
    if data is None:
        if past is None:
            past = min(max(_BURN_IN, _LENGTHS * setting.length), LONGEST_BURN_IN)
        x = white_sequences((past + followed, count, width), random)
        return x, "white noise of second moment R = 1 (no data were given)"
    past = LONGEST_BURN_IN if past is None else past
    x = given_sequences(data, width, batch_first, count, random)[: past + followed]
    return x, f"{x.shape[1]} of the given sequences, {x.shape[0]} steps each"


def _runs(
    layers: Sequence[Layer], x: Tensor, setting: _Setting, random: torch.Generator, white: bool
) -> Iterator[tuple[Layer, Tensor, Run]]:
    """Every layer, the sequences that it sees in its own direction, and what it did on them."""
    left, top = len(layers), layers[-1].index
    end = _RUNNING * seconds_left()
    for index in dict.fromkeys(layer.index for layer in layers):
        outputs = []
        for layer in (each for each in layers if each.index == index):
            seen = x.flip(0) if layer.reverse else x
            past, steps = setting.burn_in, x.shape[0]
            if past is not None and steps < past + setting.followed:
                past = min(past, steps // 4)
            # What the layers before did not use is for those that come.
            share = min(end, seconds_left()) / left
            run = run_layer(
                layer,
                seen,
                past,
                setting.probes,
                random,
                setting.followed,
                fresh=white and index == 0,
                whole=index < top,
                seconds=share,
            )
            left -= 1
            outputs.append(run.outputs.flip(0) if layer.reverse else run.outputs)
            yield layer, seen, run
        # A run that the budget ended is shorter than its neighbour.
        shortest = min(len(each) for each in outputs)
        x = torch.cat([each[:shortest] for each in outputs], dim=2)


def _examine(
    layer: Layer, x: Tensor, run: Run, estimate: bool, setting: _Setting
) -> LayerDiagnosis:
    """One layer and direction."""
    gates = gate_statistics(layer)
    ensemble = measured_ensemble(layer, gates)
    inputs = estimated_inputs(x) if estimate else Inputs()
    cell, length, burn_in = layer.traced.cell, setting.length, run.burn_in
    mixes = any(p.is_recurrent for p in cell.preactivations)
    most = min(setting.followed, _PREDICTED) if mixes else setting.followed
    own = (ensemble, inputs, most, burn_in, setting.seed)
    asked = (length, burn_in, setting.particles, setting.seed)
    independent = not any(gate.remarks for gate in gates)
    with deadline(_OWN * seconds_left()):
        predicted = through_own_matrices(layer, x, *own, independent=independent)
    ended = ["the prediction through its own matrices"] if predicted.cut else []
    if run.cut:
        ended.insert(0, f"the measurement, after {len(run.gradients.log10)} steps")
    answers: dict[str, TheoryAnswer] = {}
    for tying, share in (("tied", _TIED), ("untied", 1.0)):
        with deadline(share * seconds_left()):
            answers[tying] = ask_theory(cell, ensemble, inputs, tying, *asked)
        if answers[tying].cut:
            ended.append(f"some of infinite width ({tying})")
    found = LayerDiagnosis(
        layer=layer.name,
        cell=cell,
        width=layer.traced.width,
        input_width=layer.traced.input_width,
        gates=gates,
        ensemble=ensemble,
        inputs=inputs,
        length=length,
        tied=answers["tied"],
        untied=answers["untied"],
        predicted=predicted.gradients,
        measured=run.gradients,
        isometry=(*run.isometry, *predicted.isometry),
        threshold=setting.threshold,
        apart={f"{a} -> {b}": series for (a, b), series in run.apart.items()},
        burn_in=burn_in,
        drift=run.drift,
        dead=not bool(run.outputs.any()),
        ended=tuple(ended),
    )
    return replace(found, warnings=tuple(dict.fromkeys(remarks(found))))
