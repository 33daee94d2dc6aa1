"""How sampled numbers are compared: Student's t over repetitions, one declared false-alarm rate.

A comparison of n numbers from R repetitions fails by chance with probability FALSE_ALARM at most
(Bonferroni over the n numbers; bias of order 1/units is far below the errors at the sizes used).
Seeds are fixed: a test that passes once passes always, until the numbers change.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-4
#: What a prediction is moved by in the controls.
CONTROL = 1.02


def agree(value, error, truth, truth_error=0.0, repetitions=16):
    """Whether every number is within the largest t that chance explains; exact ones to 1e-9."""
    value, error, truth = np.broadcast_arrays(*map(np.asarray, (value, error, truth)))
    limit = stats.t.isf(FALSE_ALARM / 2 / value.size, repetitions - 1)
    allowed = limit * np.hypot(error, truth_error) + 1e-9 * np.abs(truth)
    return bool((np.abs(value - truth) <= allowed).all())
