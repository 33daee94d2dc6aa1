"""What a diagnosis found: layers, their verdicts, and advice; no words and no pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnmft.diagnosis.series import GradientSeries
from rnnmft.diagnosis.statistics import GateStatistics
from rnnmft.diagnosis.theory import TheoryAnswer
from rnnmft.errors import UnhealthyError
from rnnmft.initialization.initialization import Initialization
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Record

__all__ = ["STATES", "Advice", "DiagnosisRecord", "LayerDiagnosis"]

#: How a verdict is called.
STATES = {
    "healthy": "healthy",
    "borderline": "borderline, within the error of the threshold",
    "unhealthy": "not healthy",
}

# A verdict is one where |log10 m_1| is so many standard errors from the threshold.
_STANDARD_ERRORS = 2.0
# A prediction whose error is more than a decade of m_1, and a tenth of its logarithm, is none.
_DECADE, _TENTH = 1.0, 0.1
# Growth per step below which a layer counts as critical: 200 steps for a factor of e.
_CRITICAL = 0.005


@dataclass(frozen=True, eq=False)
class LayerDiagnosis(Record):
    """One layer and direction.

    Attributes:
        layer: its name: "layer 0", "layer 1, reverse"; the class of a module that is one cell.
        cell: what it computes.
        width, input_width: N and N_in.
        gates: the statistics of its parameters.
        ensemble: what has these statistics.
        inputs: what it sees: R and correlation in time.
        length: T.
        tied, untied: what the theory says at infinite width.
        predicted: log10 m_1 over the horizons, through this layer's own matrices.
        measured: log10 m_1 over the horizons, by automatic differentiation of the module.
        isometry: the variance m_2 - m_1^2 of the squared singular values of one step: (measured,
            its error, predicted through this layer's own matrices, its error).
        threshold: the largest |log10 m_1(T)| that counts as healthy.
        apart: {"from -> to": log10 of the mean squared singular value of d to^{t+T} / d from^t}
            for every pair of states, as measured; empty where there is one state.
        burn_in: steps from the zero state before the Jacobian starts.
        drift: by what fraction of itself the second moment of a state still moved then; 0 where
            they had settled, nan where they have overflowed.
        dead: whether all that it handed on was 0.
        ended: what the time budget left undone.
        warnings: what is uncertain, in sentences; also that measured and predicted disagree.
    """

    layer: str
    cell: Cell
    width: int
    input_width: int
    gates: tuple[GateStatistics, ...]
    ensemble: Ensemble
    inputs: Inputs
    length: int
    tied: TheoryAnswer
    untied: TheoryAnswer
    predicted: GradientSeries
    measured: GradientSeries
    isometry: tuple[float, float, float, float]
    threshold: float
    apart: Mapping[str, GradientSeries] = field(default_factory=dict)
    burn_in: int = 0
    drift: float = 0.0
    dead: bool = False
    ended: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def log10_mean(self) -> float:
        """log10 m_1(T) as it was measured (beyond the data's length along a straight line)."""
        return self.measured.at(self.length)[0]

    @property
    def predicted_log10_mean(self) -> float:
        """log10 m_1(T) as it is predicted through the layer's own matrices."""
        return self.predicted.at(self.length)[0]

    @property
    def is_predicted(self) -> bool:
        """Whether the layer's own matrices tell m_1(T): to a decade, or a tenth of log10 m_1(T)."""
        if not len(self.predicted.log10):
            return False
        value, error = self.predicted.at(self.length)
        return not error > max(_DECADE, _TENTH * abs(value))

    @property
    def verdict(self) -> str:
        """What becomes of gradients over the length: healthy, borderline, vanishing, exploding.

        Borderline: |log10 m_1(T)| is within two standard errors of the threshold, so that another
        seed may be on its other side.
        """
        value, error = self.measured.at(self.length)
        if math.isfinite(value) and abs(abs(value) - self.threshold) < _STANDARD_ERRORS * error:
            return "borderline"
        if abs(value) <= self.threshold:
            return "healthy"
        return "vanishing" if value < 0 else "exploding"

    @property
    def phase(self) -> str:
        """Ordered, critical or chaotic by the sign of the tied growth; unknown without it."""
        growth = self.tied.growth
        if growth is None or math.isnan(growth):
            return "unknown"
        if abs(growth) < _CRITICAL:
            return "critical"
        return "ordered" if growth < 0 else "chaotic"

    @property
    def steps_per_decade(self) -> float:
        """Steps in which a gradient (the root of m_1) changes by a factor of 10, as measured."""
        return 2.0 * self.length / abs(self.log10_mean) if self.log10_mean else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Every field and the verdict, JSON-safe; m_1 over the horizons as log10."""
        found = super().to_dict()
        found["cell"] = self.cell.name
        for name in ("predicted", "measured"):
            found[name] = _series(getattr(self, name), self.length)
        found["apart"] = {name: _series(one, self.length) for name, one in self.apart.items()}
        found["drift"] = _finite(self.drift)
        found["isometry"] = [_finite(value) for value in self.isometry]
        found["verdict"], found["phase"] = self.verdict, self.phase
        return found

    def __repr__(self) -> str:
        return (
            f"LayerDiagnosis({self.layer}, {self.cell.name}: {self.verdict}, "
            f"log10 m_1({self.length}) = {self.log10_mean:.3g})"
        )


@dataclass(frozen=True, eq=False)
class Advice(Record):
    """One piece of advice.

    Attributes:
        layers: which it is for.
        sentence: what to do, with its numbers.
        initialization: what to draw the module from, `initialization.apply_(module)`; None where
            there is none, and the sentence says why.
        log10_mean: log10 m_1(T) of a copy that was drawn so, by layer; measured.
    """

    layers: tuple[str, ...]
    sentence: str
    initialization: Initialization | None
    log10_mean: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class DiagnosisRecord(Record):
    """What `rnnmft.diagnose` found out about a module.

    Attributes:
        module: its class.
        length: T, the length of the sequences.
        source: what the layers were run on.
        threshold: the largest |log10 m_1(T)| that counts as healthy.
        layers: one a layer and direction.
        advice: what would mend the unhealthy ones.
        unread: parts of a model that were not looked at, and why, in sentences.
    """

    module: str
    length: int
    source: str
    threshold: float
    layers: tuple[LayerDiagnosis, ...]
    advice: tuple[Advice, ...] = field(default=())
    unread: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether |log10 m_1(T)| is at most the threshold, beyond doubt, in every layer."""
        return self.verdict == "healthy"

    @property
    def verdict(self) -> str:
        """Healthy; unhealthy, where any layer is beyond doubt; borderline."""
        found = {layer.verdict for layer in self.layers}
        if found <= {"healthy"}:
            return "healthy"
        return "borderline" if found <= {"healthy", "borderline"} else "unhealthy"

    def assert_healthy(self) -> None:
        """Do nothing unless gradients vanish or explode beyond doubt; for test suites.

        Raises:
            UnhealthyError: |log10 m_1(T)| exceeds the threshold somewhere by more than its error:
                the first such layer, its number, and what would mend it. It is an AssertionError
                too.
        """
        for layer in self.layers:
            if layer.verdict in ("vanishing", "exploding"):
                advice = "".join(f" {a.sentence}" for a in self.advice if layer.layer in a.layers)
                what = "vanish" if layer.verdict == "vanishing" else "explode"
                raise UnhealthyError(
                    f"gradients of {self.module}, {layer.layer}, {what} over {self.length} steps: "
                    f"log10 m_1({self.length}) = {layer.log10_mean:.3g}, and at most "
                    f"{self.threshold:g} in size is healthy.{advice}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Every field, whether it is healthy, and its verdict; JSON-safe."""
        return {**super().to_dict(), "healthy": self.healthy, "verdict": self.verdict}

    def __iter__(self) -> Iterator[LayerDiagnosis]:
        return iter(self.layers)

    def __repr__(self) -> str:
        rows = [
            f"  {a.layer} ({a.cell.name}): {a.verdict}, log10 m_1({self.length}) = "
            f"{a.log10_mean:.3g} measured{_beside(a, self.length)}"
            for a in self.layers
        ]
        state = STATES[self.verdict]
        return (
            "\n".join([f"{type(self).__name__}({self.module}, {self.length} steps: {state}", *rows])
            + ")"
        )


def _beside(layer: LayerDiagnosis, length: int) -> str:
    """What was predicted; of infinite width where nothing was through the layer's own matrices."""
    if layer.is_predicted:
        return f", {layer.predicted.at(length)[0]:.3g} predicted"
    limit = layer.tied.log10_mean
    return "" if limit is None else f", {limit:.3g} at infinite width"


def _series(series: GradientSeries, length: int) -> dict[str, Any]:
    value, error = series.at(length)
    return {
        "log10_m_1": _finite(value),
        "error": _finite(error),
        "horizons": len(series.log10),
        "log10_m_1_over_horizons": [_finite(v) for v in series.log10],
    }


def _finite(value: float) -> float | str:
    return float(value) if np.isfinite(value) else str(float(value))
