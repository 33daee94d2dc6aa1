"""The critical line of a map: where the growth rate is 0, with its error.

Along one parameter, for every value of the others, g is interpolated by a monotone cubic between
the points of the map. An error of g moves the line by its ratio to the slope. What interpolation
may be wrong by is taken to be what a straight line between the two nearest points would differ by.

Eq. (growth).
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import xarray
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from rnnmft.errors import ParameterError

__all__ = ["crossings", "line_of"]

Array = NDArray[np.float64]


def line_of(diagram: xarray.Dataset, along: str, name: str) -> xarray.Dataset:
    """The zeros of one quantity along one parameter; see `PhaseDataset.critical_line`.

    Raises:
        ParameterError: the diagram has no such parameter or quantity.
    """
    parameters = [str(d) for d in diagram.fixed_point_error.dims]
    if along not in parameters:
        raise ParameterError(f"along must be one of {', '.join(parameters)}, got {along!r}")
    if name not in diagram:
        raise ParameterError(f"the diagram has no {name}: ask phase_diagram for it")
    others = [d for d in parameters if d != along]
    x = diagram[along].values
    values, errors = (
        diagram[n].transpose(*others, along).values.reshape(-1, len(x))
        for n in (name, f"{name}_error")
    )
    found = [crossings(x, *pair) for pair in zip(values, errors, strict=True)]
    most = max(1, *(len(row) for row in found))
    table = np.full((2, len(found), most), np.nan)
    for i, row in enumerate(found):
        for k, pair in enumerate(row):
            table[:, i, k] = pair
    shape = (*(diagram.sizes[d] for d in others), most)
    dims = [*others, "crossing"]
    meaning = {"long_name": f"{along} where {name} is 0"}
    data = {
        along: (dims, table[0].reshape(shape), meaning),
        f"{along}_error": (dims, table[1].reshape(shape), {"long_name": f"error of {along}"}),
    }
    return xarray.Dataset(data, {d: diagram[d] for d in others}, diagram.attrs)


def crossings(x: Array, values: Array, errors: Array) -> list[tuple[float, float]]:
    """Where a function that is known at some points is 0, with errors, by increasing x.

    >>> crossings(np.arange(4.0), np.array([-3.0, -1.0, 1.0, 3.0]), np.full(4, 0.1))
    [(1.5, 0.05)]
    """
    order = np.argsort(x)
    known = order[np.isfinite(values[order])]
    x, values, errors = x[known], values[known], errors[known]
    if len(x) < 2:
        return []
    curve = PchipInterpolator(x, values)
    slope = curve.derivative()
    found = []
    for i, k in pairwise(range(len(x))):
        if values[i] == 0.0 or (values[i] < 0.0) != (values[k] < 0.0):
            zero = x[i] if values[i] == 0.0 else brentq(curve, x[i], x[k])
            rise = (values[k] - values[i]) / (x[k] - x[i])
            straight = x[i] - values[i] / rise if rise else zero
            # A monotone cubic may be flat where it ends: the line between its ends is not.
            steep = max(abs(float(slope(zero))), 0.5 * abs(rise))
            noise = float(max(errors[i], errors[k])) / steep if steep else math.inf
            found.append((float(zero), math.hypot(noise, float(straight - zero))))
    return found
