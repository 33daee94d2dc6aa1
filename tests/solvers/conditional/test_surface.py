"""Points from states on a surface that is known: its first crossing, noise, the way to a jump."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.solvers.conditional.held_variance import HeldVariance
from rnnmft.solvers.conditional.surface import StateSurface


def needed(x, p):
    """Weights: for p = 1 they fall between x = -.58 and .58, for p = 0 they rise everywhere."""
    return x**3 - (2 * p - 1) * x


def growth(x, p):
    return 0.2 * np.tanh(x) + 0.1 * p


def ends(p):
    return -1.7, 1.7


def states(*given, **options):
    """The surface of such states."""
    return StateSurface(*made(*given, **options), ends)


def made(noise=1e-3, seed=0, correlation=0.0):
    """Eleven sizes at nine values of p, with their noise."""
    rng = np.random.default_rng(seed)
    places, found = [], []
    covariance = noise**2 * np.array([[1.0, correlation], [correlation, 1.0]])
    for p in np.linspace(0, 1, 9):
        for x in np.linspace(-1.7, 1.7, 11):
            off = rng.multivariate_normal([0, 0], covariance)
            # What 16 repetitions say of it.
            told = np.cov(rng.multivariate_normal([0, 0], covariance, 16).T)
            found.append(
                HeldVariance(
                    float(needed(x, p)) + off[0], float(growth(x, p)) + off[1], told, (1, 1)
                )
            )
            places.append((x, p))
    return np.array(places), found


def column(values, p):
    return np.array(values), np.full(len(values), p)


def test_the_first_state_with_such_weights_is_the_one():
    told = states().at(*column([-1.0, 0.1, 0.6], 1.0))
    roots = [sorted(np.roots([1, 0, -1, -w]), key=lambda z: z.real) for w in (-1.0, 0.1, 0.6)]
    first = [next(z.real for z in r if abs(z.imag) < 1e-9) for r in roots]
    assert told.size == pytest.approx(first, abs=0.01)
    assert told.growth == pytest.approx(growth(np.array(first), 1.0), abs=5 * 1e-3)
    assert (np.abs(told.size - first) < 4 * told.size_error).all()


def test_errors_are_those_of_other_states():
    """Five sets of states; weights and growth whose noise goes together and against."""
    for correlation in (0.9, -0.9):
        each = [states(seed=s, correlation=correlation).at(*column([0.5], 0.0)) for s in range(5)]
        x = float(np.real(next(z for z in np.roots([1, 0, 1, -0.5]) if abs(z.imag) < 1e-9)))
        z = [float((t.growth[0] - growth(x, 0.0)) / t.growth_error[0]) for t in each]
        # chi^2 with 5 degrees of freedom, one false alarm in 10^4 upwards; a control is 1 % off.
        assert np.sum(np.square(z)) < 26
        moved = [float((t.growth[0] + 0.01 - growth(x, 0.0)) / t.growth_error[0]) for t in each]
        assert np.sum(np.square(moved)) > 26


def test_next_to_a_jump_the_error_is_that_of_what_is_beyond():
    """At p = 1 the lower state ends at log weights 2 / 27^.5 = .385."""
    top = 2 / 27**0.5
    surface = states(noise=0.01)
    before, beside, beyond = surface.at(
        *column([top - 0.15, top - 1e-3, top + 0.15], 1.0)
    ).growth_error
    assert before < 0.02
    assert beyond < 0.02
    assert beside > 0.02


def test_weights_that_no_state_has_are_not_told():
    told = states().at(*column([-9.0, 0.0, 9.0], 0.5))
    assert np.isnan(told.growth).tolist() == [True, False, True]


def test_beyond_the_ends_at_a_p_nothing_is_told():
    surface = StateSurface(*made(), lambda p: (0.5, 1.7))
    told = surface.at(*column([-1.0, 0.1], 1.0))
    assert np.isnan(told.size[0])
    # The state below, at -.95, is not looked at.
    assert told.size[1] == pytest.approx(1.047, abs=0.01)


def test_errors_grow_where_values_miss_each_other():
    quiet = states(noise=1e-3)
    places, found = [], []
    rng = np.random.default_rng(1)
    for p in np.linspace(0, 1, 9):
        for x in np.linspace(-1.7, 1.7, 11):
            off = 1e-2 * rng.standard_normal(2)
            told = 1e-6 * np.eye(2)
            found.append(HeldVariance(needed(x, p) + off[0], growth(x, p) + off[1], told, (1, 1)))
            places.append((x, p))
    wild = StateSurface(np.array(places), found, ends)
    at = column([0.5], 0.0)
    assert wild.at(*at).growth_error[0] > 2 * quiet.at(*at).growth_error[0]
