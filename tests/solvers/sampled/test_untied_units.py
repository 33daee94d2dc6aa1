"""The untied recursions against sampled units: second, cross and first moments over time.

REPETITIONS independent sets of UNITS units; Student's law, Bonferroni over all the comparisons of
the file at FALSE_ALARM. Second moments moved by 2 % must be rejected.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, cells, sigmoid, tanh
from tests.solvers.sampled.untied_units import sampled_moments

REPETITIONS, UNITS, STEPS = 24, 15000, 4
FALSE_ALARM = 1e-3


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


SETTINGS = {
    "minimal": (cells.minimal(), "white"),
    "minimal, constant input": (cells.minimal(), "constant"),
    "gru": (cells.gru(), "white"),
    "gru_torch": (cells.get("gru_torch"), "white"),
    "min_lstm": (cells.get("min_lstm"), "white"),
    "ugrnn": (cells.get("ugrnn"), "white"),
    "leaky_rnn": (cells.get("leaky_rnn"), "white"),
    "two states": (two_states(), "white"),
}
COMPARISONS = 3 * STEPS * (len(SETTINGS) + 1)


def setting(name):
    cell, temporal = SETTINGS[name]
    laws = {
        p.name: {"mu_b": 0.4 - 0.3 * i, "sigma_b": 0.3}
        | ({"sigma_w": 1.5 + 0.3 * i} if p.is_recurrent else {})
        for i, p in enumerate(cell.preactivations)
    }
    return cell, cell.ensemble(**laws), Inputs(R=0.8, correlation=0.4, temporal=temporal)


@pytest.mark.parametrize("name", SETTINGS)
def test_against_sampled_units(name):
    cell, ensemble, inputs = setting(name)
    rng = np.random.default_rng(5)
    sets = [sampled_moments(cell, ensemble, inputs, STEPS, UNITS, rng) for _ in range(REPETITIONS)]
    path = MeanField(cell, ensemble, inputs, tying="untied").evolve(STEPS)
    least = FALSE_ALARM / COMPARISONS
    for quantity, state in sets[0]:
        samples = np.stack([one[quantity, state] for one in sets])
        predicted = getattr(path, quantity)[state]
        assert (p_values(samples, predicted) > least).all(), quantity
        if quantity == "second_moment":
            assert p_values(samples, 1.02 * predicted).min() < least


def p_values(samples, predicted):
    sem = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    away = np.abs(samples.mean(axis=0) - predicted)
    return np.where(sem > 0, 2 * stats.t.sf(away / np.maximum(sem, 1e-300), len(samples) - 1),
                    away <= 1e-12)  # fmt: skip
