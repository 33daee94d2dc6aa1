"""What a validation found: claims with their verdicts, what is shown beside, the tied gap."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.page.numbers import rounded
from rnnmft.records import STANDARD_ERROR, Measured, Record, json_safe
from rnnmft.solvers.results import Trajectory
from rnnmft.validation.extrapolation import Extrapolation, WidthDesign
from rnnmft.validation.provenance import Provenance
from rnnmft.validation.sample_size import Pilot
from rnnmft.validation.target import Target, Untested
from rnnmft.validation.verdicts import Verdict

__all__ = ["Claim", "Comparison", "Gap", "ValidationRecord"]


@dataclass(frozen=True, eq=False)
class Comparison(Record):
    """What was predicted and what networks extrapolate to; by itself it decides nothing."""

    target: Target
    fitted: Extrapolation
    level: Extrapolation

    @property
    def name(self) -> str:
        """Of the quantity."""
        return self.target.name

    @property
    def curvature_z(self) -> float:
        """The curvature of the level in standard errors: what a + b/N leaves out."""
        found = self.level.curvature
        return float(found.value / found.error) if found.error > 0 else 0.0

    @property
    def deviation(self) -> float:
        """Measured minus predicted level, in units of the scale."""
        prediction = self.target.prediction
        return float(self.level.limit.value - (prediction.value / prediction.scale).mean())

    @property
    def deviation_error(self) -> float:
        """The standard error of the deviation: of networks, and of units where they are sampled."""
        prediction = self.target.prediction
        own = prediction.level_error if prediction.sampled else 0.0
        return math.hypot(float(self.level.limit.error), own)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; the design is the report's and stands there."""
        return {
            **self.target.to_dict(),
            "limit": self.fitted.limit.to_dict(),
            "slope": self.fitted.slope.to_dict(),
            "level_slope": self.level.slope.to_dict(),
            "curvature_z": json_safe(self.curvature_z),
        }

    def __repr__(self) -> str:
        return (
            f"{self.target.tying} {self.name}: shown, not tested (deviation {self.deviation:+.2%} "
            f"+- {self.deviation_error:.2%})"
        )


@dataclass(frozen=True, eq=False)
class Claim(Comparison):
    """A tested claim: a comparison and its verdict."""

    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; the design is the report's and stands there."""
        return {**super().to_dict(), "verdict": self.verdict.to_dict()}

    def __repr__(self) -> str:
        v = self.verdict
        return (
            f"{self.target.tying} {self.name}: {v.outcome} (deviation {v.deviation:+.2%} +- "
            f"{v.deviation_error:.2%}, p = {v.p_value:.2g}; resolves {v.resolution:.2%})"
        )


@dataclass(frozen=True, eq=False)
class Gap(Measured):
    """What tying does to one quantity, at infinite width: an estimate, not a claim.

    Attributes:
        name, latex: of the quantity.
        theory, theory_error: the untied theory; at the last step (or lag) of a series.
        networks, error: tied networks there, extrapolated, and their standard error.
        gap, gap_error: tied networks minus the untied theory, relative to its scale, averaged over
            the stationary last third of the steps.
        tied_theory, tied_theory_error: the tied theory there; None where it says nothing of this.
        theory_gap, theory_gap_error: tied minus untied theory, in the same units as `gap`.
    """

    name: str
    latex: str
    theory: float
    networks: float
    error: float
    gap: float
    gap_error: float
    tied_theory: float | None = None
    theory_gap: float | None = None
    theory_gap_error: float | None = None
    theory_error: float = 0.0
    tied_theory_error: float | None = None

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("theory", "networks", "gap", "tied_theory", "theory_gap"), "dimensionless"
    )
    error_kind: ClassVar[str] = STANDARD_ERROR

    def error_of(self, kind: str, name: str | None) -> Any:
        """The standard error of a number; of a theory that does not sample, its bound."""
        return self.error if kind == "networks" else getattr(self, f"{kind}_error")

    def __repr__(self) -> str:
        text = f"tied networks {self.gap:+.2%} +- {self.gap_error:.2%}"
        if self.theory_gap is not None:
            text = f"tied theory {self.theory_gap:+.2%} +- {self.theory_gap_error:.2%}, {text}"
        return f"gap from the untied theory in {self.name}: {text}"


