"""The effective dimension of a Jacobian: a statistic of its singular values without heavy tails.

    d_eff(T) = (1/mN) tr J J^T (J J^T - z)^{-1} = 1 - z g(z) = < s^2 / (s^2 - z) >,     z < 0,

g the resolvent of J J^T and s the singular values of the T-step Jacobian J: the fraction of all
directions that J stretches by more than sqrt(-z), where a direction counts smoothly, between 0 and
1. It is bounded, so that networks cannot scatter over orders of magnitude as their m_k do. (The
same number is the effective dimension of ridge regression with the penalty -z, and 1 minus the
eta-transform of J J^T at -1/z.)

z sets the scale. Far below the singular values d_eff is 1 whatever they are, far above it is m_1
again. It is put where d log d_eff / d log s = 2 (1 - <w^2> / <w>) = 1, w = s^2 / (s^2 - z): there a
control that moves d_eff by 2 % does what singular values that are all 2 % longer would do.

Sources: [zhang2005], [tulino2004] (the eta-transform). Eq. (effective-dimension).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnmft.records import Quantity
from rnnmft.simulation import Simulation
from rnnmft.spectra.law import JacobianLaw
from rnnmft.validation.setting import POINTS, SimulationSetting

__all__ = ["choose_points", "measured_dimension", "predicted_dimension", "sensitive_point"]

Array = NDArray[np.float64]
# Networks that choose z, with seeds of their own. A choice: any z is a fair one, once chosen.
_NETWORKS = 16
# z is one of ten numbers a decade (Renard's R10): other seeds and devices mostly choose the same.
_PER_DECADE = 10
# What is smaller than this part of the largest squared singular value, or 0, chooses no z.
_LEAST = 1e-30


def sensitive_point(squares: Array) -> float | None:
    """The z < 0 where d_eff answers to stretched singular values in proportion.

    Of several the one that is farthest from 0: it weighs the largest singular values, by which
    gradients explode.

    Args:
        squares: squared singular values, of any shape; those that are not finite are left out.

    Returns:
        z, rounded to two digits; None where all singular values are 0 or none is finite.

    >>> sensitive_point(np.array([1.0, 1.0, 1.0, 1.0]))
    -1.0
    """
    squares = squares[np.isfinite(squares) & (squares > 0)]
    if not squares.size:
        return None
    largest = float(squares.max())
    first = math.floor(_PER_DECADE * math.log10(largest))
    last = math.floor(_PER_DECADE * math.log10(largest * _LEAST))
    for k in range(first, last, -1):
        z = -float(f"{10.0 ** (k / _PER_DECADE):.1e}")
        w = squares / (squares - z)
        if 2 * (w**2).sum() >= w.sum():
            return z
    return None


def choose_points(setting: SimulationSetting, width: int, tying: str) -> dict[int, float]:
    """{T: z} for every horizon, from a few networks that are thrown away afterwards.

    One z for both theories, so that their difference can be measured.
    """
    if not setting.horizons:
        return {}
    drawn = setting.run(width, _NETWORKS, tying, POINTS, spectrum=True)
    points = {
        T: sensitive_point(np.asarray(drawn.jacobian[T].singular_values) ** 2)
        for T in setting.horizons
    }
    return {T: z for T, z in points.items() if z is not None}


def predicted_dimension(law: JacobianLaw, z: float) -> Quantity:
    """d_eff at z in theory, a scalar with its error."""
    found = law.resolvent(z)
    return Quantity(
        f"effective dimension at z = {z:g}, horizon {law.horizon}, {law.tying}",
        1.0 - z * float(np.real(found.value)),
        abs(z) * float(found.error),
        found.status,
        error_kind=found.error_kind,
    )


def measured_dimension(horizon: int, z: float) -> Callable[[Simulation], Array]:
    """d_eff at z of each network of a simulation that measured the resolvent there."""

    def measured(simulation: Simulation) -> Array:
        found = simulation.jacobian[horizon]
        assert found.resolvent is not None
        place = found.resolvent_points.index(z)
        return 1.0 - z * np.real(found.resolvent.samples[:, place])

    return measured
