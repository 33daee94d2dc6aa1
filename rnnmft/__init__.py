"""rnnmft: mean-field theory of recurrent neural networks, derived, computed and validated.

This is the public face. Every name is loaded when it is first used, so that `import rnnmft` stays
light: SymPy comes with the first cell, NumPy and SciPy with the first number, torch with the first
network.

>>> import rnnmft as mft
>>> mft.cells.minimal()
Cell 'minimal': states h; preactivations e; input x elementwise
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnmft import cells
    from rnnmft.activations import (
        define_activation,
        erf,
        exp,
        gaussian_cdf,
        gelu,
        hard_sigmoid,
        hard_tanh,
        identity,
        leaky_relu,
        relu,
        sigmoid,
        silu,
        sin,
        softplus,
        softsign,
        tanh,
    )
    from rnnmft.analysis.mean_field import MeanField
    from rnnmft.analysis.phase_dataset import PhaseDataset, open_phase_diagram
    from rnnmft.analysis.phase_diagram import phase_diagram
    from rnnmft.cells import Cell, Ensemble, Input, Inputs, Preactivation, State
    from rnnmft.diagnosis import Diagnosis, diagnose
    from rnnmft.diagnosis.record import Advice, LayerDiagnosis
    from rnnmft.eigenvalues.law import EigenvalueLaw
    from rnnmft.errors import (
        CellError,
        CompileError,
        ConvergenceError,
        DerivationError,
        InfeasibleError,
        ParameterError,
        ParseError,
        RnnmftError,
        Status,
        StoreError,
        UnhealthyError,
    )
    from rnnmft.expectation import GaussianExpectation, gaussian_expectation
    from rnnmft.explorer import Explorer
    from rnnmft.initialization.critical import critical
    from rnnmft.initialization.initialization import Initialization
    from rnnmft.lyapunov.spectrum import LyapunovSpectrum
    from rnnmft.records import Quantity, Record
    from rnnmft.report import Report, make_report
    from rnnmft.rest.autonomous import Autonomous, autonomous
    from rnnmft.rest.phase_map import AutonomousMap
    from rnnmft.rest.resting_state import RestingState
    from rnnmft.rest.transitions import Transition
    from rnnmft.simulation import simulate
    from rnnmft.simulation.estimates import Estimate, JacobianEstimate, LyapunovEstimate, Simulation
    from rnnmft.solvers.results import (
        Autocorrelation,
        CorrelationFixedPoint,
        FixedPoint,
        Timescales,
        Trajectory,
    )
    from rnnmft.spectra.law import JacobianLaw
    from rnnmft.spectra.records import Atoms, Condition, Support
    from rnnmft.theory.derivation import Derivation, derive
    from rnnmft.validation import validate
    from rnnmft.validation.record import Claim, Comparison, Gap
    from rnnmft.validation.report import ValidationReport

__version__ = "0.2.0"

__all__ = [
    "Advice",
    "Atoms",
    "Autocorrelation",
    "Autonomous",
    "AutonomousMap",
    "Cell",
    "CellError",
    "Claim",
    "Comparison",
    "CompileError",
    "Condition",
    "ConvergenceError",
    "CorrelationFixedPoint",
    "Derivation",
    "DerivationError",
    "Diagnosis",
    "EigenvalueLaw",
    "Ensemble",
    "Estimate",
    "Explorer",
    "FixedPoint",
    "Gap",
    "GaussianExpectation",
    "InfeasibleError",
    "Initialization",
    "Input",
    "Inputs",
    "JacobianEstimate",
    "JacobianLaw",
    "LayerDiagnosis",
    "LyapunovEstimate",
    "LyapunovSpectrum",
    "MeanField",
    "ParameterError",
    "ParseError",
    "PhaseDataset",
    "Preactivation",
    "Quantity",
    "Record",
    "Report",
    "RestingState",
    "RnnmftError",
    "Simulation",
    "State",
    "Status",
    "StoreError",
    "Support",
    "Timescales",
    "Trajectory",
    "Transition",
    "UnhealthyError",
    "ValidationReport",
    "__version__",
    "autonomous",
    "cells",
    "critical",
    "define_activation",
    "derive",
    "diagnose",
    "erf",
    "exp",
    "gaussian_cdf",
    "gaussian_expectation",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "make_report",
    "open_phase_diagram",
    "phase_diagram",
    "relu",
    "sigmoid",
    "silu",
    "simulate",
    "sin",
    "softplus",
    "softsign",
    "tanh",
    "validate",
]

# Where a public name lives; a name that is not here is an activation. Type checkers read the
# imports above instead, and tests/test_public_face.py holds the two against each other.
_HOMES = {
    "rnnmft": ("cells",),
    "rnnmft.analysis.mean_field": ("MeanField",),
    "rnnmft.analysis.phase_dataset": ("PhaseDataset", "open_phase_diagram"),
    "rnnmft.analysis.phase_diagram": ("phase_diagram",),
    "rnnmft.cells": ("Cell", "Ensemble", "Input", "Inputs", "Preactivation", "State"),
    "rnnmft.diagnosis": ("Diagnosis", "diagnose"),
    "rnnmft.errors": (
        "CellError",
        "CompileError",
        "ConvergenceError",
        "DerivationError",
        "InfeasibleError",
        "ParameterError",
        "ParseError",
        "RnnmftError",
        "Status",
        "StoreError",
        "UnhealthyError",
    ),
    "rnnmft.expectation": ("GaussianExpectation", "gaussian_expectation"),
    "rnnmft.explorer": ("Explorer",),
    "rnnmft.initialization.critical": ("critical",),
    "rnnmft.initialization.initialization": ("Initialization",),
    "rnnmft.simulation": ("simulate",),
    "rnnmft.solvers.results": (
        "Autocorrelation",
        "CorrelationFixedPoint",
        "FixedPoint",
        "Timescales",
        "Trajectory",
    ),
    "rnnmft.eigenvalues.law": ("EigenvalueLaw",),
    "rnnmft.spectra.law": ("JacobianLaw",),
    "rnnmft.spectra.records": ("Atoms", "Condition", "Support"),
    "rnnmft.lyapunov.spectrum": ("LyapunovSpectrum",),
    "rnnmft.records": ("Quantity", "Record"),
    "rnnmft.rest.autonomous": ("Autonomous", "autonomous"),
    "rnnmft.rest.phase_map": ("AutonomousMap",),
    "rnnmft.rest.resting_state": ("RestingState",),
    "rnnmft.rest.transitions": ("Transition",),
    "rnnmft.simulation.estimates": (
        "Estimate",
        "JacobianEstimate",
        "LyapunovEstimate",
        "Simulation",
    ),
    "rnnmft.validation.record": ("Claim", "Comparison", "Gap"),
    "rnnmft.validation.report": ("ValidationReport",),
    "rnnmft.diagnosis.record": ("Advice", "LayerDiagnosis"),
    "rnnmft.report": ("Report", "make_report"),
    "rnnmft.theory.derivation": ("Derivation", "derive"),
    "rnnmft.validation": ("validate",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rnnmft' has no attribute {name!r}")
    home = _HOME.get(name, "rnnmft.activations")
    if home == __name__:
        return import_module(f"rnnmft.{name}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
