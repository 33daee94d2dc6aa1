"""A setting with known answers: a cell at an ensemble, and the truths that are asked for."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnnmft import Cell, Ensemble, Inputs, MeanField
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from validation.calibration.asked import NO_ERROR, Answers, Question
from validation.calibration.comparison import Comparison

__all__ = ["SAMPLED", "Setting", "Truth", "Truths", "from_solver"]

SAMPLED = "sampled units"
# Few units: the errors are to be right at any number, and a bias of order 1 / units would show.
UNITS, REPETITIONS = 1 << 14, 16


@dataclass(frozen=True)
class Truth:
    """A right answer, its standard error (0 where exact) and the degrees of freedom of that."""

    value: float
    error: float = 0.0
    degrees: float = math.inf


Truths = Mapping[Question, Truth]


@dataclass(frozen=True)
class Setting:
    """One cell, its ensemble and inputs, and what is known about it.

    Args:
        name: unique in the suite.
        source: of the truths: "exact", "solver" or "networks".
        cell, ensemble, inputs, tying: what `MeanField` takes.
        truths: computed when asked for; from the deterministic solver where the source is "solver"
            (none where `MeanField` samples: there is nothing to compare with yet).
        start: standard deviation of the states at t = 0.
        asked: "chosen" is the solver of `MeanField`'s choice, "sampled" that by units, which is
            asked through its class where another was chosen.
        spared: kinds that sampled units are not asked, because they take too long.
    """

    name: str
    source: str
    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    truths: Callable[[], Truths]
    start: float = 0.0
    asked: tuple[str, ...] = ("chosen", "sampled")
    spared: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """Of the units: every setting has its own, and keeps it when others come or go."""
        return zlib.crc32(self.name.encode())

    def compare(self) -> Iterator[Comparison]:
        """Ask every solver for every truth."""
        truths = self.truths()
        for solver in self._solvers():
            spared = self.spared if solver.method == SAMPLED else ()
            asked = {q: truth for q, truth in truths.items() if q.kind not in spared}
            yield from self.compare_with(solver, asked)

    def compare_with(self, solver: Any, truths: Truths) -> Iterator[Comparison]:
        """Ask one solver, which has the methods of `MeanField`, for these truths."""
        answers = _answers(solver, truths)
        for question, truth in truths.items():
            yield self._comparison(answers, question, truth)

    def _solvers(self) -> Iterator[Any]:
        chosen = self.field()
        samples = chosen.method == SAMPLED
        if samples or "chosen" in self.asked:
            yield chosen
        if not samples and "sampled" in self.asked:
            sampling = Sampling(UNITS, REPETITIONS, self.seed, "cpu")
            yield SampledUnits(self.cell, self.ensemble, self.inputs, self.tying, sampling)

    def field(self) -> MeanField:
        """The public face of this setting."""
        options: dict[str, Any] = {"particles": UNITS, "repetitions": REPETITIONS}
        options |= {"seed": self.seed, "device": "cpu"}
        if self.start:
            options["start"] = self.start
        return MeanField(self.cell, self.ensemble, self.inputs, tying=self.tying, **options)

    def _comparison(self, answers: Answers, question: Question, truth: Truth) -> Comparison:
        answer = answers.answer(question)
        return Comparison(
            setting=self.name,
            kind=question.kind,
            quantity=str(question),
            source=self.source,
            method=answers.solver.method,
            value=answer.value,
            error=answer.error,
            error_kind=answer.error_kind,
            status=answer.status,
            truth=truth.value,
            truth_error=truth.error,
            truth_degrees=truth.degrees,
        )


def _answers(solver: Any, questions: Truths) -> Answers:
    """The solver, told how far its runs have to go."""

    def furthest(kinds: tuple[str, ...]) -> int:
        return max((q.at or 1 for q in questions if q.kind in kinds), default=1)

    moments = ("second moment", "preactivation variance", "mean", "cross moment", "correlation")
    return Answers(
        solver,
        steps=furthest(moments),
        lags=furthest(("autocorrelation C(tau)",)),
        horizon=furthest(("m_1(T)",)),
    )


def from_solver(field: MeanField, questions: list[Question]) -> Truths:
    """What a deterministic solver promises; nothing where units are sampled."""
    if field.method == SAMPLED:
        return {}
    answers = _answers(field, dict.fromkeys(questions, Truth(0.0)))
    found = {q: answers.answer(q) for q in questions}
    return {
        q: Truth(a.value, 0.0 if a.status == NO_ERROR else a.error)
        for q, a in found.items()
        if a.status in ("OK", NO_ERROR)
    }
