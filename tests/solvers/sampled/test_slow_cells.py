"""Slow, autonomous and constantly driven cells with tied weights: a table of known answers.

Each number is promised (status OK) and lies within `WITHIN` errors of its truth, the truth's own
standard error added in quadrature: where both are right, chance rejects 1 in 16,000. "Networks" are
plain ones of three widths, extrapolated as a + b/N; the other truths are exact. Every sampled
number has a control: its truth moved by what the test is to see is rejected.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft import (
    Cell,
    ConvergenceError,
    Inputs,
    MeanField,
    Preactivation,
    State,
    Status,
    cells,
    relu,
    tanh,
)

WITHIN = 4.0
AUTONOMOUS, CONSTANT = Inputs(R=0.0), Inputs(R=1.0, temporal="constant")
PARTICLES = 1 << 15


def field(cell, ensemble, inputs, particles=PARTICLES):
    return MeanField(cell, ensemble, inputs, tying="tied", particles=particles, device="cpu")


def agrees(mf, value, error, truth, truth_error=0.0):
    """Whether a promise holds; a deterministic error is a bound, and has no chance in it."""
    if mf.method != "sampled units":
        return abs(value - truth) <= error + WITHIN * truth_error
    return abs(value - truth) <= WITHIN * math.hypot(error, truth_error)


def rate(leak):
    """h' = (1 - leak) h + leak e, e = W tanh(h) + V x + b."""
    h = State("h")
    return Cell("rate", update={h: (1 - leak) * h + leak * Preactivation("e", tanh(h))})


def linear(a, b, sigma_w, inputs):
    """h' = a h + b e."""
    h = State("h")
    cell = Cell("linear", update={h: a * h + b * Preactivation("e", h)})
    return field(cell, cell.ensemble(e={"sigma_w": sigma_w}), inputs)


# --- moments --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_chaotic_rate_network_keeps_its_variance():
    """Networks: E[h^2] = 1.967 +- .017. A Cholesky factor of its kernel returned thousands."""
    cell = rate(0.1)
    mf = field(cell, cell.ensemble(e={"sigma_w": 2.0, "sigma_b": 0.1}), AUTONOMOUS)
    at = mf.fixed_point()
    second, error = at.second_moment["h"], at.errors["second_moment"]["h"]
    assert at.status is Status.OK
    assert agrees(mf, second, error, 1.967, 0.017)
    assert not agrees(mf, second, error, 1.25 * 1.967, 0.017)


@pytest.mark.slow
def test_a_rate_network_near_the_onset_of_chaos():
    """Networks: E[h^2] = .754 +- .015, q = .774 +- .014; from zero it takes thousands of steps."""
    cell = rate(0.1)
    mf = field(cell, cell.ensemble(e={"sigma_w": 1.5, "sigma_b": 0.001}), AUTONOMOUS)
    at = mf.fixed_point()
    second, error = at.second_moment["h"], at.errors["second_moment"]["h"]
    assert at.status is Status.OK
    assert agrees(mf, second, error, 0.754, 0.015)
    assert not agrees(mf, second, error, 1.3 * 0.754, 0.015)
    q, error = at.preactivation_variance["e"], at.errors["preactivation_variance"]["e"]
    assert agrees(mf, q, error, 0.774, 0.014)


def last_ten(trajectory, kind, name):
    """The mean over the last ten steps and its error; neighbours are as good as equal."""
    value, error = getattr(trajectory, kind)[name], trajectory.error[kind][name]
    return float(value[-10:].mean()), float(error[-10:].mean())


@pytest.mark.slow
def test_a_constantly_driven_gru_after_two_hundred_steps():
    """PyTorch's GRU, sigma_w = 3 of n_h. Networks: the variance of W h is 4.75 +- .13."""
    cell = cells.gru_torch()
    ensemble = cell.ensemble(
        r={"sigma_b": 0.1},
        z={"mu_b": 2.0, "sigma_b": 0.1},
        n_h={"sigma_w": 3.0, "sigma_b": 0.1},
        n_x={"sigma_b": 0.1},
    )
    mf = field(cell, ensemble, CONSTANT)
    found = mf.evolve(200)
    assert found.status is Status.OK
    q, error = last_ten(found, "preactivation_variance", "n_h")
    assert agrees(mf, q, error, 4.75, 0.13)
    assert not agrees(mf, q, error, 1.25 * 4.75, 0.13)


