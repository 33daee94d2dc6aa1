"""What stands around a module and computes nothing of its own: it is taken off."""

from __future__ import annotations

from typing import Any

import torch

from rnnmft.errors import CellError, ParameterError
from rnnmft.tracing.refusal import scripted

__all__ = ["check_kinds", "check_numbers", "unwrapped"]

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
        check_kinds(module)
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


def check_kinds(module: torch.nn.Module) -> None:
    """Refuse what no cell can be read from, whatever it computes.

    Raises:
        CellError: the module holds itself; its parameters are complex, or have no entries.
        ParameterError: tensors are made without numbers (`torch.set_default_device("meta")`).
    """
    kind = type(module).__name__
    if torch.get_default_device().type == "meta":
        raise ParameterError(
            "tensors have no numbers while torch's default device is meta: set it back first, by "
            "torch.set_default_device('cpu')"
        )
    if _holds_itself(module, ()):
        raise CellError(f"{kind} is a part of itself: take the circle of sub-modules out first")
    for name, parameter in module.named_parameters():
        if parameter.is_complex():
            raise CellError(
                f"{name!r} of {kind} is complex, and the units of a cell are real: write the real "
                "and the imaginary part as two states, with parameters of their own"
            )
        if not torch.nn.parameter.is_lazy(parameter) and parameter.numel() == 0:
            raise CellError(
                f"{name!r} of {kind} has no entries, its shape being {tuple(parameter.shape)}: "
                "give the module with widths above 0"
            )


def _holds_itself(module: torch.nn.Module, above: tuple[torch.nn.Module, ...]) -> bool:
    """Whether a module is found again among its own parts."""
    if any(module is one for one in above):
        return True
    return any(_holds_itself(part, (*above, module)) for part in module.children())
