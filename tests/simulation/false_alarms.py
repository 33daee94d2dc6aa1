"""The statistical tests of this folder: one test of means, and the false-alarm rate of each.

Every statistical test takes a fixed number of networks, asks `p_value` for the prediction, and
asks again for a control, a prediction moved by the amount that its sample resolves. A correct
program fails one of them with probability FALSE_ALARM (when seeds or random streams change).
"""

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-4


def p_value(samples, predicted, predicted_sem=0.0):
    """The smallest two-sided p-value over all elements, times their number (Bonferroni).

    Args:
        samples: (networks, ...), the networks being independent.
        predicted: the claimed mean, (...).
        predicted_sem: its own standard error, (...), if it was measured (Welch's test, with the
            degrees of freedom of the smaller sample, which is conservative).
    """
    samples = np.asarray(samples, dtype=float)
    count = len(samples)
    sem = samples.std(axis=0, ddof=1) / np.sqrt(count)
    t = (samples.mean(axis=0) - predicted) / np.hypot(sem, predicted_sem)
    return float(np.min(np.minimum(1.0, 2 * stats.t.sf(np.abs(t), count - 1) * np.size(t))))
