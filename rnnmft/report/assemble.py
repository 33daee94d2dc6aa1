"""`make_report`: everything that a report shows, computed; what fails is said and left out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import DerivationError, RnnmftError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.page.figure import Figure
from rnnmft.parameters import TYINGS, check_count
from rnnmft.report.cloud import cloud_figure
from rnnmft.report.figures import map_figure
from rnnmft.report.gradients import solve_gradients
from rnnmft.report.html import render_report
from rnnmft.report.memory import memory_lags, solve_memory
from rnnmft.report.networks import HORIZONS, Networks, run_networks
from rnnmft.report.numbers import report_numbers
from rnnmft.report.phase import neighbourhood
from rnnmft.report.record import ReportRecord
from rnnmft.report.singular_values import Spectra, solve_spectra
from rnnmft.report.summary import summary
from rnnmft.report.try_compute import try_compute
from rnnmft.theory.derivation import derive
from rnnmft.theory.steps import StepsRecord
from rnnmft.validation import validate
from rnnmft.validation.figures import comparison_figures

__all__ = ["QUICK", "Report", "make_report", "write_whole"]

# Units of the sampled theory where it is fast.
_PARTICLES = 1 << 16
# Where sampling is slow: the fewest units, and what one stationary run may take in seconds.
_FEWEST, _SECONDS = 1 << 12, 6.0
# Seconds below which a clock shows nothing.
_CLOCK = 1e-9
# Claimed of the autocorrelations; longer Jacobians have a section of their own.
_LAGS = (1, 5)
# Progress when the networks of a validation begin: its theories have taken about as long.
_PLANNED = 0.2
#: What a first report takes instead of `make_report`'s own: some 10 s of two idle cores.
QUICK: Mapping[str, Any] = MappingProxyType(
    {"networks": 16, "particles": 1 << 13, "horizons": (1, 5), "seconds": 4.0}
)
#: The share of the seconds that goes to densities, the rest to a phase diagram.
_FOR_DENSITIES = 0.75


@dataclass(frozen=True, eq=False)
class Report(ReportRecord):
    """The theory of one cell beside simulated networks; its attributes are `ReportRecord`'s."""

    def to_html(self, path: str | Path) -> None:
        """Write one page that holds everything it shows."""
        write_whole(Path(path), render_report(self))

    def to_dict(self) -> dict[str, Any]:
        """Every number of the page, JSON-safe."""
        return report_numbers(self)

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict()`."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        write_whole(Path(path), text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that who reads it meanwhile finds the old one or the new one, never half."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def make_report(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    *,
    networks: int | None = None,
    steps: int = 30,
    seed: int = 0,
    tyings: Iterable[str] = TYINGS,
    horizons: Iterable[int] = HORIZONS,
    particles: int | None = None,
    seconds: float = 96.0,
    device: str = "auto",
    command: str = "",
    progress: Callable[[float, float], object] | None = None,
    start: float | Mapping[str, float] = 0.0,
    found: Callable[[Mapping[str, Any]], object] | None = None,
) -> Report:
    """Derive, compute, simulate and compare.

    `**QUICK` makes a first report within half a minute, from too few networks to decide anything.

    Args:
        cell: the cell.
        ensemble: all parameters at their defaults when absent.
        inputs: the law of the inputs.
        networks: of each width; as many as the control needs when absent.
        steps: updates from t = 0.
        seed: of everything random.
        tyings: which theories are tested and shown, the main one first.
        horizons: of the Jacobians whose singular values are shown.
        particles: of a theory that samples units; when absent as many as a claim's test needs, and
            for what is shown only 65,536, or as many as time allows.
        seconds: of processor time for the densities of singular values and for a phase diagram
            that is solved point by point; what they would exceed is left out, and said.
        device: where networks run.
        command: the command line to be noted.
        progress: called as progress(done, total).
        start: standard deviation of the states at t = 0, a number for all or {state: number}.
        found: called after each part with the attributes of the report that are known by then.

    Raises:
        ParameterError: an argument outside its domain.
        DerivationError: there is no theory for this cell.
    """
    if inputs is not None:
        inputs.require_stationary("a report")
    stages = _Stages(progress)
    missing: list[str] = []
    tyings = tuple(tyings)
    options = {"seed": seed, "start": start}
    fields = _fields((cell, ensemble, inputs), tyings, options, particles, missing)
    chosen = tuple(sorted({check_count("each of horizons", T) for T in horizons}))
    parts = _Parts(fields, missing, stages, steps, seed, device, seconds, chosen or (1,))
    main = next(iter(fields.values()))
    known: dict[str, Any] = {"missing": missing}

    def know(**those: Any) -> None:
        known.update(those, missing=list(dict.fromkeys(missing)))
        if found is not None:
            found(known)

    know(**parts.numbers(), derivations=parts.derivations())
    validation = validate(
        cell,
        main.ensemble,
        main.inputs,
        networks=networks,
        steps=steps,
        seed=seed,
        tyings=tyings,
        horizons=(1,),
        lags=_LAGS,
        sampling=None if particles is None else {"particles": particles},
        device=device,
        command=command,
        progress=stages.part(_PLANNED, 0.5),
        start=main.start,
    )
    know(validation=validation, compared=comparison_figures(validation))
    measured = parts.networks()
    know(
        gradients=try_compute(
            "The growth of gradients", lambda: solve_gradients(fields, measured), missing
        ),
        memory=try_compute(
            "The memory of the states", lambda: solve_memory(fields, measured), missing
        ),
        cloud=try_compute("The eigenvalues", lambda: cloud_figure(main, steps, seed), missing),
    )
    know(spectra=parts.spectra(measured))
    know(phases=parts.phases())
    return Report(cell, main.ensemble, main.inputs, **known)


def _fields(
    setting: tuple[Cell, Ensemble | None, Inputs | None],
    tyings: Iterable[str],
    options: Mapping[str, Any],
    particles: int | None,
    missing: list[str],
) -> dict[str, MeanField]:
    """The theories that exist.

    Raises:
        DerivationError: none does.
    """
    found: dict[str, MeanField] = {}
    reason = DerivationError("tyings must name a theory to show")
    for tying in tyings:
        try:
            few = MeanField(*setting, tying, **options, particles=_FEWEST)
        except DerivationError as error:
            reason = error
            missing.append(f"There is no {tying} theory. {error}")
            continue
        units = particles or _affordable(few)
        found[tying] = MeanField(*setting, tying, **options, particles=units)
    if not found:
        raise reason
    return found


def _affordable(few: MeanField) -> int:
    """How many units a theory may sample: fewer where it takes long to become stationary."""
    if not few.is_sampled:
        return _PARTICLES
    start = time.thread_time()
    # What fails has taken its time as well, and is asked again, and reported, by its section.
    with contextlib.suppress(RnnmftError):
        few.fixed_point()
    each = (time.thread_time() - start) / _FEWEST
    return int(np.clip(_SECONDS / max(each, _CLOCK), _FEWEST, _PARTICLES))


@dataclass(frozen=True)
class _Parts:
    """The parts of a report that may be missing; the reason is noted."""

    fields: Mapping[str, MeanField]
    missing: list[str]
    stages: _Stages
    steps: int
    seed: int
    device: str
    seconds: float
    horizons: tuple[int, ...]

    @property
    def _main(self) -> MeanField:
        return next(iter(self.fields.values()))

    def numbers(self) -> dict[str, Any]:
        """The numbers at a glance, and the fixed points of the untied theory."""
        numbers, without = summary(self.fields)
        self.missing.extend(without)
        untied = self.fields.get("untied")
        every = (
            try_compute("The fixed points", untied.fixed_points, self.missing) if untied else None
        )
        return {"numbers": numbers, "fixed_points": every or []}

    def networks(self) -> Networks:
        """One run of each tying, with as many lags as the memory asks for."""
        main = self._main
        lags = try_compute("The memory of the states", lambda: memory_lags(main), self.missing)
        return run_networks(
            main.cell,
            main.ensemble,
            main.inputs,
            self.steps,
            lags or 1,
            self.seed,
            self.device,
            self.horizons,
            self.stages.part(0.5, 0.6),
            main.start,
        )

    def spectra(self, networks: Networks) -> Spectra | None:
        """Densities and moments; what is missing is said in its own section."""
        seconds = _FOR_DENSITIES * self.seconds
        progress = self.stages.part(0.6, 0.9)
        return try_compute(
            "The singular values",
            lambda: solve_spectra(self.fields, networks, seconds, progress),
            self.missing,
        )

    def phases(self) -> list[Figure]:
        """Correlation map and phase diagram of the untied theory."""
        untied = self.fields.get("untied")
        if untied is None:
            return []
        progress = self.stages.part(0.9, 1.0)
        seconds = (1 - _FOR_DENSITIES) * self.seconds
        drawn = [
            try_compute("The correlation map", lambda: map_figure(untied), self.missing),
            try_compute(
                "The phase diagram",
                lambda: neighbourhood(untied, seconds, progress),
                self.missing,
            ),
        ]
        return [figure for figure in drawn if figure is not None]

    def derivations(self) -> dict[str, StepsRecord]:
        """The equations of each theory."""
        cell, constant = self._main.cell, self._main.inputs.temporal == "constant"
        found = {
            tying: try_compute(
                f"The {tying} derivation",
                lambda tying=tying: derive(cell, tying, constant),
                self.missing,
            )
            for tying in self.fields
        }
        return {tying: steps for tying, steps in found.items() if steps is not None}


class _Stages:
    """One progress for several stages, each with its share."""

    def __init__(self, progress: Callable[[float, float], object] | None) -> None:
        self._progress = progress

    def part(self, start: float, end: float) -> Callable[[float, float], object] | None:
        """The progress of one stage."""
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(start + (end - start) * done / max(total, _CLOCK), 1.0)
