"""log10 m_1(T) over the horizons, with errors, and on beyond the last horizon.

log10 m_1(T) ~ log10 m_1(T_0) + (T - T_0) growth / ln 10
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["GradientSeries", "gradient_series"]

Tensor = torch.Tensor
Array = NDArray[np.float64]
# The later half is cut into so many pieces, whose slopes' spread is the error of the slope.
_PIECES = 8
# A bend, of standard error twice the slope's, counts beyond so many of its own: 9 % by chance.
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class GradientSeries:
    """log10 m_1(T) at T = 1, .., horizon, with standard errors; shapes (horizon,)."""

    log10: Array
    error: Array

    def at(self, horizon: int) -> tuple[float, float]:
        """(log10 m_1, its error) at a horizon; beyond the last one along its line or its power.

        The line has the slope of the later half. Where the slopes of this half's quarters differ by
        more than their noise it bends as a power of T does. In the error are the spread of the
        slopes, and by how much the power and the line differ, whichever of them it is.
        """
        known = len(self.log10)
        if horizon <= known:
            return float(self.log10[horizon - 1]), float(self.error[horizon - 1])
        if known == 0:
            return math.nan, math.inf
        if not np.isfinite(self.log10).all():
            return float(self.log10[-1]), math.inf
        beyond = horizon - known
        if known < 4:
            return float(self.log10[-1]) * horizon / known, math.inf
        if known < 8:  # quarters of one step have no slope
            return float(self.log10[-1]) + self.slope * beyond, math.inf
        line = float(self.log10[-1]) + self.slope * beyond
        noise = math.hypot(float(self.error[-1]), self.slope_error * beyond)
        # Of p log10 T the quarters' mean slopes differ by p log10(9/8) over a quarter's steps, and
        # the last one's is p log10(4/3) over them.
        quarter = known / 4
        power = -self._bend * quarter / math.log10(9 / 8)
        rate = self._slope(known - known // 4, known) - power * math.log10(4 / 3) / quarter
        bent = float(self.log10[-1]) + rate * beyond + power * math.log10(horizon / known)
        bends = abs(self._bend) > 2.0 * _STANDARD_ERRORS * self._scatter
        return bent if bends else line, math.hypot(noise, bent - line)

    @property
    def slope(self) -> float:
        """The slope of the line through the later half, per step."""
        known = len(self.log10)
        if known == 0:
            return math.nan
        if not np.isfinite(self.log10).all():
            return float(self.log10[-1])
        if known < 4:
            return float(self.log10[-1]) / known
        return self._slope(known - known // 2, known)

    @property
    def slope_error(self) -> float:
        """What the slope may be off by; infinite where too little is known to say."""
        if len(self.log10) // 4 < 2 or not np.isfinite(self.log10).all():
            return math.inf
        return math.hypot(self._bend, self._scatter)

    @property
    def _bend(self) -> float:
        """By how much the slope of the last quarter differs from that of the one before."""
        known = len(self.log10)
        half, quarter = known // 2, known // 4
        if quarter < 2:
            return 0.0
        before = self._slope(known - half, known - quarter)
        return self._slope(known - quarter, known) - before

    @property
    def _scatter(self) -> float:
        """The standard error of the later half's slope, by its pieces' about their line."""
        known = len(self.log10)
        piece = (known // 2) // _PIECES
        if piece < 2:
            return 0.0
        ends = [known - k * piece for k in range(_PIECES)]
        slopes = np.array([self._slope(end - piece, end) for end in ends])
        rest = slopes - np.polyval(np.polyfit(ends, slopes, 1), ends)
        return math.sqrt(float(np.square(rest).sum()) / (_PIECES - 2) / _PIECES)

    def _slope(self, low: int, high: int) -> float:
        return float(np.polyfit(np.arange(low, high), self.log10[low:high], 1)[0])


def gradient_series(log_squares: Tensor) -> GradientSeries:
    """From ln |J_T u|^2 / N, (horizon, samples, ...), of samples that count as independent.

    The samples are the second axis; what is behind it are probes, averaged within a sample. Over
    long horizons a few samples carry the mean, those that were drawn need not be among them, and
    then both the mean and its scatter are too small. So the relative error is the scatter, or what
    log-normal samples of the same spread s of logarithms have (X.-H. Zhou and S. Gao, Statistics in
    Medicine 16, 783 (1997)), (s^2 / n + s^4 / (2 (n - 1)))^(1/2), whichever is larger; with it, by
    what the mean falls short of theirs, exp(E ln + s^2 / 2); and all times 1 + 3 / (2 (n - 1)), for
    the spread is that of n samples. In s^2 does not count what k probes scatter by where one
    direction carries J: the logarithm of a chi-squared number varies by psi'(k/2), which n samples
    show to within (6 / n)^(1/2) of itself.
    """
    if log_squares.shape[1] == 1 and log_squares.ndim == 3:
        log_squares = log_squares.transpose(1, 2)  # one sequence: its probes are the samples
    top = log_squares.flatten(1).max(1).values
    top = torch.where(top.isfinite(), top, 0.0)
    scaled = (log_squares - top.view(-1, *[1] * (log_squares.ndim - 1))).exp()
    means = scaled.flatten(2).mean(2) if scaled.ndim > 2 else scaled
    value, count = means.mean(1), means.shape[1]
    log10 = (value.log() + top) / math.log(10)
    if count == 1:
        return GradientSeries(log10.numpy(), np.full(len(log10), math.inf))
    relative = means.std(1) / value / math.sqrt(count)
    logs, half = means.log(), torch.tensor(scaled[0, 0].numel() / 2.0, dtype=torch.float64)
    by_probes, scatter = torch.special.polygamma(1, half), logs.var(1)
    spread = (scatter - by_probes * (1.0 + math.sqrt(6.0 / count))).clamp_min(0.0)
    heavy = (spread / count + spread.square() / (2.0 * (count - 1))).sqrt()
    # By what exp(E ln + s^2 / 2) is above the mean of a chi-squared number; less, as the square of
    # the variance, of one with more degrees of freedom.
    skew = (by_probes / 2.0 + torch.digamma(half) - half.log()) * (scatter / by_probes).clamp_max(
        1.0
    ).square()
    short = (logs.mean(1) + scatter / 2.0 - skew - value.log()).clamp_min(0.0)
    heavy = torch.hypot(torch.maximum(relative, heavy), short)
    # A sample that is 0 has no logarithm: its spread counts as it is.
    relative = torch.where(heavy.isfinite(), heavy, relative) * (1.0 + 1.5 / (count - 1))
    # 0 / 0 where every sample is 0 (set to 0 below) or inf / inf where they overflow: nothing is
    # known.
    error = (relative / math.log(10)).nan_to_num(nan=math.inf, posinf=math.inf)
    return GradientSeries(log10.numpy(), torch.where(log10 == -math.inf, 0.0, error).numpy())
