"""Growth rates as limits: families with exact answers, noise, few units; and the search."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rnnmft import Inputs, Status, cells
from rnnmft.language.laws import Uniform
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.growth_search import Effort, growth_runs, search_growth
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units.growth_limit import GrowthLimit, growth_limit
from rnnmft.units.pooled_logarithm import pooled_logarithm
from rnnmft.units.repetitions import Samples
from tests.solvers.linear_cells import linear_cell
from tests.units.fluctuating_slopes import WHITE, Slopes

HORIZONS = (32, 64, 128, 256, 512)
WANTED = 0.002 / math.sqrt(3)
#: Free waves: leaks a and returns b sigma_w, among them ones that have not begun to spread.
FREE = [
    *[(0.01, 0.8), (0.05, 0.25), (0.05, 0.9), (0.3, 0.003), (0.5, 0.25), (0.9, 0.001)],
    *[(0.9, 0.01), (0.9, 0.09), (0.95, 0.0005), (0.95, 0.005), (0.95, 0.02), (0.95, 0.04)],
]


def random_slopes(count, seed):
    """Slopes that fluctuate by anything from a thousandth to all of their mean."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        a = random.choice([random.uniform(0.05, 0.95), 10 ** random.uniform(-3, -1)])
        b, sigma_w = random.uniform(0.02, 0.6), 10 ** random.uniform(-1.0, 0.3)
        alpha, beta = a * 10 ** random.uniform(-3, 0), b * 10 ** random.uniform(-2, 0)
        yield Slopes(a, b, sigma_w, alpha, random.choice([-1, 1]) * beta)


def twice(series):
    """Two repetitions that agree: no noise."""
    return np.stack([series, series])


