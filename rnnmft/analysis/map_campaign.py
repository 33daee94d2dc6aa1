"""A phase diagram as a campaign: chunk by chunk, on many machines, and on from where it stopped."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnmft.analysis.map_chunks import blocks, map_chunk, map_metadata, read_map
from rnnmft.analysis.map_dataset import definition
from rnnmft.analysis.map_table import PointFunction
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.analysis.phase_dataset import PhaseDataset
from rnnmft.campaigns.campaign import Task, run_campaign
from rnnmft.campaigns.store import ChunkStore
from rnnmft.campaigns.versions import versions
from rnnmft.parameters import check_count

__all__ = ["map_in_chunks"]

# Points of a chunk. A map that is solved at once takes .1 s and 50 us a point, so that handing out
# and writing a chunk (30 ms) is 4 % of it; one solved point by point takes .1 s to seconds a point.
_AT_ONCE, _ONE_BY_ONE = 1 << 14, 16


def map_in_chunks(
    phase_diagram: Callable[..., PhaseDataset],
    grid: ParameterGrid,
    quantities: Mapping[str, PointFunction | None],
    effort: Mapping[str, float],
    store: str | Path | None,
    cluster: Any,
    chunk: int | None,
    progress: Callable[[int, int], object] | None,
) -> PhaseDataset:
    """`phase_diagram` of a grid, block by block, each for itself.

    Args:
        phase_diagram: the function with everything given but `vary`.
        grid: the points.
        quantities: that are wanted, with functions of one's own.
        effort: what points that are sampled cost: their tolerance, the steps to settle within.
        store: the folder of the chunks; a passing one when None.
        cluster: see `campaigns.executors.open_executor`.
        chunk: how many points at most; when None, so many that handing out costs little.
        progress: called as progress(done, total), in points.

    Raises:
        StoreError: of the folder.
    """
    at_once = grid.field.recursion is not None and not any(quantities.values())
    usual = _AT_ONCE if at_once else _ONE_BY_ONE
    points = usual if chunk is None else check_count("chunk", chunk)
    parts = list(blocks(grid.names, grid.shape, points))
    tasks = {}
    for block in parts:
        cut = zip(grid.axes, block.slices, strict=True)
        vary = {axis: values[where].tolist() for (axis, values), where in cut}
        tasks[block.name] = Task(map_chunk, (phase_diagram, vary, block), block.size)
    campaign = _campaign(grid, quantities, effort) | {
        "chunk": parts[0].shape,
        "chunks": list(tasks),
    }
    axes = {name: values for name, (_, values) in zip(grid.names, grid.axes, strict=True)}
    folder = TemporaryDirectory() if store is None else nullcontext(store)
    with folder as path, ChunkStore.begin(path, campaign) as found:
        run_campaign(found, tasks, cluster, progress)
        found.finish(map_metadata(found, axes))
        return PhaseDataset(*read_map(found))


def _campaign(
    grid: ParameterGrid,
    quantities: Mapping[str, PointFunction | None],
    effort: Mapping[str, float],
) -> dict[str, Any]:
    """What is computed, and by what: another campaign's chunks are not this one's."""
    field = grid.field
    axes = zip(grid.names, grid.axes, strict=True)
    return {
        "kind": "phase diagram",
        "cell": definition(field.cell),
        "ensemble": field.ensemble.to_dict(),
        "inputs": field.inputs.to_dict(),
        "start": dict(field.start),
        "tying": field.tying,
        **{name: repr(value) for name, value in effort.items()},
        "device": str(field.sampling.device),
        # As text, which holds nan and inf, too.
        "vary": {name: [repr(v) for v in values.tolist()] for name, (_, values) in axes},
        "quantities": {name: _text_of(function) for name, function in quantities.items()},
        "versions": versions(),
    }


def _text_of(function: PointFunction | None) -> str:
    """A mark of a function's text, so far as it can be read."""
    if function is None:
        return ""
    try:
        return sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__qualname__)
