"""The extrapolation and the test of a claim, on made-up networks whose truth is known.

Statistical tests here draw a fixed number of whole validations; each declares how often it may fail
by chance with other seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rnnmft.errors import ParameterError
from rnnmft.validation.extrapolation import WidthDesign, extrapolate
from rnnmft.validation.verdicts import Prediction, Verdict, judge

FALSE_ALARM = 1e-6
DESIGN = WidthDesign((32, 64, 128), (60, 60, 60))
STEPS, VALIDATIONS, THRESHOLD = 12, 300, 0.05

Array = NDArray[np.float64]


def made_up(rng: np.random.Generator, curvature: float = 0.0) -> list[Array]:
    """Networks with the value 1 at infinite width, a bias 1/N, skew and correlated in time."""
    samples = []
    for width, count in zip(DESIGN.widths, DESIGN.networks, strict=True):
        shared = rng.gamma(4.0, 0.5, (count, 1)) - 2.0
        own = rng.standard_normal((count, STEPS))
        noise = (0.6 * shared + 0.8 * own) * 0.4 / np.sqrt(width)
        samples.append(1.0 + 1.0 / width + curvature / width**2 + noise)
    return samples


def verdict(samples: list[Array], value: float = 1.0) -> Verdict:
    prediction = Prediction(np.full(STEPS, value), np.zeros(STEPS), np.ones(STEPS))
    levels = [s.mean(axis=1) for s in samples]
    fitted, level = extrapolate(DESIGN, samples), extrapolate(DESIGN, levels)
    return judge(prediction, fitted, level, THRESHOLD, 0.02)


def too_many(count: int) -> bool:
    """More than a rate of THRESHOLD allows among VALIDATIONS, at FALSE_ALARM."""
    return bool(stats.binom.sf(count - 1, VALIDATIONS, THRESHOLD) < FALSE_ALARM)


def test_a_true_claim_is_rejected_no_more_often_than_declared() -> None:
    rng = np.random.default_rng(1)
    found = [verdict(made_up(rng)).outcome for _ in range(VALIDATIONS)]
    assert not too_many(found.count("rejected"))


def test_the_widest_networks_alone_would_be_rejected_too_often() -> None:
    # The twin: without the fit the bias 1/N at width 128, 0.8 %, is taken for a deviation.
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(VALIDATIONS):
        levels = made_up(rng)[-1].mean(axis=1)
        rejected += stats.ttest_1samp(levels, 1.0).pvalue < THRESHOLD
    assert too_many(rejected)


def test_a_control_counts_as_rejected_only_if_moving_the_prediction_rejects_it() -> None:
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(100):
        samples = made_up(rng)
        at = verdict(samples)
        for value in (1.0 + at.resolution * 1.001, 1.0 - at.resolution * 1.001):
            moved = verdict(samples, value)
            assert moved.outcome == "rejected"
        seen += at.control_rejected
    assert 0 < seen < 100


def test_heavy_tails_do_not_raise_more_false_alarms_than_declared() -> None:
    # Log-normal like m_2 over 5 steps of a minimalRNN: its logarithm scatters by 7.4 / sqrt(N).
    rng, validations, rate = np.random.default_rng(9), 4000, 1e-3
    widths, networks = (64, 128, 256), 300
    samples = []
    for width in widths:
        spread = 7.4 / np.sqrt(width)
        samples.append(
            np.exp(spread * rng.standard_normal((networks, validations)) - spread**2 / 2)
        )
    found = extrapolate(WidthDesign(widths, (networks,) * 3), samples).limit
    p_values = 2 * stats.t.sf(np.abs(found.value - 1.0) / found.error, found.degrees)
    alarms = int((p_values < rate).sum())
    assert stats.binom.sf(alarms - 1, validations, rate) > FALSE_ALARM
    # The twin: the mean of the narrowest networks, without a fit that balances the tails.
    mean, error = samples[0].mean(0), samples[0].std(0, ddof=1) / np.sqrt(networks)
    alarms = int((2 * stats.t.sf(np.abs(mean - 1.0) / error, networks - 1) < rate).sum())
    assert stats.binom.sf(alarms - 1, validations, rate) < FALSE_ALARM


def test_the_error_covers_the_limit_and_the_slope() -> None:
    rng = np.random.default_rng(3)
    z = []
    for _ in range(VALIDATIONS):
        found = extrapolate(DESIGN, [s.mean(axis=1) for s in made_up(rng)])
        z.append([(e.value - 1.0) / e.error for e in (found.limit, found.slope)])
    # Sums of squares of 300 nearly normal scores; t of about 100 degrees widens them by 2 %.
    low, high = stats.chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], VALIDATIONS)
    for total in np.square(z).sum(axis=0):
        assert low < total < 1.04 * high


def test_curvature_is_noticed() -> None:
    rng = np.random.default_rng(4)
    flat, bent = (
        [extrapolate(DESIGN, made_up(rng, c)).curvature for _ in range(20)] for c in (0.0, 3000.0)
    )
    scores = [np.mean([float((e.value / e.error).mean()) for e in each]) for each in (flat, bent)]
    assert abs(scores[0]) < 5 / np.sqrt(20)
    assert scores[1] > 5


def test_the_coefficients_reproduce_polynomials() -> None:
    design = WidthDesign((64, 100, 256, 512), (10, 40, 7, 3))
    n = np.array(design.widths, dtype=float)
    for values, want in ((n**0, (1, 0)), (1 / n, (0, 1)), (3 - 5 / n, (3, -5))):
        for power in (0, 1):
            assert design.coefficients(power) @ values == pytest.approx(want[power], abs=1e-9)
    assert design.coefficients(2, degree=2) @ n**-2 == pytest.approx(1.0)


def test_the_variance_factor_is_that_of_the_fit() -> None:
    rng = np.random.default_rng(5)
    v, found = 2.0, []
    for _ in range(2000):
        means = [
            1 + rng.standard_normal() * np.sqrt(v / (n * k))
            for n, k in zip(DESIGN.widths, DESIGN.networks, strict=True)
        ]
        found.append(DESIGN.coefficients(0) @ means)
    ratio = np.var(found) / (v * DESIGN.variance_factor()) * 2000
    assert stats.chi2.ppf(FALSE_ALARM, 2000) < ratio < stats.chi2.ppf(1 - FALSE_ALARM, 2000)


def test_rounding_is_a_floor_of_the_error() -> None:
    constant = [np.ones((60, STEPS)) for _ in DESIGN.widths]
    assert (extrapolate(DESIGN, constant, rounding=1e-6).limit.error == 1e-6).all()
    prediction = Prediction(np.array(1.0 + 1e-7), np.array(0.0), np.array(1.0))
    one = extrapolate(DESIGN, [c[:, 0] for c in constant], rounding=1e-6)
    assert judge(prediction, one, one, THRESHOLD, 0.02).outcome == "accepted"


def test_a_bound_of_the_theory_is_no_deviation() -> None:
    samples = [s[:, 0] for s in made_up(np.random.default_rng(6))]
    fitted = extrapolate(DESIGN, samples)
    off = np.array(float(fitted.limit.value) + 0.5)
    within = Prediction(off, np.array(0.6), np.array(1.0))
    beyond = Prediction(off, np.array(0.3), np.array(1.0))
    assert judge(within, fitted, fitted, THRESHOLD, 0.02).p_value == 1.0
    assert judge(beyond, fitted, fitted, THRESHOLD, 0.02).outcome == "rejected"


def test_a_standard_error_of_the_theory_adds_in_quadrature() -> None:
    samples = [s[:, 0] for s in made_up(np.random.default_rng(7))]
    fitted = extrapolate(DESIGN, samples)
    error = float(fitted.limit.error)
    sampled = Prediction(np.array(1.0), np.array(error), np.array(1.0), "standard error", 7.0)
    exact = Prediction(np.array(1.0), np.array(0.0), np.array(1.0))
    a, b = (judge(p, fitted, fitted, THRESHOLD, 0.02) for p in (sampled, exact))
    assert a.score == pytest.approx(b.score / np.sqrt(2))
    # Equal parts: degrees 4 / (1/n + 1/7), which n, the networks' own, leaves below 28.
    assert a.degrees == pytest.approx(4 / (1 / b.degrees + 1 / 7))
    assert a.resolution > b.resolution


@pytest.mark.parametrize(
    ("widths", "networks"),
    [((64, 128), (5, 5)), ((64, 64, 128), (5, 5, 5)), ((128, 64, 32), (5, 5, 5))],
)
def test_a_design_needs_three_increasing_widths(
    widths: tuple[int, ...], networks: tuple[int, ...]
) -> None:
    with pytest.raises(ParameterError, match="at least three different widths"):
        WidthDesign(widths, networks)


@pytest.mark.parametrize("networks", [(5, 5), (5, 5, 1)])
def test_a_design_needs_two_networks_of_each(networks: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="at least 2 for each"):
        WidthDesign((32, 64, 128), networks)


def test_samples_must_fit_the_design_and_be_finite() -> None:
    samples = made_up(np.random.default_rng(8))
    with pytest.raises(ParameterError, match="rows"):
        extrapolate(DESIGN, samples[:2])
    samples[0][0, 0] = np.nan
    with pytest.raises(ParameterError, match="finite"):
        extrapolate(DESIGN, samples)
