"""The language of cells: states, preactivations, laws and ensembles, written in Python or text."""

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
    "State",
    "Uniform",
    "WeightEnsemble",
    "load",
    "loads",
    "register_weights",
]