@pytest.mark.slow
def test_a_constantly_driven_lstm_after_two_hundred_steps():
    """Networks: E[c^2] = 65 +- 5 and still growing; the variance of g is 1.518 +- .045."""
    cell = cells.lstm()
    ensemble = cell.ensemble(f={"mu_b": 2.0}, g={"sigma_w": 1.5})
    mf = field(cell, ensemble, CONSTANT)
    found = mf.evolve(200)
    assert found.status is Status.OK
    second, error = last_ten(found, "second_moment", "c")
    assert agrees(mf, second, error, 65.4, 4.9)
    assert not agrees(mf, second, error, 1.6 * 65.4, 4.9)
    q, error = last_ten(found, "preactivation_variance", "g")
    assert agrees(mf, q, error, 1.518, 0.045)
    assert not agrees(mf, q, error, 1.25 * 1.518, 0.045)


def rest(mf):
    """What is said of the fixed point: whether it is stable, and the status."""
    try:
        at = mf.fixed_point()
    except ConvergenceError as error:
        return False, error.status
    return at.stable, at.status


def test_an_unstable_zero_state_is_not_called_stable():
    """Without a bias zero is a fixed point of the rate network at gain 2; nothing stays there."""
    cell = rate(0.1)
    mf = field(cell, cell.ensemble(e={"sigma_w": 2.0}), AUTONOMOUS)
    assert rest(mf) == (False, Status.UNSTABLE)


def test_a_stable_zero_state_is_called_stable():
    cell = rate(0.1)
    mf = field(cell, cell.ensemble(e={"sigma_w": 0.8}), AUTONOMOUS)
    assert rest(mf) == (True, Status.OK)
    assert mf.fixed_point().second_moment["h"] == 0.0


# --- gradients ------------------------------------------------------------------------------------


def promised_growth(mf, truth, seen):
    """A growth that holds, with an error that would see it moved by `seen`."""
    growth = mf.gradient_growth()
    assert growth.status is Status.OK
    assert agrees(mf, growth.value, growth.error, truth)
    assert not agrees(mf, growth.value, growth.error, truth + seen)
    assert not agrees(mf, growth.value, growth.error, truth - seen)


@pytest.mark.parametrize("inputs", [Inputs(), AUTONOMOUS], ids=["white", "autonomous"])
def test_perturbations_of_a_linear_cell_decay(inputs):
    """h' = .5 h + .5 e, sigma_w = .5: growth 2 log .75 = -.575. Drawn, they turned to +6.42."""
    promised_growth(linear(0.5, 0.5, 0.5, inputs), 2 * math.log(0.75), seen=0.03)


def test_perturbations_of_a_slow_linear_cell_decay():
    """h' = .8 h + .2 e, sigma_w = .9: growth 2 log .98 = -.040."""
    promised_growth(linear(0.8, 0.2, 0.9, Inputs()), 2 * math.log(0.98), seen=0.03)


def test_perturbations_of_the_zero_state_of_a_gru_decay():
    """sigma_w = .5 everywhere, no input: J = (1 + W / 2 / 2) / 2, growth 2 log .625 = -.940."""
    cell = cells.gru()
    ensemble = cell.ensemble(**{p.name: {"sigma_w": 0.5} for p in cell.preactivations})
    promised_growth(field(cell, ensemble, AUTONOMOUS), 2 * math.log(0.625), seen=0.03)


# --- timescales -----------------------------------------------------------------------------------


def test_the_moment_timescale_of_a_linear_cell():
    """h' = .5 h + .5 e, sigma_w = .9, white: xi_q = -1 / (2 log .95) = 9.75, a power of t aside."""
    mf = linear(0.5, 0.5, 0.9, Inputs())
    times = mf.timescales()
    assert times.status is Status.OK
    assert agrees(mf, times.xi_q, times.error["xi_q"], -0.5 / math.log(0.95))
    assert times.error["xi_q"] < 0.5 * times.xi_q


