"""From words on the command line to a cell, an ensemble and inputs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnmft.cli.sequences import is_data, read_inputs
from rnnmft.errors import CellError, ParameterError, did_you_mean
from rnnmft.parameters import check_start

if TYPE_CHECKING:
    from rnnmft.language import Cell, Ensemble, Inputs
    from rnnmft.language.laws import Law

__all__ = [
    "Setting",
    "assigned",
    "axis_values",
    "numbers",
    "parameter_laws",
    "resolve_cell",
    "resolve_inputs",
    "resolve_setting",
    "start_given",
    "weight_kinds",
]


@dataclass(frozen=True)
class Setting:
    """A cell at one ensemble with one law of inputs, and of its states at t = 0."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    start: dict[str, float]


def resolve_cell(text: str) -> Cell:
    """The cell that a word names: one of the zoo, a .toml file, or package.module:name.

    Several with commas between them are a stack, from the first layer to the last.

    A name in a module is a Cell, a torch module, a class of torch modules (made with small sizes;
    only its structure is read), or a function without arguments that returns one of these.

    Raises:
        CellError: there is no such cell.
        ParseError: the file's text is none.
    """
    from rnnmft import cells

    if "," in text:
        return cells.stack([resolve_cell(layer.strip()) for layer in text.split(",")])
    if text.endswith(".toml"):
        return cells.load(text)
    if ":" in text:
        return _imported(text)
    if text not in cells.names():
        near = did_you_mean(text, cells.names())
        raise CellError(
            f"no cell named {text!r}{near}: give one of {', '.join(cells.names())}, a .toml file, "
            "or package.module:name"
        )
    return cells.get(text)


