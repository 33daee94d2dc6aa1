"""The correlation map c -> c' of two trajectories at a stationary state, where moments close.

Eq. (chi).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.correlation import correlation, require_variance
from rnnmft.errors import DerivationError
from rnnmft.solvers.closed.recursion import point_of

__all__ = ["correlation_map"]

Array = NDArray[np.float64]


def correlation_map(field: MeanField, c: Sequence[float] | Array) -> dict[str, Array]:
    """One step of the correlation, the moments being stationary.

    Every cross moment is c times the moment that it becomes for identical trajectories.

    Args:
        field: a theory whose moments close: untied, or tied of a memoryless cell.
        c: correlations before the step, (n,), in [-1, 1].

    Returns:
        {state: correlations after the step, (n,)}.

    Raises:
        DerivationError: there is no map of correlations alone.
        ConvergenceError: there is no stationary state, or it is zero.

    >>> from rnnmft import cells
    >>> [round(float(v), 6) for v in correlation_map(MeanField(cells.vanilla()), [0.0, 1.0])["h"]]
    [0.31271, 0.619413]
    """
    recursion = field.recursion
    if recursion is None:
        raise DerivationError(
            f"the correlation of cell {field.cell.name!r} has no map of its own: it depends on the "
            "law of the state"
        )
    n = recursion.derivation.notation
    before = np.asarray(c, dtype=float)
    count = before.size
    point = {
        symbol: np.repeat(value, count)
        for symbol, value in point_of(recursion.derivation, field.ensemble, field.inputs).items()
    }
    moments: Any = np.repeat(np.asarray(field.fixed_point().moments)[:, None], count, axis=1)
    same = [(tuple(map(sum, zip(*key, strict=True))),) for key in recursion.cross_keys]
    cross = np.stack([before * moments[recursion.keys.index(key)] for key in same])
    after = recursion.cross_step(cross, moments, point)[0]
    found = {}
    for s in field.cell.states:
        square = moments[recursion.keys.index(n.state_key(s, s))]
        pair = after[recursion.cross_keys.index(n.state_key(s, s, trajectories=2))]
        require_variance({s.name: square})
        found[s.name] = correlation(pair, square)
    return found
