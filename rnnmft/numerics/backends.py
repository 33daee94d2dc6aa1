"""The backends: NumPy and PyTorch, chosen by name, and how a user adds a function to their tables.

>>> get_backend("numpy").name
'numpy'
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from rnnmft.errors import ParameterError
from rnnmft.numerics.backend import Backend

__all__ = ["Backend", "get_backend", "numpy_backend", "register", "torch_backend"]

_DTYPES = ("float64", "float32")
# Points evaluated at once: small enough that NumPy's temporaries (64 KiB each) stay in a core's
# cache and are reused instead of mapped afresh. Twice as many are as fast, half are 10 % slower.
_CPU_CHUNK = 1 << 13
# A GPU wants much to do at once: 32 MiB a temporary, of which some dozens fit everywhere.
_CUDA_CHUNK = 1 << 22


@lru_cache(maxsize=8)
def numpy_backend(dtype: str = "float64") -> Backend:
    """NumPy on the CPU.

    Args:
        dtype: "float64" or "float32".

    Raises:
        ParameterError: another dtype.
    """
    import numpy as np

    from rnnmft.numerics.numpy_functions import NUMPY_FUNCTIONS

    return Backend(
        "numpy",
        np,
        MappingProxyType(NUMPY_FUNCTIONS),
        np.dtype(_check_dtype(dtype)),
        "cpu",
        _CPU_CHUNK,
        # What is not a number here becomes a status: `Results` and `Program` look at every value.
        lambda: np.errstate(all="ignore"),
    )


@lru_cache(maxsize=8)
def torch_backend(device: str = "cpu", dtype: str = "float64") -> Backend:
    """PyTorch on a device.

    Args:
        device: "cpu", "cuda", "cuda:0" ..., or "auto" (cuda where there is one).
        dtype: "float64" or "float32".

    Raises:
        ParameterError: another dtype, or a device that is not there.
    """
    import torch

    from rnnmft.numerics.devices import choose_device
    from rnnmft.numerics.torch_functions import TORCH_FUNCTIONS

    chosen = choose_device(device)
    return Backend(
        "torch",
        torch,
        MappingProxyType(TORCH_FUNCTIONS),
        getattr(torch, _check_dtype(dtype)),
        str(chosen),
        _CPU_CHUNK if chosen.type == "cpu" else _CUDA_CHUNK,
        contextlib.nullcontext,
    )


def get_backend(
    name: str | Backend = "numpy", device: str = "auto", dtype: str = "float64"
) -> Backend:
    """The backend of that name ("numpy", "torch"); a `Backend` is returned as it is.

    Args:
        name: "numpy" or "torch".
        device: "auto", "cpu" or "cuda"; NumPy has only "cpu".
        dtype: "float64" or "float32".

    Raises:
        ParameterError: an unknown name, device or dtype.
    """
    if isinstance(name, Backend):
        return name
    if name == "numpy":
        if device not in ("auto", "cpu"):
            raise ParameterError(f"device of the numpy backend must be 'cpu', got {device!r}")
        return numpy_backend(dtype)
    if name == "torch":
        return torch_backend(device, dtype)
    raise ParameterError(f"backend must be 'numpy' or 'torch', got {name!r}")


def register(
    function_class: type,
    *,
    numpy: Callable[..., Any] | None = None,
    torch: Callable[..., Any] | None = None,
) -> None:
    """Add the elementwise implementation of a SymPy function, for example of one's own activation.

    Args:
        function_class: a SymPy function class (`rnnmft.activations.define_activation` makes one).
        numpy: a function of NumPy arrays, or None to leave that table as it is.
        torch: a function of torch tensors, or None to leave that table as it is.

    >>> import numpy as np
    >>> from rnnmft.activations import Activation, define_activation
    >>> bump = define_activation("bump", -2 * Activation.x)
    >>> register(bump, numpy=lambda x: np.exp(-(x**2)))
    """
    if not isinstance(function_class, type):
        raise ParameterError(f"register needs a SymPy function class, got {function_class!r}")
    if numpy is not None:
        from rnnmft.numerics.numpy_functions import NUMPY_FUNCTIONS

        NUMPY_FUNCTIONS[function_class] = numpy
    if torch is not None:
        from rnnmft.numerics.torch_functions import TORCH_FUNCTIONS

        TORCH_FUNCTIONS[function_class] = torch


def _check_dtype(dtype: Any) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise ParameterError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    return name
