"""Records: what a call returns. A value with its error, unit and status; JSON-safe dictionaries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from rnnmft.errors import Status

__all__ = ["Quantity", "Record", "json_safe"]


def json_safe(value: Any) -> Any:
    """The value as JSON can hold it: arrays as lists, complex as [re, im], nan and inf as text.

    >>> json_safe({"a": (1, 2.0), "b": float("inf"), "c": 1j})
    {'a': [1, 2.0], 'b': 'inf', 'c': [0.0, 1.0]}
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, complex):
        return [json_safe(value.real), json_safe(value.imag)]
    if isinstance(value, Mapping):
        return {str(k): json_safe(v) for k, v in value.items()}
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "tolist"):
        return json_safe(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_safe(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(v) for v in value]
    return str(value)


class Record:
    """Base of the frozen records: `to_dict()` gives every field, JSON-safe."""

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, as JSON can hold it."""
        return {f.name: json_safe(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Quantity(Record):
    """One number or one array of numbers, with its error estimate, status and unit.

    `float()` and `numpy.asarray()` give the value. `error` bounds |value - true| where the method
    is deterministic and is a standard error where it samples (`error_kind` says which).
    """

    name: str
    value: Any
    error: Any
    status: Any = Status.OK
    unit: str = "dimensionless"
    error_kind: str = "bound"

    def __float__(self) -> float:
        return float(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy as np

        return np.array(self.value, dtype=dtype)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        status = self.status.name if isinstance(self.status, Status) else "per element"
        return f"{self.name} = {self.value} +- {self.error} ({self.unit}; {status})"
