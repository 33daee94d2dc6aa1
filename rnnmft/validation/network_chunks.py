"""The networks of a validation in chunks: on many machines, and on from where it stopped.

A network's seed follows from its number, so that chunks give the networks that one run would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from rnnmft.analysis.map_dataset import definition
from rnnmft.campaigns.arrays import ArrayLayout, ArrayPart, decode, encode, encode_metadata
from rnnmft.campaigns.campaign import Task, run_campaign
from rnnmft.campaigns.store import Chunk, ChunkStore
from rnnmft.campaigns.versions import versions
from rnnmft.parameters import check_count
from rnnmft.simulation import Simulation
from rnnmft.simulation.experiment import run_batch
from rnnmft.simulation.jacobians import JacobianSample
from rnnmft.simulation.plan import SimulationPlan
from rnnmft.simulation.summary import BatchResult, gather
from rnnmft.validation.plan import Plan

__all__ = ["simulate_in_chunks"]

# Random numbers of a chunk: about two seconds of one core, of which handing out and writing it (30
# ms) is 2 %.
_NUMBERS = 5e8


@dataclass(frozen=True)
class _NetworkChunk:
    """Networks first .. end - 1 of one simulation.

    `size`: of its chunks, but the last; `work`: in thousandths of a usual chunk's.
    """

    group: str
    plan: SimulationPlan
    first: int
    end: int
    size: int
    work: int


def simulate_in_chunks(
    plan: Plan,
    store: str | Path | None,
    cluster: Any,
    chunk: int | None,
    progress: Callable[[float, float], object] | None,
) -> dict[str, list[Simulation]]:
    """Every width of every tying, from chunks.

    Args:
        plan: the validation.
        store: the folder of the chunks; a passing one when None.
        cluster: see `campaigns.executors.open_executor`.
        chunk: how many networks at most; when None, so many that handing out costs little.
        progress: called as progress(done, total).

    Raises:
        StoreError: of the folder.
    """
    parts = {f"{p.group}-{p.first // p.size}": p for p in _parts(plan, chunk)}
    tasks = {name: Task(_simulated, (part,), part.work) for name, part in parts.items()}
    groups = {part.group: part.plan for part in parts.values()}
    folder = TemporaryDirectory() if store is None else nullcontext(store)
    campaign = _campaign(plan, parts)
    with folder as path, ChunkStore.begin(path, campaign) as found:
        run_campaign(found, tasks, cluster, progress)
        layouts = {a["name"]: a for name in found.names for a in found.note(name)["arrays"]}
        found.finish(encode_metadata(map(ArrayLayout.from_dict, layouts.values()), {}))
        held = decode(found.content())
    whole = {
        name: gather(setting, [_read(held, name, setting)]) for name, setting in groups.items()
    }
    return {
        tying: [whole[f"{tying}-{width}"] for width in design.widths]
        for tying, design in plan.design.items()
    }


def _parts(plan: Plan, chunk: int | None) -> Iterator[_NetworkChunk]:
    for tying, design in plan.design.items():
        costs = plan.setting.costs(design.widths, tying)
        for width, networks, cost in zip(design.widths, design.networks, costs, strict=True):
            setting = plan.setting.plan(width, networks, tying)
            usual = max(1, int(_NUMBERS / cost))
            size = min(networks, usual if chunk is None else check_count("chunk", chunk))
            for first in range(0, networks, size):
                end = min(first + size, networks)
                work = max(1, round(1000.0 * (end - first) * cost / _NUMBERS))
                yield _NetworkChunk(f"{tying}-{width}", setting, first, end, size, work)


def _campaign(plan: Plan, parts: Mapping[str, _NetworkChunk]) -> dict[str, Any]:
    """What is computed, and by what: another campaign's chunks are not this one's."""
    setting = plan.setting
    return {
        "kind": "networks of a validation",
        "cell": definition(setting.cell),
        "ensemble": setting.ensemble.to_dict(),
        "inputs": setting.inputs.to_dict(),
        "start": dict(setting.start),
        "steps": setting.steps,
        "horizons": list(setting.horizons),
        "lags": list(setting.lags),
        "points": {str(horizon): repr(z) for horizon, z in setting.points.items()},
        "seed": setting.seed,
        "dtype": setting.dtype,
        "device": next((str(part.plan.device) for part in parts.values()), "cpu"),
        "networks": {
            tying: [list(design.widths), list(design.networks)]
            for tying, design in plan.design.items()
        },
        "chunks": list(parts),
        "versions": versions(),
    }


# --- a chunk -------------------------------------------------------------------------------------


def _simulated(part: _NetworkChunk) -> Chunk:
    """The networks' samples as arrays, whose first axis is the network."""
    batches = list(part.plan.batches(part.first, part.end))
    runs = [_arrays(run_batch(part.plan, batch)) for batch in batches]
    found = []
    for name in runs[0]:
        values = np.concatenate([run[name] for run in runs])
        rest = values.shape[1:]
        layout = ArrayLayout(
            f"{part.group}-{name}",
            ("network", *(f"{part.group}-{name}-{i}" for i in range(len(rest)))),
            str(values.dtype),
            (part.plan.networks, *rest),
            (part.size, *rest),
        )
        found.append(ArrayPart(layout, (part.first, *(0 for _ in rest)), values))
    return Chunk(encode(found), {"arrays": [one.layout.to_dict() for one in found]})


def _arrays(run: BatchResult) -> dict[str, np.ndarray]:
    found = {"moments": np.moveaxis(run.moments, 1, 0)}
    if run.autocovariance is not None:
        found["autocovariance"] = np.moveaxis(run.autocovariance, 1, 0)
    for horizon, sample in run.jacobians.items():
        kept = {name: v for name, v in vars(sample).items() if v is not None}
        found |= {f"{name}_{horizon}": v.cpu().numpy() for name, v in kept.items()}
    return found


def _read(held: Any, group: str, plan: SimulationPlan) -> BatchResult:
    """What `_arrays` took apart, of all networks of a simulation."""

    def array(name: str) -> np.ndarray | None:
        key = f"{group}-{name}"
        return np.asarray(held[key][...]) if key in held else None

    def tensor(name: str) -> Any:
        found = array(name)
        return None if found is None else torch.from_numpy(found)

    names, autocovariance = JacobianSample.__dataclass_fields__, array("autocovariance")
    return BatchResult(
        np.moveaxis(np.asarray(array("moments")), 0, 1),
        None if autocovariance is None else np.moveaxis(autocovariance, 0, 1),
        {T: JacobianSample(**{n: tensor(f"{n}_{T}") for n in names}) for T in plan.horizons},
    )
