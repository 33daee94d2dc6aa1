"""The command that times the theory of a cell on this machine: bench."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from rnnmft.cli.at_setting import at_setting
from rnnmft.cli.options import (
    AsJson,
    Seed,
    Steps,
    Tying,
)
from rnnmft.cli.output import command_line, print_json, print_table, progress_bar, say
from rnnmft.cli.setting import Setting
from rnnmft.errors import CompileError, ConvergenceError, DerivationError
from rnnmft.records import Record

__all__ = ["bench"]

_POINTS, _HIGHEST = 100, 4


@dataclass(frozen=True)
class Timing(Record):
    """One task: wall and processor seconds of its first call, and how it ended."""

    task: str
    seconds: float
    processor_seconds: float
    status: str


@at_setting
def bench(
    s: Setting,
    tying: Tying = "tied",
    steps: Steps = 30,
    horizon: Annotated[int, typer.Option(help="T of the Jacobian whose spectrum is timed.")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Time the theory of a cell on this machine: first calls, nothing cached."""
    from rnnmft.analysis.mean_field import MeanField
    from rnnmft.theory.derivation import derive
    from rnnmft.validation.provenance import provenance

    def derivation() -> Any:
        return derive(s.cell, tying=tying).latex()

    first = _timed("derive, every step as LaTeX", derivation)
    field = MeanField(s.cell, s.ensemble, s.inputs, tying=tying, seed=seed, start=s.start)

    def density() -> Any:
        law = field.jacobian(horizon)
        mean = float(law.mean)
        return law.density([4.0 * mean * (k + 0.5) / _POINTS for k in range(_POINTS)])

    tasks: dict[str, Callable[[], Any]] = {
        f"evolve, {steps} steps": lambda: field.evolve(steps),
        "fixed point": field.fixed_point,
        "gradient growth": field.gradient_growth,
        f"m_1 to m_{_HIGHEST}, T = {horizon}": lambda: field.jacobian(horizon).moments(_HIGHEST),
        f"density at {_POINTS} points, T = {horizon}": density,
    }
    found = [first]
    with progress_bar("tasks") as progress:
        for done, (task, call) in enumerate(tasks.items(), 1):
            found.append(_timed(task, call))
            if progress is not None:
                progress(done, len(tasks))
    machine = provenance(command=command_line())
    if as_json:
        setting = field.to_dict()
        print_json({"setting": setting, "timings": found, "provenance": machine})
        return
    columns = ("first call", "seconds", "processor seconds", "status")
    rows = [(t.task, t.seconds, t.processor_seconds, t.status) for t in found]
    print_table(f"{s.cell.name}, {tying} weights, {field.method}", columns, rows)
    say(f"{machine.processor}, {machine.threads} threads")


def _timed(task: str, call: Callable[[], Any]) -> Timing:
    """What a call takes; a result that does not exist is a status, not an error of the command."""
    wall, processor = time.perf_counter(), time.process_time()
    try:
        found = call()
    except (CompileError, ConvergenceError, DerivationError) as error:
        status = str(error)
    else:
        status = getattr(getattr(found, "status", None), "name", "OK")
    return Timing(
        task,
        round(time.perf_counter() - wall, 4),
        round(time.process_time() - processor, 4),
        status,
    )
