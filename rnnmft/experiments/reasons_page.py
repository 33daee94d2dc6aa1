"""How comparisons in which one thing differs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnmft.experiments.boundary import THRESHOLD
from rnnmft.experiments.comparison import times_as_soon
from rnnmft.experiments.outcome import number

__all__ = ["reason_sentences"]


def reason_sentences(part: Mapping[str, Any]) -> Iterator[str]:
    """Directions that survive and how soon each start is; or what more steps or units changed."""
    if "directions" in part:
        yield from _spread(part)
    if "tried" in part:
        yield from _again(part)


def _spread(part: Mapping[str, Any]) -> Iterator[str]:
    first, *others = part["to_80"]
    for name, (fraction, _) in part["directions"].items():
        yield (
            f"{name}: {number(fraction * part['width'])} of {part['width']} directions shrink by "
            f"1/e at most over {part['length']} steps, by the theory."
        )
    for name in others:
        ratio, low, high = times_as_soon(part["to_80"][name], part["to_80"][first])
        yield (
            f"{name}: {number(ratio)} times as soon as {first}, 95 % interval {number(low)} to "
            f"{number(high)}."
        )


def _again(part: Mapping[str, Any]) -> Iterator[str]:
    looks = [part["tried"]] + [part["steps"][-1]] * (part["steps"][-1] > part["tried"])
    for name, rows in part["accuracy"].items():
        table = np.array(rows)
        means = [f"{table[part['steps'].index(n)].mean():.2f} after {n} steps" for n in looks]
        learnt = int((table[-1] >= THRESHOLD).sum())
        yield (
            f"{name}: accuracy {', '.join(means)}; {learnt} of {table.shape[1]} networks are above "
            "one half then."
        )