@dataclass(frozen=True, eq=False)
class ValidationRecord(Record):
    """Theories against networks of finite width; the first one's verdict is the main one.

    Attributes:
        cell, ensemble, inputs: the setting.
        start: {state: standard deviation at t = 0}.
        design: {tying: widths and numbers of networks}, fixed beforehand.
        pilot: {tying: how the numbers were chosen}; empty where they were given.
        steps, horizons, lags, seed, dtype: of the simulations.
        false_alarm_rate: the probability that a correct report rejects any claim.
        control: by which fraction the controls move the predictions.
        claims: in the order of the theories.
        shown: numbers with heavy tails over networks, compared but not tested.
        resolvent_points: {horizon: z} of the effective dimensions.
        gaps: tied theory and tied networks against the untied theory.
        untested: what the theory could not predict, or the networks not measure, and why.
        theory: {tying: the theory's moments over time}.
        evolution: {tying: {quantity: {state: extrapolated moments over time}}}.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    start: Mapping[str, float]
    design: Mapping[str, WidthDesign]
    pilot: Mapping[str, Pilot]
    steps: int
    horizons: tuple[int, ...]
    lags: tuple[int, ...]
    seed: int
    dtype: str
    false_alarm_rate: float
    control: float
    claims: tuple[Claim, ...]
    shown: tuple[Comparison, ...]
    resolvent_points: Mapping[int, float]
    gaps: tuple[Gap, ...]
    untested: tuple[Untested, ...]
    theory: Mapping[str, Trajectory] = field(repr=False)
    evolution: Mapping[str, Mapping[str, Mapping[str, Extrapolation]]] = field(repr=False)
    provenance: Provenance = field(repr=False)

    @property
    def tyings(self) -> tuple[str, ...]:
        """The theories that were asked for, the main one first."""
        asked = [*self.theory, *(u.tying for u in self.untested)]
        return tuple(dict.fromkeys(asked))

    @property
    def main(self) -> str:
        """The theory whose verdict comes first: the first that has claims."""
        return next((c.target.tying for c in self.claims), self.tyings[0])

    def outcomes(self, outcome: str, *, tying: str | None = None) -> list[Claim]:
        """The claims with that outcome, of one theory or of all."""
        return [c for c in self._claims_of(tying) if c.verdict.outcome == outcome]

    def _claims_of(self, tying: str | None) -> list[Claim]:
        return [c for c in self.claims if tying in (None, c.target.tying)]

    def verdict(self, tying: str | None = None) -> str:
        """Of one theory, or of all: "accepted", "rejected", "inconclusive" or "untested".

        Accepted when no claim is rejected and every control is.
        """
        claims = self._claims_of(tying)
        if self.outcomes("rejected", tying=tying):
            return "rejected"
        if not claims:
            return "untested"
        seen = all(c.verdict.control_rejected for c in claims)
        return "accepted" if seen else "inconclusive"

    @property
    def rejected(self) -> bool:
        """Whether any claim was rejected."""
        return self.verdict() == "rejected"

    @property
    def passed(self) -> bool:
        """Whether there are claims, none was rejected, and every control was."""
        return self.verdict() == "accepted"

    def summary(self, tying: str | None = None) -> str:
        """The verdict in a sentence for each theory, or for one."""
        if not self.claims:
            return "Nothing could be tested."
        tested = dict.fromkeys(c.target.tying for c in self.claims)
        return " ".join(self._sentence(t) for t in tested if tying in (None, t))

    def _sentence(self, tying: str) -> str:
        rejected = self.outcomes("rejected", tying=tying)
        if rejected:
            return f"Rejected ({tying} theory): {', '.join(c.name for c in rejected)}."
        total = len(self._claims_of(tying))
        held = len(self.outcomes("accepted", tying=tying))
        text = f"{tying.capitalize()} theory: {held} of {total} claims hold"
        open_ = self.outcomes("inconclusive", tying=tying)
        for limit in ("networks", "units"):
            limited = [c for c in open_ if c.verdict.limited_by == limit]
            if limited:
                few, names = len(limited) < 5, ", ".join(c.name for c in limited)
                text += f"; too few {limit} to tell {self.control:.0%} in "
                text += names if few else f"{len(limited)} of them"
                # Errors fall like one over the root of their number.
                times = max(c.verdict.resolution / self.control for c in limited) ** 2
                text += f" (about {rounded(times, 2)} times as many would do)"
        return f"{text}; none is rejected."

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the setting, the design, every claim, and whether the report passed."""
        return {
            "passed": self.passed,
            "summary": self.summary(),
            "verdicts": {tying: self.verdict(tying) for tying in self.tyings},
            "cell": self.cell.name,
            "ensemble": self.ensemble.to_dict(),
            "inputs": self.inputs.to_dict(),
            "start": dict(self.start),
            "design": json_safe(self.design),
            "pilot": json_safe(self.pilot),
            "steps": self.steps,
            "horizons": list(self.horizons),
            "lags": list(self.lags),
            "seed": self.seed,
            "dtype": self.dtype,
            "false_alarm_rate": self.false_alarm_rate,
            "control": self.control,
            "resolvent_points": json_safe(self.resolvent_points),
            "claims": [c.to_dict() for c in self.claims],
            "shown": [c.to_dict() for c in self.shown],
            "gaps": [g.to_dict() for g in self.gaps],
            "untested": [u.to_dict() for u in self.untested],
            "provenance": self.provenance.to_dict(),
        }

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict()` as JSON, a list of numbers in one line."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        text = re.sub(r"\[[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        head = f"{type(self).__name__}({self.cell.name!r}: {self.summary()}"
        rows = [repr(c) for c in (*self.claims, *self.shown)]
        rows += [repr(g) for g in self.gaps]
        rows += [f"not tested: {u.name} ({u.tying}): {u.reason}" for u in self.untested]
        return "\n  ".join([head, *rows]) + ")"
