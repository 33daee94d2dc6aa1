"""The truths by a second route: networks, sampling and quadrature that share nothing with them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from validation.calibration import gate_settings, vanilla_settings
from validation.calibration.linear import LinearCell
from validation.calibration.network_settings import NETWORKS

# Each test compares with a standard error; all of them together fail by chance in 1 of 1000.
FALSE_ALARM = 1e-3 / 12


def farthest(samples, truth):
    """The largest |t| over columns, and what chance explains with Bonferroni's correction."""
    samples, truth = np.asarray(samples), np.asarray(truth)
    t = (samples.mean(0) - truth) / (samples.std(0, ddof=1) / math.sqrt(len(samples)))
    return np.abs(t).max(), stats.t.isf(FALSE_ALARM / 2 / truth.size, len(samples) - 1)


LINEAR = {
    "white": LinearCell(((0.6,),), (0.4,), (1.0,), 0.8, mu_b=0.3, sigma_b=0.2, R=0.7),
    "constant": LinearCell(((0.8,),), (0.2,), (1.0,), 0.9, R=0.7, kappa=lambda lag: 1.0),
    "two states": LinearCell(((0.6, 0.1), (0.3, 0.2)), (0.4, 0.5), (0.2, 0.7), 0.6, mu_b=0.3),
}
WIDTH, COUNT, STEPS = 300, 60, 25


def orthogonal(width, rng):
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(np.diag(r))


def network(cell, rng, weights):
    """E[s s^T] between steps 25 and 25, 25 and 20; E[s]; the covariance of e; of one network."""
    W = rng.standard_normal((WIDTH, WIDTH)) / math.sqrt(WIDTH)
    W = cell.sigma_w * (orthogonal(WIDTH, rng) if weights == "orthogonal" else W)
    b, A, y = np.array(cell.b), np.array(cell.A), np.array(cell.y)
    bias = cell.sigma_b * rng.standard_normal(WIDTH)
    still, states, drives = rng.standard_normal(WIDTH), [np.zeros((len(b), WIDTH))], []
    for _ in range(STEPS):
        x = still if cell.kappa(1) else rng.standard_normal(WIDTH)
        drives.append(W @ (y @ states[-1]) + cell.sigma_v * math.sqrt(cell.R) * x + bias)
        states.append(A @ states[-1] + np.outer(b, drives[-1] + cell.mu_b))
    now, before = states[-1], states[-6]
    parts = [now @ now.T / WIDTH, now @ before.T / WIDTH, now.mean(1)]
    parts += [drives[-1] @ drives[-1] / WIDTH, drives[-1] @ drives[-3] / WIDTH]
    return np.concatenate([np.ravel(p) for p in parts])


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_moments_are_those_of_networks(name, weights):
    """Width 300, whose bias of order 1/300 is below the error; 2 % more is rejected."""
    cell, rng = LINEAR[name], np.random.default_rng(5)
    at = cell.moments(STEPS)
    truth = [at.two_time(STEPS, STEPS), at.two_time(STEPS, STEPS - 5)]
    truth += [[at.mean(STEPS, i) for i in range(len(cell.b))]]
    truth += [at.preactivation(STEPS, STEPS), at.preactivation(STEPS, STEPS - 2)]
    flat = np.concatenate([np.ravel(t) for t in truth])
    samples = [network(cell, rng, weights) for _ in range(COUNT)]
    found, limit = farthest(samples, flat)
    assert found < limit
    # The control: another leak, by 5 %.
    off = LinearCell(np.array(cell.A) * 1.05, cell.b, cell.y, cell.sigma_w, R=cell.R)
    other = np.ravel(off.moments(STEPS).two_time(STEPS, STEPS))
    found, limit = farthest(np.array(samples)[:, : len(other)], other)
    assert found > limit


@pytest.mark.parametrize("name", LINEAR)
def test_linear_moments_become_stationary(name):
    """The spectrum and the recursion are two routes to the same number."""
    cell = LINEAR[name]
    at = cell.moments(400)
    for lag in (0, 7):
        assert at.two_time(400, 400 - lag) == pytest.approx(cell.stationary(lag), rel=1e-6)
    crossed = at.two_time(400, 400, same=False)
    assert crossed == pytest.approx(cell.stationary(same=False), rel=1e-6)


