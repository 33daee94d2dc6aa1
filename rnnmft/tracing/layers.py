"""The recurrent layers of a PyTorch module, each a cell: nn.RNN, GRU, LSTM have several.

nn.LSTMCell and its like, and one's own cell modules, are a single layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Unpack

import torch

from rnnmft.errors import CellError
from rnnmft.tracing.hints import HintOptions
from rnnmft.tracing.projected import ProjectedLSTMCell
from rnnmft.tracing.traced import Traced, trace
from rnnmft.tracing.whole import check_whole

__all__ = ["Layer", "recurrent_layers"]

_CELLS: dict[type[Any], type[Any]] = {
    torch.nn.RNN: torch.nn.RNNCell,
    torch.nn.GRU: torch.nn.GRUCell,
    torch.nn.LSTM: torch.nn.LSTMCell,
    ProjectedLSTMCell: ProjectedLSTMCell,
}


@dataclass(frozen=True)
class Layer:
    """One layer and direction.

    Attributes:
        name: as reports call it: "layer 0", "layer 1, reverse"; the class of a module that is one
            cell.
        index: of the layer, from 0.
        reverse: whether it runs backwards in time.
        module: the cell's module, whose parameters are those of the whole module: writing into one
            writes into the other.
        traced: the cell, and where its parameters are in `module`.
    """

    name: str
    index: int
    reverse: bool
    module: torch.nn.Module
    traced: Traced

    def parameters(self) -> dict[str, tuple[Any, Any, Any]]:
        """{preactivation: (W, V, b)} as they are now: new tensors, without gradients."""
        return self.traced.parameters(self.module)


def recurrent_layers(module: torch.nn.Module, **hints: Unpack[HintOptions]) -> tuple[Layer, ...]:
    """The layers in the order in which data meet them; forward before reverse.

    Args:
        module: nn.RNN, nn.GRU or nn.LSTM with any number of layers and directions, or a module
            that `rnnmft.cells.from_torch` reads. Dropout between layers does not matter.
        hints: of `from_torch`, for a module of one's own.

    Raises:
        CellError: parametrised weights, a module that is no cell, or hints for one of PyTorch's
            layers, which needs none.

    >>> [layer.name for layer in recurrent_layers(torch.nn.GRU(3, 4, 2, bidirectional=True))]
    ['layer 0', 'layer 0, reverse', 'layer 1', 'layer 1, reverse']
    """
    if not isinstance(module, torch.nn.Module):
        raise CellError(f"module must be a torch.nn.Module, got {module!r}")
    if not isinstance(module, torch.nn.RNNBase):
        return (Layer(type(module).__name__, 0, False, module, _trace(module, hints)),)
    if any(value is not None for value in hints.values()):
        raise CellError(
            f"{type(module).__name__} is read as it is: {', '.join(hints)} are for modules of "
            "one's own"
        )
    found: list[Layer] = []
    for index in range(module.num_layers):
        for reverse in (False, True)[: 1 + module.bidirectional]:
            cell = _cell_of(module, f"_l{index}" + "_reverse" * reverse)
            name = f"layer {index}" + ", reverse" * reverse
            found.append(Layer(name, index, reverse, cell, _trace(cell, {})))
    check_whole(module, found)
    return tuple(found)


def _trace(module: torch.nn.Module, hints: HintOptions) -> Traced:
    """The module as a cell."""
    if type(module) not in _CELLS.values() or any(v is not None for v in hints.values()):
        return trace(module, **hints)
    sizes: Any = (module.input_size, module.hidden_size)
    return _trace_torch(type(module), *sizes, *_options(module))


@lru_cache(maxsize=64)
def _trace_torch(kind: type[Any], input_size: int, hidden_size: int, *options: Any) -> Traced:
    """One of PyTorch's cells; of its two biases, bias_ih is the one that is written to."""
    traced = trace(_cell(kind, input_size, hidden_size, *options))
    bindings = {
        name: replace(b, bias=tuple(sorted(b.bias, key=lambda s: s.parameter != "bias_ih")))
        for name, b in traced.bindings.items()
    }
    return replace(traced, bindings=MappingProxyType(bindings))


def _cell_of(module: torch.nn.RNNBase, suffix: str) -> Any:
    """A cell that shares the parameters of one layer and direction."""
    kind = next((cell for whole, cell in _CELLS.items() if isinstance(module, whole)), None)
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    names += ["weight_hr"] if module.proj_size else []
    weights = {n: getattr(module, n + suffix) for n in names}
    if kind is None or not all(isinstance(w, torch.nn.Parameter) for w in weights.values()):
        raise CellError(
            f"{type(module).__name__}: its weights are made of other parameters (a parametrisation "
            "such as weight_norm); remove it first"
        )
    kind = ProjectedLSTMCell if module.proj_size else kind
    sizes = weights["weight_ih"].shape[1], module.hidden_size
    cell = _cell(kind, *sizes, *_options(module))
    for name, weight in weights.items():
        setattr(cell, name, weight)
    return cell.train(module.training)


def _cell(kind: type[Any], input_size: int, hidden_size: int, bias: bool, *options: Any) -> Any:
    """One of PyTorch's cells, without memory for its parameters."""
    return kind(input_size, hidden_size, bias, *options, device="meta")


def _options(module: Any) -> tuple[Any, ...]:
    """What a cell takes beside its sizes: bias, and nonlinearity or the size of a projection."""
    options = (getattr(module, "nonlinearity", None), getattr(module, "proj_size", 0) or None)
    return bool(module.bias), *(o for o in options if o is not None)
