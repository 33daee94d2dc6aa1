"""Stable forms are the same functions, and do not cancel."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import gaussian_cdf, sigmoid, tanh
from rnnmft.numerics.cancellation import without_cancellation
from rnnmft.numerics.compile import compile_elementwise

x = sp.Symbol("x", real=True)


def _sigmoid(v):
    return 1 / (1 + mp.exp(-v))


FORMS = {
    1 - sigmoid(x): lambda v: _sigmoid(-v),
    2 * sigmoid(x) - 2: lambda v: -2 * _sigmoid(-v),
    1 - 2 * sigmoid(x): lambda v: -mp.tanh(v / 2),
    1 - gaussian_cdf(3 * x): lambda v: mp.ncdf(-3 * v),
    1 - tanh(x): lambda v: 2 * _sigmoid(-2 * v),
    1 + tanh(x): lambda v: 2 * _sigmoid(2 * v),
    tanh(x) ** 2 - 1: lambda v: -(mp.sech(v) ** 2),
}


@pytest.mark.parametrize("form", list(FORMS), ids=str)
def test_the_stable_form_is_the_same_function_to_the_last_digits(form) -> None:
    points = np.array([-9.0, -1.0, -1e-3, 1e-3, 0.7, 3.0, 9.0])
    assert without_cancellation(form) != form
    (found,) = compile_elementwise([form], [x])(points)
    mp.mp.dps = 30
    for point, value in zip(points, found, strict=True):
        exact = FORMS[form](mp.mpf(float(point)))
        # The normal tail at 27 magnifies the rounding of its argument by 27^2.
        assert abs(mp.mpf(float(value)) - exact) <= 1e-12 * abs(exact)


def test_other_sums_stay_as_they_are() -> None:
    for form in (1 + sigmoid(x), 2 - sigmoid(x), 1 - tanh(x) ** 3, x + sigmoid(x)):
        assert without_cancellation(form) == form
