"""`make_report`: everything that a report shows, computed; what fails is said and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.results import FixedPoint
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import RnnmftError
from rnnmft.page.figure import Figure
from rnnmft.report.figures import map_figure, spectrum_figure
from rnnmft.report.glance import Glance, glance
from rnnmft.report.html import render_report
from rnnmft.report.phase import neighbourhood
from rnnmft.simulation import Simulation, simulate
from rnnmft.theory.derivation import derive
from rnnmft.theory.steps import StepsRecord
from rnnmft.validation import ValidationReport, validate

__all__ = ["Report", "make_report"]

T = TypeVar("T")
_SPECTRUM_WIDTH, _SPECTRUM_NETWORKS = 256, 12


@dataclass(frozen=True, eq=False)
class Report:
    """The content of a page.

    Attributes:
        cell, ensemble, inputs: the setting.
        validation: theory against networks.
        numbers: of the untied theory, at a glance.
        fixed_points: all of them.
        figures: correlation map, phase diagram, singular values, where they exist.
        derivation: the equations, or None.
        missing: what is not on the page, and why.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    validation: ValidationReport
    numbers: list[Glance]
    fixed_points: list[FixedPoint]
    figures: list[Figure]
    derivation: StepsRecord | None
    missing: list[str] = field(default_factory=list)

    def to_html(self, path: str | Path) -> None:
        """Write one page that holds everything it shows."""
        Path(path).write_text(render_report(self), encoding="utf-8")


def make_report(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    *,
    networks: int | None = None,
    steps: int = 30,
    seed: int = 0,
    tyings: Iterable[str] = ("untied",),
    device: str = "auto",
    command: str = "",
    progress: Callable[[float, float], object] | None = None,
) -> Report:
    """Derive, compute, simulate and compare.

    Args:
        cell: the cell.
        ensemble: all parameters at their defaults when absent.
        inputs: the law of the inputs.
        networks: of each width; as many as the control needs when absent.
        steps: updates from the zero state.
        seed: of everything random.
        tyings: which theories are tested.
        device: where networks run.
        command: the command line to be noted.
        progress: called as progress(done, total).

    Raises:
        ParameterError: an argument outside its domain.
        DerivationError: there is no theory for this cell.
    """
    stages = _Stages(progress)
    untied = MeanField(cell, ensemble, inputs, seed=seed)
    validation = validate(
        cell,
        untied.ensemble,
        untied.inputs,
        networks=networks,
        steps=steps,
        seed=seed,
        tyings=tyings,
        device=device,
        command=command,
        progress=stages.part(0.0, 0.75),
    )
    numbers, missing = glance(untied)
    every = _attempt("fixed points", untied.fixed_points, missing) or []
    drawn = [
        _attempt("The correlation map", lambda: map_figure(untied), missing),
        _attempt(
            "The phase diagram", lambda: neighbourhood(untied, stages.part(0.8, 1.0)), missing
        ),
        _attempt("The singular values", lambda: _spectrum(untied, steps, seed, device), missing),
    ]
    constant = untied.inputs.temporal == "constant"
    derivation = _attempt("The derivation", lambda: derive(cell, "untied", constant), missing)
    return Report(
        cell,
        untied.ensemble,
        untied.inputs,
        validation,
        numbers,
        every,
        [figure for figure in drawn if figure is not None],
        derivation,
        list(dict.fromkeys(missing)),
    )


class _Stages:
    """One progress for several stages, each with its share."""

    def __init__(self, progress: Callable[[float, float], object] | None) -> None:
        self._progress = progress

    def part(self, start: float, end: float) -> Callable[[float, float], object] | None:
        """The progress of one stage."""
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(start + (end - start) * done / max(total, 1e-9), 1.0)


def _attempt(what: str, compute: Callable[[], T], missing: list[str]) -> T | None:
    """What can be computed; otherwise the reason, to be printed."""
    try:
        return compute()
    except RnnmftError as error:
        missing.append(f"{what} is not shown. {error}")
        return None


def _spectrum(untied: MeanField, steps: int, seed: int, device: str) -> Figure:
    def run(tying: str) -> Simulation:
        return simulate(
            untied.cell,
            untied.ensemble,
            untied.inputs,
            width=_SPECTRUM_WIDTH,
            networks=_SPECTRUM_NETWORKS,
            steps=steps,
            tying=tying,
            jacobian_horizons=(1,),
            spectrum=True,
            device=device,
            seed=int(np.random.SeedSequence([seed, _SPECTRUM_WIDTH, 2]).generate_state(1)[0]),
        )

    return spectrum_figure({t: run(t) for t in ("untied", "tied")}, _moments(untied))


def _moments(untied: MeanField) -> tuple[float, float] | None:
    try:
        found: Any = untied.jacobian(1).moments(2).value
    except RnnmftError:
        return None
    return float(found[0]), float(found[1])
