"""A whole model: each of its recurrent parts is diagnosed on what it gets when the model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from rnnmft.deadline import seconds_left
from rnnmft.diagnosis.diagnosis import Diagnosis
from rnnmft.parts.find import Part, recurrent_parts

__all__ = ["diagnose_model"]

#: Fewer steps than this say nothing about an input: white noise takes their place.
_FEWEST_STEPS = 4
_SHORT = "it gets fewer than 4 steps or no real numbers, and is run on white noise of R = 1"

#: diagnose(part, data, batch_first, seconds).
One = Callable[[Part, Any, bool | None, float], Diagnosis]


def diagnose_model(
    model: torch.nn.Module,
    length: int,
    example: Any,
    threshold: float,
    one: One,
    progress: Callable[[float, float], None] | None = None,
) -> Diagnosis:
    """One diagnosis of all parts, whose layers are called by the parts' paths.

    Args:
        model: a module that is no cell by itself.
        length: T.
        example: what the model is called with, or None: then parts are run on white noise.
        threshold: of health.
        one: diagnoses a part.
        progress: is called with (done, total) after every part.

    Raises:
        CellError: the model has no part that can be read.
        ParameterError: it cannot be called with the example.
    """
    found = recurrent_parts(model, example)
    layers, advice = [], []
    for k, part in enumerate(found.parts):
        data, remarks = _data(part, example is not None)
        seconds = seconds_left() / (len(found.parts) - k)
        seen = one(part, data, None if data is None else False, seconds)
        names = dict(zip((each.layer for each in seen.layers), _names(part, seen), strict=True))
        for layer in seen.layers:
            warnings = (*remarks, *layer.warnings)
            layers.append(replace(layer, layer=names[layer.layer], warnings=warnings))
        for each in seen.advice:
            # Its place among the advice on the whole model, and the part that it is about.
            here = f"advice[{len(advice)}].initialization.apply_(model.{part.path})"
            sentence = each.sentence.replace("advice[0].initialization.apply_(module)", here)
            sentence = sentence.replace("Draw the module", f"Draw model.{part.path}", 1)
            renamed = tuple(names.get(name, name) for name in each.layers)
            advice.append(replace(each, layers=renamed, sentence=sentence))
        if progress is not None:
            progress(k + 1, len(found.parts))
    source = (
        "white noise of second moment R = 1 in every part (no example was given)"
        if example is None
        else "what each part gets when the model runs on the example"
    )
    name = type(model).__name__
    return Diagnosis(
        name, length, source, threshold, tuple(layers), tuple(advice), unread=found.unread
    )


def _data(part: Part, ran: bool) -> tuple[Any, tuple[str, ...]]:
    """What a part is run on, and what is uncertain about it."""
    x = part.sequences
    if x is not None and len(x) >= _FEWEST_STEPS:
        return x, part.remarks
    return None, (*part.remarks, *((_SHORT,) if ran else ()))


def _names(part: Part, seen: Diagnosis) -> Iterator[str]:
    """The path, and the layer where there are several."""
    for layer in seen.layers:
        yield part.path if len(seen.layers) == 1 else f"{part.path}, {layer.layer}"
