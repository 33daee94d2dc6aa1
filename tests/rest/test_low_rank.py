"""Networks with a part of low rank, at rest: SciPy's quadrature, Stein's lemma, plain networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq

import rnnmft as mft
from rnnmft import cells
from rnnmft.cells import low_rank_laws
from rnnmft.errors import DerivationError, Status

Array = NDArray[np.float64]
LEAK = 0.2


def rank_one(
    g: float, overlap: float, cell: cells.Cell | None = None, **bias: float
) -> mft.Autonomous:
    cell = cells.low_rank(leak=LEAK) if cell is None else cell
    laws = low_rank_laws([[1, overlap], [overlap, overlap**2 + 1]])
    return mft.autonomous(cell, cell.ensemble(e={"sigma_w": g, **bias}, parameters=laws))


def gaussian(f: Callable[[float], float]) -> float:
    """E[f(z)], z standard normal."""
    weight = 1 / math.sqrt(2 * math.pi)
    return float(quad(lambda z: weight * math.exp(-z * z / 2) * f(z), -12, 12, epsabs=1e-14)[0])


# --- without a random part: SciPy -------------------------------------------------------------


@pytest.mark.parametrize("overlap", [1.2, 2.0, 5.0])
def test_the_overlap_without_random_part_is_the_root_of_its_integral(overlap: float) -> None:
    """kappa = E[n tanh(m kappa)], and the slope E[n m tanh'(m kappa)] is the outlier."""

    def gap(kappa: float) -> float:
        return overlap * gaussian(lambda z: z * math.tanh(kappa * z)) - kappa

    kappa = float(brentq(gap, 0.05, 10.0, xtol=1e-14))
    slope = overlap * gaussian(lambda z: z * z / math.cosh(kappa * z) ** 2)
    network = rank_one(0.0, overlap)
    assert network.phase == "structured"
    zero, below, above = network.fixed_points()
    assert (zero.stable, below.stable, above.stable) == (False, True, True)
    for state, sign in ((below, -1), (above, 1)):
        assert abs(state.average["kappa"] - sign * kappa) <= 1e-10
        assert state.quantity("average", "kappa").error <= 1e-10
        assert state.status is Status.OK
        assert state.outliers is not None
        assert abs(state.outliers[0] - (1 - LEAK + LEAK * slope)) <= state.errors["outliers"][0]
        assert state.errors["outliers"][0] <= 1e-8


def test_means_break_the_symmetry_as_the_joint_integral_says() -> None:
    """E[m] and E[n] add to the overlap; by SciPy in two dimensions, without Stein's lemma."""
    covariance, mean, g = [[0.5, 0.6], [0.6, 1.0]], [0.4, 0.9], 0.7
    cell = cells.low_rank(leak=LEAK)
    ensemble = cell.ensemble(e={"sigma_w": g}, parameters=low_rank_laws(covariance, mean))
    found = mft.autonomous(cell, ensemble).fixed_points()
    assert len(found) >= 1
    for state in found:
        kappa, q = state.average["kappa"], state.preactivation_variance["e"]

        def over(f: Callable[[float, float], float], kappa: float = kappa, q: float = q) -> float:
            def density(e: float, z: float) -> float:
                m = mean[0] + math.sqrt(covariance[0][0]) * z
                return math.exp(-(e * e + z * z) / 2) * f(m, math.sqrt(q) * e + kappa * m)

            return dblquad(density, -9, 9, -9, 9, epsabs=1e-11)[0] / (2 * math.pi)

        b = covariance[0][1] / covariance[0][0]
        known = mean[1] * over(lambda m, h: math.tanh(h))
        known += b * over(lambda m, h: (m - mean[0]) * math.tanh(h))
        assert abs(known - kappa) < 1e-9
        assert abs(g * g * over(lambda m, h: math.tanh(h) ** 2) - q) < 1e-9


# --- transitions ------------------------------------------------------------------------------


def test_the_quiet_state_is_lost_where_the_outlier_is_1() -> None:
    """n.m / N times phi'(0) = 1, whatever g < 1 and the leak."""
    for g in (0.0, 0.9):
        for overlap, phase in ((1 - 1e-6, "quiet"), (1 + 1e-6, "structured")):
            network = rank_one(g, overlap)
            zero = network.fixed_points()[0]
            assert network.phase == phase
            assert zero.outliers is not None
            assert abs(zero.outliers[0] - (1 - LEAK + LEAK * overlap)) <= zero.errors["outliers"][0]


@pytest.mark.slow
@pytest.mark.parametrize("g", [0.0, 0.5, 0.9])
def test_both_transitions_of_the_quiet_state_are_at_1(g: float) -> None:
    found = rank_one(g, 0.5).transitions(("overlap", "value"), 0.8, 1.3, points=2)
    assert [t.what for t in found] == [
        "the zero state loses stability",
        "fixed points appear",
    ]
    for t in found:
        assert abs(float(t) - 1.0) <= t.value.error < 1e-6
        assert (t.before, t.after) == ("quiet", "structured")


def test_where_zero_is_marginal_there_are_no_others_beside_it() -> None:
    """At g = 1 the map of Y is Y - 2 Y^2: roots of rounding's size are none."""
    for g, overlap in ((1.0, 0.5), (1.0, 1.0), (0.5, 1.0)):
        (zero,) = rank_one(g, overlap).fixed_points()
        assert zero.is_zero
    first, second = rank_one(1.0001, 0.5).fixed_points()
    assert first.is_zero
    # q = (g^2 - 1) / 2 to the leading order.
    assert second.preactivation_variance["e"] == pytest.approx(1e-4, rel=1e-3)


def test_phases_over_g_and_the_overlap() -> None:
    vary = {("e", "sigma_w"): [0.5, 1.5], ("overlap", "value"): [0.5, 2.0]}
    found = rank_one(0.5, 0.5).phase_diagram(vary)
    assert found.phase.tolist() == [["quiet", "structured"], ["chaos", "structured"]]
    assert found.count.tolist() == [[1, 3], [2, 4]]


def test_two_ranks_rotate_where_their_overlaps_are_antisymmetric() -> None:
    """The eigenvalues of the overlap matrix are the outliers: a pair, and the leak moves it."""
    c, s = 0.7, 1.1
    covariance = np.eye(4) * 5.0
    covariance[2:, :2] = [[c, -s], [s, c]]
    covariance[:2, :2] = np.eye(2)
    covariance[:2, 2:] = covariance[2:, :2].T
    cell = cells.low_rank(2, leak=0.1)
    laws = low_rank_laws(covariance.tolist())
    network = mft.autonomous(cell, cell.ensemble(e={"sigma_w": 0.3}, parameters=laws))
    zero = network.fixed_points()[0]
    expected = 0.9 + 0.1 * np.array([c - 1j * s, c + 1j * s])
    assert zero.outliers is not None
    np.testing.assert_allclose(zero.outliers, expected, atol=1e-9)
    # |lambda|^2 = (0.9 + 0.1 c)^2 + (0.1 s)^2 < 1: at this leak it is stable.
    assert zero.stable == bool((np.abs(expected) < 1).all())


def test_equal_ranks_rest_on_a_ring() -> None:
    """Its radius is the overlap of rank one, any angle will do, and across it is stable.

    Of ranks that differ the larger one's pair is stable, and the other's is not along the larger.
    """
    cell = cells.low_rank(2, leak=LEAK)
    one = rank_one(0.5, 2.0).fixed_points()[-1].average["kappa"]
    for second, continuum in ((2.0, [0, 1]), (1.5, [0, 0, 0, 0, 0])):
        covariance = np.diag([1.0, 1.0, 9.0, 9.0])
        covariance[[0, 1, 2, 3], [2, 3, 0, 1]] = [2.0, second, 2.0, second]
        laws = low_rank_laws(covariance.tolist())
        network = mft.autonomous(cell, cell.ensemble(e={"sigma_w": 0.5}, parameters=laws))
        found = network.fixed_points()
        assert [s.continuum for s in found] == continuum
        assert (network.phase, network.status) == ("structured", Status.OK)
        stable = [s for s in found if s.stable]
        assert len(stable) == (1 if any(continuum) else 2)
        for state in stable:
            assert abs(math.hypot(*state.average.values()) - one) < 1e-10
            assert state.error_of("average", "kappa_1") < 1e-10


def test_averages_within_a_step_are_refused() -> None:
    cell = cells.get("rms_norm_rnn")
    with pytest.raises(DerivationError, match="averages over units"):
        mft.autonomous(cell, cell.ensemble())


# --- networks ---------------------------------------------------------------------------------


def network(width: int, g: float, overlap: float, leak: float, rng: Any) -> tuple[Array, Array]:
    """kappa, E[h^2] and the residual of one network from h = m; and its leading eigenvalues.

    m and n are given the moments of their law exactly, by which most of the scatter goes.
    """
    W = rng.normal(size=(width, width)) * g / math.sqrt(width)
    m, z = rng.normal(size=(2, width))
    m /= math.sqrt(m @ m / width)
    z -= m * (z @ m) / width
    n = overlap * m + z
    h = m.copy()
    still = math.inf
    for _ in range(round(200 / leak)):
        r = np.tanh(h)
        new = W @ r + m * (n @ r) / width
        h, still = (1 - leak) * h + leak * new, float(np.abs(new - h).max())
    slope = (W + np.outer(m, n) / width) * (1 - np.tanh(h) ** 2)
    values = 1 - leak + leak * np.linalg.eigvals(slope)
    return np.array([n @ np.tanh(h) / width, h @ h / width, still]), values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("g", "overlap", "leak"),
    [(0.8, 2.0, 1.0), (0.8, 2.0, LEAK), (0.3, 1.6, LEAK)],
    ids=["discrete", "euler", "weak"],
)
def test_networks_come_to_rest_where_theory_says(g: float, overlap: float, leak: float) -> None:
    """Widths 500 and 1000, 16 networks each, extrapolated in 1 / N; false alarm 3e-4 a number.

    The control, the theory of an overlap that is 10 % larger, must fail.
    """
    rng = np.random.default_rng(20261128)
    runs = {N: [network(N, g, overlap, leak, rng) for _ in range(16)] for N in (500, 1000)}
    means = {N: np.mean([x for x, _ in r], axis=0) for N, r in runs.items()}
    errors = {N: np.std([x for x, _ in r], axis=0, ddof=1) / 4 for N, r in runs.items()}
    assert max(float(x[2]) for r in runs.values() for x, _ in r) < 1e-9
    at, error = 2 * means[1000] - means[500], np.hypot(2 * errors[1000], errors[500])

    def away(strength: float) -> Array:
        cell = cells.low_rank(leak=leak)
        state = rank_one(g, strength, cell).fixed_points()[-1]
        theory = np.array([state.average["kappa"], state.second_moment["h"]])
        return (at[:2] - theory) / error[:2]

    # Student's t of some 15 degrees of freedom is beyond 4.6 with probability 3e-4.
    assert (np.abs(away(overlap)) < 4.6).all()
    assert (np.abs(away(1.1 * overlap)) > 4.6).any()


