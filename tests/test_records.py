"""Records of several numbers: each one a quantity with error, kind of error, unit and status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from rnnmft import Inputs, MeanField, ParameterError, Status, cells, critical, simulate
from rnnmft.activations import hard_tanh, relu
from rnnmft.diagnosis.theory import ask_theory
from rnnmft.records import BOUND, STANDARD_ERROR, Measured
from rnnmft.spectra.law import JacobianLaw
from rnnmft.validation import Gap

SAMPLED: dict[str, Any] = {"particles": 1 << 12, "repetitions": 4, "device": "cpu"}
UNITS = {"dimensionless", "steps", "per step"}


class Two(Measured):
    """A record of a number and of two by name."""

    kinds: ClassVar[Mapping[str, str]] = {"x": "steps", "y": "dimensionless", "z": "per step"}
    x, y, z = 1.0, {"a": 2.0, "b": 3.0}, None
    status = Status.UNSTABLE
    statuses: ClassVar[Mapping[str, Any]] = {"x": Status.OK, "y": {"a": Status.OK, "b": None}}

    def error_of(self, kind: str, name: str | None) -> Any:
        return 0.5


def test_a_quantity_is_asked_for_by_kind_and_name() -> None:
    two = Two()
    x = two.quantity("x")
    assert (float(x), x.error, x.unit, x.error_kind, x.status) == (
        1.0, 0.5, "steps", BOUND, Status.OK,
    )  # fmt: skip
    assert two.quantity("y", "b").name == "y[b]"
    assert two.quantity("z").status is Status.NOT_COMPUTED
    assert np.isnan(float(two.quantity("z")))
    assert list(two.quantities()) == ["x", "y[a]", "y[b]", "z"]


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("w", None, "unknown quantity 'w'; there are x, y, z"),
        ("y", None, "y is asked for by name, got None; names: a, b"),
        ("y", "c", "names: a, b"),
        ("x", "a", "x is one number without a name"),
    ],
)
def test_what_there_is_not(kind: str, name: str | None, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        Two().quantity(kind, name)


def fields() -> dict[str, MeanField]:
    small, R = {"sigma_w": 0.8, "sigma_b": 0.2}, Inputs(R=0.5)
    made = {}
    for name, make, tying in (
        ("closed", cells.minimal, "untied"),
        ("memoryless", cells.vanilla, "tied"),
        ("gaussian", cells.rate, "tied"),
        ("transport", cells.lstm, "untied"),
        ("sampled", cells.minimal, "tied"),
    ):
        cell = make()
        laws = {p.name: small for p in cell.preactivations if p.is_recurrent}
        made[name] = MeanField(cell, cell.ensemble(**laws), R, tying, **SAMPLED)
    return made


FIELDS = fields()
ASKED = {
    "evolve": lambda f: f.evolve(4),
    "fixed_point": lambda f: f.fixed_point(),
    "correlation_fixed_point": lambda f: f.correlation_fixed_point(),
    "timescales": lambda f: f.timescales(),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("which", FIELDS)
def test_every_number_has_an_error_a_kind_a_unit_and_a_status(which: str, asked: str) -> None:
    field = FIELDS[which]
    record = ASKED[asked](field)
    kind = STANDARD_ERROR if field.is_sampled else BOUND
    found = record.quantities()
    assert len(found) >= 3
    for name, quantity in found.items():
        assert quantity.unit in UNITS, name
        assert quantity.error_kind == kind, name
        if quantity.status is Status.NOT_COMPUTED:
            assert (which, name) == ("sampled", "slope")
            continue
        assert np.shape(quantity.error) == np.shape(quantity.value), name
        if quantity.status is Status.OK:
            assert np.isfinite(quantity.error).all(), name
            assert (np.asarray(quantity.error) >= 0).all(), name
    json.dumps(record.to_dict(), allow_nan=False)


def test_a_simulation_is_asked_the_same_way() -> None:
    cell = cells.vanilla()
    found = simulate(
        cell, cell.ensemble(), Inputs(), width=16, networks=3, steps=4, device="cpu",
        jacobian_horizons=(1, 2),
    )  # fmt: skip
    h = found.quantity("second_moment", "h")
    assert h.error_kind == STANDARD_ERROR
    assert (np.asarray(h) == found.second_moment["h"].mean).all()
    assert (h.error == found.second_moment["h"].sem).all()
    assert found.jacobian[2].quantity("moments").value.shape == (3,)
    json.dumps(found.to_dict(), allow_nan=False)


def orthogonal_jacobian() -> JacobianLaw:
    cell = cells.vanilla(hard_tanh)
    ensemble = cell.ensemble("orthogonal", e={"sigma_w": 2.0})
    return MeanField(cell, ensemble, tying="untied").jacobian(1)


ANSWERS = {
    "untied": lambda: critical(cells.minimal(), tying="untied"),
    "growing": lambda: critical(cells.vanilla(relu), tying="untied"),
    "tied": lambda: critical(cells.minimal(), **SAMPLED),
    "atoms": lambda: orthogonal_jacobian().atoms(),
    "theory of a layer": lambda: ask_theory(
        cells.lstm(), cells.lstm().ensemble(), Inputs(), "untied", 20, 20, 1024, 0
    ),
    "sampled theory of a layer": lambda: ask_theory(
        cells.gru(), cells.gru().ensemble(), Inputs(), "tied", 20, 20, 1024, 0
    ),
    "gap": lambda: Gap("q", "q", 1.0, 1.1, 0.02, 0.1, 0.03, 1.2, 0.2, 0.01, 1e-9, 0.004),
}


@pytest.mark.parametrize("which", ANSWERS)
def test_every_number_of_an_answer_has_them_too(which: str) -> None:
    record = ANSWERS[which]()
    found = record.quantities()
    assert set(found) >= {k for k in record.kinds if not isinstance(getattr(record, k), Mapping)}
    numbers = 0
    for name, quantity in found.items():
        assert quantity.unit in UNITS, name
        assert quantity.error_kind in (BOUND, STANDARD_ERROR), name
        if quantity.status is Status.NOT_COMPUTED:
            continue
        numbers += 1
        assert np.shape(quantity.error) == np.shape(quantity.value), name
        if quantity.status is Status.OK:
            assert np.isfinite(quantity.error).all(), name
            assert (np.asarray(quantity.error) >= 0).all(), name
    assert numbers >= 2
    json.dumps(record.to_dict(), allow_nan=False)


def test_a_correction_is_known_as_well_as_the_growth_that_it_makes_0() -> None:
    """At the published point networks of width 768 do not grow at sigma_w = 6.55, of 6.88."""
    fix = {"e": {"mu_b": 0.0, "q": 16.0}}
    init = critical(cells.minimal(), Inputs(R=0.4616), fix=fix, **SAMPLED)
    found = init.quantity("correction")
    assert float(found) == init.correction
    assert found.error_kind == STANDARD_ERROR
    assert 1e-3 < found.error < 0.1
    assert abs(float(found) - 6.55 / 6.88) < 2.0 * found.error
    assert critical(cells.minimal(), tying="untied").quantity("correction").error == 0.0
