"""Language modelling: the minimalRNN against GRU and LSTM of as many parameters.

Every cell starts from each initialization, learns at each rate of one grid, and takes the rate that
is best on the second part of the text. Then fresh networks learn at that rate, and those alone
meet the third part.

Source: [chen2018].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft import cells
from rnnmft.experiments.corpus import LEVELS, Corpus
from rnnmft.experiments.language_models import (
    LanguageModels,
    bits,
    cell_parameters,
    matched_width,
    model_parameters,
)
from rnnmft.experiments.reading import ReadingCurves, TextReading, read_text
from rnnmft.experiments.store import kept, load, save
from rnnmft.initialization.critical import critical
from rnnmft.language import Cell, Ensemble, Inputs

__all__ = ["ModelComparison", "best_rate", "comparisons", "run_comparison"]

Progress = Callable[[float, float], None]
#: Rates are compared with networks of one seed, and the result is from networks of another.
_TUNED, _FINAL = 0, 1


@dataclass(frozen=True)
class ModelComparison:
    """Cells that model the same text.

    Attributes:
        level: "characters" or "words".
        most: words that are told apart.
        cells: their names in the zoo.
        parameters: of every model, embedding and readout included.
        rates: of learning, to choose from.
        seeds: networks of the result for each cell and start.
        particles: of the search for critical ensembles.
        reading: how they learn.
    """

    level: str
    most: int
    cells: tuple[str, ...]
    parameters: int
    rates: tuple[float, ...]
    seeds: int
    particles: int
    reading: TextReading


_CELLS = ("minimal", "gru", "lstm")
#: Half a decade apart, around what Adam is mostly used with.
_RATES = (3e-3, 1e-2, 3e-2, 1e-1)
#: By scale: cells, seeds, rates, particles; then for characters and for words the parameters, the
#: steps of Adam, and how many words are told apart. Smoke only shows that everything runs.
_SCALES: dict[str, tuple[tuple[str, ...], int, tuple[float, ...], int, tuple[Any, Any]]] = {
    "smoke": (("minimal",), 2, _RATES[1:2], 1 << 10, ((4_000, 12, 0), (6_000, 12, 100))),
    "small": (_CELLS, 3, _RATES, 1 << 16, ((40_000, 1_000, 0), (60_000, 300, 500))),
    "full": (_CELLS, 5, (1e-3, *_RATES), 1 << 16, ((10**6, 20_000, 0), (5 * 10**6, 5_000, 10_000))),
}


def comparisons(scale: str) -> list[ModelComparison]:
    """Characters and words at a scale: "smoke", "small" or "full"."""
    names, seeds, rates, particles, sizes = _SCALES[scale]
    found = []
    for level, (parameters, iterations, most) in zip(LEVELS, sizes, strict=True):
        reading = TextReading(iterations, every=max(1, iterations // 8))
        found.append(
            ModelComparison(level, most, names, parameters, rates, seeds, particles, reading)
        )
    return found


def run_comparison(
    asked: ModelComparison,
    text: Corpus,
    folder: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train all cells, one after the other; each is kept in the folder when it is done.

    Args:
        asked: what is compared.
        text: to model, at the same level.
        folder: of finished cells and checkpoints; what is there is not done again.
        device: where networks train.
        progress: called as progress(done, total), in steps of Adam.
    """
    total = 2.0 * asked.reading.iterations * len(asked.cells)
    models = []
    for k, name in enumerate(asked.cells):
        base = 2.0 * asked.reading.iterations * k

        def advance(done: float, base: float = base) -> None:
            if progress is not None:
                progress(base + done, total)

        models += _of_cell(asked, name, text, folder, device, advance)
    return {
        "level": asked.level,
        "text": text.source,
        "symbols": len(text.symbols),
        "sizes": [len(part) for part in (text.train, text.valid, text.test)],
        "unknown": text.unknown,
        "uniform": text.uniform,
        "unigram": text.unigram,
        "parameters": asked.parameters,
        "seeds": asked.seeds,
        "grid": list(asked.rates),
        "streams": asked.reading.streams,
        "window": asked.reading.window,
        "models": models,
    }


def starts(cell: Cell, particles: int, folder: Path) -> dict[str, Ensemble | None]:
    """Where models of a cell start, by name; None is PyTorch's default.

    The critical ensemble is what `critical` chooses by itself, with orthogonal weights.
    """
    path = folder / f"{cell.name}-critical.json"

    def found() -> dict[str, Any]:
        return critical(cell, Inputs(), "orthogonal", particles=particles).ensemble.to_dict()

    known = kept(path, found)
    return {"critical": _ensemble(cell, known), "PyTorch's default": None}