@pytest.mark.slow
def test_the_outlier_of_networks_at_rest() -> None:
    """16 networks of width 1000; false alarm 3e-4.

    The control, E[n m phi'] as if what is at rest knew nothing of W, must fail.
    """
    rng, g, overlap = np.random.default_rng(7), 0.5, 1.5
    found = [network(1000, g, overlap, LEAK, rng)[1] for _ in range(16)]
    leading: list[complex] = [values[int(np.abs(values).argmax())] for values in found]
    assert max(abs(x.imag) for x in leading) < 1e-12
    real = np.abs(leading)
    state = rank_one(g, overlap).fixed_points()[-1]
    assert state.outliers is not None
    mean, error = float(real.mean()), float(real.std(ddof=1)) / 4
    assert abs(mean - float(np.abs(state.outliers).max())) < 4.6 * error
    kappa, q = state.average["kappa"], state.preactivation_variance["e"]

    def slope(e: float, m: float) -> float:
        weight = math.exp(-(e * e + m * m) / 2) / (2 * math.pi)
        return weight * overlap * m * m / math.cosh(math.sqrt(q) * e + kappa * m) ** 2

    alone = 1 - LEAK + LEAK * dblquad(slope, -9, 9, -9, 9, epsabs=1e-9)[0]
    assert abs(mean - alone) > 4.6 * error