def remembered(mu_b, longest, *, width=800, networks=6, seed=3):
    """log E[u^1 .. u^T] for T = 1, .., longest of tied minimalRNNs, (networks, longest).

    u = sigmoid(e), e = W h + V x + mu_b, sigma_w = 4: how long a unit keeps what it held.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros((networks, longest))
    burn_in, starts = 4 * longest + 60, 80
    for n in range(networks):
        W, V = rng.standard_normal((2, width, width)) / math.sqrt(width)
        h, gates = np.zeros(width), []
        for _ in range(burn_in + starts + longest):
            x = rng.standard_normal(width)
            gates.append(1 / (1 + np.exp(-(4.0 * W @ h + V @ x + mu_b))))
            h = gates[-1] * h + (1 - gates[-1]) * x
        logs = np.cumsum(np.log(np.array(gates[burn_in:])), 0)
        for T in range(1, longest + 1):
            found[n, T - 1] = np.exp(logs[T : T + starts] - logs[:starts]).mean()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("mu_b", "longest"), [(-4.0, 8), (0.0, 8), (4.0, 40)])
def test_the_correlation_timescale_of_independent_inputs(mu_b, longest):
    """xi_c = -1 / (2 lim (1/T) log E[u^1 .. u^T]): at c* = 0 the gates of two trajectories are
    independent, and what they have in common lasts as long as both keep it. It was 1.0 for all.

    The limit: the slope over the last half of the horizons, from networks; what it still changes
    from the half before is in its error.
    """
    cell = cells.minimal()
    # What lasts a third of a step is gone before it has a slope, unless there are many units.
    particles = PARTICLES if mu_b >= 0 else 4 * PARTICLES
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": mu_b})
    mf = field(cell, ensemble, Inputs(correlation=0.0), particles)
    times = mf.timescales()
    assert times.status is Status.OK
    rate_of, error = late_slope(remembered(mu_b, longest))
    truth = -0.5 / rate_of
    assert agrees(mf, times.xi_c, times.error["xi_c"], truth, truth * error / abs(rate_of))
    # It is resolved: the error is no excuse.
    assert times.error["xi_c"] < 0.3 * times.xi_c
    assert error < 0.15 * abs(rate_of)


def late_slope(samples):
    """d log E[.] / dT over the last half, and its error: over networks, and from before."""

    def slope(rows, low, high):
        mean = np.log(rows.mean(0))
        return (mean[high - 1] - mean[low - 1]) / (high - low)

    longest = samples.shape[1]
    half, quarter = longest // 2, max(longest // 4, 1)
    value = slope(samples, half, longest)
    without = [slope(np.delete(samples, i, 0), half, longest) for i in range(len(samples))]
    spread = np.std(without) * math.sqrt(len(samples) - 1)
    return value, math.hypot(spread, value - slope(samples, quarter, half))


def remembered_for_long(mu_b, longest, every, *, width, sides=8, networks=3, seed=3):
    """The same at T = every, 2 every, .., longest; `sides` trajectories share each network.

    V x is drawn beside x, as in the limit: its overlap with x makes E[h^2] at mu_b = 6 two thirds
    larger at width 256, and still a sixth at 1,024.
    """
    rng = np.random.default_rng(seed)
    burn_in, starts = longest, 8
    between = longest // starts // every
    found = np.zeros((networks, longest // every))
    for n in range(networks):
        W = rng.standard_normal((width, width)) * 4.0 / math.sqrt(width)
        h, log_u = np.zeros((width, sides)), np.zeros((width, sides))
        logs = []
        for t in range(burn_in + 2 * longest):
            x, drive = rng.standard_normal((2, width, sides))
            u = 1 / (1 + np.exp(-(W @ h + drive + mu_b)))
            h = u * h + (1 - u) * x
            if t >= burn_in:
                if (t - burn_in) % every == 0:
                    logs.append(log_u.copy())
                log_u += np.log(u)
        logs = np.array([*logs, log_u])
        for T in range(1, longest // every + 1):
            ends = [np.exp(logs[s * between + T] - logs[s * between]) for s in range(starts)]
            found[n, T - 1] = np.mean(ends)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mu_b", "longest", "every", "width"), [(6.0, 640, 8, 512), (8.0, 2560, 32, 256)]
)
def test_the_correlation_timescale_of_a_long_memory(mu_b, longest, every, width):
    """The same where every step shows W a direction for thousands of steps (untied: 118, 900)."""
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": mu_b})
    mf = field(cell, ensemble, Inputs(correlation=0.0), particles=None)
    times = mf.timescales()
    assert times.status is Status.OK
    rate_of, error = late_slope(remembered_for_long(mu_b, longest, every, width=width))
    truth = -0.5 * every / rate_of
    assert agrees(mf, times.xi_c, times.error["xi_c"], truth, truth * error / abs(rate_of))
    assert not agrees(mf, 1.6 * times.xi_c, times.error["xi_c"], truth)
    assert times.error["xi_c"] < 0.3 * times.xi_c
    assert error < 0.15 * abs(rate_of)


# --- cells that need no units ---------------------------------------------------------------------


def test_the_fixed_point_of_a_relu_cell():
    """q = Q + 1, Q = q / 2: Q* = 1."""
    at = MeanField(cells.vanilla(relu), tying="tied").fixed_point()
    assert at.status is Status.OK
    assert at.second_moment["h"] == pytest.approx(1.0, abs=max(at.error, 1e-9))
