"""A stand-in for a GPU: another device for torch, whose arithmetic the CPU does.

What is on it says so (`tensor.device`), is refused by NumPy, and does not mix: an operation on
tensors of both devices raises, as it does on a GPU (0-dimensional tensors, indices and copies
excepted), and so does drawing with the other device's generator. That shows whether code keeps to
the device it was given; it shows nothing of a GPU's speed, or of its arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from rnnmft.numerics import devices

__all__ = ["GPU", "IS_STAND_IN", "register", "stand_in"]

_KIND = "stand_in"
#: torch's own way to add a device written in Python; experimental, so not in every version.
_register = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
IS_STAND_IN = not torch.cuda.is_available() and _register is not None
#: The device that a test marked `cuda` is about.
GPU = _KIND if IS_STAND_IN else "cuda"

#: Operations that take tensors of both devices, as CUDA's do.
_MIXING = ("aten.index", "aten._to_copy", "aten.copy_")
_as_tensor, _tensor = torch.as_tensor, torch.tensor


class _Module:
    """What torch.cuda is for CUDA."""

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def is_available() -> bool:
        return True

    is_initialized = is_available

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        pass

    @staticmethod
    def mem_get_info(device: Any = None) -> tuple[int, int]:
        return 8 << 30, 8 << 30

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        # torch's checkpoints ask for it, whatever device they run on.
        return [torch.float16]

    @staticmethod
    def get_device_name(device: Any = None) -> str:
        return "a stand-in"


class _OnDevice(torch.Tensor):
    """A tensor on the device; `held` is where its numbers are."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> _OnDevice:
        found = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(_KIND, 0),
        )
        found.held = held
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"on the stand-in: {self.held!r}"

    def __getitem__(self, index: Any) -> torch.Tensor:
        return super().__getitem__(_as_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_as_index(index), value)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any) -> torch.Tensor:
        return torch.tensor(data, dtype=self.dtype, device=self.device)


class _Generator(torch.Generator):
    """A generator that knows which device it is for."""

    #: Of each, by its address: an operation is handed another object for the same generator.
    places: ClassVar[dict[int, torch.device]] = {}

    def __new__(cls, device: Any = "cpu") -> _Generator:
        found = super().__new__(cls, "cpu")
        cls.places[found._cdata] = torch.device(device)
        return found

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:
        return self.places[self._cdata]


class _Dispatch(TorchDispatchMode):
    """Every operation goes through `_run`, also those that make new tensors."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the CPU; its results are where a GPU's would be."""
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    here = any(isinstance(x, _OnDevice) for x in given)
    foreign = [x for x in given if not isinstance(x, _OnDevice) and x.dim()]
    if here and foreign and not str(func).startswith(_MIXING):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    if kwargs.get("device") is not None:
        here = torch.device(kwargs["device"]).type == _KIND
        kwargs = kwargs | {"device": "cpu"}
    generator = getattr(kwargs.get("generator"), "_cdata", None)
    place = _Generator.places.get(generator)
    if place is not None and here != (place.type == _KIND):
        raise RuntimeError(f"{func}: the generator is for {place}")
    of = {id(x.held): x for x in given if isinstance(x, _OnDevice)}
    args, kwargs = tree_map(lambda x: x.held if isinstance(x, _OnDevice) else x, (args, kwargs))

    def placed(x: Any) -> Any:
        if not here or not isinstance(x, torch.Tensor):
            return x
        return of[id(x)] if id(x) in of else _OnDevice(x)

    return tree_map(placed, func(*args, **kwargs))


def _as_index(index: Any) -> Any:
    """Lists as tensors: torch makes them on the device, past `_Dispatch`."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(_tensor(x) if isinstance(x, list) else x for x in parts)
    return parts if isinstance(index, tuple) else parts[0]


def _made(make: Any) -> Any:
    """torch.tensor and torch.as_tensor, which copy to a device past `_Dispatch`."""

    def moved(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
        found = make(data, **options)
        return found if device is None else found.to(device)

    return moved


def register() -> None:
    """Tell torch of the device: before anything is differentiated, autograd counts devices once."""
    if not hasattr(torch, _KIND):
        assert _register is not None
        _register(_KIND, backend_module=_Module())


@contextmanager
def stand_in() -> Iterator[None]:
    """The stand-in device, by the name of `GPU`."""
    register()
    patches = {"tensor": _made(_tensor), "as_tensor": _made(_as_tensor), "Generator": _Generator}
    with (
        mock.patch.multiple(torch, **patches),
        mock.patch.object(devices, "KINDS", (*devices.KINDS, _KIND)),
        _Dispatch(),
    ):
        yield
