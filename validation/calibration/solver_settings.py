"""Deterministic solvers against sampled units at the same setting: two routes to every number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnmft import Cell, Inputs, MeanField, cells
from validation.calibration.asked import Question
from validation.calibration.published_settings import rate_network
from validation.calibration.setting import Setting, Truths, from_solver

__all__ = ["solver_settings"]

_EARLY, _LATE, _HORIZONS, _BURN_IN = 6, 40, (4, 16), 30
Case = tuple[str, Cell, dict[str, Any], Inputs]

_UNTIED: tuple[Case, ...] = (
    ("minimal", cells.minimal(), {"e": {"sigma_w": 3.0, "mu_b": 1.0, "sigma_b": 0.3}}, Inputs(0.8)),
    ("gru", cells.gru(), {"z": {"mu_b": 1.0}, "n": {"sigma_w": 1.5}}, Inputs()),
    ("gru_torch", cells.gru_torch(), {"z": {"mu_b": 0.5}, "n_h": {"sigma_w": 2.0}}, Inputs(0.5)),
    ("mgu", cells.mgu(), {"f": {"sigma_w": 2.0}, "g": {"sigma_w": 1.5}}, Inputs(1.0, 0.8)),
    ("ugrnn", cells.ugrnn(), {"g": {"mu_b": 1.0}, "c": {"sigma_w": 1.3}}, Inputs(0.7, 0.3)),
    ("leaky", cells.leaky_rnn(0.3), {"e": {"sigma_w": 1.2, "sigma_b": 0.2}}, Inputs(0.5)),
    ("lstm", cells.lstm(), {"f": {"mu_b": 1.0}, "g": {"sigma_w": 1.5}}, Inputs()),
    ("rate", rate_network(0.3), {"e": {"sigma_w": 1.5, "mu_b": 0.3}}, Inputs(0.5)),
)

_TIED: tuple[Case, ...] = (
    ("vanilla", cells.vanilla(), {"e": {"sigma_w": 0.9, "sigma_b": 0.2}}, Inputs(0.3)),
    ("vanilla, constant", cells.vanilla(), {"e": {"sigma_w": 1.5}}, Inputs(0.5, 0.5, "constant")),
    ("vanilla, mean", cells.vanilla(), {"e": {"sigma_w": 2.0, "mu_b": 0.5}}, Inputs(0.5, 0.9)),
    ("vanilla, coloured", cells.vanilla(), {"e": {"sigma_w": 1.2}}, Inputs(1, 0.5, (1, 0.6, 0.2))),
    ("rate", rate_network(0.3), {"e": {"sigma_w": 1.2, "sigma_b": 0.2}}, Inputs(0.5)),
    ("rate, slow", rate_network(0.1), {"e": {"sigma_w": 0.8, "sigma_b": 0.3}}, Inputs(0.5)),
    (
        "rate, constant",
        rate_network(0.2),
        {"e": {"sigma_w": 1.4, "sigma_v": 0.7}},
        Inputs(1, 0.5, "constant"),
    ),
    (
        "rate, chaotic",
        rate_network(0.2),
        {"e": {"sigma_w": 2.0, "sigma_v": 0.0, "sigma_b": 0.2}},
        Inputs(0.0),
    ),
)


def solver_settings() -> list[Setting]:
    """Untied: closed moments and the transported law. Tied: two-time kernels."""
    return [_setting("untied", *case) for case in _UNTIED] + [
        _setting("tied", *case) for case in _TIED
    ]


def _setting(tying: str, name: str, cell: Cell, laws: dict[str, Any], inputs: Inputs) -> Setting:
    ensemble = cell.ensemble(**laws)
    field = MeanField(cell, ensemble, inputs, tying=tying)
    # The cross moment of trajectories that cannot differ is the second moment.
    truths = _truths(field, pairs=inputs.R > 0, lagged=tying == "tied")
    return Setting(
        f"{name}, {tying}, two solvers",
        "solver",
        cell,
        ensemble,
        inputs,
        tying,
        truths,
        asked=("sampled",),
    )


def _truths(field: MeanField, pairs: bool, lagged: bool) -> Callable[[], Truths]:
    def truths() -> Truths:
        questions = [Question("gradient growth")]
        questions += [Question("m_1(T)", at=T, burn_in=_BURN_IN) for T in _HORIZONS]
        for state in field.cell.states:
            questions += _of_state(state.name, pairs, lagged)
        for p in field.cell.preactivations:
            questions += [Question("preactivation variance", p.name, _LATE)]
        return from_solver(field, questions)

    return truths


def _of_state(name: str, pairs: bool, lagged: bool) -> list[Question]:
    found = [Question("second moment", name, T) for T in (_EARLY, _LATE)]
    found += [Question("second moment", name), Question("mean", name, _LATE)]
    if pairs:
        found += [Question(kind, name, _LATE) for kind in ("cross moment", "correlation")]
        found += [Question("c*", name)]
    if lagged:
        found += [Question("autocorrelation C(tau)", name, lag) for lag in (1, 5)]
    return found
