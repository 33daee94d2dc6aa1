"""Why a tensor operation is no part of a cell: raised where it is found, placed by who walks."""

from __future__ import annotations

from collections.abc import Sequence
from traceback import walk_tb

import torch

from rnnmft.errors import CellError

__all__ = [
    "MixedRefusalError",
    "MixedUnitsError",
    "RefusalError",
    "TwoPlacesError",
    "further_argument",
    "looks_up",
    "of_tokens",
    "one_unit",
    "scripted",
    "unchanged",
]


class RefusalError(Exception):
    """An operation has no meaning in a cell; becomes a `CellError` with the user's source line."""


class MixedRefusalError(RefusalError):
    """It takes units or the batch apart: what holds the states may be another form than assumed."""


class MixedUnitsError(CellError):
    """A `MixedRefusalError` with its line: another form of the states is tried then."""


class TwoPlacesError(CellError):
    """One parameter stands where a cell needs two: of a stack of states, that it is no stack."""


def one_unit(module: object) -> CellError:
    """What to say of a module with a state of one number."""
    return CellError(
        f"{type(module).__name__} has one unit, and a mean field is the limit of many: give it "
        "with two units or more (for example hidden_size=64), which is the same cell"
    )


def looks_up(error: BaseException) -> bool:
    """Whether a table of embeddings was given something else than whole numbers."""
    table = torch.nn.functional.embedding.__code__
    return any(frame.f_code is table for frame, _ in walk_tb(error.__traceback__))


def of_tokens(module: str, place: object) -> CellError:
    """No real number is a place in a table of embeddings: no call fits."""
    where = f" (at {place})" if place else ""
    return CellError(
        f"cannot trace {module}: it looks up embeddings of what it is given{where}, and a cell "
        "takes real numbers; give the module that its embeddings enter"
    )


def scripted(module: str) -> CellError:
    """A scripted module has no source any more."""
    return CellError(
        f"{module} is scripted, and its Python source is gone: give the module itself, before "
        "torch.jit.script or torch.jit.trace"
    )


def further_argument(module: str, input: str | None, states: Sequence[str], one: str) -> CellError:
    """A further argument has no value."""
    held = ", ".join(map(repr, (*states, one)))
    return CellError(
        f"cannot trace {module}: its forward takes the further argument {one!r}, of which nothing "
        f"is known; give its value, as in from_torch(module, arguments={{{one!r}: 1.0}}) (a "
        "number, or a law of rnnmft.language.laws for one number a unit), or its width beside the "
        f"input's, as in input={{{input!r}: 16, {one!r}: 16}}, or name it among the states, as in "
        f"states=({held})"
    )


def unchanged(module: str, one: str, states: Sequence[str], holders: Sequence[str]) -> CellError:
    """What never changes is taken for no state, unless the user says that it is one."""
    others = tuple(n for n in states if n != one)
    value = f"states={others}, arguments={{{one!r}: 1.0}} where it is a further argument, "
    return CellError(
        f"cannot trace {module}: it returns {one!r} as it was given, and what never changes is no "
        f"state; say what it is, as in from_torch(module, ..): {value if one in holders else ''}"
        f"states={tuple(states)} where it is a state all the same"
    )