def judged(slopes):
    """(value - truth, error) at each horizon until the error is as wanted."""
    means, sums = slopes.series(HORIZONS[-1])
    for horizon in HORIZONS:
        found = growth_limit(twice(means[:horizon]), twice(sums[: horizon // 2]))
        yield found.value - slopes.growth, found.error
        if found.error <= WANTED:
            return


def plain(series, horizon):
    """A straight line through the later half of log m_1."""
    times = np.arange(horizon // 2, horizon + 1)
    return np.polyfit(times, series[horizon // 2 - 1 : horizon], 1)[0]


# --- brackets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "w"), FREE)
def test_free_waves_are_bracketed(a, w):
    """T^(-1/2) exp(g T), and what looks like exp((g - 2 p) T) before: within 1.5 errors, .002."""
    slopes = Slopes(a, 1.0, w)
    found = list(judged(slopes))
    assert all(abs(off) < 1.5 * error for off, error in found)
    assert found[-1][1] <= WANTED
    assert abs(found[-1][0]) < 0.002


def test_brackets_hold_and_are_not_much_wider_than_needed():
    """100 cells whose slopes fluctuate: never 1.5 errors off, on average a third of one."""
    ratios = []
    for slopes in random_slopes(100, seed=1):
        found = list(judged(slopes))
        assert all(abs(off) < 1.5 * error for off, error in found), slopes
        ratios += [abs(off) / error for off, error in found]
    assert np.mean(ratios) > 0.3


def test_a_plain_slope_is_not_enough():
    """The control: read off one line, half of those cells are off by more than the error."""
    off, slow = [], Slopes(0.9, 0.1, 1.0)
    for slopes in random_slopes(40, seed=1):
        means, sums = slopes.series(64)
        error = growth_limit(twice(means), twice(sums)).error
        off.append(abs(plain(means, 64) - slopes.growth) / max(error, 1e-9))
    assert np.mean(np.array(off) > 1.5) > 0.3
    means, sums = slow.series(128)
    assert plain(means, 128) == pytest.approx(slow.growth - 0.5 / 92, abs=1e-3)
    assert abs(growth_limit(twice(means), twice(sums)).value - slow.growth) < 1e-3


def test_without_the_kernel_the_power_is_in_the_error():
    """log m_1 alone tells T^(-1/2) from a slower exponential no better than to .45 / T."""
    slopes = Slopes(0.5, 0.5, 1.0)
    means, sums = slopes.series(256)
    alone, both = growth_limit(twice(means)), growth_limit(twice(means), twice(sums))
    assert abs(alone.value - slopes.growth) < 1.8 * alone.error
    assert both.error < 0.01 * alone.error
    assert alone.error < 0.9 / 256


def test_a_sum_that_misses_the_growing_mode_is_not_believed():
    """Its slope is below that of m_1: the bracket is that of m_1 alone."""
    means, sums = Slopes(0.5, 0.5, 1.0).series(128)
    blind = sums - 0.1 * np.arange(len(sums))
    assert growth_limit(twice(means), twice(blind)) == growth_limit(twice(means))


def test_exponential_approach_needs_no_power():
    """m_1 = exp(g T) (1 + c exp(-r T)): untied, or a kernel that never leaves t = s."""
    times = np.arange(1, 65.0)
    means = -0.3 * times + np.log(1 + 0.5 * np.exp(-0.2 * times))
    found = growth_limit(twice(means), exponential=True)
    assert abs(found.value + 0.3) < 1.8 * found.error
    assert found.error < 1e-3
    assert growth_limit(twice(means), np.full((2, 32), -math.inf)) == found
    assert growth_limit(twice(means)).error > 3 * found.error


def test_growth_of_what_died_or_overflowed_and_of_too_little():
    died = np.zeros((4, 32))
    died[:, 5:] = -math.inf
    assert growth_limit(died).value == -math.inf
    assert growth_limit(np.full((4, 32), math.inf)).value == math.inf
    some_died = np.zeros((4, 32))
    some_died[1, 5:] = -math.inf
    for lost in (np.full((4, 32), math.nan), some_died):
        unknown = growth_limit(lost)
        assert math.isnan(unknown.value)
        assert unknown.error == math.inf
    with pytest.raises(ValueError, match="16 steps"):
        growth_limit(np.zeros((4, 15)))


# --- noise ---------------------------------------------------------------------------------------


def test_a_part_of_the_noise():
    limit = GrowthLimit(-0.1, 0.005, 0.004, bias=0.001)
    assert limit.width == pytest.approx(0.003)
    half = limit.averaged(0.5)
    assert (half.value, half.noise, half.bias) == (-0.1, 0.002, 0.001)
    assert half.error == pytest.approx(math.hypot(0.003, 0.002))
    assert GrowthLimit(0.0, 1.0, 1.0).width == 0.0


@pytest.mark.parametrize("repetitions", [4, 16])
def test_noise_is_in_the_error(repetitions):
    """Random walks about a known growth, 100 seeds: |z| < 4.5, on average between .2 and 1.2.

    Student's t: with 4 repetitions, too, 3 errors hold, each of which is 3 standard ones then.
    """
    slopes = Slopes(0.6, 0.4, 1.0, 0.3, 0.2)
    means, sums = slopes.series(64)
    ratios, controls = [], []
    for seed in range(100):
        random = np.random.default_rng(seed)
        walk = 0.01 * random.normal(size=(repetitions, 64)).cumsum(1)
        found = growth_limit(means + walk, sums + walk[:, 1::2])
        ratios.append((found.value - slopes.growth) / found.error)
        controls.append((found.value - slopes.growth - 0.05) / found.error)
        assert 0 < found.noise <= found.error
    assert np.abs(ratios).max() < 4.5
    assert np.mean(np.abs(ratios) > 3) <= 0.01
    assert 0.2 < np.mean(np.abs(ratios)) < 1.2
    assert np.mean(np.abs(controls) > 3) > 0.9


def test_what_noise_may_hide_is_not_taken_for_seen():
    """A constant slope and noise, 100 seeds: half an error above it, known to .1; not .8."""
    times, above = np.arange(1.0, 33), []
    for seed in range(100):
        walk = 0.05 * np.random.default_rng(seed).normal(size=(16, 32)).cumsum(1)
        logs = -0.3 * times + walk
        found = growth_limit(logs, logs[:, :16])
        above.append((found.value + 0.3) / found.error)
    assert -0.3 < np.mean(above) < 0.6
    assert np.sqrt(np.mean(np.square(above))) < 1.2


def test_repetitions_of_few_units_are_not_biased():
    """Products of fluctuating slopes, averaged over 256 units: a repetition's log is too small.

    E[prod A^2] grows by log E[A^2] a step; the mean logarithm of 16 repetitions is far below.
    """
    a, alpha, truth = 0.5, 0.3, math.log(0.5**2 + 0.3**2)
    ratios, means = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        # An eighth of every unit begins anew each step, as what W returns does.
        weights, rows = np.ones((16, 256)), []
        for _ in range(64):
            weights = weights * (a + alpha * random.normal(size=weights.shape)) ** 2
            total = weights.mean(1, keepdims=True)
            rows.append(np.log(total[:, 0]))
            weights = 0.875 * weights / total + 0.125
        logs = np.cumsum(rows, 0).T
        found = growth_limit(logs, exponential=True)
        ratios.append((found.value - truth) / found.error)
        means.append((plain(logs.mean(0), 64) - truth) / found.error)
    assert np.abs(ratios).max() < 4.5
    assert abs(np.mean(ratios)) < 0.9
    assert np.mean(means) < -0.9


def test_pooled_logarithms_of_equal_repetitions_are_theirs():
    rows = twice(np.cumsum(np.random.default_rng(0).normal(size=40)))
    assert np.allclose(pooled_logarithm(rows), rows, atol=1e-12)


# --- the search ----------------------------------------------------------------------------------


def growth_of(cell, ensemble, inputs, plan, burn_in=0):
    units = SampledUnits(cell, ensemble, inputs, "tied", plan)
    draw = lambda p, horizon: units.drawing.drawn_tangents(p, horizon, burn_in)  # noqa: E731
    return search_growth(draw, plan, plan, tied=True)


@pytest.mark.parametrize(("a", "w"), [(0.5, 0.25), (0.95, 0.001), (0.9, 0.09)])
def test_linear_cells_grow_at_their_rate(a, w):
    """Until the error is below .002: a slow one takes more steps."""
    cell, ensemble = Slopes(a, 1.0, w).cell()
    found = growth_of(cell, ensemble, Inputs(R=0.0), Sampling(64, 2, device="cpu"))
    assert found.status is Status.OK
    assert found.limit.error <= WANTED
    assert abs(found.limit.value - 2 * math.log(a + w)) < 1.5 * found.limit.error < 0.003


@pytest.mark.parametrize("sigma_w", [0.03, 0.7])
def test_leaks_that_differ_from_unit_to_unit(sigma_w):
    """h' = p h + e, p uniform on (.1, .7): sigma_w^2 E[1 / (r - p)^2] = 1, growth 2 log r."""
    cell = linear_cell("random")
    laws = {"e": {"sigma_w": sigma_w}, "parameters": {"p": Uniform(0.1, 0.7)}}
    found = growth_of(
        cell, cell.ensemble(**laws), Inputs(R=0.0), Sampling(1 << 16, 8, device="cpu")
    )
    truth = 2 * math.log((0.8 + math.sqrt(0.36 + 4 * sigma_w**2)) / 2)
    assert found.status is Status.OK
    assert abs(found.limit.value - truth) < 3 * found.limit.error < 0.006


def test_the_zero_state_of_a_gru():
    """J = z + (1 - z) r sigma_n W with z = r = 1/2."""
    cell = cells.gru()
    laws = {name: {"sigma_w": 0.5} for name in ("r", "z", "n")}
    units = SampledUnits(
        cell, cell.ensemble(**laws), Inputs(R=0.0), "tied", Sampling(256, 2, device="cpu")
    )
    found = units.gradient_growth()
    assert found.status is Status.OK
    assert abs(float(found) - 2 * math.log(0.625)) < 1.5 * found.error < 0.003


@pytest.mark.slow
def test_fluctuating_slopes_by_units():
    """Held waves, 4 seeds each: |z| < 4, on average .2 to 1.5; a growth .02 off is not."""
    ratios, controls = [], []
    for slopes in (Slopes(0.8, 0.2, 1.0, 0.1, 0.1), Slopes(0.3, 0.5, 1.2, 0.1, 0.3)):
        cell, ensemble = slopes.cell()
        for seed in range(4):
            found = growth_of(cell, ensemble, WHITE, Sampling(1 << 12, 16, seed, device="cpu"))
            ratios.append((found.limit.value - slopes.growth) / found.limit.error)
            controls.append((found.limit.value - slopes.growth - 0.02) / found.limit.error)
    assert np.abs(ratios).max() < 4
    assert 0.2 < np.mean(np.abs(ratios)) < 1.5
    assert np.mean(np.abs(controls) > 4) > 0.9


@pytest.mark.slow
def test_errors_of_a_default_search_hold_the_truth():
    """10 seeds each: what T leaves open is most of an error and has one sign, chance the rest.

    Nothing beyond 3 errors, on average between a fifth and one and a half; a growth .01 off is not.
    """
    plan = Sampling(1 << 19, 16, device="cpu", work=1.2e9)
    for slopes in (Slopes(0.8, 0.2, 1.0, 0.1, 0.1), Slopes(0.3, 0.5, 1.2, 0.1, 0.3)):
        cell, ensemble = slopes.cell()
        ratios, errors = [], []
        for seed in range(10):
            units = SampledUnits(cell, ensemble, WHITE, "tied", replace(plan, seed=seed))
            found = units.gradient_growth()
            assert found.status is Status.OK
            errors.append(found.error)
            ratios.append((float(found) - slopes.growth) / found.error)
        assert max(errors) < 0.002
        assert np.abs(ratios).max() < 3.0
        assert 0.2 < np.sqrt(np.mean(np.square(ratios))) < 1.5
        assert np.mean([r - 0.01 / e < -3.0 for r, e in zip(ratios, errors, strict=True)]) > 0.9


@pytest.mark.slow
def test_a_tolerance_is_met_with_more_units_or_is_said_to_be_missed():
    slopes = Slopes(0.3, 0.5, 1.2, 0.1, 0.3)
    cell, ensemble = slopes.cell()
    options = {"device": "cpu", "tolerance": 1e-3}
    found = growth_of(cell, ensemble, WHITE, Sampling(1 << 10, 8, **options))
    assert found.status is Status.OK
    assert abs(found.limit.value - slopes.growth) < 4 * found.limit.error <= 4e-3
    assert found.units > 1 << 10
    options |= {"tolerance": 1e-4, "max_units": 1 << 11}
    few = growth_of(cell, ensemble, WHITE, Sampling(1 << 10, 8, **options))
    assert few.status is Status.NOT_CONVERGED
    assert few.limit.error > 1e-4


def test_the_longest_run_that_leaves_too_much_open_says_so():
    """A series that keeps bending: m_1 ~ exp(-sqrt(T))."""
    times = []

    def draw(plan, horizon):
        times.append(horizon)
        return Samples({"log_m_1": twice(-10 * np.sqrt(np.arange(1.0, horizon + 1)))}, plan)

    found = search_growth(draw, Sampling(64, 2), Sampling(64, 2), tied=True)
    assert found.status is Status.MAX_STEPS
    assert times == [32, 64, 128, 256, 512]
    assert abs(found.limit.value) < 3 * found.limit.error


def searched(search, draw):
    """The end of a search whose runs are drawn one by one."""
    asked = next(search)
    try:
        while True:
            asked = search.send(draw(*asked))
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("deciding", [4.0, 0.0])
def test_where_few_units_decide_there_are_more_of_them_or_no_answer(deciding):
    """One unit in a hundred decides: 8192 have 82 of them, which is too few, 32768 have enough."""
    plan = Sampling(1 << 13, 16, normals="random", tolerance=0.01)
    totals = []

    def draw(asked, horizon):
        totals.append(asked.total)
        each = np.full((asked.repetitions, horizon), asked.per_repetition / 100)
        logs = np.tile(0.1 * np.arange(1.0, horizon + 1), (asked.repetitions, 1))
        return Samples({"log_m_1": logs, "check/effective": each}, asked)

    effort = Effort(deciding=deciding, most_units=512)
    found = searched(growth_runs(plan, plan, effort, tied=True), draw)
    assert found.status is (Status.OK if deciding else Status.NOT_CONVERGED)
    assert totals == ([1 << 13, 1 << 15] if deciding else [1 << 13])
    assert found.units == totals[-1]


def test_two_trajectories_go_through_the_same_search():
    """Independent slopes on both: E[ds_a ds_b] grows at the edge of free waves."""
    slopes = Slopes(0.6, 0.3, 1.0, 0.1, 0.1)
    cell, ensemble = slopes.cell()
    inputs = Inputs(R=1.0, correlation=0.0)
    setting = SampledSetting(cell, ensemble, inputs, "tied")
    plan = Sampling(1 << 12, 8, device="cpu")

    def draw(plan, horizon):
        return Samples(setting.tangents(plan, range(plan.repetitions), 0, horizon, 2), plan)

    found = search_growth(draw, plan, plan, tied=True)
    assert abs(found.limit.value - slopes.edge) < 4 * found.limit.error < 0.02
    assert abs(found.limit.value - slopes.growth) > 4 * found.limit.error


@pytest.mark.parametrize("tolerance", [1e-6, None])
def test_a_tolerance_draws_all_the_units_that_it_plans(tolerance):
    """The work of a default run cuts a run of 1000 steps only where no tolerance was asked for."""
    plans, random = [], np.random.default_rng(0)

    def draw(plan, horizon):
        plans.append(plan)
        logs = np.cumsum(random.normal(0.01, 0.1, (plan.repetitions, horizon)), 1)
        return Samples({"m_1": np.exp(logs), "log_m_1": logs}, plan)

    options = {"tolerance": tolerance, "max_units": 1 << 18, "work": 1e9}
    plan = Sampling(1 << 17, 16, **options)
    found = search_growth(draw, plan, plan, tied=False)
    assert all((p.for_steps(1000) == p) == (tolerance is not None) for p in plans)
    if tolerance is not None:
        assert found.status is Status.NOT_CONVERGED
        assert plans[-1].total == found.units == 1 << 18
