"""What a long run keeps of a basis: nothing is lost that shows, and what is lost is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmft import Inputs, Preactivation, State, Status, cells
from rnnmft.cells import Cell
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.checks import check
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units import recent_span
from rnnmft.units.recent_span import directions_of
from rnnmft.units.repetitions import Samples
from rnnmft.units.weight_action import WeightAction

REPETITIONS, UNITS = 4, 512
DTYPES = (torch.float64, torch.float32)


def action(
    dtype=torch.float64, units=UNITS, repetitions=REPETITIONS, seed=1, kept=recent_span.KEPT
):
    generator = torch.Generator().manual_seed(seed)

    def normals(count):
        shape = (repetitions, count, units)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return WeightAction(torch.zeros((), dtype=dtype), repetitions, units, normals, kept=kept)


def noise(seed, count=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (REPETITIONS, count, UNITS)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def shown(weights, y, sigma_w=1.0):
    weights.see(y)
    return weights.product("e", sigma_w, torch.zeros_like(y))


def slow(steps, leak, count=1, dtype=torch.float64, seed=100):
    """h' = (1 - leak) h + sqrt(2 leak) x, of unit variance."""
    h = noise(seed, count, dtype)
    for t in range(steps):
        yield h
        h = (1 - leak) * h + (2 * leak - leak**2) ** 0.5 * noise(seed + 1 + t, count, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sides", [1, 2])
def test_the_directions_stay_few_and_orthonormal(dtype, sides):
    """600 steps on one or two trajectories. What is seen is still rebuilt to rounding."""
    weights, rounding = action(dtype), torch.finfo(dtype).eps
    for y in slow(600 // sides, 0.01, sides, dtype):
        weights.see(y)
        weights.product("e", 1.0, torch.zeros_like(y))
    assert weights.most <= recent_span.KEPT + sides
    assert weights.basis.count <= 60 * sides
    assert weights.basis.defect() < 256 * rounding
    rebuilt = weights.basis.columns.add(torch.zeros_like(y), weights.coordinates)
    assert (rebuilt - y).abs().max() < 1e3 * rounding


def test_nothing_changes_before_a_direction_is_dropped():
    """Bit by bit, up to KEPT directions; not beyond."""
    found = []
    for kept in (recent_span.KEPT, 1 << 20):
        weights = action(kept=kept)
        found.append([shown(weights, y) for y in slow(300, 0.01)])
    same = [torch.equal(a, b) for a, b in zip(*found, strict=True)]
    assert all(same[:256])
    assert not same[-1]


def test_weights_remember_what_is_still_seen():
    """W y of a chosen state, seen again after the directions were turned: the same to rounding."""
    weights = action()
    rows = [(y, shown(weights, y)) for y in slow(257, 0.01)]
    for y, answer in (rows[-2], rows[-10]):
        assert torch.allclose(shown(weights, y), answer, rtol=0, atol=1e-10)
    # The control: an early state between the chosen ones is not wholly known any more.
    assert not torch.allclose(shown(weights, rows[100][0]), rows[100][1], rtol=0, atol=1e-2)


def test_the_covariance_of_answers_is_that_of_a_gaussian_matrix():
    """E[W y^t W y^s] = E[y^t y^s] at lags up to twice the memory of 100 steps, after 600.

    Over 4 x 512 units a product of two unit normal numbers of correlation c averages with an error
    of (1 + c^2)^(1/2) 2.2 %, its gap to another of the same c with 1.5 times that at most: 4 lags,
    false alarms 1e-5 each. The control is a matrix that has not seen the past.
    """
    weights, rows = action(), []
    for y in slow(600, 0.01):
        rows.append((y, shown(weights, y)))
    bound = stats.norm.isf(5e-6) / np.sqrt(REPETITIONS * UNITS)
    y, answer = rows[-1]
    for lag in (10, 50, 100, 200):
        earlier, answered = rows[-1 - lag]
        gap = float((answer * answered - y * earlier).mean())
        assert abs(gap) < 2 * bound, lag
    fresh = shown(action(seed=2), y)
    assert abs(float((fresh * rows[-11][1] - y * rows[-11][0]).mean())) > 2 * bound


def returning(shown_for, hidden, back=200):
    """One direction shows, hides, and returns; unrelated noise beside, y of unit variance."""
    a = noise(7)
    for t in range(shown_for + hidden + back):
        beside = noise(1000 + t)
        is_shown = not shown_for <= t < shown_for + hidden
        yield (a + beside) / 2**0.5 if is_shown else beside


def status_of(weights):
    """The status of a run whose checks but for these gaps hold."""
    gap, square = weights.forgotten.means.numpy()
    values = {
        "check/defect": np.zeros((REPETITIONS, 1)),
        "check/directions": np.zeros((REPETITIONS, 1)),
        "check/gap": gap,
        "check/square_gap": square,
    }
    return check(Samples(values, Sampling(UNITS * REPETITIONS, REPETITIONS)))


def test_a_past_that_is_played_again_is_noticed():
    """White noise of a period of 320 steps: no state shows what the next ones will be."""
    weights = action()
    for t in range(800):
        shown(weights, noise(1000 + t % 320))
    assert float(weights.forgotten.means[1].max()) > 0.02
    assert status_of(weights) is Status.INCONSISTENT


@pytest.mark.slow
def test_what_fades_turns_or_hides_is_not_lost():
    """A slow process; beside noise one that turns round in 150 steps, one that is frozen, and one
    that hides for 500 steps.
    """

    def turning():
        a, b = noise(7), noise(8)
        for t in range(800):
            angle = 2 * np.pi * t / 150
            yield (np.cos(angle) * a + np.sin(angle) * b + noise(1000 + t)) / 2**0.5

    def frozen():
        a = noise(7)
        for t in range(800):
            yield (a + noise(1000 + t)) / 2**0.5

    for process in (slow(800, 0.01), turning(), frozen(), returning(300, 500)):
        weights = action()
        for y in process:
            shown(weights, y)
        assert float(weights.forgotten.means[1].sum()) > 0
        assert status_of(weights) is Status.OK


def test_slopes_that_differ_from_unit_to_unit_are_held(monkeypatch):
    """Leaks between .003 and .03: the past bends out of the span of the last states.

    The control keeps no earlier states and loses more than twice as much.
    """

    def largest():
        weights = action()
        leak = torch.logspace(-2.5, -1.5, UNITS, dtype=torch.float64)
        h = noise(5)
        for t in range(800):
            shown(weights, h)
            h = (1 - leak) * h + (2 * leak - leak**2) ** 0.5 * noise(10 + t)
        return float(weights.forgotten.means[0].mean(0).abs().max())

    held = largest()
    monkeypatch.setattr(recent_span.RecentSpan, "chosen", lambda self: list(self.last))
    assert held < 0.01
    assert largest() > 0.02


def test_the_cost_of_a_run_grows_with_its_steps():
    assert directions_of(200) == 200
    assert directions_of(8192) < 100
    assert [directions_of(T) * T for T in (256, 512)] == sorted(
        directions_of(T) * T for T in (256, 512)
    )


# --- linear cells -------------------------------------------------------------------------------


def autocorrelation(leak, sigma_w, lags):
    """C(tau) of h' = (1 - leak) h + leak (W h + V x), white x, from its spectrum."""
    omega = 2 * np.pi * np.fft.fftfreq(1 << 18)
    poles = np.abs(np.exp(1j * omega) - 1 + leak) ** 2 - (leak * sigma_w) ** 2
    return np.fft.ifft(leak**2 / poles).real[: lags + 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leak", "sigma_w", "steps", "units"), [(0.01, 0.8, 1000, 2048), (0.002, 0.5, 3000, 1024)]
)
def test_the_memory_of_slow_linear_cells(leak, sigma_w, steps, units):
    """Exact over thousands of steps, full-rank: every step shows W a new direction.

    Eight repetitions; 4 of the errors reported, which hold chance 1 in 16,000. The error is below
    a tenth of C(0), and a memory that is a fifth longer is rejected.
    """
    h = State("h")
    cell = Cell("linear", update={h: (1 - leak) * h + leak * Preactivation("e", h)})
    sampled = SampledUnits(
        cell,
        cell.ensemble(e={"sigma_w": sigma_w}),
        Inputs(),
        "tied",
        Sampling(8 * units, 8, device="cpu"),
    )
    lags = int(1.5 / leak)
    found = sampled.autocorrelation(lags, burn_in=steps)
    value, error = found.value["h"], found.error["h"]
    exact = autocorrelation(leak, sigma_w, 2 * lags)
    at = np.array([0, 1, lags // 8, lags // 2, lags])
    assert found.status is Status.OK
    assert (np.abs(value[at] - exact[at]) < 4 * error[at]).all()
    assert (error[at] < 0.1 * exact[0]).all()
    # Normalised, what chance does to C(0) and C(tau) alike is gone.
    ratio, truth = value[at] / value[0], exact[at] / exact[0]
    longer = exact[(at / 1.2).astype(int)] / exact[0]
    assert np.abs(ratio - truth).max() < 0.04
    assert np.abs(ratio - longer).max() > 0.04


@pytest.mark.slow
def test_a_pair_of_slow_linear_trajectories():
    """Independent inputs: c* = 0, and cross moments decay as -2 log(1 - leak + leak sigma_w)."""
    leak, sigma_w, h = 0.02, 0.5, State("h")
    cell = Cell("linear", update={h: (1 - leak) * h + leak * Preactivation("e", h)})
    inputs = Inputs(correlation=0.0)
    sampling = Sampling(8192, 8, device="cpu")
    sampled = SampledUnits(cell, cell.ensemble(e={"sigma_w": sigma_w}), inputs, "tied", sampling)
    pair = sampled.correlation_fixed_point()
    assert abs(pair.correlation["h"]) < 4 * pair.errors["correlation"]["h"]
    assert pair.errors["correlation"]["h"] < 0.05
    times = sampled.timescales()
    truth = -0.5 / np.log(1 - leak + leak * sigma_w)
    assert times.status is Status.OK
    assert abs(times.xi_c - truth) < 4 * times.error["xi_c"]
    assert times.error["xi_c"] < 0.1 * truth


def test_a_run_of_a_gated_cell_says_what_it_lost():
    """400 steps of a minimalRNN at mu_b = 4: the gaps are there, and within chance."""
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": 4.0})
    sampled = SampledUnits(cell, ensemble, Inputs(), "tied", Sampling(4096, 8, device="cpu"))
    drawn = sampled.setting.moments(sampled.sampling, range(8), 400, 1)
    assert drawn["check/square_gap"].max() > 0
    assert drawn["check/directions"].max() <= recent_span.KEPT + 1
    assert sampled.evolve(400).status is Status.OK
