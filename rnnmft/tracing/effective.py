"""Parametrized weights (weight_norm, spectral_norm, one's own): the weights that take effect.

They are read from a copy in which each is a plain parameter, and written by PyTorch's own inverse
of the parametrization, where it has one that gives back what was written.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm

from rnnmft.errors import CellError, ParameterError

__all__ = ["plain", "write_back"]

#: What setting and computing may differ by, of the largest entry: rounding in single precision.
_ROUNDING = 1e-4


def plain(module: Any) -> Any:
    """The module itself, or where weights are parametrized a copy with the weights they make.

    What is no module is refused by whoever reads it.

    >>> linear = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> torch.equal(plain(linear).weight, linear.weight), plain(linear) is linear
    (True, False)
    """
    if not isinstance(module, torch.nn.Module):
        return module
    if not any(_parametrized(module)) and not any(_by_hooks(module)):
        return module
    for owner, name, _ in _by_hooks(module):
        # A result of the last call, made anew in the next: only leaves can be copied.
        setattr(owner, name, getattr(owner, name).detach())
    found = copy.deepcopy(module)
    _unparametrize(found)
    for owner, name, remove in list(_by_hooks(found)):
        remove(owner, name)
    return found


def _unparametrize(module: torch.nn.Module) -> None:
    """Plain parameters; the original shares the class that PyTorch made, which must stay whole."""
    values: dict[torch.nn.Module, dict[str, torch.Tensor]] = {}
    for _, owner, name in _parametrized(module):
        values.setdefault(owner, {})[name] = getattr(owner, name).detach().clone()
    for owner, made in values.items():
        owner.__class__ = type(owner).__bases__[0]
        del owner.parametrizations
        for name, value in made.items():
            setattr(owner, name, torch.nn.Parameter(value))


def write_back(drawn: torch.nn.Module, module: torch.nn.Module) -> None:
    """The numbers of a `plain` copy into the module that it is of; nothing where it is no copy.

    Raises:
        CellError: a parametrization by hooks, which has no way back.
        ParameterError: a parametrization that does not give back what is written.
    """
    if drawn is module:
        return
    for owner, name, _ in _by_hooks(module):
        raise CellError(
            f"{name!r} of {type(owner).__name__} is made by a hook (torch.nn.utils.weight_norm, "
            "spectral_norm or prune): take torch.nn.utils.parametrizations, or draw before it is "
            "added"
        )
    before = copy.deepcopy(module.state_dict())
    others = dict(drawn.named_modules())
    with torch.no_grad():
        for path, owner in module.named_modules():
            source = others.get(path)
            if source is None:
                continue
            for name, parameter in owner.named_parameters(recurse=False):
                parameter.copy_(getattr(source, name))
        for path, owner, name in list(_parametrized(module)):
            wanted = getattr(others[path], name).detach()
            setattr(owner, name, wanted)
            largest = float(wanted.abs().max())
            if float((getattr(owner, name) - wanted).abs().max()) > _ROUNDING * largest:
                module.load_state_dict(before)
                raise ParameterError(
                    f"{name!r} of {type(owner).__name__} is parametrized so that it does not "
                    "become what is written into it (spectral_norm, for one): draw before it is "
                    "added"
                )


def _parametrized(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module, str]]:
    """(path, owner, name) of every parametrized weight."""
    for path, owner in module.named_modules():
        made = getattr(owner, "parametrizations", None)
        if parametrize.is_parametrized(owner) and isinstance(made, torch.nn.ModuleDict):
            yield from ((path, owner, name) for name in list(made))


def _by_hooks(module: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, Callable[..., Any]]]:
    """Weights that hooks make: (owner, name, how the hook is taken off)."""
    kinds = {"WeightNorm": remove_weight_norm, "SpectralNorm": remove_spectral_norm}
    for owner in module.modules():
        for hook in owner._forward_pre_hooks.values():
            kind = type(hook).__name__
            name = getattr(hook, "name", None)
            if isinstance(hook, prune.BasePruningMethod):
                yield owner, hook._tensor_name, prune.remove
            elif name and kind in kinds and type(hook).__module__.startswith("torch.nn.utils."):
                yield owner, name, kinds[kind]
