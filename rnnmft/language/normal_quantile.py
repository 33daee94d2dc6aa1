"""The standard normal quantile function on numbers and on whole arrays of any library.

Algorithm AS 241 (PPND16), relative accuracy about 1e-16: [wichura1988].
Python's `statistics.NormalDist.inv_cdf` is the same algorithm for one number.
"""

from __future__ import annotations

import math
import sys
from numbers import Real
from statistics import NormalDist
from typing import Any

__all__ = ["library_of", "normal_quantile"]

# Numerator and denominator of the three rational approximations, highest power first.
_CENTRE = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852854561,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
_TAIL = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
_FAR_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15,
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ),
)


def library_of(u: Any) -> Any:
    """The library that made an array: its own log, sqrt and where; `math` for one number.

    The floor of the cells imports neither NumPy nor torch; an array brings its library with it.
    """
    if isinstance(u, Real):
        return math
    return sys.modules[type(u).__module__.partition(".")[0]]


def normal_quantile(u: Any) -> Any:
    """z with Phi(z) = u, elementwise, for u strictly between 0 and 1.

    Args:
        u: a number, a NumPy array or a torch tensor of floating point numbers.

    Returns:
        The same kind, shape and precision.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    library = library_of(u)
    if library is math:
        return NormalDist().inv_cdf(float(u))
    q = u - 0.5
    r = library.sqrt(-library.log(library.where(q < 0, u, 1 - u)))
    tail = library.where(r <= 5, _ratio(_TAIL, r - 1.6), _ratio(_FAR_TAIL, r - 5))
    signed = library.where(q < 0, -tail, tail)
    return library.where(abs(q) <= 0.425, q * _ratio(_CENTRE, 0.180625 - q * q), signed)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    numerator, denominator = (_horner(row, x) for row in coefficients)
    return numerator / denominator


def _horner(row: tuple[float, ...], x: Any) -> Any:
    value = row[0] * x + row[1]
    for coefficient in row[2:]:
        value = value * x + coefficient
    return value
