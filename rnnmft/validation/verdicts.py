"""The test of one claim: contrasts, their Student scores, the verdict, and the control beside it.

A claim predicts one number, or one a step. Its contrasts are its elements and, if there are
several, their level: the mean over steps of value / scale. The level gets half of the claim's
false-alarm rate (it sees a deviation that all steps share), the elements divide the other half.
The claim is rejected when any contrast is.

The control is the same test with the prediction moved by a fraction of its scale, up and down.
Where it is not rejected, accepting the claim says nothing: the verdict is "inconclusive".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rnnmft.records import Record
from rnnmft.validation.extrapolation import Extrapolation, LinearEstimate

__all__ = ["Prediction", "Verdict", "judge"]

Array = NDArray[np.float64]
# A probability that underflows stands for this one: z = 37.
_LEAST_P = 1e-300


@dataclass(frozen=True, eq=False)
class Prediction(Record):
    """What the theory says of one claim.

    Attributes:
        value: shape () or (steps,).
        error: of that shape: a bound, or a standard error (`error_kind`). Errors of several
            elements count as fully correlated.
        scale: > 0, of that shape: a control moves the value by a fraction of this.
        error_kind: "bound" or "standard error".
        error_degrees: degrees of freedom of a standard error: independent repetitions - 1.
        labels: of the elements: "step 7", "lag 2".
    """

    value: Array
    error: Array
    scale: Array
    error_kind: str = "bound"
    error_degrees: float = np.inf
    labels: tuple[str, ...] = ()

    @property
    def sampled(self) -> bool:
        """Whether the theory sampled units, and so has a standard error."""
        return self.error_kind != "bound"

    @property
    def level_error(self) -> float:
        """The error of the level, in units of the scale."""
        return float((self.error / self.scale).mean())


@dataclass(frozen=True, eq=False)
class Verdict(Record):
    """How one claim fared.

    Attributes:
        outcome: "accepted", "rejected" or "inconclusive" (not rejected, nor was its control).
        p_value: of the whole claim, corrected for its contrasts.
        threshold: below it the claim is rejected.
        z: the normal score of p_value, with the sign of the deviation.
        score, degrees: Student's t of the most extreme contrast, and its degrees of freedom.
        contrast: which one that is: "level", "step 7", "lag 2", or "value" of one number.
        deviation, deviation_error: measured minus predicted in units of the scale: the level.
        control: the fraction of the scale by which the control moves the prediction.
        control_rejected: whether both moved predictions are rejected.
        resolution: the smallest move that these data reject, as a fraction of the scale.
        limited_by: what keeps the control from being rejected: "networks", or "units" where
            the theory's own standard error alone does; empty where it is rejected.
    """

    outcome: str
    p_value: float
    threshold: float
    z: float
    score: float
    degrees: float
    contrast: str
    deviation: float
    deviation_error: float
    control: float
    control_rejected: bool
    resolution: float
    limited_by: str


@dataclass(frozen=True, eq=False)
class _Contrasts:
    """All contrasts of a claim in units of the scale: measured - predicted, errors, shares."""

    names: list[str]
    difference: Array
    error: Array
    bound: Array
    degrees: Array
    share: Array

    def p_values(self) -> Array:
        """Two-sided, of each contrast by itself."""
        return 2 * stats.t.sf(np.abs(self.scores()), self.degrees)

    def scores(self) -> Array:
        """Student's t; a deviation within the theory's error bound is no deviation."""
        beyond = np.maximum(np.abs(self.difference) - self.bound, 0.0)
        # Without a deviation 0 / 0 is not looked at; a deviation without an error is infinitely
        # many.
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(beyond > 0, beyond / self.error, 0.0)
        return np.sign(self.difference) * t

    def resolution(self, threshold: float) -> float:
        """The smallest common move, up or down, after which some contrast is rejected."""
        critical = stats.t.isf(threshold * self.share / 2, self.degrees)
        return float((np.abs(self.difference) + self.bound + critical * self.error).min())


def _contrasts(prediction: Prediction, limit: LinearEstimate, level: LinearEstimate) -> _Contrasts:
    scale = prediction.scale
    own = prediction.error / scale
    rows = [(limit.value - prediction.value) / scale, limit.error / scale, own, limit.degrees]
    difference, error, own, degrees = (np.atleast_1d(row) for row in rows)
    count = len(difference)
    names = list(prediction.labels) or [f"element {t}" for t in range(count)]
    names = names if count > 1 else ["value"]
    share = np.full(count, 0.5 / count if count > 1 else 1.0)
    if count > 1:
        predicted = float((prediction.value / scale).mean())
        difference = np.append(difference, float(level.value) - predicted)
        error, degrees = np.append(error, level.error), np.append(degrees, level.degrees)
        own, share, names = np.append(own, own.mean()), np.append(share, 0.5), [*names, "level"]
    if not prediction.sampled:
        return _Contrasts(names, difference, error, own, degrees, share)
    # Welch and Satterthwaite: the spread over networks, and that of the theory's repetitions.
    total = np.hypot(error, own)
    parts = error**4 / degrees + own**4 / prediction.error_degrees
    degrees = np.divide(total**4, parts, out=np.full_like(total, np.inf), where=parts > 0)
    return _Contrasts(names, difference, total, np.zeros_like(own), degrees, share)


def judge(
    prediction: Prediction,
    fitted: Extrapolation,
    level: Extrapolation,
    threshold: float,
    control: float,
) -> Verdict:
    """Test a claim and its control.

    Args:
        prediction: what the theory says.
        fitted: the extrapolated values, of the prediction's shape.
        level: the extrapolated level: of the mean over steps of value / scale, a scalar.
        threshold: the claim's share of the report's false-alarm rate.
        control: the fraction of the scale by which the control moves the prediction.
    """
    found = _contrasts(prediction, fitted.limit, level.limit)
    corrected = np.minimum(found.p_values() / found.share, 1.0)
    at = int(corrected.argmin())
    p_value, scores = float(corrected[at]), found.scores()
    resolution = found.resolution(threshold)
    seen = resolution < control
    limited_by = "" if seen else "networks"
    if prediction.sampled and not seen:
        known = replace(prediction, error=np.zeros_like(prediction.error))
        without = _contrasts(known, fitted.limit, level.limit).resolution(threshold)
        limited_by = "units" if without < control else "networks"
    outcome = "rejected" if p_value < threshold else "accepted" if seen else "inconclusive"
    return Verdict(
        outcome=outcome,
        p_value=p_value,
        threshold=threshold,
        z=float(np.sign(scores[at]) * stats.norm.isf(max(p_value, _LEAST_P) / 2)),
        score=float(scores[at]),
        degrees=float(found.degrees[at]),
        contrast=found.names[at],
        deviation=float(found.difference[-1]),
        deviation_error=float(found.error[-1]),
        control=control,
        control_rejected=seen,
        resolution=resolution,
        limited_by=limited_by,
    )
