"""A whole nn.RNN, GRU or LSTM beside its layers' cells: a forward of a subclass, a hook, a patch.

Its parameters tell the cells of its layers; whether its forward is what they do is seen by running
both over two steps of random numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from rnnmft.errors import CellError
from rnnmft.tracing.beside import agree
from rnnmft.tracing.examples import own_randomness
from rnnmft.tracing.exporting import evaluation

__all__ = ["check_whole"]

_STEPS, _BATCH = 2, 3


def check_whole(module: torch.nn.RNNBase, layers: Sequence[Any]) -> None:
    """Run the module beside its layers.

    Args:
        module: nn.RNN, nn.GRU, nn.LSTM or a subclass.
        layers: of `rnnmft.tracing.layers`, in the order in which data meet them.

    Raises:
        CellError: its forward cannot be called as that of its parent, gives something else, or has
            other gradients.
    """
    first = next(module.parameters())
    if first.is_meta:
        _check_untouched(module)
        return
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(_STEPS, _BATCH, module.input_size, generator=generator).to(first)
    name = type(module).__name__
    with evaluation(module), own_randomness(), torch.enable_grad(), _unwarned():
        x = [drawn.clone().requires_grad_() for _ in range(2)]
        try:
            given = x[0].transpose(0, 1) if module.batch_first else x[0]
            output = module(given)[0]
            theirs = output.transpose(0, 1) if module.batch_first else output
            ours = _run(layers, x[1])
            grads = [
                torch.autograd.grad(o.cos().sum(), i)[0] for o, i in ((ours, x[1]), (theirs, x[0]))
            ]
        except NotImplementedError:
            _check_untouched(module)  # the device lacks an operation of the whole layer
            return
        except Exception as error:
            raise CellError(
                f"{name} has a forward of its own that cannot be called as "
                f"{_parent(module)}'s: {type(error).__name__}; give the cell that it runs, as a "
                "module whose forward takes the input and the states of one step"
            ) from error
    for what, pair in (("output", (ours, theirs)), ("gradient of the input", tuple(grads))):
        a, b = (t.detach() for t in pair)
        place = agree(a, b)
        # PyTorch's own forward on numbers so large that rounding decides is still its own.
        if place is not None and not _is_untouched(module):
            raise CellError(
                f"{name} is not {_parent(module)} with its parameters (a forward of its own, or a "
                f"hook): on random numbers the module has {float(b[place]):.6g} and the cells of "
                f"its layers {float(a[place]):.6g} for one {what}; give the cell that it runs, as "
                "a module whose forward takes the input and the states of one step"
            )


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without torch's warnings, as of a projection that one of its libraries does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_untouched(module: torch.nn.RNNBase) -> bool:
    """Whether its forward is PyTorch's, without hooks."""
    parent = getattr(torch.nn, _parent(module).removeprefix("torch.nn."))
    hooks = (
        *module._forward_hooks,
        *module._forward_pre_hooks,
        *module._backward_hooks,
        *module._backward_pre_hooks,
    )
    return type(module).forward is parent.forward and "forward" not in vars(module) and not hooks


def _check_untouched(module: torch.nn.RNNBase) -> None:
    """Without numbers nothing can be run: then the forward must be PyTorch's."""
    if not _is_untouched(module):
        raise CellError(
            f"{type(module).__name__} has a forward of its own (or a hook), and cannot be run on "
            f"its device, {next(module.parameters()).device}, beside its cells: give it on the CPU"
        )


def _parent(module: Any) -> str:
    kinds = (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN)
    return next(f"torch.nn.{k.__name__}" for k in kinds if isinstance(module, k))


def _run(layers: Sequence[Any], x: Any) -> Any:
    """The output of the last layer, by the cells."""
    for index in range(layers[-1].index + 1):
        runs = []
        for layer in (one for one in layers if one.index == index):
            zeros = [x.new_zeros(x.shape[1], width) for width in layer.traced.widths]
            states, outputs = zeros, []
            for t in reversed(range(len(x))) if layer.reverse else range(len(x)):
                states = list(layer.traced.step(layer.module, x[t], states))
                outputs.append(states[layer.traced.states.index("h")])
            runs.append(torch.stack(outputs[::-1] if layer.reverse else outputs))
        x = torch.cat(runs, -1)
    return x
