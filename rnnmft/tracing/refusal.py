"""Why a tensor operation is no part of a cell: raised where it is found, placed by who walks."""

from __future__ import annotations

from rnnmft.errors import CellError

__all__ = [
    "MixedRefusalError",
    "MixedUnitsError",
    "RefusalError",
    "TwoPlacesError",
    "one_unit",
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
