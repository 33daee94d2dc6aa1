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
    kinds = ["moments", "variances", "memory", "gradients"]
    start = 0.0

    [ensemble.e]
    sigma_w = 4.0

    [inputs]
    R = 1.0

Instead of a law `[inputs]` may name data, as `data = "digits:rows"`, and a cell may be a stack,
"lstm,gru". `start` may also be a table, of a number for each state; without it the states start at
zero. Numbers of networks are part of a claim: they are fixed in the file before anything is
simulated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnmft.content import Content
from rnnmft.errors import ParameterError, ParseError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.laws import law_from_dict
from rnnmft.validation.experiment import Progress, validate
from rnnmft.validation.report import ValidationReport

__all__ = ["Claims", "ensemble_from", "inputs_from", "is_setting", "read_claims", "read_setting"]

# How each option is read; `validate` knows its domain.
_READ: Mapping[str, Callable[[Content, str], Any]] = {
    "widths": Content.wholes,
    "networks": lambda content, name: _networks(content, name),
    "seed": lambda content, name: content.whole(name, 0),
    "steps": lambda content, name: content.whole(name, 1),
    "tyings": Content.texts,
    "horizons": Content.wholes,
    "lags": Content.wholes,
    "kinds": Content.texts,
    "false_alarm_rate": Content.number,
    "control": Content.number,
    "gap": Content.truth,
    "dtype": Content.text,
    "sampling": lambda content, name: _wholes(content.table(name)),
    "start": lambda content, name: _start(content, name),
}
_REQUIRED = ("cell", "widths", "networks", "seed")
_KEYS = ("cell", *_READ, "weights", "ensemble", "parameters", "inputs")


@dataclass(frozen=True)
class Claims:
    """One file of claims, ready to be tested."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        *,
        device: str = "auto",
        command: str = "",
        progress: Progress | None = None,
        store: str | Path | None = None,
        cluster: Any = None,
        chunk: int | None = None,
    ) -> ValidationReport:
        """Test the claims. See `validate`."""
        return validate(
            self.cell,
            self.ensemble,
            self.inputs,
            device=device,
            command=command,
            progress=progress,
            store=store,
            cluster=cluster,
            chunk=chunk,
            **self.options,
        )


def read_claims(
    path: Path,
    resolve: Callable[[str], Cell],
    read_inputs: Callable[[str], Inputs] | None = None,
) -> Claims:
    """Read a file of claims.

    Args:
        path: a TOML file.
        resolve: gives the cell of a name.
        read_inputs: gives the inputs of data by its name; without it no file may name data.

    Raises:
        ParseError: the file is not TOML, has a key that it must not or lacks one that it must, or a
            value of another kind than its key's.
        ParameterError: a value is outside its domain.
    """
    return _read(path, resolve, _REQUIRED, read_inputs)


def read_setting(path: Path, resolve: Callable[[str], Cell]) -> Claims:
    """Read a setting: a cell, its ensemble, inputs and start; a file of claims is one, too.

    Args:
        path: a TOML file with at least `cell = ".."`.
        resolve: gives the cell of a name.

    Raises:
        ParseError, ParameterError: as for `read_claims`.
    """
    return _read(path, resolve, ("cell",))


def is_setting(path: Path) -> bool:
    """Whether a TOML file names a cell, instead of being one; False where it is no TOML."""
    try:
        return "cell" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False


def _read(
    path: Path,
    resolve: Callable[[str], Cell],
    required: tuple[str, ...],
    read_inputs: Callable[[str], Inputs] | None = None,
) -> Claims:
    try:
        content = Content(tomllib.loads(path.read_text(encoding="utf-8"))).only(_KEYS)
        for key in required:
            content.value(key)
        cell = resolve(content.text("cell"))
        options = {name: read(content, name) for name, read in _READ.items() if name in content}
        return Claims(
            cell, ensemble_from(content, cell), inputs_from(content, read_inputs), options
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(error), source=str(path)) from None
    except ParseError as error:
        raise ParseError(error.reason, error.line, error.column, str(path)) from None
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None


def ensemble_from(content: Content, cell: Cell) -> Ensemble:
    """The ensemble of a setting: its `weights`, `[parameters]` and `[ensemble]`."""
    weights = _by_name(content, "weights", Content.text) if "weights" in content else "gaussian"
    laws = content.table("parameters").tables() if "parameters" in content else ()
    rows = content.table("ensemble").tables() if "ensemble" in content else ()
    given = {name: {key: row.number(key) for key in row} for name, row in rows}
    return cell.ensemble(
        weights, {n: law_from_dict(law.values) for n, law in laws} or None, **given
    )


def inputs_from(content: Content, read_inputs: Callable[[str], Inputs] | None = None) -> Inputs:
    """The inputs of a setting, its `[inputs]`."""
    if "inputs" not in content:
        return Inputs()
    if read_inputs is not None and "data" in content.table("inputs"):
        return read_inputs(content.table("inputs").only(("data",)).text("data"))
    table = content.table("inputs").only(("R", "correlation", "temporal"))
    given: dict[str, Any] = {k: table.number(k) for k in table if k != "temporal"}
    if "temporal" in table:
        named = isinstance(table.value("temporal"), str)
        given["temporal"] = table.text("temporal") if named else tuple(table.numbers("temporal"))
    return Inputs(**given)


def _networks(content: Content, name: str) -> int | list[int]:
    """How many of each width, or of all."""
    one = isinstance(content.value(name), int)
    return content.whole(name, 2) if one else content.wholes(name)


def _start(content: Content, name: str) -> float | dict[str, float]:
    return _by_name(content, name, Content.number)


def _by_name(content: Content, name: str, read: Callable[[Content, str], Any]) -> Any:
    """One value, or a table of them by name."""
    if not isinstance(content.value(name), Mapping):
        return read(content, name)
    table = content.table(name)
    return {key: read(table, key) for key in table}


def _wholes(content: Content) -> dict[str, int]:
    return {name: content.whole(name, 0) for name in content}