def imported(text: str) -> Any:
    """What package.module:name names, from where the user is or from what is installed.

    Raises:
        CellError: there is no such name.
    """
    module_name, _, name = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules beside the user, as `python -m` has it
    try:
        return getattr(import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise CellError(f"cannot import {text!r}: {error}") from None
    except (Exception, SystemExit) as error:  # whatever a user's file raises, a syntax error too
        name = type(error).__name__
        raise CellError(f"cannot import {text!r}: it raised {name}: {error}") from None


def _imported(text: str) -> Cell:
    found = imported(text)
    from rnnmft.cells import from_torch
    from rnnmft.language import Cell

    if inspect.isclass(found) and not issubclass(found, Cell):
        found = _small(found, text)
    elif not isinstance(found, Cell) and inspect.isfunction(found):
        found = _called(found, text)
    return found if isinstance(found, Cell) else from_torch(found)


def _called(function: Any, text: str) -> Any:
    """What a user's function makes."""
    try:
        return function()
    except (Exception, SystemExit) as error:  # whatever it raises
        raise CellError(f"{text!r} failed: {type(error).__name__}: {error}") from None


def _small(module_class: Any, text: str) -> Any:
    """An instance whose required arguments, its sizes, are small and different."""
    required = [
        p
        for p in inspect.signature(module_class).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    try:
        return module_class(*range(3, 3 + len(required)))
    except (Exception, SystemExit) as error:  # whatever a user's class raises
        raise CellError(
            f"{text!r} could not be made with sizes 3, 4, ..: {error}; name a function that "
            "returns the module instead"
        ) from None


def resolve_setting(
    cell_name: str,
    assignments: Sequence[str] = (),
    weights: Sequence[str] = (),
    laws: Sequence[str] = (),
    R: float = 1.0,
    correlation: float = 0.5,
    temporal: str = "white",
    start: Sequence[str] = (),
) -> Setting:
    """The setting that a command's options describe.

    Args:
        cell_name: see `resolve_cell`.
        assignments: "e.sigma_w=4".
        weights: "orthogonal", or "e=orthogonal" for one preactivation.
        laws: "u=uniform:0,1" for an elementwise random parameter.
        R: second moment of the input.
        correlation: of two inputs.
        temporal: "white", "constant", "1,0.5,0.25" for kappa(0), kappa(1), .., or data, which
            brings its own R and correlation (`read_inputs`).
        start: "0.5", or "c=0.5" for one state.

    Raises:
        CellError, ParseError, ParameterError: with one sentence that says what is wrong.
    """
    cell = resolve_cell(cell_name)
    from rnnmft import cells

    given = assigned(assignments, "--set")
    own: dict[str, Law] = {}
    for layer in cell_name.split(","):
        own |= cells.typical_laws(layer.strip()) if layer.strip() in cells.names() else {}
    own |= parameter_laws(laws)
    ensemble = cell.ensemble(weight_kinds(weights), own or None, **given)
    inputs, names = resolve_inputs(R, correlation, temporal), [s.name for s in cell.states]
    return Setting(cell, ensemble, inputs, check_start(start_given(start), names))


def assigned(texts: Sequence[str], option: str) -> dict[str, dict[str, float]]:
    """{preactivation: {parameter: value}} from words such as e.sigma_w=4.

    >>> assigned(["e.sigma_w=4"], "--set")
    {'e': {'sigma_w': 4.0}}
    """
    given: dict[str, dict[str, float]] = {}
    for text in texts:
        name, value = _split(text, option, "e.sigma_w=4")
        preactivation, dot, parameter = name.rpartition(".")
        if not dot or not preactivation:
            raise ParameterError(f"{option} needs preactivation.parameter=value, got {text!r}")
        given.setdefault(preactivation, {})[parameter] = _number(value, f"{option} {name}")
    return given


def resolve_inputs(R: float, correlation: float, temporal: str) -> Inputs:
    """The law of the inputs; temporal is white, constant, kappa(0), kappa(1), .., or data."""
    if is_data(temporal):
        return read_inputs(temporal)
    from rnnmft.language import Inputs

    kinds = temporal if temporal in ("white", "constant") else numbers(temporal, "--temporal")
    return Inputs(R=R, correlation=correlation, temporal=kinds)


def parameter_laws(texts: Sequence[str]) -> dict[str, Law]:
    """Laws of elementwise random parameters from words such as u=uniform:0,1."""
    return dict(_law(text) for text in texts)


def _split(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ParameterError(f"{option} needs name=value, for example {example}, got {text!r}")
    return name.strip(), value.strip()


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{option} must be a number, got {text!r}") from None


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    >>> numbers("1,0.5", "--temporal")
    (1.0, 0.5)
    """
    return tuple(_number(part, option) for part in text.split(","))


def weight_kinds(texts: Sequence[str]) -> str | dict[str, str]:
    """One kind of weights, or {preactivation: kind}, from words such as e=orthogonal."""
    whole = [t for t in texts if "=" not in t]
    if len(whole) > 1 or (whole and len(texts) > 1):
        raise ParameterError("--weights takes one kind, or name=kind once for each preactivation")
    if whole:
        return whole[0]
    return dict(_split(t, "--weights", "e=orthogonal") for t in texts) if texts else "gaussian"


def start_given(texts: Sequence[str]) -> float | dict[str, float]:
    """The states at t = 0, from words such as 0.5 or c=0.5.

    >>> start_given(["c=0.5"])
    {'c': 0.5}
    """
    whole = [t for t in texts if "=" not in t]
    if len(whole) > 1 or (whole and len(texts) > 1):
        raise ParameterError("--start takes one number, or state=number once for each state")
    if whole:
        return _number(whole[0], "--start")
    split = (_split(t, "--start", "c=0.5") for t in texts)
    return {name: _number(value, f"--start {name}") for name, value in split}


def _law(text: str) -> tuple[str, Law]:
    from rnnmft.language.laws import LAWS

    name, value = _split(text, "--law", "u=uniform:0,1")
    kind, _, arguments = value.partition(":")
    if kind not in LAWS:
        near = did_you_mean(kind, LAWS)
        raise ParameterError(
            f"--law {name}: unknown law {kind!r}{near}; there are {', '.join(LAWS)}"
        )
    try:
        return name, LAWS[kind](*(numbers(arguments, f"--law {name}") if arguments else ()))
    except TypeError:
        raise ParameterError(f"--law {name}: too many numbers for {kind!r}") from None


def axis_values(text: str) -> tuple[tuple[str, str] | str, list[float]]:
    """An axis of a sweep: "e.sigma_w=0.5:8:31" (from, to, how many) or "R=0.1,1,2".

    >>> axis_values("e.mu_b=0:1:3")
    (('e', 'mu_b'), [0.0, 0.5, 1.0])
    """
    name, value = _split(text, "--vary", "e.sigma_w=0.5:8:31")
    parts = value.split(":")
    if len(parts) not in (1, 3):
        raise ParameterError(f"--vary {name} must be FROM:TO:COUNT or values, got {value!r}")
    if len(parts) == 3:
        first, last = (_number(part, f"--vary {name}") for part in parts[:2])
        count = int(parts[2]) if parts[2].isdigit() else 0
        if not 2 <= count <= 10_000:
            raise ParameterError(f"--vary {name}: a range needs 2 to 10000 values, got {parts[2]}")
        values = [first + (last - first) * i / (count - 1) for i in range(count)]
    else:
        values = list(numbers(value, f"--vary {name}"))
    preactivation, dot, parameter = name.rpartition(".")
    return (preactivation, parameter) if dot else name, values