# --- sampled units ----------------------------------------------------------------------------


def pulled(g: float, overlap: float) -> tuple[mft.Autonomous, mft.MeanField]:
    """Of rank one in discrete time, with the input m / 10, which chooses the branch."""
    cell = cells.low_rank(leak=1, stimulus=True)
    covariance = np.array([[1.0, overlap, 0.1], [overlap, overlap**2 + 1, 0.1 * overlap]])
    whole = np.vstack([covariance, [0.1, 0.1 * overlap, 0.01]])
    ensemble = cell.ensemble(e={"sigma_w": g}, parameters=low_rank_laws(whole.tolist()))
    theory = mft.MeanField(cell, ensemble, mft.Inputs(R=0.0), particles=2**15)
    return mft.autonomous(cell, ensemble), theory


@pytest.mark.slow
def test_sampled_units_come_to_rest_there() -> None:
    """5 standard errors, of 16 repetitions: false alarm 2e-4 a number."""
    rest, theory = pulled(0.8, 2.0)
    found, state = theory.fixed_point(), rest.fixed_points()[-1]
    assert state.stable
    for kind, name in (("average", "kappa"), ("second_moment", "h")):
        number = found.quantity(kind, name)
        assert abs(float(number) - state.quantity(kind, name).value) < 5 * number.error