def test_linear_gradients_are_a_sum_over_binomials():
    a, b, sigma_w, T = 0.7, 0.3, 1.2, 30
    truth = sum(
        math.comb(T, q) ** 2 * a ** (2 * (T - q)) * (b * sigma_w) ** (2 * q) for q in range(T + 1)
    )
    cell = LinearCell(((a,),), (b,), (1.0,), sigma_w)
    assert cell.jacobian_means(T)[-1] == pytest.approx(truth, rel=1e-12)
    assert cell.radius == pytest.approx(a + b * sigma_w, rel=1e-12)


def test_linear_growth_of_two_states_is_the_slope_of_its_gradients():
    """log m_1 = c + g T - log(T) / 2 + O(1 / T): at T = 600 g is off by less than 1e-4."""
    cell = LINEAR["two states"]
    late = np.log(cell.jacobian_means(600)[299:])
    slope = (late[300] - late[0] + 0.5 * math.log(2)) / 300
    assert slope == pytest.approx(cell.growth, abs=1e-4)
    assert (late[300] - late[0]) / 300 != pytest.approx(cell.growth, abs=1e-4)


def test_gates_are_averages_over_gaussians():
    """By adaptive quadrature, and two correlated gates by sampling."""
    mu, q, c = 1.5, 0.6, 0.4
    weights, gate = gate_settings.WEIGHTS, gate_settings.gate(mu, q)

    def density(z):
        u = 1 / (1 + math.exp(-mu - math.sqrt(q) * z))
        return u**2 * stats.norm.pdf(z)

    assert weights @ gate**2 == pytest.approx(integrate.quad(density, -12, 12)[0], rel=1e-9)
    rng = np.random.default_rng(3)
    z, other = rng.standard_normal((2, 64, 20_000))
    pair = [
        1 / (1 + np.exp(-mu - math.sqrt(q) * e)) for e in (z, c * z + math.sqrt(1 - c * c) * other)
    ]
    kept, new = (pair[0] * pair[1]).mean(1), ((1 - pair[0]) * (1 - pair[1])).mean(1)
    found, limit = farthest(np.stack([kept, new], 1), gate_settings.pair(mu, q, c))
    assert found < limit


def test_erf_averages_are_averages_over_gaussians():
    """By Gauss-Hermite quadrature on the plane."""
    q, q_ab = 0.8, 0.5
    cell = vanilla_settings.Erf(1.3, 1.0, 0.0, 1.0, 0.5, constant=False)
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / w.sum()
    c = q_ab / q
    e_a, e_b = math.sqrt(q) * z[:, None], math.sqrt(q) * (c * z[:, None] + math.sqrt(1 - c * c) * z)
    assert w @ (special.erf(e_a) * special.erf(e_b)) @ w == pytest.approx(
        cell.seen(q_ab, q), rel=1e-9
    )
    slopes = 4 / math.pi * np.exp(-(e_a**2) - e_b**2)
    assert 1.3**2 * (w @ slopes @ w) == pytest.approx(cell.slope(q_ab, q), rel=1e-9)


# --- the file of networks -------------------------------------------------------------------------


def test_the_networks_are_linear_in_one_over_their_width():
    """No bend in 1/N beyond chance, over all numbers of each setting that are not exact copies.

    Numbers of a setting share its networks: one vote each, the median |bend|, and the largest of
    all within what as many independent normal numbers reach with probability 1 - 1e-3.
    """
    settings = json.loads(NETWORKS.read_text())["settings"]
    bends = [[abs(n["bend"]) for n in s["numbers"] if n["sem"]] for s in settings.values()]
    assert max(np.median(b) for b in bends) < stats.norm.isf(FALSE_ALARM / 2 / len(bends))
    every = np.concatenate(bends)
    assert every.max() < stats.norm.isf(1e-3 / 2 / len(every))


def test_the_file_of_networks_says_how_it_was_made():
    found = json.loads(NETWORKS.read_text())
    assert set(found["versions"]) == {"python", "numpy"}
    assert len(found["widths"]) == len(found["networks"]) == 3
    assert isinstance(found["seed"], int)
    assert len(found["settings"]) >= 12
