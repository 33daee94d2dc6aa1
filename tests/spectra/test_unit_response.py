"""Averages over units: their derivatives by differences; the same on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs, get
from rnnmft.numerics.backends import torch_backend
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.moment_expansion import expanded_moments
from rnnmft.spectra.unit_response import UnitResponse
from rnnmft.spectra.unit_transfer import Sections, UnitTransfer
from tests.stand_in_device import GPU

Z = np.array([0.05 + 0.02j, 0.4 + 0.1j, 1.5 + 1e-3j, -1.0])
# Name, ensembles, tying, horizon: blocks of several times, several blocks, and few indices.
SETTINGS = [
    pytest.param("minimal", "orthogonal", "tied", 3, id="one-block"),
    pytest.param("gru", "gaussian", "tied", 2, id="three-blocks"),
    pytest.param("lstm", "gaussian", "tied", 2, id="two-states"),
    pytest.param("lstm", "gaussian", "untied", 2, id="two-states-fresh-weights"),
    pytest.param("minimal", "orthogonal", "untied", 2, id="few-indices"),
]

# Of many calls: on a stand-in each takes its time.
LONG = ("three-blocks", "two-states")


def sampled(name: str, weights: str, tying: str, horizon: int) -> UnitTransfer:
    """Units of a cell with recurrent weights that matter."""
    cell = get(name)
    laws = {p.name: {"sigma_w": 1.5} for p in cell.preactivations}
    theory = MeanField(cell, cell.ensemble(weights, None, **laws), Inputs(), tying=tying)
    spectrum = theory.jacobian(horizon, units=256, burn_in=10).spectrum
    assert spectrum is not None
    return spectrum.sampled_units(horizon)


def diagonal(of: Sections, t: complex, packed: NDArray[Any]) -> NDArray[Any]:
    """P = diag(t, blocks) of packed blocks (B P,), as one point."""
    found = np.zeros((1, of.size, of.size), dtype=complex)
    states = np.arange(of.states)
    found[:, states, states] = t
    for k, block in enumerate(packed.reshape(of.count, of.pairs)):
        start = of.states + k * of.length
        found[:, start + of.first, start + of.second] = block
        found[:, start + of.second, start + of.first] = block
    return found


@pytest.mark.parametrize(("name", "weights", "tying", "horizon"), SETTINGS)
def test_derivatives_are_those_of_the_averages(
    name: str, weights: str, tying: str, horizon: int
) -> None:
    """Central differences with step h: off by h^2 and by 1e-16 / h, both below 1e-8 at h = 1e-5."""
    units = sampled(name, weights, tying, horizon)
    of, response = units.sections, UnitResponse(units)
    random = np.random.default_rng(1)
    a, b = 0.1 * random.normal(size=(2, of.count * of.pairs, 2)) @ np.array([1.0, 1.0j])
    t = 0.4 - 0.2j

    def at(t: complex, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        one = response.averages(diagonal(of, t, a), diagonal(of, t, b), by_parts=False)
        return np.concatenate([one.v[0], one.u[0], one.trace])

    found = response.averages(diagonal(of, t, a), diagonal(of, t, b), by_parts=False)
    step = 1e-5
    for k in range(len(a)):
        e = step * np.eye(len(a))[k]
        by_a = (at(t, a + e, b) - at(t, a - e, b)) / (2 * step)
        by_b = (at(t, a, b + e) - at(t, a, b - e)) / (2 * step)
        expected_a = [found.v_a[0, :, k], found.u_a[0, :, k], found.trace_a[:, k]]
        expected_b = [found.v_b[0, :, k], found.u_b[0, :, k], found.trace_b[:, k]]
        assert by_a == pytest.approx(np.concatenate(expected_a), abs=1e-8)
        assert by_b == pytest.approx(np.concatenate(expected_b), abs=1e-8)
    by_t = (at(t + step, a, b) - at(t - step, a, b)) / (2 * step)
    expected_t = np.concatenate([found.v_t[0], found.u_t[0], found.trace_t])
    assert by_t == pytest.approx(expected_t, abs=1e-8)


def same_on(units: UnitTransfer, device: str) -> None:
    """Resolvent, its errors and moments on a device are those of NumPy, to rounding."""
    other = replace(units, backend=torch_backend(device))
    here, there = (Branch(u).resolve(Z, errors=True) for u in (units, other))
    assert here.reached.all()
    assert there.reached.all()
    assert there.value == pytest.approx(here.value, rel=1e-10)
    assert there.error == pytest.approx(here.error, rel=1e-8)
    for mine, its in zip(expanded_moments(units, 3), expanded_moments(other, 3), strict=True):
        assert its == pytest.approx(mine, rel=1e-9)


@pytest.mark.parametrize(("name", "weights", "tying", "horizon"), SETTINGS)
def test_torch_gives_what_numpy_gives(name: str, weights: str, tying: str, horizon: int) -> None:
    """In double precision, to 1e-10: rounding times the condition of Newton's last step."""
    same_on(sampled(name, weights, tying, horizon), "cpu")


ON_GPU = [
    pytest.param(*s.values, id=s.id, marks=[pytest.mark.slow] if s.id in LONG else [])
    for s in SETTINGS
]


@pytest.mark.cuda
@pytest.mark.parametrize(("name", "weights", "tying", "horizon"), ON_GPU)
def test_a_gpu_gives_what_the_cpu_gives(name: str, weights: str, tying: str, horizon: int) -> None:
    """The same units on both."""
    same_on(sampled(name, weights, tying, horizon), GPU)


@pytest.mark.cuda
def test_units_sampled_on_a_gpu_stay_there() -> None:
    """The device of a MeanField is where its spectra are computed; laws agree within 8 s.e."""
    cell = get("minimal")
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3})
    laws = [
        MeanField(cell, ensemble, Inputs(), device=device, seed=seed, tying="untied").jacobian(
            3, units=1 << 10
        )
        for seed, device in enumerate((GPU, "cpu"))
    ]
    assert [law.spectrum.units.backend.name for law in laws] == ["torch", "numpy"]
    gpu, cpu = (law.resolvent(Z) for law in laws)
    assert (np.abs(gpu.value - cpu.value) < 8 * np.hypot(gpu.error, cpu.error)).all()
