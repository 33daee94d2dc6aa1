"""Devices: which one computes, and how much memory it has."""

from __future__ import annotations

from typing import Any

import torch

from rnnmft.errors import ParameterError

__all__ = ["choose_device", "device_name", "free_memory"]

#: Kinds that compute in double precision, and on which rnnmft is tested.
KINDS = ("cpu", "cuda")


def choose_device(device: Any = "auto") -> torch.device:
    """The torch device; "auto" is CUDA where there is one.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", .. or a `torch.device`.

    Raises:
        ParameterError: another kind, or a device that is not there.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise ParameterError(f"device must be 'auto' or a torch device, got {device!r}") from None
    if chosen.type not in KINDS:
        raise ParameterError(f"device must be 'auto', 'cpu' or 'cuda', got {device!r}")
    if chosen.type != "cpu" and (chosen.index or 0) >= _module(chosen).device_count():
        raise ParameterError(f"device {device!r} is not there: torch sees no such device")
    return chosen


def free_memory(device: Any = "auto") -> int | None:
    """Bytes that are free on a GPU; None for the CPU."""
    chosen = choose_device(device)
    return None if chosen.type == "cpu" else int(_module(chosen).mem_get_info(chosen)[0])


def device_name(device: Any) -> str:
    """The device as written, and which GPU it is."""
    chosen = choose_device(device)
    if chosen.type == "cpu":
        return str(device)
    return f"{device} ({_module(chosen).get_device_name(chosen)})"


def _module(device: torch.device) -> Any:
    """What torch has for a kind of device: torch.cuda."""
    return torch.get_device_module(device)