@pytest.mark.slow
def test_chaotic_networks_have_the_overlap_of_sampled_units() -> None:
    """24 networks of width 1000, each over 300 steps. 5 standard errors: false alarm 1e-4 a number.

    The control, the theory of an overlap that is 15 % larger, must fail.
    """
    rng = np.random.default_rng(3)
    runs = np.array([_chaotic(1000, 1.8, 2.0, rng) for _ in range(24)])
    mean, error = runs.mean(0), runs.std(0, ddof=1) / math.sqrt(len(runs))

    def away(overlap: float) -> Array:
        found = pulled(1.8, overlap)[1].fixed_point()
        numbers = found.quantity("average", "kappa"), found.quantity("second_moment", "h")
        pairs = zip(mean, error, numbers, strict=True)
        return np.array([(m - float(q)) / math.hypot(e, q.error) for m, e, q in pairs])

    assert not any(s.stable for s in pulled(1.8, 2.0)[0].fixed_points())
    assert (np.abs(away(2.0)) < 5).all()
    assert (np.abs(away(2.3)) > 5).any()


def _chaotic(width: int, g: float, overlap: float, rng: Any) -> Array:
    """kappa and E[h^2] over 300 steps of one network with the input m / 10, after 100."""
    W = rng.normal(size=(width, width)) * g / math.sqrt(width)
    m, z = rng.normal(size=(2, width))
    m /= math.sqrt(m @ m / width)
    z -= m * (z @ m) / width
    n, h, found = overlap * m + z, m.copy(), []
    for t in range(400):
        r = np.tanh(h)
        h = W @ r + m * (n @ r) / width + m / 10
        if t >= 100:
            found.append([n @ np.tanh(h) / width, h @ h / width])
    return np.mean(found, axis=0)
