"""A stack of linear layers that reads data, solved by hand.

h_l' = W_l h_l + U_l h_{l-1}', tied weights: powers of different order are orthogonal, so that

    C_l(t, s) = sum_k sigma_w^{2k} sigma_v^2 C_{l-1}(t - k, s - k),    C_0 = K
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnmft import cells
from rnnmft.language import Ensemble, Inputs

Array = NDArray[np.float64]

RECURRENT, FED = (0.8, 0.6), (1.1, 0.7)
CELL = cells.stack(cells.vanilla(lambda e: e), 2)
#: Trajectories whose variances differ by a factor of 4, and no two steps alike.
SEQUENCES = np.random.default_rng(3).normal(size=(2, 9, 3)) * np.array([[[1.0]], [[2.0]]])
INPUTS = Inputs.from_data(*SEQUENCES)


def linear_ensemble() -> Ensemble:
    """A bias would only add to it."""
    rows = zip(RECURRENT, FED, strict=True)
    laws = {f"e_{n}": {"sigma_w": w, "sigma_v": v} for n, (w, v) in enumerate(rows, 1)}
    return CELL.ensemble(**laws)


def covariances(inputs: Inputs, tied: bool) -> list[Array]:
    """C_l(t, s) of each layer, (2, 2, T, T); untied: its diagonal in time alone."""
    assert inputs.data is not None
    below, found = np.array(inputs.data.gram), []
    for sigma_w, sigma_v in zip(RECURRENT, FED, strict=True):
        own = np.zeros_like(below)
        for t in range(below.shape[2]):
            own[:, :, t] = sigma_v**2 * below[:, :, t]
            if t:
                own[:, :, t, 1:] += sigma_w**2 * own[:, :, t - 1, :-1]
        if not tied:
            own = own * np.eye(own.shape[2])
        found.append(own)
        below = own
    return found


def jacobian_squares(horizon: int) -> Array:
    """tr J_ab J_ab^T / N of the T-step Jacobian from layer b to layer a, (2, 2)."""
    (w, u), fed = RECURRENT, FED[1]
    across = sum(u ** (2 * (horizon - j)) * fed**2 * w ** (2 * j) for j in range(1, horizon + 1))
    return np.array([[w ** (2 * horizon), 0.0], [across, u ** (2 * horizon)]])
