"""What stands around a module and computes nothing of its own: it is taken off."""

from __future__ import annotations

from typing import Any

import torch

from rnnmft.errors import ParameterError
from rnnmft.tracing.refusal import scripted

__all__ = ["check_numbers", "unwrapped"]

#: The attribute that holds what a wrapper runs, by the wrapper's class name: DataParallel and its
#: like, models averaged over training, what torch.compile returns.
_INSIDE = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}


def unwrapped(module: Any) -> Any:
    """The module inside of its wrappers; itself where there are none.

    Raises:
        CellError: a scripted module, whose Python is gone.

    >>> unwrapped(torch.optim.swa_utils.AveragedModel(torch.nn.RNN(2, 3)))
    RNN(2, 3)
    """
    while True:
        if isinstance(module, torch.jit.ScriptModule):
            raise scripted(getattr(module, "original_name", type(module).__name__))
        inside = next(
            (_INSIDE[c.__name__] for c in type(module).__mro__ if c.__name__ in _INSIDE), ""
        )
        if not inside or not isinstance(getattr(module, inside, None), torch.nn.Module):
            return module
        module = getattr(module, inside)


def check_numbers(module: Any) -> None:
    """Refuse a module whose parameters are shapes without numbers.

    Raises:
        ParameterError: it is on the meta device, or lazy and has not run yet, or was made in
            `torch.inference_mode`.
    """
    if isinstance(module, torch.nn.Module):
        for name, parameter in module.named_parameters():
            if parameter.is_meta or isinstance(parameter, torch.nn.UninitializedParameter):
                raise ParameterError(
                    f"{name!r} of {type(module).__name__} has no numbers (a meta device, or a lazy "
                    "module that has not run yet): give the module after they were made"
                )
            if parameter.is_inference():
                raise ParameterError(
                    f"{name!r} of {type(module).__name__} was made in torch.inference_mode, and "
                    "such numbers have no gradients: make the module outside of it"
                )
