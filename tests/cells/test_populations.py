"""Populations: block networks in plain NumPy, what they are without differences, refusals."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Cell, Inputs, Normal, Preactivation, RandomParameter, State
from rnnmft.errors import CellError, ParameterError
from rnnmft.rest.autonomous import autonomous

FRACTIONS = (0.25, 0.75)
GAINS = np.array([[5.0, 2.0], [1.0, 3.0]])
LEAKS, SIGMA_B = (1.0, 0.5), (0.1, 0.2)


@pytest.mark.parametrize("name", ["vanilla", "gru", "rms_norm_rnn"])
def test_alike_they_are_one_population(name: str) -> None:
    """One sigma_kl for all blocks: the second moments and covariances of the cell itself.

    Averages over units are over those of all populations, a reset gate is that of the unit seen.
    """
    cell, inputs = cells.get(name), Inputs(R=0.7, correlation=0.4)
    first = cell.preactivations[0].name
    laws: dict[str, Any] = {first: {"sigma_w": 1.4, "sigma_b": 0.3, "mu_b": 0.2}}
    both = cells.populations(cell, FRACTIONS)
    alone = MeanField(cell, cell.ensemble(**laws), inputs, "untied").evolve(3)
    found = MeanField(both, both.ensemble(**laws), inputs, "untied").evolve(3)
    for kind in ("second_moment", "cross_moment"):
        expected = getattr(alone, kind)["h"]
        for k in ("h_1", "h_2"):
            np.testing.assert_allclose(getattr(found, kind)[k], expected, rtol=1e-6)


def test_means_over_units_weigh_by_fraction() -> None:
    both = cells.populations(cells.lstm(), FRACTIONS)
    known = {"c_1": 1.0, "c_2": 2.0, "h_1": np.ones(3), "h_2": np.zeros(3)}
    found = both.over_units(known)
    assert found["c"] == 1.75
    np.testing.assert_array_equal(found["h"], np.full(3, 0.25))
    assert both.over_units({"h_1": 1.0}) == {}


def network(leaks: tuple[float, float] = LEAKS) -> cells.Populations:
    return cells.populations([cells.rate(leak) for leak in leaks], FRACTIONS)


def radius_of(gains: np.ndarray) -> float:
    """sqrt of the largest eigenvalue of sigma_kl^2 f_l [aljadeff2015]."""
    return math.sqrt(float(np.abs(np.linalg.eigvals(gains**2 * np.array(FRACTIONS))).max()))


@pytest.mark.slow
def test_the_zero_state_loses_stability_where_published() -> None:
    """det(1 - G) = 0 in g_11; the gains without fractions are far from it."""
    cell, square = network(), GAINS**2 * np.array(FRACTIONS) / 16
    edge = 1 - square[0, 1] * square[1, 0] / (1 - square[1, 1])
    critical = GAINS / 4
    critical[0, 0] = math.sqrt(edge / FRACTIONS[0])
    assert radius_of(critical) == pytest.approx(1.0, abs=1e-12)
    for part, stable in ((1 - 1e-6, True), (1 + 1e-6, False)):
        zero = autonomous(cell, cell.ensemble(e={"sigma_w": part * critical})).fixed_points()[0]
        assert zero.stable is stable
        assert zero.gain == pytest.approx(part**2, rel=1e-9)
    bare = {f"e_{k + 1}_{j + 1}": {"sigma_w": critical[k, j]} for k in (0, 1) for j in (0, 1)}
    assert autonomous(cell, cell.ensemble(**bare)).fixed_points()[0].gain > 1.5


@pytest.mark.slow
def test_the_transition_to_chaos_is_found_there() -> None:
    cell, square = network((0.5, 0.25)), GAINS**2 * np.array(FRACTIONS) / 16
    edge = math.sqrt(1 - square[0, 1] * square[1, 0] / (1 - square[1, 1]))
    found = autonomous(cell, cell.ensemble(e={"sigma_w": GAINS / 4})).transitions(
        ("e_1_1", "sigma_w"), 0.9 * edge, 1.1 * edge, points=3
    )
    lost = next(t for t in found if t.what == "the zero state loses stability")
    assert abs(float(lost) - edge) <= lost.value.error < 1e-8
    assert (lost.before, lost.after) == ("quiet", "chaos")


def block_network(width: int, steps: int, seed: int, lags: tuple[int, ...]) -> np.ndarray:
    """Plain NumPy: E[h_k^t h_k^(t+tau)] of both populations, of f_k N units each, and lambda_1."""
    random = np.random.default_rng(seed)
    of = np.repeat([0, 1], [round(f * width) for f in FRACTIONS])
    w = random.normal(size=(width, width)) * GAINS[of[:, None], of] / math.sqrt(width)
    b, leak = random.normal(size=width) * np.array(SIGMA_B)[of], np.array(LEAKS)[of]
    h, d, grown, seen = np.zeros(width), random.normal(size=width), 0.0, []
    for t in range(steps + 150):
        d = (1 - leak) * d + leak * (w @ (d / np.cosh(h) ** 2))
        h = (1 - leak) * h + leak * (w @ np.tanh(h) + b)
        size = float(np.linalg.norm(d))
        d /= size
        if t >= 150:
            seen.append(h)
            grown += math.log(size) / steps
    run = np.array(seen)
    pairs = [
        (run[: steps - lag, of == k] * run[lag:, of == k]).mean() for k in (0, 1) for lag in lags
    ]
    return np.array([*pairs, grown])


@pytest.mark.slow
def test_chaotic_networks_of_real_fractions_agree() -> None:
    """Second moments, C(tau) and lambda_1, widths 400 and 800 extrapolated in 1 / N.

    32 and 16 networks; 9 numbers at 4 standard errors: a false alarm in 1 of 600 (t, 15 degrees of
    freedom). Gains that forget the fractions are rejected.
    """
    cell, lags = network(), (0, 1, 4, 10)
    runs = [
        np.array([block_network(width, 300, 7 * count + width, lags) for count in range(networks)])
        for width, networks in ((400, 32), (800, 16))
    ]
    small, large = (run.mean(0) for run in runs)
    variances = [run.var(0, ddof=1) / len(run) for run in runs]
    measured, error = 2 * large - small, np.sqrt(4 * variances[1] + variances[0])

    def theory(ensemble: Any) -> np.ndarray:
        field = MeanField(cell, ensemble, Inputs(R=0.0))
        memory = field.autocorrelation(10).value
        pairs = [memory[f"h_{k}"][lag] for k in (1, 2) for lag in lags]
        return np.array([*pairs, float(field.lyapunov())])

    biases = {"sigma_b": SIGMA_B}
    found = theory(cell.ensemble(e={"sigma_w": GAINS, **biases}))
    assert (np.abs(found - measured) <= 4 * error).all(), (found - measured) / error
    bare = {f"e_{k + 1}_{j + 1}": {"sigma_w": GAINS[k, j]} for k in (0, 1) for j in (0, 1)}
    control = theory(cell.ensemble(e=biases, **bare))
    assert (np.abs(control - measured) > 8 * error).sum() >= 5


@pytest.mark.slow
def test_the_eigenvalues_of_a_block_matrix_end_where_the_law_does() -> None:
    """The cloud of J at the quiet state, width 1000: its radius within 5 %; the control is off."""
    cell, width = network((1.0, 1.0)), 1000
    small = GAINS / 8
    of = np.repeat([0, 1], [round(f * width) for f in FRACTIONS])
    w = np.random.default_rng(3).normal(size=(width, width)) * small[of[:, None], of]
    largest = float(np.abs(np.linalg.eigvals(w / math.sqrt(width))).max())
    law = autonomous(cell, cell.ensemble(e={"sigma_w": small})).fixed_points()[0].eigenvalues()
    assert float(law.radius) == pytest.approx(radius_of(small), rel=1e-6)
    assert largest == pytest.approx(float(law.radius), rel=0.05)
    forgotten = math.sqrt(float(np.abs(np.linalg.eigvals(small**2)).max()))
    assert abs(largest / forgotten - 1) > 0.1


@pytest.mark.slow
def test_discs_hold_the_eigenvalues_of_networks_of_real_fractions() -> None:
    """The quiet state with leaks, three of width 1200, within 0.01; equal fractions fail."""
    small, width = GAINS / 8, 1200
    random = np.random.default_rng(3)
    of = np.repeat([0, 1], [round(f * width) for f in FRACTIONS])
    leak = np.array(LEAKS)[of]
    found = []
    for _ in range(3):
        w = random.normal(size=(width, width)) * small[of[:, None], of] / math.sqrt(width)
        found.append(np.linalg.eigvals(np.diag(1 - leak) + leak[:, None] * w))

    def masses(fractions: tuple[float, float]) -> list[float]:
        cell = cells.populations([cells.rate(one) for one in LEAKS], fractions)
        raw = small * np.sqrt(np.array(FRACTIONS) / np.array(fractions))
        law = autonomous(cell, cell.ensemble(e={"sigma_w": raw})).fixed_points()[0].eigenvalues()
        return [float(law.mass(*disc)) for disc in discs]

    discs = [(0.0, 0.2), (0.0, 0.4), (0.5, 0.2), (0.5, 0.4)]
    measured = [float((np.abs(np.array(found) - c) < r).mean()) for c, r in discs]
    np.testing.assert_allclose(masses(FRACTIONS), measured, atol=0.01)
    assert np.abs(np.array(masses((0.5, 0.5))) - measured).min() > 0.05


def test_what_is_given_for_all_for_one_and_for_a_block() -> None:
    cell = cells.populations(cells.gru_torch(), {"E": 0.64, "I": 0.36})
    ensemble = cell.ensemble(
        z={"sigma_w": [[1.0, 2.0], [3.0, 4.0]], "mu_b": [0.5, -0.5]},
        n_x={"sigma_v": [0.3, 0.4]},
        r_E_I={"sigma_w": 7.0},
    )
    assert list(ensemble) == [p.name for p in cell.preactivations]
    assert [ensemble[f"z_{k}"].sigma_w for k in ("E_E", "E_I", "I_E", "I_I")] == pytest.approx(
        [0.8, 1.2, 2.4, 2.4]
    )
    assert [ensemble[f"z_{k}"].mu_b for k in ("E_E", "E_I", "I_E", "I_I")] == [0.5, 0, 0, -0.5]
    assert (ensemble["n_x_E"].sigma_v, ensemble["n_x_I"].sigma_v) == (0.3, 0.4)
    assert ensemble["r_E_I"].sigma_w == 7.0
    assert ensemble["r_E_E"].sigma_v == 1.0
    assert ensemble["r_E_I"].sigma_v == ensemble["r_I_I"].mu_b == 0.0


def test_parameters_are_each_populations_own() -> None:
    h, u = State("h"), RandomParameter("u")
    gained = Cell("gained", update={h: cells.vanilla().update[h] * u})
    cell = cells.populations(gained, FRACTIONS)
    laws = cell.ensemble(parameters={"u": Normal(1, 0.1), "u_2": Normal(2, 0.1)}).parameters
    assert laws == {"u_1": Normal(1, 0.1), "u_2": Normal(2, 0.1)}


def test_it_survives_pickling_and_text() -> None:
    cell = network()
    again = pickle.loads(pickle.dumps(cell))
    assert again == cell
    assert again.fractions == cell.fractions
    assert cells.loads(cell.to_toml()).update == cell.update


def test_what_is_refused() -> None:
    vanilla = cells.vanilla()
    for wrong, why in (((0.5, 0.4), "sum 1"), ((1.5, -0.5), "positive"), ((), "positive")):
        with pytest.raises(ParameterError, match=why):
            cells.populations(vanilla, wrong)
    with pytest.raises(ParameterError, match="one for each of 2 fractions"):
        cells.populations([vanilla], FRACTIONS)
    with pytest.raises(CellError, match="of the same names"):
        cells.populations([vanilla, cells.gru()], FRACTIONS)
    seeing_nothing = Cell("fed", update={State("h"): Preactivation("e", 0)})
    with pytest.raises(CellError, match="of the same names"):
        cells.populations([vanilla, seeing_nothing], FRACTIONS)
    cell = cells.populations(vanilla, FRACTIONS)
    for given, why in (
        ({"e": {"sigma_w": [1.0, 2.0, 3.0]}}, "a number or 2, one a population"),
        ({"e": {"sigma_w": [[1.0], [2.0]]}}, "a number or 2, one a population"),
        ({"e": {"sigma_w": -1.0}}, r"e_1_1\.sigma_w must be a finite number >= 0"),
        ({"e": {"mu": 1.0}}, r"unknown parameter e_1_1\.mu"),
        ({"f": {"sigma_w": 1.0}}, "unknown preactivation 'f'"),
        ({"e": 1.0}, "must be a mapping"),
        ({"weights": "orthogonal"}, "must be 'gaussian'"),
    ):
        with pytest.raises(ParameterError, match=why):
            cell.ensemble(**given)
