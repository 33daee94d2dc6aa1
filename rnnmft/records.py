"""Records: what a call returns. A value with its error, unit and status; JSON-safe dictionaries.

Every public number is a `Quantity`, or one of those that a `Measured` record has:

    found.quantity("second_moment", "h")      E[h^2] with error, kind of error, unit and status
    found.quantities()                        all of them, by "second_moment[h]"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar

from rnnmft.errors import ParameterError, Status, did_you_mean

__all__ = ["BOUND", "STANDARD_ERROR", "Measured", "Quantity", "Record", "json_safe"]

#: What an error is: a bound on |value - true|, or the standard deviation of value - true.
BOUND, STANDARD_ERROR = "bound", "standard error"


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


class Measured(Record):
    """A record of several numbers, each of which is a `Quantity` by its kind and name.

    A kind is an attribute: one number, one array, or a mapping of these by name. The class says
    its kinds' units; the instance, in `error_of` and `status_of`, each one's error and status.

    Attributes:
        kinds: {kind: unit}.
        status: of all the numbers together: OK, or the first that is not.
        statuses: {kind: status}, or {kind: {name: status}}, where kinds differ; a status is one
            `Status`, or an array of them, one an element.
        error_kind: "bound" or "standard error".
    """

    kinds: ClassVar[Mapping[str, str]] = {}

    def quantity(self, kind: str, name: str | None = None) -> Quantity:
        """One number, or one array of numbers, with its error, kind of error, unit and status.

        Args:
            kind: one of `kinds`.
            name: of the state or preactivation, where the kind has several.

        Raises:
            ParameterError: an unknown kind or name.
        """
        if kind not in self.kinds:
            near = did_you_mean(kind, self.kinds)
            known = ", ".join(self.kinds)
            raise ParameterError(f"unknown quantity {kind!r}{near}; there are {known}")
        value = getattr(self, kind)
        if isinstance(value, Mapping):
            if name not in value:
                known = ", ".join(map(str, value)) or "none"
                raise ParameterError(f"{kind} is asked for by name, got {name!r}; names: {known}")
            value = value[name]
        elif name is not None:
            raise ParameterError(f"{kind} is one number without a name, got {name!r}")
        label = kind if name is None else f"{kind}[{name}]"
        error, status = self.error_of(kind, name), self.status_of(kind, name)
        if value is None:  # what this method does not compute
            value, error, status = math.nan, math.nan, Status.NOT_COMPUTED
        return Quantity(label, value, error, status, self.kinds[kind], self.error_kind_of(kind))

    def quantities(self) -> dict[str, Quantity]:
        """Every number of the record: {"second_moment[h]": .., "slope": ..}."""
        found = {}
        for kind in self.kinds:
            value = getattr(self, kind)
            for name in value if isinstance(value, Mapping) else (None,):
                quantity = self.quantity(kind, name)
                found[quantity.name] = quantity
        return found

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a number, of its shape."""
        raise NotImplementedError

    def status_of(self, kind: str, name: str | None) -> Any:
        """The status of a number: one, or an array of its shape."""
        found = getattr(self, "statuses", {}).get(kind, self._status)
        return found[name] if isinstance(found, Mapping) else found

    def error_kind_of(self, kind: str) -> str:
        """What the error of a kind is."""
        return getattr(self, "error_kind", BOUND)

    @property
    def _status(self) -> Status:
        return getattr(self, "status", Status.OK)
