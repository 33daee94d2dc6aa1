"""Laws of random parameters: moments against their integrals, quantiles against their inverses.

The reference is the integral of quantile(u)^n over u, by mpmath in 30 digits with mpmath's own
quantile formulas typed here; nothing is sampled.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmft.errors import ParameterError
from rnnmft.language.laws import (
    LAWS,
    ChronoBias,
    Constant,
    Empirical,
    Law,
    LogUniform,
    Normal,
    Uniform,
    law_from_dict,
)
from rnnmft.language.normal_quantile import normal_quantile

EXAMPLES = [
    Normal(),
    Normal(-0.7, 2.5),
    Normal(3, 1e-6),
    Uniform(),
    Uniform(-1, 3),
    Uniform(5, 5.001),
    LogUniform(0.01, 7),
    LogUniform(1, 1.0001),
    LogUniform(1e-8, 1e8),
    Constant(-1.5),
    Constant(0),
    ChronoBias(3),
    ChronoBias(100),
    ChronoBias(2.001),
    ChronoBias(1e12),
]
EPS = 2.0**-52


def reference_quantile(law: Law) -> Callable[[mp.mpf], mp.mpf]:
    """The quantile function as a formula in mpmath."""
    match law:
        case Normal(mean, std):
            return lambda u: mean + std * mp.sqrt(2) * mp.erfinv(2 * u - 1)
        case Uniform(low, high):
            return lambda u: low + (mp.mpf(high) - low) * u
        case LogUniform(low, high):
            return lambda u: mp.exp(mp.log(low) + u * (mp.log(high) - mp.log(low)))
        case Constant(value):
            return lambda u: mp.mpf(value)
        case ChronoBias(T_max):
            return lambda u: mp.log(1 + u * (mp.mpf(T_max) - 2))
    raise AssertionError(law)


def reference_moment(law: Law, n: int, centre: mp.mpf) -> mp.mpf:
    """E[(p - centre)^n], integrated over the variable in which it is smooth."""
    match law:
        case Normal(mean, std):
            reach = 14
            return mp.quad(
                lambda z: (mean + std * z - centre) ** n * mp.npdf(z), [-reach, -4, 0, 4, reach]
            )
        case ChronoBias(T_max):
            top = mp.log(mp.mpf(T_max) - 1)
            return mp.quad(
                lambda p: (p - centre) ** n * mp.exp(p) / (mp.mpf(T_max) - 2),
                mp.linspace(0, top, 5),
            )
        case LogUniform(low, high):
            ends = mp.log(low), mp.log(high)
            return mp.quad(
                lambda t: (mp.exp(t) - centre) ** n / (ends[1] - ends[0]), mp.linspace(*ends, 5)
            )
        case _:
            q = reference_quantile(law)
            return mp.quad(lambda u: (q(u) - centre) ** n, [0, 1])


@pytest.mark.parametrize("law", EXAMPLES, ids=repr)
def test_moments(law: Law) -> None:
    with mp.workdps(30):
        assert law.moment(0) == 1.0
        for n in (1, 2, 3, 4):
            expected = reference_moment(law, n, mp.mpf(0))
            # rounding of the largest term, E|p|^n <= sqrt(E[p^2n])
            scale = mp.sqrt(reference_moment(law, 2 * n, mp.mpf(0)))
            assert abs(law.moment(n) - expected) <= 64 * EPS * scale
        mean = reference_moment(law, 1, mp.mpf(0))
        assert law.mean == law.moment(1)
        variance = reference_moment(law, 2, mean)
        # arguments such as high - low lose digits only when they are subtracted from each other
        assert abs(law.variance - variance) <= 256 * EPS * variance


@pytest.mark.parametrize("law", EXAMPLES, ids=repr)
def test_quantiles_agree_with_the_formula_in_every_library(law: Law) -> None:
    u = np.array([1e-12, 1e-5, 0.024, 0.08, 0.3, 0.5, 0.7, 0.95, 0.9999, 1 - 1e-9])
    with mp.workdps(40):
        q = reference_quantile(law)
        expected = np.array([float(q(mp.mpf(x))) for x in u])
        moved = [[float(q(mp.mpf(x) * (1 + s * EPS))) for x in u] for s in (-1, 1)]
    # what one rounding of u, of the arguments and of the result does
    largest = max(abs(v) for v in law.to_dict().values() if isinstance(v, float))
    condition = 16 * (np.ptp(moved, axis=0) + EPS * (largest + abs(expected)))
    single = np.array([law.quantile(float(x)) for x in u])
    array = law.quantile(u.reshape(2, 5))
    tensor = law.quantile(torch.tensor(u))
    assert (abs(single - expected) <= condition).all()
    assert array.shape == (2, 5)
    for values in (array.ravel(), tensor.numpy()):
        assert (abs(values - single) <= condition).all()
    assert np.isclose(float(law.quantile(torch.tensor(0.5))), law.quantile(0.5), rtol=1e-6)
    assert law.quantile(torch.tensor([0.5])).dtype == torch.float32
    assert law.quantile(np.array([0.5], dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("law", EXAMPLES, ids=repr)
def test_quantiles_stay_in_the_support_and_rise(law: Law) -> None:
    low, high = law.support
    values = law.quantile(np.linspace(0.001, 0.999, 500))
    assert (np.diff(values) >= 0).all()
    slack = 4 * EPS * max(abs(low), abs(high)) if math.isfinite(high) else 0.0
    assert values.min() >= low - slack
    assert values.max() <= high + slack
    if not law.open_ended:
        assert law.quantile(0.0) == pytest.approx(low, rel=8 * EPS)
        assert law.quantile(1.0) == pytest.approx(high, rel=64 * EPS)


@pytest.mark.parametrize("law", EXAMPLES, ids=repr)
@pytest.mark.parametrize("u", [-0.1, 1.1, math.nan, np.array([0.5, 2.0]), torch.tensor([math.nan])])
def test_a_fraction_outside_zero_and_one(law: Law, u: object) -> None:
    with pytest.raises(ParameterError, match="u must be"):
        law.quantile(u)


def test_a_normal_quantile_has_no_ends() -> None:
    for u in (0.0, 1.0, np.array([0.0])):
        with pytest.raises(ParameterError, match="u must be strictly between 0 and 1 for Normal"):
            Normal().quantile(u)


@settings(deadline=None, database=None, derandomize=True)
@given(st.floats(min_value=1e-300, max_value=1.0, exclude_max=True))
def test_the_normal_quantile_of_an_array_is_that_of_numbers(u: float) -> None:
    one = normal_quantile(u)
    for many in (
        normal_quantile(np.array([u])),
        normal_quantile(torch.tensor([u], dtype=torch.float64)),
    ):
        assert abs(float(many[0]) - one) <= 8 * EPS * abs(one)


def test_the_normal_quantile_inverts_the_distribution() -> None:
    for u in (1e-200, 1e-20, 1e-5, 0.07, 0.075, 0.3, 0.5, 0.924, 0.93, 0.99999):
        with mp.workdps(40):
            z = mp.mpf(float(normal_quantile(torch.tensor([u], dtype=torch.float64))[0]))
            # an error dz in z moves Phi by the density times dz
            assert abs(mp.ncdf(z) - u) <= 16 * EPS * mp.npdf(z) * max(abs(z), mp.mpf(1))


# --- domains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", True, None, 1j])
@pytest.mark.parametrize(
    ("law", "argument"),
    [
        (Normal, "mean"),
        (Normal, "std"),
        (Uniform, "low"),
        (Uniform, "high"),
        (LogUniform, "low"),
        (LogUniform, "high"),
        (Constant, "value"),
        (ChronoBias, "T_max"),
    ],
)
def test_arguments_are_finite_numbers(law: type[Law], argument: str, value: object) -> None:
    with pytest.raises(ParameterError, match=rf"{law.__name__}\.{argument} must be"):
        law(**{argument: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(0, -1), r"Normal\.std must be a finite number >= 0, got -1"),
        (lambda: Uniform(1, 1), "Uniform needs low < high"),
        (lambda: Uniform(2, 1), "Uniform needs low < high"),
        (lambda: LogUniform(0, 1), r"LogUniform\.low must be a number > 0, got 0"),
        (lambda: LogUniform(-1, 1), r"LogUniform\.low must be a number > 0"),
        (lambda: LogUniform(2, 1), "LogUniform needs low < high"),
        (lambda: ChronoBias(2), r"ChronoBias\.T_max must be a number > 2, got 2"),
        (lambda: ChronoBias(1), r"ChronoBias\.T_max must be"),
        (lambda: Normal().moment(-1), "n must be a whole number >= 0"),
        (lambda: Normal().moment(1.5), "n must be a whole number >= 0"),
        (lambda: Normal(1e200).moment(2), r"E\[p\^2\] of Normal.* is too large"),
    ],
)
def test_outside_the_domain(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


# --- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", EXAMPLES, ids=repr)
def test_laws_round_trip_through_json_and_pickle(law: Law) -> None:
    assert law_from_dict(json.loads(json.dumps(law.to_dict()))) == law
    assert pickle.loads(pickle.dumps(law)) == law
    assert hash(law_from_dict(law.to_dict())) == hash(law)


def test_every_law_has_its_name() -> None:
    assert {type(law) for law in EXAMPLES} == set(LAWS.values())
    assert all(LAWS[law.name] is type(law) for law in EXAMPLES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "law must be one of normal, uniform, .*, got None"),
        ({"law": "cauchy"}, "got 'cauchy'"),
        ({"law": ["normal"]}, "law must be one of"),
        ({"law": "normal", "mean": 0}, "'std' is unknown or missing"),
        ({"law": "constant", "value": 0, "std": 1}, "'std' is unknown or missing"),
        ({"law": "normal", "mean": "0", "std": 1}, r"Normal\.mean must be"),
    ],
)
def test_what_is_not_a_law(data: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        law_from_dict(data)


def test_the_chrono_law_is_that_of_the_paper() -> None:
    # exp(p) is uniform on [1, T_max - 1]: a forgetting time 1 + exp(p) up to T_max
    law = ChronoBias(50)
    assert np.allclose(
        np.exp(law.quantile(np.linspace(0, 1, 11))), np.linspace(1, 49, 11), rtol=1e-12
    )


def test_the_empirical_law_is_that_of_its_numbers() -> None:
    """Every stratum of u gives its number; moments are means; files and wrong numbers."""
    own = (0.5, -1.0, 2.0, 0.25)
    law = Empirical(own)
    u = (np.arange(8) + 0.5) / 8
    expected = np.repeat(sorted(own), 2)
    assert np.array_equal(law.quantile(u), expected)
    assert torch.equal(law.quantile(torch.tensor(u)), torch.tensor(expected))
    assert [law.quantile(float(v)) for v in u] == expected.tolist()
    assert law.quantile(1.0) == law.support[1] == 2.0
    assert law.moment(3) == pytest.approx(float(np.mean(np.array(own) ** 3)), rel=1e-15)
    assert law.variance == pytest.approx(float(np.var(own)), rel=1e-14)
    assert law_from_dict(json.loads(json.dumps(law.to_dict()))) == law
    for wrong in ((), (1.0, math.nan), (math.inf,), ("one",), 3.0):
        with pytest.raises(ParameterError, match="finite numbers, at least one"):
            Empirical(wrong)
