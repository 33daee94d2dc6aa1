"""W, V and b: their laws, and who draws them when."""

import numpy as np
import pytest
import torch

from rnnmft import cells
from rnnmft.simulation.parameters import Generators, TiedParameters, UntiedParameters
from tests.simulation.false_alarms import FALSE_ALARM, p_value

CPU = torch.device("cpu")
LAW = {"sigma_w": 2.0, "sigma_v": 0.7, "mu_b": -0.4, "sigma_b": 0.3}


def drawn(kind, cell, ensemble, width, count):
    generators = Generators(3, 0, count, CPU).parameters
    if kind == "tied":
        return TiedParameters(cell, ensemble, width, generators, torch.float64)
    return UntiedParameters(cell, ensemble, width, generators, torch.float64)


def entries(matrix):
    dense = matrix.dense()
    return (dense.entries * dense.scale).flatten(1).numpy()


@pytest.mark.parametrize("kind", ["tied", "untied"])
def test_the_ensemble_is_what_is_drawn(kind):
    """2048 networks of width 64: variances of W, V, b, mean of b; control: 1 % (b: 3 %)."""
    cell = cells.minimal()
    (e,) = cell.preactivations
    parameters = drawn(kind, cell, cell.ensemble(e=LAW), 64, 2048)
    w, v = entries(parameters.recurrent(e)), entries(parameters.input(e))
    b = parameters.bias(e)[:, 0].numpy()
    variances = np.stack([(w**2).mean(1), (v**2).mean(1)], axis=1)
    expected = np.array([LAW["sigma_w"] ** 2, LAW["sigma_v"] ** 2]) / 64
    assert p_value(variances, expected) > FALSE_ALARM
    assert p_value(variances[:, 0], expected[0] * 1.01) < FALSE_ALARM
    assert p_value(variances[:, 1], expected[1] * 1.01) < FALSE_ALARM
    bias = np.stack([b.mean(1), b.var(1, ddof=1)], axis=1)
    assert p_value(bias, [LAW["mu_b"], LAW["sigma_b"] ** 2]) > FALSE_ALARM
    assert p_value(bias[:, 0], LAW["mu_b"] * 1.03) < FALSE_ALARM
    assert p_value(bias[:, 1], LAW["sigma_b"] ** 2 * 1.03) < FALSE_ALARM


@pytest.mark.parametrize("kind", ["tied", "untied"])
def test_matrices_are_independent(kind):
    """64 networks of width 64: W and V, and W of two preactivations, have correlation 0."""
    cell = cells.gru()
    r, z, _ = cell.preactivations
    parameters = drawn(kind, cell, cell.ensemble(), 64, 64)
    w_r, v_r = entries(parameters.recurrent(r)), entries(parameters.input(r))
    w_z = entries(parameters.recurrent(z))
    products = 64 * np.stack([(w_r * v_r).mean(1), (w_r * w_z).mean(1)], axis=1)
    assert p_value(products, 0.0) > FALSE_ALARM
    assert p_value(64 * (w_r * w_r).mean(1), 0.0) < FALSE_ALARM


def test_tied_keeps_its_matrices_and_untied_does_not():
    cell = cells.minimal()
    (e,) = cell.preactivations
    tied = drawn("tied", cell, cell.ensemble(e=LAW), 8, 2)
    untied = drawn("untied", cell, cell.ensemble(e=LAW), 8, 2)
    assert np.array_equal(entries(tied.recurrent(e)), entries(tied.recurrent(e)))
    assert torch.equal(tied.bias(e), tied.bias(e))
    assert not np.array_equal(entries(untied.recurrent(e)).copy(), entries(untied.recurrent(e)))
    assert not torch.equal(untied.bias(e), untied.bias(e))


@pytest.mark.parametrize("kind", ["tied", "untied"])
def test_orthogonal_weights_are_sigma_w_times_orthogonal(kind):
    cell = cells.minimal()
    (e,) = cell.preactivations
    ensemble = cell.ensemble(weights="orthogonal", e=LAW)
    w = entries(drawn(kind, cell, ensemble, 20, 3).recurrent(e)).reshape(3, 20, 20)
    gram = w @ w.transpose(0, 2, 1)
    assert np.abs(gram - 4.0 * np.eye(20)).max() < 4.0 * 80 * 2.0**-52


def test_what_is_absent_is_not_drawn():
    cell = cells.gru_torch()
    *_, n_x, n_h = cell.preactivations
    zero = {"sigma_w": 0.0, "mu_b": 0.25}
    parameters = drawn("untied", cell, cell.ensemble(n_h=zero), 8, 2)
    assert parameters.recurrent(n_x) is None
    assert parameters.input(n_h) is None
    assert parameters.recurrent(n_h) is None
    assert parameters.bias(n_h).unique().tolist() == [0.25]


def test_seeds_are_all_different_and_independent_of_the_chunk():
    whole, part = Generators(7, 0, 2000, CPU), Generators(7, 1500, 3, CPU)
    seeds = [g.initial_seed() for g in (*whole.parameters, *whole.inputs)]
    assert len(set(seeds)) == 4000
    assert [g.initial_seed() for g in part.parameters] == seeds[1500:1503]
    other = {g.initial_seed() for g in Generators(8, 0, 2000, CPU).parameters}
    assert not other & set(seeds)
