"""Cells: the definition language, the zoo, and cells from text and from PyTorch modules."""

from collections.abc import Callable

from rnnmft.cells.cell import Cell
from rnnmft.cells.ensemble import Ensemble, Inputs, PreactivationLaw
from rnnmft.cells.gru import gru, gru_torch
from rnnmft.cells.laws import ChronoBias, Constant, Law, LogUniform, Normal, Uniform
from rnnmft.cells.lstm import lstm
from rnnmft.cells.minimal import minimal
from rnnmft.cells.symbols import Input, Preactivation, RandomParameter, State
from rnnmft.cells.text import load, loads
from rnnmft.cells.vanilla import vanilla
from rnnmft.errors import CellError

__all__ = [
    "Cell",
    "ChronoBias",
    "Constant",
    "Ensemble",
    "Input",
    "Inputs",
    "Law",
    "LogUniform",
    "Normal",
    "Preactivation",
    "PreactivationLaw",
    "RandomParameter",
    "State",
    "Uniform",
    "get",
    "gru",
    "gru_torch",
    "load",
    "loads",
    "lstm",
    "minimal",
    "names",
    "vanilla",
]

ZOO: dict[str, Callable[[], Cell]] = {
    "vanilla": vanilla,
    "minimal": minimal,
    "gru": gru,
    "gru_torch": gru_torch,
    "lstm": lstm,
}


def names() -> list[str]:
    """The names of the zoo's cells."""
    return list(ZOO)


def get(name: str) -> Cell:
    """The zoo's cell of that name.

    >>> get("gru").states
    (h,)
    """
    if name not in ZOO:
        raise CellError(f"no cell named {name!r} in the zoo; there are {', '.join(ZOO)}")
    return ZOO[name]()