def _ensemble(cell: Cell, known: Mapping[str, Any]) -> Ensemble:
    weights = {p.name: known[p.name]["weights"] for p in cell.preactivations if p.is_recurrent}
    laws = {name: {k: v for k, v in law.items() if k != "weights"} for name, law in known.items()}
    return cell.ensemble(weights=weights, **laws)


@dataclass(frozen=True)
class _Networks:
    """Networks of one cell that learn the same text."""

    asked: ModelComparison
    cell: Cell
    text: Corpus
    starts: Mapping[str, Ensemble | None]
    checkpoints: Sequence[Path]
    device: str
    advance: Callable[[float], None]

    @property
    def width(self) -> int:
        """Units, for as many parameters as are asked for."""
        return matched_width(self.cell, len(self.text.symbols), self.asked.parameters)

    def taught(
        self, rates: Mapping[str, Sequence[float]], seed: int
    ) -> tuple[LanguageModels, ReadingCurves]:
        """A network for each rate of each start."""
        ensembles = [self.starts[start] for start, own in rates.items() for _ in own]
        symbols = len(self.text.symbols)
        models = LanguageModels(
            self.cell, ensembles, width=self.width, symbols=symbols, seed=seed, device=self.device
        )
        seen = read_text(
            models,
            self.text.train,
            self.text.valid,
            self.asked.reading,
            [rate for own in rates.values() for rate in own],
            checkpoint=self.checkpoints[seed],
            progress=lambda done, whole: self.advance(seed * whole + done),
        )
        return models, seen


def _of_cell(
    asked: ModelComparison,
    name: str,
    text: Corpus,
    folder: Path,
    device: str,
    advance: Callable[[float], None],
) -> list[dict[str, Any]]:
    """A result for each start of one cell."""
    stem = f"{asked.level}-{text.digest}-{name}"
    path = folder / f"{stem}.json"
    known = load(path)
    if known is not None:
        return known
    cell: Cell = getattr(cells, name)()
    by_name = starts(cell, asked.particles, folder)
    checkpoints = [folder / f"{stem}-{seed}.npz" for seed in (_TUNED, _FINAL)]
    networks = _Networks(asked, cell, text, by_name, checkpoints, device, advance)
    _, tried = networks.taught(dict.fromkeys(by_name, asked.rates), _TUNED)
    tuned = _by_start(tried.bits, by_name)
    chosen = {start: best_rate(asked.rates, own) for start, own in tuned.items()}
    models, seen = networks.taught({s: [rate] * asked.seeds for s, rate in chosen.items()}, _FINAL)
    tables = {
        "valid": _by_start(seen.bits, by_name),
        # As much of what was learnt: how much of the rest is not memory?
        "train": _by_start(bits(models, text.train[: len(text.test)]), by_name),
        "test": _by_start(bits(models, text.test), by_name),
        "diverged": _by_start(seen.diverged, by_name),
    }
    found = [
        {
            "cell": name,
            "start": start,
            "ensemble": None if ensemble is None else ensemble.to_dict(),
            "width": networks.width,
            "parameters": model_parameters(cell, networks.width, len(text.symbols)),
            "of_the_cell": cell_parameters(cell, networks.width),
            "rate": chosen[start],
            "tuned": _least(tuned[start]).tolist(),
            "steps": seen.steps,
            **{what: table[start].tolist() for what, table in tables.items()},
        }
        for start, ensemble in by_name.items()
    ]
    save(path, found)
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return found


def _by_start(table: Any, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Columns of networks, start by start."""
    names = list(names)
    parts = np.split(np.asarray(table), len(names), axis=-1)
    return dict(zip(names, parts, strict=True))


def best_rate(rates: tuple[float, ...], valid: NDArray[np.float64]) -> float:
    """The rate whose network was best on the second part at any look, (looks, rates).

    >>> best_rate((0.1, 0.2), np.array([[3.0, 5.0], [2.5, 2.0], [2.4, np.nan]]))
    0.2
    """
    return rates[int(np.argmin(_least(valid)))]


def _least(valid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least of every column; infinite where nothing is a number."""
    return np.where(np.isnan(valid), np.inf, valid).min(axis=0)
