"""How recall reads: which starts learn, how often, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnmft.experiments.comparison import compare
from rnnmft.experiments.outcome import number, reached

__all__ = ["recall_sentences"]


def recall_sentences(part: Mapping[str, Any]) -> Iterator[str]:
    """Every start with its interval, and against the reference."""
    for name, row in compare(part["to_80"], part["reference"]).items():
        when = f", {reached(part['to_80'][name])}; median {number(row.median)}"
        against = ""
        if name != part["reference"]:
            against = (
                f"; as often as {part['reference']}: p = {number(row.p_count)}, "
                f"as fast: p = {number(row.p_steps)}"
            )
        yield (
            f"{name}: {row.count} of {row.seeds} networks reach .8 (95 % interval of the "
            f"share {' to '.join(map(number, row.share))}){when if row.count else ''}{against}."
        )
