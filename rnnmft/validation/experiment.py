"""`validate`: run networks of several widths, extrapolate, and test every claim of the theory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import TYINGS
from rnnmft.simulation import Simulation
from rnnmft.validation.extrapolation import Extrapolation, WidthDesign, extrapolate, with_level
from rnnmft.validation.gaps import measured_gaps
from rnnmft.validation.network_chunks import simulate_in_chunks
from rnnmft.validation.plan import Plan, make_plan
from rnnmft.validation.provenance import provenance
from rnnmft.validation.record import Claim, Comparison
from rnnmft.validation.report import ValidationReport
from rnnmft.validation.setting import KINDS, make_setting
from rnnmft.validation.target import Target, Untested
from rnnmft.validation.verdicts import judge

__all__ = ["validate"]

Array = NDArray[np.float64]
Runs = Mapping[str, list[Simulation]]
Progress = Callable[[float, float], object]

# What rounding may do to an average over units, relative to its size.
_ROUNDING = {"float32": 1e-6, "float64": 1e-13}
_SERIES = ("second_moment", "cross_moment", "correlation")


def validate(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    widths: Sequence[int] = (64, 128, 256),
    networks: int | Sequence[int] | None = None,
    steps: int = 30,
    seed: int = 0,
    tyings: Iterable[str] = TYINGS,
    horizons: Iterable[int] = (1, 2, 5),
    *,
    lags: Iterable[int] = (1, 2, 5, 10),
    gap: bool = True,
    false_alarm_rate: float = 1e-3,
    control: float = 0.02,
    sampling: Mapping[str, int] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    command: str = "",
    progress: Progress | None = None,
    start: float | Mapping[str, float] = 0.0,
    kinds: Iterable[str] = KINDS,
    store: str | Path | None = None,
    cluster: Any = None,
    chunk: int | None = None,
) -> ValidationReport:
    """Compare the theory with networks of finite width, extrapolated to infinite width.

    The main verdict is that of the first theory: tied against tied networks, which keep their
    weights as real ones do. The untied theory is tested against untied networks beside it, and its
    gap from the tied theory and from tied networks is measured apart.

    Every quantity is fitted as a + b/N; a is tested against the theory with Student's t, networks
    being the independent units. The declared rate of false alarms is divided evenly among the
    claims, and a control repeats each test with the prediction moved by 2 %.

    Args:
        cell: the cell.
        ensemble: `cell.ensemble(...)`; all parameters at their defaults when absent.
        inputs: the law of the inputs.
        widths: at least three, increasing.
        networks: how many of each width, one number or one a width. When absent, a pilot run
            decides how many it takes to see the control, within about a minute of one core.
        steps: updates from t = 0.
        seed: of everything; a whole number >= 0.
        tyings: which theories to test, each against networks of its own kind; the main one first.
            One that does not exist for this cell is left out, and the report says why.
        horizons: of the Jacobians whose effective dimension is claimed (`effective_dimension`),
            with m_1 of one step and the growth of m_1 from the first to the last; the other m_1
            and m_2, whose tails are heavy, are shown beside.
        lags: of the states' autocorrelations at the last step; those below `steps` count.
        gap: whether to measure how far tied networks are from the untied theory.
        false_alarm_rate: the probability that a correct theory is rejected anywhere.
        control: the fraction by which the controls move the predictions.
        sampling: {"particles": .., "repetitions": ..} of a theory that samples units; when
            absent, as many units as its claims need, within about half a minute of one core.
        device: as for `simulate`; units are sampled there, too.
        dtype: of the networks, "float32" or "float64".
        command: the command line to be noted in the report.
        progress: called as progress(done, total).
        start: standard deviation of the states at t = 0, of theories and networks: a number for
            all or {state: number}; 0 is the zero state.
        kinds: what is claimed, of "moments", "variances", "memory" and "gradients"; all by default.
            Gradients cost most, and their networks need not be as many as moments take.
        store: a folder. Networks are simulated chunk by chunk, and each chunk is written there as
            soon as it is done, as `phase_diagram(store=)` does it: a call that was interrupted goes
            on there, and ends with the same bytes. Needs `rnnmft[cluster]`.
        cluster: where chunks are computed, as for `phase_diagram`; this process when None.
        chunk: how many networks a chunk has at most; when None, some two seconds' worth.

    Returns:
        `ValidationReport`; its `passed` says whether every claim held and every control failed.

    Raises:
        ParameterError: an argument outside its domain.
        DerivationError: there is none of these theories for this cell.
        StoreError: the store is of another campaign, in use, or cannot be written.
    """
    setting = make_setting(
        cell, ensemble, inputs, steps, horizons, lags, seed, device, dtype, start, kinds
    )
    plan = make_plan(setting, tyings, widths, networks, gap, false_alarm_rate, control, sampling)
    if store is None and cluster is None:
        runs = _simulate(plan, progress)
    else:
        runs = simulate_in_chunks(plan, store, cluster, chunk, progress)
    found, unmeasured = _compared(plan, runs)
    measured_on = next((run[0].device for run in runs.values()), "cpu")
    return ValidationReport(
        cell=cell,
        ensemble=setting.ensemble,
        inputs=setting.inputs,
        start=setting.start,
        design=plan.design,
        pilot=plan.pilot,
        steps=setting.steps,
        horizons=setting.horizons,
        lags=setting.lags,
        seed=setting.seed,
        dtype=dtype,
        false_alarm_rate=false_alarm_rate,
        control=control,
        claims=tuple(c for c in found if isinstance(c, Claim)),
        shown=tuple(c for c in found if not isinstance(c, Claim)),
        resolvent_points=plan.setting.points,
        gaps=tuple(measured_gaps(plan, runs)) if gap else (),
        untested=(*plan.untested, *unmeasured),
        theory=plan.theory,
        evolution={t: _evolution(plan.design[t], run) for t, run in runs.items()},
        provenance=provenance(measured_on, command),
    )


def _simulate(plan: Plan, progress: Progress | None) -> dict[str, list[Simulation]]:
    """Every width of every tying; the progress counts the work, not the networks."""
    jobs = [
        (tying, width, networks, networks * cost)
        for tying, design in plan.design.items()
        for width, networks, cost in zip(
            design.widths, design.networks, plan.setting.costs(design.widths, tying), strict=True
        )
    ]
    total = sum(work for *_, work in jobs)
    runs: dict[str, list[Simulation]] = {tying: [] for tying in plan.design}
    before = 0.0
    for tying, width, networks, work in jobs:

        def advance(done: int, whole: int, start: float = before, share: float = work) -> None:
            if progress is not None:
                progress(start + share * done / whole, total)

        runs[tying].append(plan.setting.run(width, networks, tying, progress=advance))
        before += work
    return runs


def _compared(plan: Plan, runs: Runs) -> tuple[list[Comparison], list[Untested]]:
    """Claims with their verdicts, and what is shown beside them, by theory."""
    found: list[Comparison] = []
    unmeasured: list[Untested] = []
    for tying, run in runs.items():
        for target in plan.claims.get(tying, []) + plan.shown.get(tying, []):
            samples = [target.measured(of_width) for of_width in run]
            if all(np.isfinite(s).all() for s in samples):
                found.append(_comparison(plan, target, samples))
            else:
                reason = next((r.reason for r in run if r.reason), str(Status.UNDEFINED))
                unmeasured.append(Untested(target.name, tying, reason))
    return found, unmeasured


def _comparison(plan: Plan, target: Target, samples: list[Array]) -> Comparison:
    rounding = _ROUNDING[plan.setting.dtype]
    design = plan.design[target.tying]
    fitted = with_level(design, samples, target.prediction.scale, rounding)
    if not target.primary:
        return Comparison(target, *fitted)
    verdict = judge(target.prediction, *fitted, plan.threshold, plan.control)
    return Claim(target, *fitted, verdict)


def _evolution(design: WidthDesign, runs: list[Simulation]) -> dict[str, dict[str, Extrapolation]]:
    """The moments over time, extrapolated, where every network has them."""
    found: dict[str, dict[str, Extrapolation]] = {quantity: {} for quantity in _SERIES}
    for quantity in _SERIES:
        for state in getattr(runs[0], quantity):
            samples = [getattr(run, quantity)[state].samples for run in runs]
            if all(np.isfinite(s).all() for s in samples):
                found[quantity][state] = extrapolate(design, samples)
    return found
