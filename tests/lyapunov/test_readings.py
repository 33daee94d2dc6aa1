"""What is read off a curve, and its errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rnnmft import ParameterError, Status
from rnnmft.lyapunov.curve import ExponentCurve
from rnnmft.lyapunov.spectrum import LyapunovSpectrum
from rnnmft.records import BOUND, STANDARD_ERROR


def even(low: float, high: float, above: float = 1.0, complete: bool = True) -> ExponentCurve:
    """Exponents spread evenly from low to high."""
    mu = np.linspace(low, high, 9)
    return ExponentCurve(mu, above * (high - mu) / (high - low), complete)


def record(curve: ExponentCurve, **more: object) -> LyapunovSpectrum:
    return LyapunovSpectrum("autonomous", "tied", "by hand", 2, curve, **more)  # type: ignore[arg-type]


def test_an_even_law() -> None:
    """u = (1 - mu) / 4 on [-3, 1]: L = (1 - mu)^2 / 8, and the sum is 0 down to mu = -1."""
    found = record(even(-3.0, 1.0))
    assert found.positive_fraction == pytest.approx(0.25, abs=1e-12)
    assert found.entropy == pytest.approx(2 / 8, abs=1e-12)
    assert found.dimension == pytest.approx(2 * 0.5, abs=1e-9)
    assert found.quantiles([0.25, 0.5]).value == pytest.approx([-2.0, -1.0], abs=1e-9)
    assert found.density([-1.0, 2.0]).value == pytest.approx([0.25, 0.0], abs=1e-12)
    assert found.fraction_above([-4.0, 0.0]).value == pytest.approx([1.0, 0.25], abs=1e-12)


@pytest.mark.parametrize(
    ("curve", "dimension"),
    [(even(-2.0, -1.0), 0.0), (even(-0.5, 1.0), 2.0), (even(-3.0, 1.0, 0.4), 0.4)],
    ids=["contracts", "expands", "has zeros"],
)
def test_dimensions(curve: ExponentCurve, dimension: float) -> None:
    """Without a positive exponent 0, with a positive sum all; -inf beyond the others."""
    assert record(curve).dimension == pytest.approx(dimension, abs=1e-9)


def test_what_lies_below_the_curve_is_not_known() -> None:
    found = record(even(-1.0, 1.0, 0.5, complete=False))
    quantiles = found.quantiles([0.2, 0.75])
    assert math.isnan(quantiles.value[0])
    assert quantiles.value[1] == pytest.approx(0.0, abs=1e-9)
    assert quantiles.status is Status.NOT_CONVERGED
    assert found.quantity("entropy").status is Status.OK
    assert math.isnan(record(even(-0.2, 1.0, 0.5, complete=False)).dimension)
    low = record(even(-0.2, 1.0, 0.5, complete=False)).quantity("dimension")
    assert low.status is Status.NOT_CONVERGED


def test_errors_are_what_other_curves_change() -> None:
    """One curve moved by 0.1 is a bound; three parts have the standard error of their mean."""
    moved = record(even(-3.0, 1.0), bounds=(even(-2.9, 1.1),))
    assert moved.error_kind == BOUND
    assert moved.quantiles(0.5).error == pytest.approx(0.1, abs=1e-8)
    assert moved.quantity("largest").error == pytest.approx(0.1, abs=1e-8)
    parts = tuple(even(-3.0 + d, 1.0 + d) for d in (-0.3, 0.0, 0.3))
    scattered = record(even(-3.0, 1.0), parts=parts)
    assert scattered.error_kind == STANDARD_ERROR
    assert scattered.quantiles(0.5).error == pytest.approx(0.3 / math.sqrt(3), abs=1e-8)


def test_it_is_written_as_json() -> None:
    found = record(even(-3.0, 1.0))
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert said["entropy"]["unit"] == "per unit and step"
    assert len(said["quantiles"]["value"]) == len(said["quantiles"]["fractions"])
    assert "autonomous" in repr(found)


@pytest.mark.parametrize("p", [0.0, 1.0, float("nan")], ids=["zero", "one", "nan"])
def test_fractions_are_between_0_and_1(p: float) -> None:
    with pytest.raises(ParameterError, match="p must be"):
        record(even(-3.0, 1.0)).quantiles(p)
