"""Cells: the definition language, the zoo, and cells from text and from PyTorch modules.

The zoo's cells are functions, which may have arguments, or text files beside this one.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rnnmft.cells.chrono_lstm import chrono_lstm
from rnnmft.cells.coupled_lstm import coupled_lstm
from rnnmft.cells.from_torch import from_torch
from rnnmft.cells.gru import gru, gru_torch
from rnnmft.cells.indrnn import indrnn
from rnnmft.cells.janet import janet
from rnnmft.cells.leaky_rnn import leaky_rnn
from rnnmft.cells.low_rank import low_rank, low_rank_laws
from rnnmft.cells.lstm import lstm
from rnnmft.cells.mgu import mgu
from rnnmft.cells.min_gru import min_gru
from rnnmft.cells.min_lstm import min_lstm
from rnnmft.cells.minimal import minimal
from rnnmft.cells.peephole_lstm import diagonal_peephole_lstm, peephole_lstm
from rnnmft.cells.rate import rate
from rnnmft.cells.residual_rnn import residual_rnn
from rnnmft.cells.stack import Stack, stack
from rnnmft.cells.ugrnn import ugrnn
from rnnmft.cells.vanilla import vanilla
from rnnmft.errors import CellError, did_you_mean
from rnnmft.language.cell import Cell
from rnnmft.language.ensemble import Ensemble, PreactivationLaw
from rnnmft.language.inputs import Inputs
from rnnmft.language.laws import ChronoBias, Constant, Empirical, Law, LogUniform, Normal, Uniform
from rnnmft.language.symbols import Average, Input, Preactivation, RandomParameter, State
from rnnmft.language.text import load, loads
from rnnmft.language.weight_ensembles import WeightEnsemble, register_weights

__all__ = [
    "Average",
    "Cell",
    "ChronoBias",
    "Constant",
    "Empirical",
    "Ensemble",
    "Input",
    "Inputs",
    "Law",
    "LogUniform",
    "Normal",
    "Preactivation",
    "PreactivationLaw",
    "RandomParameter",
    "Stack",
    "State",
    "Uniform",
    "WeightEnsemble",
    "chrono_lstm",
    "coupled_lstm",
    "diagonal_peephole_lstm",
    "from_torch",
    "get",
    "gru",
    "gru_torch",
    "indrnn",
    "janet",
    "leaky_rnn",
    "load",
    "loads",
    "low_rank",
    "low_rank_laws",
    "lstm",
    "mgu",
    "min_gru",
    "min_lstm",
    "minimal",
    "names",
    "peephole_lstm",
    "rate",
    "register_weights",
    "residual_rnn",
    "stack",
    "typical_laws",
    "ugrnn",
    "vanilla",
]

ZOO: dict[str, Callable[[], Cell]] = {
    "vanilla": vanilla,
    "minimal": minimal,
    "gru": gru,
    "gru_torch": gru_torch,
    "lstm": lstm,
    "peephole_lstm": peephole_lstm,
    "diagonal_peephole_lstm": diagonal_peephole_lstm,
    "coupled_lstm": coupled_lstm,
    "chrono_lstm": chrono_lstm,
    "mgu": mgu,
    "ugrnn": ugrnn,
    "janet": janet,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "leaky_rnn": leaky_rnn,
    "rate": rate,
    "low_rank": low_rank,
    "residual_rnn": residual_rnn,
    "indrnn": indrnn,
    **{path.stem: partial(load, path) for path in sorted(Path(__file__).parent.glob("*.toml"))},
}

# What the papers draw, where the zoo's cells have elementwise random parameters.
_LAWS: dict[str, dict[str, Law]] = {
    "diagonal_peephole_lstm": {p: Normal(0, 0.1) for p in ("p_f", "p_i", "p_o")},
    "chrono_lstm": {"b": ChronoBias(100)},
    "indrnn": {"u": Uniform(0, 1)},
    "low_rank": low_rank_laws([[1, 2], [2, 5]]),
}


def names() -> list[str]:
    """The names of the zoo's cells."""
    return list(ZOO)


def get(name: str) -> Cell:
    """The zoo's cell of that name; of several names with commas between them, their stack.

    >>> get("gru").states
    (h,)
    >>> get("vanilla,gru").states
    (h_1, h_2)
    """
    if "," in name:
        return stack([get(layer.strip()) for layer in name.split(",")])
    if name not in ZOO:
        near = did_you_mean(name, ZOO)
        raise CellError(f"no cell named {name!r}{near} in the zoo; there are {', '.join(ZOO)}")
    return ZOO[name]()


def typical_laws(name: str) -> dict[str, Law]:
    """Laws of the elementwise random parameters of a zoo cell, as its paper draws them.

    Empty where the cell has none. They are for examples; `Cell.ensemble` takes what it is given.

    >>> get("indrnn").ensemble(parameters=typical_laws("indrnn")).parameters["u"]
    Uniform(low=0.0, high=1.0)
    """
    get(name)
    laws = [_LAWS.get(layer.strip(), {}) for layer in name.split(",")]
    return {parameter: law for layer in laws for parameter, law in layer.items()}
