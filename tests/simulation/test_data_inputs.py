"""Networks that read data: what they are fed, and linear ones against their exact theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnmft import cells, simulate
from rnnmft.errors import ParameterError
from rnnmft.language import Inputs
from rnnmft.simulation.inputs import InputSequence
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.solvers.linear_stack import (
    CELL,
    INPUTS,
    SEQUENCES,
    covariances,
    jacobian_squares,
    linear_ensemble,
)

GENERATORS = [torch.Generator().manual_seed(n) for n in range(3)]


def sequence(inputs: Inputs, width: int, embedded: bool = False) -> torch.Tensor:
    """All steps, (networks, 2, T, N_in)."""
    fed = InputSequence(inputs, 9, GENERATORS, width, torch.float64, embedded)
    return torch.stack([fed.advance() for _ in range(9)], 2)


def test_every_network_is_fed_the_numbers_themselves() -> None:
    fed = sequence(INPUTS, 3)
    assert fed.shape == (3, 2, 9, 3)
    assert all(np.array_equal(x, SEQUENCES) for x in fed.numpy())


def test_an_elementwise_input_has_a_number_a_unit() -> None:
    """x = P d: products over 20,000 units are the Gram matrix, within 6 standard errors."""
    width = 20_000
    fed = sequence(INPUTS, width, embedded=True)
    found = torch.einsum("natf,nbsf->nabts", fed, fed) / width
    assert INPUTS.data is not None
    gram = torch.as_tensor(np.array(INPUTS.data.gram))
    size = torch.sqrt(torch.einsum("aatt->at", gram))
    # Of a mean of products of Gaussians: sqrt(K_tt K_ss + K_ts^2) / sqrt(width).
    error = torch.sqrt(torch.einsum("at,bs->abts", size, size) ** 2 + gram**2) / width**0.5
    assert ((found - gram).abs() < 6 * error).all()
    assert not torch.equal(fed[0], fed[1])


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_linear_networks_obey_the_theory(tying: str) -> None:
    """300 networks of width 64, both layers and every step. Control: 15 % off."""
    found = simulate(
        CELL, linear_ensemble(), INPUTS, width=64, networks=300, steps=6, tying=tying, seed=1,
        jacobian_horizons=(1, 3), device="cpu",
    )  # fmt: skip
    for layer, exact in enumerate(covariances(INPUTS, tying == "tied"), 1):
        over_time = np.diagonal(exact, axis1=2, axis2=3)[:, :, :6]
        second = (over_time[0, 0] + over_time[1, 1]) / 2
        for quantity, truth in (("second_moment", second), ("cross_moment", over_time[0, 1])):
            samples = getattr(found, quantity)[f"h_{layer}"].samples
            assert p_value(samples, truth) > FALSE_ALARM
            assert p_value(samples, 1.15 * truth) < FALSE_ALARM
    for horizon in (1, 3):
        samples = found.jacobian[horizon].moments.samples[:, 0]
        truth = jacobian_squares(horizon).sum() / 2
        assert p_value(samples, truth) > FALSE_ALARM
        assert p_value(samples, 1.15 * truth) < FALSE_ALARM
        blocks = found.jacobian[horizon].blocks.samples
        assert not blocks[:, 0, 1].any()
        for a, b in ((0, 0), (1, 0), (1, 1)):
            assert p_value(blocks[:, a, b], jacobian_squares(horizon)[a, b]) > FALSE_ALARM
        assert np.allclose(blocks.sum((1, 2)) / 2, samples, rtol=1e-6)


def test_networks_end_with_their_data() -> None:
    with pytest.raises(ParameterError, match="data of 9 steps, and 11 are needed"):
        simulate(CELL, linear_ensemble(), INPUTS, width=4, steps=8, jacobian_horizons=[3])


def test_a_cell_with_an_elementwise_input_reads_data() -> None:
    run = simulate(
        cells.minimal(), cells.minimal().ensemble(), INPUTS, width=8, steps=9, networks=2
    )
    assert run.status.ok
    assert run.inputs["temporal"] == "data"
