"""The sections of a report: what they compute, and what they say where nothing can be computed."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnmft import MeanField, cells
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.report import singular_values
from rnnmft.report.cloud import cloud_figure
from rnnmft.report.densities import DensityCurve, TooSlowError
from rnnmft.report.gradients import solve_gradients
from rnnmft.report.memory import memory_lags, solve_memory
from rnnmft.report.networks import HORIZONS, Networks, run_networks
from rnnmft.report.phase import neighbourhood
from rnnmft.report.singular_values import solve_spectra
from rnnmft.report.summary import summary
from rnnmft.report.try_compute import try_compute


@pytest.fixture(scope="module")
def fields() -> dict[str, MeanField]:
    """The vanilla RNN, whose tied and untied gradients agree, in its ordered phase."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 1.1, "sigma_b": 0.3})
    return {t: MeanField(cell, ensemble, tying=t) for t in ("tied", "untied")}


@pytest.fixture(scope="module")
def networks(fields: dict[str, MeanField]) -> Networks:
    field = fields["tied"]
    return run_networks(field.cell, field.ensemble, field.inputs, 15, 10, 0, "cpu")


def test_gradients_of_networks_follow_the_theory(
    fields: dict[str, MeanField], networks: Networks
) -> None:
    found = solve_gradients(fields, networks)
    for tying, mean in found.means.items():
        for T in HORIZONS:
            moments = networks.runs[tying].jacobian[T].moments
            theory, own = float(mean[T - 1]), float(mean.error[T - 1])
            # 10 comparisons at 5 standard errors (31 degrees of freedom): 2e-4 false alarms; width
            # 256 moves a mean over T steps by about T / N of itself.
            room = 5 * math.hypot(moments.sem[0], own) + T / 256 * theory
            assert abs(moments.mean[0] - theory) < room
            # The control: T + 1 steps are not T steps.
            if T < 20:
                assert abs(moments.mean[0] - float(mean[T])) > room
    assert [row.tying for row in found.growth] == ["tied", "untied"]
    assert "vanish" in found.lesson
    assert "halves" in found.growth[0].time
    exponent = float(fields["tied"].lyapunov())
    shown = found.growth[0].exponent.replace("\N{MINUS SIGN}", "-")
    assert float(shown) == pytest.approx(exponent, rel=1e-3)


def test_the_cloud_holds_a_network(fields: dict[str, MeanField]) -> None:
    figure = cloud_figure(fields["tied"], 30, 0)
    inside = int(figure.alt.split("; ")[1].split("%")[0])
    assert 95 <= inside <= 100  # sqrt(200) of 200 lie within a spacing of the edge
    assert figure.svg.lstrip().startswith("<svg")


def test_a_cell_without_a_cloud_says_so() -> None:
    field = MeanField(cells.min_gru(), tying="tied", particles=1024)
    with pytest.raises(DerivationError, match="No recurrent weights"):
        cloud_figure(field, 5, 0)


def test_memory_of_networks_follows_the_theory(
    fields: dict[str, MeanField], networks: Networks
) -> None:
    found = solve_memory(fields, networks)
    for tying, theory in found.found.items():
        measured = networks.runs[tying].autocovariance["h"]
        value, own = np.asarray(theory.value["h"]), np.asarray(theory.error["h"])
        # 22 comparisons at 5 standard errors: 5e-4; 1/N of C(0) for the finite width.
        room = 5 * np.hypot(measured.sem, own) + value[0] / 256
        assert (np.abs(measured.mean - value) < room).all()
        assert not (np.abs(measured.mean[1:] - value[:-1]) < room[1:]).all()
    assert len(found.figures) == len(found.times) == 1


def test_moments_have_scores(fields: dict[str, MeanField], networks: Networks) -> None:
    found = solve_spectra(fields, networks, 0.0)
    assert len(found.moments) == 3 * len(HORIZONS)
    assert len(found.figures) == len(HORIZONS)
    # No time for a density is no reason to leave out what was measured.
    assert len(found.missing) == 2 * len(HORIZONS)
    assert all("density" in sentence for sentence in found.missing)
    first = found.moments[0]
    assert abs(float(first.z["tied"].replace("\N{MINUS SIGN}", "-"))) < 5


def test_only_slowness_ends_the_densities_of_longer_horizons(
    fields: dict[str, MeanField], networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untied points do not converge, tied ones are slow: the latter are not begun a second time."""
    asked: list[tuple[str, int]] = []

    def fails(law: Any, axis: Any, budget: Any) -> DensityCurve:
        asked.append((law.tying, law.horizon))
        if law.tying == "untied":
            raise ConvergenceError(Status.NOT_CONVERGED)
        raise TooSlowError("Each point takes about 9 s.")

    monkeypatch.setattr(singular_values, "density_of", fails)
    found = solve_spectra(fields, networks, 100.0)
    assert [T for tying, T in asked if tying == "untied"] == list(HORIZONS)
    assert [T for tying, T in asked if tying == "tied"] == list(HORIZONS[:1])
    late = [sentence for sentence in found.missing if "Fewer steps" in sentence]
    assert len(late) == len(HORIZONS) - 1
    assert all("tied theory" in sentence and "untied" not in sentence for sentence in late)


def test_long_memory_takes_more_lags(fields: dict[str, MeanField]) -> None:
    assert memory_lags(fields["untied"]) == 20
    cell = cells.leaky_rnn()
    slow = cell.ensemble(e={"sigma_w": 3.0})
    assert memory_lags(MeanField(cell, slow, tying="tied", particles=4096)) == 60


def times(value: float, error: float) -> Any:
    found = SimpleNamespace(
        tying="tied", xi_q=2.0, xi_c=value, error={"xi_q": 0.1, "xi_c": error}, status=Status.OK
    )
    return SimpleNamespace(timescales=lambda: found, is_sampled=True)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (3.0, 0.25, "3.00 ± 0.25 steps"),
        (4.0, 4.0, "< 4.0 steps"),
        (math.inf, math.inf, "not resolved"),
    ],
)
def test_a_timescale_that_was_not_resolved_says_so(value: float, error: float, text: str) -> None:
    numbers, missing = summary({"tied": times(value, error)})
    (row,) = (n for n in numbers if n.latex == r"\xi_c")
    assert row.text["tied"] == text
    assert ("lost" in row.note["tied"]) == (error >= value)
    # The stub knows nothing else, and the page would say so.
    assert len(missing) == 4


def test_both_theories_stand_side_by_side(fields: dict[str, MeanField]) -> None:
    numbers, missing = summary(fields)
    assert not missing
    assert all(set(n.text) == {"tied", "untied"} for n in numbers)
    second = numbers[0]
    assert second.latex == r"\mathbb{E}[h^2]"
    assert second.gap  # sampled or not, it is one of a figure and "within its error"


def test_what_fails_is_said() -> None:
    missing: list[str] = []

    def fail(error: Exception) -> None:
        raise error

    assert try_compute("It", lambda: 3, missing) == 3
    try_compute("This", lambda: fail(DerivationError("It cannot be.")), missing)
    try_compute("That", lambda: fail(FloatingPointError("underflow")), missing)
    assert missing == [
        "This: not shown. It cannot be.",
        "That: not shown, by an error of rnnmft. FloatingPointError: underflow",
    ]


def test_a_phase_diagram_without_time_is_refused() -> None:
    field = MeanField(cells.lstm(), tying="untied")
    assert field.method != "closed moments"  # which is solved at once
    with pytest.raises(DerivationError, match="points takes"):
        neighbourhood(field, 0.01)
