"""Files of claims: what is claimed of which cell, with widths, numbers of networks and seed.

    cell = "minimal"
    weights = "gaussian"
    steps = 30
    widths = [64, 128, 256]
    networks = [4000, 4000, 4000]
    seed = 1
    tyings = ["tied", "untied"]
    horizons = [1, 2, 5]
    lags = [1, 2, 5, 10]
    start = 0.0

    [ensemble.e]
    sigma_w = 4.0

    [inputs]
    R = 1.0

`start` may also be a table, of a number for each state; without it the states start at zero.
Numbers of networks are part of a claim: they are fixed in the file before anything is simulated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnmft.errors import ParameterError, ParseError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.laws import law_from_dict
from rnnmft.validation.experiment import Progress, validate
from rnnmft.validation.report import ValidationReport

__all__ = ["Request", "read_claims"]

_REQUIRED = ("cell", "widths", "networks", "seed")
_OPTIONS = (
    "steps",
    "tyings",
    "horizons",
    "lags",
    "false_alarm_rate",
    "control",
    "gap",
    "dtype",
    "sampling",
    "start",
)
_KEYS = (*_REQUIRED, *_OPTIONS, "weights", "ensemble", "parameters", "inputs")


@dataclass(frozen=True)
class Request:
    """One file of claims, ready to be tested."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self, *, device: str = "auto", command: str = "", progress: Progress | None = None
    ) -> ValidationReport:
        """Test the claims."""
        return validate(
            self.cell,
            self.ensemble,
            self.inputs,
            device=device,
            command=command,
            progress=progress,
            **self.options,
        )


def read_claims(path: Path, resolve: Callable[[str], Cell]) -> Request:
    """Read a file of claims.

    Args:
        path: a TOML file.
        resolve: gives the cell of a name.

    Raises:
        ParseError: the file is not TOML, or has a key that it must not or lacks one that it must.
        ParameterError: a value is outside its domain.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParseError(f"{path}: {error}") from None
    for key in data:
        if key not in _KEYS:
            raise ParseError(f"{path}: unknown key {key!r}; known are {', '.join(_KEYS)}")
    for key in _REQUIRED:
        if key not in data:
            raise ParseError(f"{path}: {key!r} is missing")
    for key in ("ensemble", "parameters", "inputs", "sampling"):
        if not isinstance(data.get(key, {}), dict):
            raise ParseError(f"{path}: {key!r} must be a table")
    if not isinstance(data["cell"], str):
        raise ParseError(f"{path}: 'cell' must be a name")
    cell = resolve(data["cell"])
    laws = {name: law_from_dict(law) for name, law in data.get("parameters", {}).items()}
    ensemble = cell.ensemble(
        data.get("weights", "gaussian"), laws or None, **data.get("ensemble", {})
    )
    try:
        inputs = Inputs(**data.get("inputs", {}))
    except TypeError as error:
        raise ParameterError(f"{path}: inputs: {error}") from None
    wanted = ("widths", "networks", "seed", *_OPTIONS)
    return Request(cell, ensemble, inputs, {key: data[key] for key in wanted if key in data})
