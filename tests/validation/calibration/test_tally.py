"""The tally accepts right errors, and rejects errors too wide, too narrow, biased or withheld."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.validation.calibration.synthetic import KINDS, comparisons
from validation.calibration.comparison import Comparison
from validation.calibration.tally import ALL, Tally, false_alarm_rate, far_limit

SEEDS = range(40)


def passes(**wrong):
    return [Tally(tuple(comparisons(seed, **wrong))).passed for seed in SEEDS]


# --- one comparison -------------------------------------------------------------------------------

ONE = Comparison("s", "k", "h", "exact", "sampled units", 1.3, 0.1, "standard error", "OK", 1.0)


def test_z_is_the_distance_in_errors_of_both():
    assert ONE.z == pytest.approx(3.0)
    assert replace(ONE, truth_error=0.1).z == pytest.approx(3 / math.sqrt(2))
    assert replace(ONE, value=0.7).z == pytest.approx(-3.0)


def test_a_bound_is_used_up_to_a_share_and_no_standard_error():
    bound = replace(ONE, error_kind="bound", value=1.05)
    assert bound.z == pytest.approx(0.5)
    assert not bound.sampled
    beside_networks = replace(bound, value=1.3, truth_error=0.05)
    assert beside_networks.z == pytest.approx(4.0)
    assert beside_networks.sampled
    assert not beside_networks.weighs


def test_the_score_of_few_repetitions_is_on_the_normal_scale():
    """By sampling: t statistics of 3 degrees of freedom become standard normal; z is not."""
    z = np.random.default_rng(0).standard_t(3, 4000)
    rows = [replace(ONE, value=1 + 0.1 * v, degrees=3) for v in z]
    assert stats.kstest([c.score for c in rows], stats.norm.cdf).pvalue > 1e-4
    assert stats.kstest([c.z for c in rows], stats.norm.cdf).pvalue < 1e-4


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite():
    both = replace(ONE, truth_error=0.1, degrees=10, truth_degrees=10)
    rare = 2 * stats.t.sf(3 / math.sqrt(2), 20)
    assert 2 * stats.norm.sf(both.score) == pytest.approx(rare, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_promise_without_a_number_is_infinitely_far(value):
    assert replace(ONE, value=value).z == math.inf
    assert replace(ONE, error=math.nan).z == math.inf


def test_an_exact_answer_without_an_error_is_right_or_infinitely_far():
    assert replace(ONE, value=0.0, truth=0.0, error=0.0).z == 0.0
    assert replace(ONE, value=1e-3, truth=0.0, error=0.0).z == math.inf
    # The truth is known to double precision only.
    assert abs(replace(ONE, value=1 + 1e-13, error=0.0).z) < 0.01


def test_a_comparison_goes_into_json():
    found = json.loads(json.dumps(replace(ONE, value=math.nan).to_dict(), allow_nan=False))
    assert found["value"] == "nan"
    assert found["truth"] == 1.0
    back = Comparison.from_dict(found)
    assert math.isnan(back.value)
    assert replace(back, value=1.3) == ONE


# --- the rules ------------------------------------------------------------------------------------


def test_right_errors_pass_as_often_as_is_declared():
    """40 suites of 400 numbers; were the rate twice what it is declared to be, 1e-4 to fail."""
    declared = false_alarm_rate(comparisons(0), 0.0)
    assert declared < 0.05
    rejected = sum(not passed for passed in passes())
    assert stats.binom.sf(rejected - 1, len(SEEDS), 2 * declared) > 1e-4


@pytest.mark.parametrize(("count", "kinds"), [(10, 12), (100, 4), (250, 12), (1100, 12)])
def test_so_many_may_lie_beyond_three_as_chance_or_one_percent_puts_there(count, kinds):
    """By the binomial sum: one fewer would be exceeded too often, and is fewer than 1 %."""
    limit, p = far_limit(count, kinds), math.erfc(3 / math.sqrt(2))

    def exceeded(k):
        return 1 - sum(math.comb(count, i) * p**i * (1 - p) ** (count - i) for i in range(k + 1))

    level = 0.05 / (kinds + 1)
    assert exceeded(limit) <= level
    assert limit == count // 100 or (limit > count // 100 and exceeded(limit - 1) > level)


def test_one_more_beyond_three_than_may_be_is_rejected():
    rows = comparisons(1)
    assert Tally(tuple(rows)).verdicts["first"].beyond_3 == 0
    shifted = [replace(c, value=c.truth + 6 * c.error, error=1.5 * c.error) for c in rows[:3]]
    assert Tally((*shifted[:2], *rows[2:])).passed
    assert Tally((*shifted, *rows[3:])).reasons == ["first: 3 of 100 beyond 3"]


def test_a_bias_of_four_errors_in_one_kind_is_rejected():
    assert not any(passes(bias=4.0, kinds=KINDS[:1]))


def test_a_bias_of_one_error_everywhere_is_mostly_rejected():
    assert sum(passes(bias=1.0)) < len(SEEDS) / 4


def test_errors_of_half_the_right_size_in_one_kind_are_rejected():
    assert not any(passes(width=0.5, kinds=KINDS[:1]))


def test_errors_twice_too_wide_everywhere_are_rejected():
    assert not any(passes(width=2.0))


def test_errors_four_times_too_wide_in_one_kind_are_rejected():
    assert not any(passes(width=4.0, kinds=KINDS[:1]))


def test_one_number_beyond_five_is_enough():
    rows = comparisons(1)
    assert Tally(tuple(rows)).passed
    far = replace(rows[0], value=rows[0].truth + 12 * rows[0].error)
    tally = Tally((far, *rows[1:]))
    assert tally.reasons == ["first: 1 beyond 5", "all: 1 beyond 5"]
    assert tally.worst(1) == [far]


def test_a_wrong_number_that_is_no_promise_does_no_harm_until_there_are_too_many():
    rows = comparisons(1)
    wrong = [replace(c, value=99.0, status="MAX_STEPS") for c in rows]
    few = Tally((*wrong[:10], *rows[10:]))
    assert few.passed
    assert few.verdicts["first"].said_so == 10
    many = Tally((*wrong[:30], *rows[30:]))
    assert many.reasons == ["first: 30 of 100 are no promise"]


def test_bounds_hold_or_are_rejected_and_may_be_wide():
    rows = [replace(c, error=1.0, value=1.5) for c in comparisons(1, error_kind="bound")]
    assert Tally(tuple(rows)).passed
    outside = Tally((replace(rows[0], value=2.01), *rows[1:]))
    assert outside.reasons == ["first: 1 outside their bounds", "all: 1 outside their bounds"]
    assert outside.verdicts[ALL].worst_bound == pytest.approx(1.01)


def test_an_outlier_in_the_mean_is_seen_by_the_error_that_it_makes():
    """16 repetitions of 2 and one of 1e5: z is 1, as if all were well."""
    sample = np.array([2.0] * 15 + [1e5])
    value, error = sample.mean(), sample.std(ddof=1) / 4
    row = replace(comparisons(1)[0], kind="second moment", value=value, error=error, truth=2.0)
    assert row.z == pytest.approx(1.0, abs=0.01)
    assert "second moment: 1 with errors above half the truth" in Tally((row,)).reasons


def test_the_width_of_errors_is_not_judged_where_the_truth_is_the_vaguer():
    rows = comparisons(1, truth_error=3.0, truth_degrees=50)
    assert Tally(tuple(rows)).passed
    assert Tally(tuple(rows)).verdicts[ALL].mean_size is None


def test_numbers_that_share_their_units_raise_the_false_alarms():
    rows = comparisons(0)
    alone, together = (false_alarm_rate(rows, c) for c in (0.0, 0.8))
    assert alone < together < 0.2
    assert false_alarm_rate([], 0.5) == 0.0
