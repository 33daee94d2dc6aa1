"""Maps from surfaces: what units say at their points, other seeds, what has no weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft import Inputs, MeanField, Status, cells
from rnnmft.deadline import deadline
from rnnmft.errors import OutOfTimeError
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.gated_map import GatedMap
from rnnmft.solvers.conditional.linear_cell import GateAverages

R, SIGMA_V, TOLERANCE = 0.4616, 1.39, 0.005
# One false alarm in 10^4; the control moves rates by so much.
ALARM, MOVED = 4.0, 0.05


def points(*places):
    """(sigma_w, mu_b) each."""
    cell = cells.minimal()
    laws = [{"sigma_w": w, "sigma_v": SIGMA_V, "mu_b": mu} for w, mu in places]
    return [(cell.ensemble(e=law), Inputs(R=R)) for law in laws]


def solved(those, seed=0, tolerance=TOLERANCE):
    made = GatedMap(cells.minimal(), those, tolerance, seed, torch_backend("cpu", "float32"))
    return {i: found for told in made.completed() for i, found in told}


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(w, mu) for w in (7.0, 8.0) for mu in (0.0, 1.0)], id="fast"),
        pytest.param(
            [(w, mu) for w in (4.0, 9.0, 12.0) for mu in (3.0, 4.5)],
            marks=pytest.mark.slow,
            id="around a jump",
        ),
    ],
)
def test_units_say_the_same_at_every_point(places):
    those = points(*places)
    found = solved(those)
    assert sorted(found) == list(range(len(those)))
    for i in range(0, len(those), 3):
        field = MeanField(cells.minimal(), *those[i], seed=5, particles=1 << 16)
        growth = field.gradient_growth()
        value, error, status = (np.ravel(v)[0] for v in found[i].values["gradient_growth"])
        assert status is Status.OK
        assert error <= TOLERANCE
        noise = math.hypot(error, float(growth.error))
        assert abs(value - float(growth)) < ALARM * noise
        assert abs(value + MOVED - float(growth)) > ALARM * noise


@pytest.mark.slow
def test_errors_are_those_of_other_seeds():
    """Four seeds at six points: z of differences, half of which neighbours share."""
    those = points(*((w, mu) for w in (5.0, 6.0, 7.0) for mu in (0.0, 1.0)))
    each = [solved(those, seed=s) for s in range(4)]
    for name in ("gradient_growth", "second_moment", "preactivation_variance"):
        values = np.array([[e[i].values[name][0][0] for i in range(6)] for e in each])
        errors = np.array([[e[i].values[name][1][0] for i in range(6)] for e in each])
        chi = float((((values - values.mean(0)) / errors) ** 2).mean(1).sum())
        # 3 degrees of freedom if all points moved together: one false alarm in 10^4.
        assert chi < 21.1
        assert (errors > 0.0).all()


def test_without_weights_it_is_exact():
    those = points((0.0, 1.0), (5.0, 1.0))
    found = solved(those)
    backend = torch_backend("cpu", "float64")
    moved = GateAverages(cells.minimal(), 1.0, SIGMA_V * R**0.5, backend).transition(
        torch.zeros((), dtype=torch.float64)
    )
    aa, bb = float(moved.aa), float(moved.bb)
    values = {name: v[0][0] for name, v in found[0].values.items()}
    assert values["gradient_growth"] == pytest.approx(math.log(aa), abs=1e-6)
    assert values["second_moment"] == pytest.approx(R * bb / (1 - aa), rel=1e-6)
    assert values["preactivation_variance"] == pytest.approx(SIGMA_V**2 * R)
    assert not found[0].is_predicted
    assert found[1].is_predicted


def test_threads_change_no_number():
    those = points((5.0, 1.0), (7.0, 1.0), (6.0, 1.0))
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            told = solved(those, tolerance=0.02)
            found.append([told[i].values["gradient_growth"][0][0] for i in range(3)])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_what_memory_is_too_long_for_is_left_to_others():
    found = solved(points((5.0, 1.0), (5.0, 14.0), (7.0, 1.0), (7.0, 14.0)))
    assert sorted(found) == [0, 2]


@pytest.mark.slow
def test_next_to_the_end_of_a_state_the_error_is_told():
    """At mu_b 4.83 the lower state ends at sigma_w 10.32 +- .01: the error there is no smaller."""
    found = solved(points(*((w, 4.83) for w in (8.0, 10.32, 11.5))), tolerance=0.01)
    errors = [found[i].values["gradient_growth"][1][0] for i in range(3)]
    statuses = [found[i].values["gradient_growth"][2] for i in range(3)]
    assert errors[1] > 2 * max(errors[0], errors[2])
    assert statuses == [Status.OK, Status.NOT_CONVERGED, Status.OK]
    assert found[0].values["second_moment"][0][0] < found[2].values["second_moment"][0][0] / 3


def test_a_time_budget_ends_it():
    with pytest.raises(OutOfTimeError), deadline(0.0):
        solved(points((5.0, 1.0), (7.0, 1.0)))
