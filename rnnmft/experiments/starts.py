"""Networks from all starts, side by side: ensembles first, then what people use, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping

from rnnmft.experiments.baselines import Baseline
from rnnmft.experiments.tasks import generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.language import Cell, Ensemble

__all__ = ["drawn_from"]

#: What a generator is for.
_START = 11


def drawn_from(
    cell: Cell,
    ensembles: Mapping[str, Ensemble],
    baselines: Mapping[str, Baseline],
    *,
    seeds: int,
    seed: int,
    length: int,
    width: int,
    features: int,
    classes: int,
    device: str = "cpu",
) -> Trainees:
    """`seeds` networks of each start; those of an ensemble are the same whatever follows them.

    Args:
        cell: of all.
        ensembles: by the start's name.
        baselines: of `rnnmft.experiments.baselines`, by the start's name.
        seeds: networks a start.
        seed: of all draws.
        length: T, which chrono biases are made for.
        width: N.
        features: of an input.
        classes: of an output.
        device: where they train.
    """
    laws = [*ensembles.values(), *[cell.ensemble()] * len(baselines)]
    trainees = Trainees(
        cell,
        [law for law in laws for _ in range(seeds)],
        width=width,
        features=features,
        classes=classes,
        seed=seed,
        device=device,
    )
    for k, overwrite in enumerate(baselines.values(), start=len(ensembles)):
        for network in range(seeds):
            own = generator(seed, k, network, _START)
            overwrite(trainees, k * seeds + network, length, own)
    return trainees
