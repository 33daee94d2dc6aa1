"""All parts of an experiment, one after the other or side by side; each keeps its own results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

from rnnmft.campaigns.executors import open_executor
from rnnmft.campaigns.one_thread import one_thread
from rnnmft.errors import ParameterError
from rnnmft.experiments import drift, dynamics, reasons, recall, signal, trainability
from rnnmft.experiments.corpus import corpus, pydoc_text, text_from
from rnnmft.experiments.digits import digits_from, sklearn_digits
from rnnmft.experiments.language import comparisons, run_comparison
from rnnmft.experiments.starts import run_starts
from rnnmft.experiments.sweep import sweeps

__all__ = ["run_parts"]

_Part = partial[dict[str, Any]]
_Run = Callable[..., dict[str, Any]]
#: Pixels along an edge: every feature of a step for maps, four a step of 196 for races.
_MAP_SIDE, _RACE_SIDE = 8, 28


def run_parts(
    experiment: str,
    scale: str,
    folder: Path,
    *,
    data: Path | None = None,
    cells: Sequence[str] | None = None,
    device: str = "cpu",
    cluster: Any = None,
    progress: Callable[[float, float], object] | None = None,
) -> list[dict[str, Any]]:
    """The results of every part: a cell, a task, a text.

    Args:
        experiment: signal, trainability, dynamics, recall, drift, language or reasons.
        scale: "smoke", "small" or "full".
        folder: of results and checkpoints, which every worker must see; what is there is not done
            again.
        data: digits or a text of the user's; see `digits_from` and `text_from`.
        cells: only these; all if None.
        device: where networks train.
        cluster: where parts run side by side, see `rnnmft.campaigns.executors.open_executor`; here
            if None.
        progress: called as progress(done, total): in steps of each part here, in parts elsewhere.

    Raises:
        ParameterError: a cluster that is none, data that are none, or a cell that has no part.
    """
    parts = _of_cells(_parts(experiment, scale, folder, data, device), cells)
    with open_executor(cluster, len(parts)) as executor:
        if executor is None:
            return [part(progress=progress) for part in parts]
        futures = [executor.submit(_alone, part) for part in parts]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(done, len(parts))
        return [future.result() for future in futures]


def _alone(part: _Part) -> dict[str, Any]:
    """A part on one thread: workers are what runs in parallel."""
    with one_thread():
        return part()


def _parts(
    experiment: str, scale: str, folder: Path, data: Path | None, device: str
) -> list[_Part]:
    if experiment == "signal":
        asked = signal.propagations(scale)
        return [partial(signal.run_propagation, p, folder, device=device) for p in asked]
    if experiment == "recall":
        asked = [(r, recall.symbols(r.width, r.course.seed)) for r in recall.recalls(scale)]
        return [partial(run_starts, r, s, folder, device=device) for r, s in asked]
    if experiment == "drift":
        asked = drift.drifts(scale)
        return [partial(drift.run_drift, d, folder, device=device) for d in asked]
    if experiment == "language":
        text, asked = pydoc_text() if data is None else text_from(data), comparisons(scale)
        symbols = [corpus(text, a.level, a.most) for a in asked]
        pairs = zip(asked, symbols, strict=True)
        return [partial(run_comparison, a, s, folder, device=device) for a, s in pairs]
    found: list[_Part] = []
    for run, asked, side in _with_digits(experiment, scale):
        digits = sklearn_digits(side) if data is None else digits_from(data, side)
        found += [partial(run, one, digits, folder, device=device) for one in asked]
    return found


def _of_cells(parts: list[_Part], cells: Sequence[str] | None) -> list[_Part]:
    """What is asked of these cells; a comparison of cells with each other is of none."""
    if not cells:
        return parts
    of = [getattr(part.args[0], "cell", None) for part in parts]
    unknown = sorted(set(cells) - set(of))
    if unknown:
        known = ", ".join(sorted({cell for cell in of if cell})) or "none"
        raise ParameterError(f"there is no part for {', '.join(unknown)}; cells here: {known}")
    return [part for part, cell in zip(parts, of, strict=True) if cell in cells]


def _with_digits(experiment: str, scale: str) -> list[tuple[_Run, Sequence[Any], int]]:
    """What runs, what is asked of it, and the pixels along an edge of its digits."""
    of_races = _MAP_SIDE if scale == "smoke" else _RACE_SIDE
    if experiment == "trainability":
        return [(trainability.trainability, sweeps(scale), _MAP_SIDE)]
    if experiment == "dynamics":
        return [(run_starts, dynamics.races(scale), of_races)]
    return [
        (run_starts, reasons.spreads(scale), of_races),
        (run_starts, reasons.again(scale), _MAP_SIDE),
        (reasons.run_collective, reasons.collective(scale), _MAP_SIDE),
    ]
