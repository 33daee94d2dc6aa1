"""Truncated backpropagation: models read a text in windows, the state goes on, gradients do not.

The text lies in B streams side by side, each read from its start to its end and then again. A run
that goes on from a checkpoint is the run that was never interrupted, to the bit on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnmft.errors import ParameterError
from rnnmft.experiments.corpus import Ids
from rnnmft.experiments.language_models import LanguageModels, bits, cross_entropy
from rnnmft.experiments.optimizer import Adam, clip
from rnnmft.experiments.store import load_arrays, save_arrays
from rnnmft.parameters import check_count

__all__ = ["ReadingCurves", "TextReading", "read_text"]

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class TextReading:
    """How models read.

    Attributes:
        iterations: steps of Adam, one a window.
        streams: B, side by side.
        window: T, the steps that gradients go back.
        clip: the largest norm of a network's gradient.
        every: steps between two looks at the second part of the text.
    """

    iterations: int
    streams: int = 32
    window: int = 32
    clip: float = 1.0
    every: int = 100

    def __post_init__(self) -> None:
        for name in ("iterations", "streams", "window", "every"):
            check_count(name, getattr(self, name))


@dataclass
class ReadingCurves:
    """What was seen while reading.

    Attributes:
        steps: of the looks at the second part.
        bits: a symbol of it, a row of (networks,) for each.
        diverged: the first step at which a network's gradient was not finite; 0 if it always was.
    """

    steps: list[int] = field(default_factory=list)
    bits: list[list[float]] = field(default_factory=list)
    diverged: list[int] = field(default_factory=list)


class _TextReader:
    """Everything that changes while models read, and its checkpoint."""

    def __init__(self, models: LanguageModels, rates: Sequence[float], streams: int) -> None:
        given = torch.tensor(rates, dtype=models.dtype, device=models.device)
        self.models, self.adam = models, Adam(models.parameters, given)
        self.states = models.start(streams)
        self.best = {n: p.detach().clone() for n, p in models.parameters.items()}
        self.least = torch.full((len(rates),), torch.inf, dtype=torch.float64)
        self.seen = ReadingCurves(diverged=[0] * len(rates))

    @torch.no_grad()
    def look(self, valid: Ids) -> None:
        """Note what the models have come to; keep those that are better than ever before."""
        now = bits(self.models, valid)
        self.seen.steps.append(self.adam.steps)
        self.seen.bits.append(now)
        better = torch.tensor(now, dtype=torch.float64) < self.least
        self.least[better] = torch.tensor(now, dtype=torch.float64)[better]
        for name, value in self.models.parameters.items():
            self.best[name][better] = value[better]

    def save(self, path: Path) -> None:
        """All of it."""
        arrays: dict[str, Tensor] = {"least": self.least}
        for name, value in self.models.parameters.items():
            first, second = self.adam.moments[name]
            parts = {"p": value.detach(), "m": first, "v": second, "best": self.best[name]}
            arrays |= {f"{k}/{name}": part for k, part in parts.items()}
        arrays |= {f"s/{k}": s for k, s in enumerate(self.states)}
        kept = {name: value.cpu().numpy() for name, value in arrays.items()}
        noted = {n: np.array(x) for n, x in vars(self.seen).items()}
        save_arrays(path, kept | {f"seen/{n}": x for n, x in noted.items()})

    def resume(self, path: Path) -> None:
        """All of it, as it was."""
        found = load_arrays(path)
        there = {n: torch.from_numpy(x).to(self.models.device) for n, x in found.items()}
        self.models.load({n: there[f"p/{n}"] for n in self.models.parameters})
        for name in self.models.parameters:
            self.adam.moments[name] = there[f"m/{name}"], there[f"v/{name}"]
            self.best[name] = there[f"best/{name}"]
        self.states = [there[f"s/{k}"] for k in range(len(self.states))]
        self.least = torch.from_numpy(found["least"])
        self.seen = ReadingCurves(**{n: found[f"seen/{n}"].tolist() for n in vars(self.seen)})
        self.adam.steps = self.seen.steps[-1]


def read_text(
    models: LanguageModels,
    train: Ids,
    valid: Ids,
    reading: TextReading,
    rates: Sequence[float],
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> ReadingCurves:
    """Train all models on the same text.

    Args:
        models: they end as they were when the second part was cheapest, each for itself.
        train: the first part.
        valid: the second part.
        reading: how.
        rates: of learning, one a network; they fall linearly to 0.
        checkpoint: a file that is written at every look, and gone on from if there.
        progress: called as progress(done, total), in steps.
    """
    now, following = _streams(train, reading, models.device)
    reader = _TextReader(models, rates, reading.streams)
    if checkpoint is not None and checkpoint.exists():
        reader.resume(checkpoint)
    windows = now.shape[1] // reading.window
    for step in range(reader.adam.steps, reading.iterations):
        at = step % windows
        if at == 0:
            reader.states = models.start(reading.streams)
        part = slice(at * reading.window, (at + 1) * reading.window)
        _learn(reader, now[:, part], following[:, part], reading)
        done = step + 1
        if done % reading.every == 0 or done == reading.iterations:
            reader.look(valid)
            if checkpoint is not None:
                reader.save(checkpoint)
        if progress is not None:
            progress(done, reading.iterations)
    models.load(reader.best)
    return reader.seen


def _streams(ids: Ids, reading: TextReading, device: torch.device) -> tuple[Tensor, Tensor]:
    """Symbols (B, L) and those that follow; what does not fill whole windows is left out."""
    unit = reading.streams * reading.window
    windows = (len(ids) - 1) // unit
    if windows == 0:
        raise ParameterError(
            f"a text of {len(ids)} symbols does not fill {reading.streams} streams of "
            f"{reading.window} steps"
        )
    whole = torch.from_numpy(ids[: windows * unit + 1]).to(device)
    return whole[:-1].reshape(reading.streams, -1), whole[1:].reshape(reading.streams, -1)


def _learn(reader: _TextReader, now: Tensor, following: Tensor, reading: TextReading) -> None:
    """One window, one step of Adam."""
    models, adam = reader.models, reader.adam
    logits, states = models.window(reader.states, now)
    for value in models.parameters.values():
        value.grad = None
    (cross_entropy(logits, following).sum() / now.numel()).backward()
    finite = clip(models.parameters, reading.clip).tolist()
    adam.step(1 - adam.steps / reading.iterations)
    reader.states = [s.detach() for s in states]
    first = zip(reader.seen.diverged, finite, strict=True)
    reader.seen.diverged = [d or (0 if fine else adam.steps) for d, fine in first]
