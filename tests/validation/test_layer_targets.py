"""Claims about a stack's Jacobian: linear layers fed data, whose answer is known by hand."""

from __future__ import annotations

import pytest

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import vanilla
from rnnmft.errors import ParameterError
from rnnmft.simulation import simulate
from rnnmft.validation import validate
from rnnmft.validation.layer_targets import layer_gradients
from tests.solvers.linear_stack import CELL, INPUTS, jacobian_squares, linear_ensemble


def test_gradients_within_a_layer_and_up_from_it() -> None:
    """One step is claimed, three are shown; networks measure the same numbers."""
    setting = CELL, linear_ensemble(), INPUTS
    field = MeanField(*setting, particles=1 << 12)
    found, left = layer_gradients(field, field.evolve(4), (1, 3))
    assert not left
    assert [t.name for t in found if t.primary] == ["m_1(1<-1; 1)", "m_1(2<-1; 1)", "m_1(2<-2; 1)"]
    networks = simulate(*setting, width=8, networks=3, steps=4, jacobian_horizons=(1, 3))
    for target in found:
        head, horizon = target.of.split(", ")
        above, below = (int(n) - 1 for n in head.split("<-"))
        truth = jacobian_squares(int(horizon))[above, below]
        assert float(target.prediction.value) == pytest.approx(truth, rel=1e-9)
        blocks = networks.jacobian[int(horizon)].blocks.samples[:, above, below]
        assert target.measured(networks) == pytest.approx(blocks)


def test_one_layer_claims_nothing_of_layers() -> None:
    field = MeanField(vanilla(), tying="untied")
    assert layer_gradients(field, field.evolve(3), (1,)) == ([], [])


def test_a_validation_may_be_about_gradients_alone() -> None:
    setting = CELL, linear_ensemble(), INPUTS
    options = {"steps": 4, "horizons": (1, 3), "device": "cpu", "sampling": {"particles": 4096}}
    found = validate(*setting, (8, 16, 24), 4, kinds=["gradients"], tyings=["tied"], **options)
    names = [c.name for c in found.claims]
    assert "m_1(2<-1; 1)" in names
    assert not [n for n in names if n.startswith(("E[", "c_", "C_", "q*"))]
    with pytest.raises(
        ParameterError, match="kinds must be among moments, variances, memory, gradients"
    ):
        validate(*setting, kinds=["spectra"])
