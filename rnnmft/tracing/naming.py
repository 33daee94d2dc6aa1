"""What the preactivations and parameters of a traced cell are called: as the module calls them.

`self.W_f` and `self.U_f` make "f", `self.forget_x` and `self.forget_h` make "forget"; the parts of
a fused matrix have the names that the source gives them, `i, f = gates.chunk(2, 1)`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

import torch

from rnnmft import activations
from rnnmft.tracing.bindings import Slice
from rnnmft.tracing.projected import ProjectedLSTMCell

__all__ = ["Names", "gate_name", "plain_name"]

# Words that say what kind of thing a parameter is, not which one.
_ROLES = {"weight", "weights", "bias", "biases", "kernel", "matrix", "w", "u", "v", "b", "x", "h"}
_ROLES |= {"ih", "hh", "xh", "hx", "i2h", "h2h", "x2h", "linear", "lin", "fc", "proj", "dense"}
_ROLES |= {"input", "hidden", "recurrent", "state", "rec", "layer", "gate", "gates", "inp", "in"}
_ROLES |= {"from", "to", "map", "transform"}
_GATES = {torch.nn.LSTMCell: "ifgo", torch.nn.GRUCell: "rzn", torch.nn.RNNCell: "e"}
_GATES |= {ProjectedLSTMCell: "ifgo"}
# Arguments of Cell.ensemble, and functions that a cell's text knows.
_TAKEN = {"self", "weights", "parameters", "log", "sqrt", "abs", "sign", "cos", "pi"}
_TAKEN |= {*activations.__all__}


class Names:
    """Names that are used up; one that is taken gets a number."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = {*taken}

    def claim(self, wanted: str) -> str:
        """The wanted name as an identifier that nothing else has."""
        base = re.sub(r"\W", "_", wanted).strip("_") or "e"
        base = f"e_{base}" if base[0].isdigit() else base
        if keyword.iskeyword(base) or base in _TAKEN:
            base += "_"
        name, count = base, 2
        while name in self.taken:
            name, count = f"{base}_{count}", count + 1
        self.taken.add(name)
        return name


def plain_name(slices: Sequence[Slice], module: Any) -> str:
    """The name of an elementwise parameter: its own, with the number of its part."""
    first = slices[0]
    words = [w for w in first.parameter.split(".") if w not in ("weight", "bias")] or ["p"]
    part = _part(first, first.axes[0], module)
    return "_".join(words) + ("" if part is None else f"_{part}")


def gate_name(
    matrices: Sequence[Slice], vectors: Sequence[Slice], labels: Sequence[str], module: Any
) -> str:
    """The name of a preactivation from its parameters and what the source calls their parts."""
    for one in matrices:
        owner = module.get_submodule(one.parameter.rpartition(".")[0])
        for kind, letters in _GATES.items():
            if isinstance(owner, kind) and one.shape[0] == owner.hidden_size:
                return letters[one.ranges[0][0] // one.shape[0]]
        if isinstance(owner, ProjectedLSTMCell):
            return "p"
    part = next((p for s in matrices if (p := _part(s, s.axes[0], module)) is not None), None)
    if part is not None and labels:
        return _common([_words(label) for label in labels]) or labels[0]
    stems = [_words(s.parameter) for s in matrices] or [_words(s.parameter) for s in vectors]
    name = _common(stems) or _common([_words(s.parameter) for s in vectors])
    if part is not None:
        return f"{name or 'e'}_{part}"
    return name or (labels[0] if labels else "e")


def _part(block: Slice, axis: int, module: Any) -> int | None:
    """Which part of a fused parameter it is, or None for the whole."""
    size = _shape(module, block.parameter)[axis]
    start, stop = block.ranges[axis]
    before = [r[0] for a, r in enumerate(block.ranges) if a not in block.axes and r[0]]
    if (start, stop) == (0, size):
        taken_out = any(
            n > 1 for a, n in enumerate(_shape(module, block.parameter)) if a not in block.axes
        )
        return (before[0] if before else 0) if taken_out else None
    return start // (stop - start)


def _shape(module: Any, name: str) -> tuple[int, ...]:
    owner, _, last = name.rpartition(".")
    return tuple(getattr(module.get_submodule(owner), last).shape)


def _words(name: str) -> str:
    """A name without the words for its role: W_f, Wf, b_f, linear_f.weight -> f."""
    found = []
    for word in re.split(r"[._]", name):
        joined = re.fullmatch(r"[WUVR]([a-z]\w*)|b([a-z])", word)
        stem = (joined[1] or joined[2]) if joined else word
        if stem.lower() not in _ROLES:
            found.append(stem)
    return "_".join([w for w in found if not w.isdigit()] or found)


def _common(names: Sequence[str]) -> str:
    """What names have in common: the end of xf and hf, the beginning of forget1 and forget2."""
    given = [name for name in names if name]
    if len({*given}) < 2:
        return given[0] if given else ""
    start = _beginning(given)
    end = _beginning([name[::-1] for name in given])[::-1]
    best = max(end.lstrip("_0123456789"), start.rstrip("_0123456789"), key=len)
    return best.strip("_") or given[0]


def _beginning(names: Sequence[str]) -> str:
    shared = takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in shared)
