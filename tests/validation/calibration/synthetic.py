"""Made-up comparisons whose errors are right, or wrong in a known way."""

from __future__ import annotations

import numpy as np

from validation.calibration.comparison import Comparison

KINDS, SETTINGS, REPETITIONS = ("first", "second", "third", "fourth"), 100, 16


def comparisons(seed, width=1.0, bias=0.0, kinds=KINDS, **fields):
    """A number of each kind and setting: the mean of 16 normals, with its standard error.

    `width` times the right error is reported for `kinds`; their truth is missed by `bias` errors.
    """
    rng, found = np.random.default_rng(seed), []
    for kind in KINDS:
        wide, off = (width, bias) if kind in kinds else (1.0, 0.0)
        for i in range(SETTINGS):
            sample = rng.standard_normal(REPETITIONS)
            error = sample.std(ddof=1) / REPETITIONS**0.5
            given = {
                "setting": f"setting {i}",
                "kind": kind,
                "quantity": "h",
                "source": "exact",
                "method": "sampled units",
                "value": 1.0 + sample.mean() + off * error,
                "error": wide * error,
                "error_kind": "standard error",
                "status": "OK",
                "truth": 1.0,
                "degrees": REPETITIONS - 1,
            }
            found.append(Comparison(**given | fields))
    return found
