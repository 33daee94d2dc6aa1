"""`validate`: true theories pass, broken ones are rejected, too few networks are said to be so.

Numbers of networks are fixed here or by a pilot with a seed. Another seed, or another stream of
random numbers, fails a test of a true theory with the probability 1e-3 that its report declares,
and a test that a control or a broken theory is rejected with at most 0.01 (the power of a design).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.activations import relu
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs
from rnnmft.errors import ParameterError
from rnnmft.page.numbers import rounded
from rnnmft.records import Quantity
from rnnmft.simulation import Simulation
from rnnmft.solvers.results import Trajectory
from rnnmft.spectra.law import JacobianLaw
from rnnmft.validation import ValidationReport, validate
from rnnmft.validation.extrapolation import WidthDesign, extrapolate
from rnnmft.validation.setting import SimulationSetting, make_setting
from rnnmft.validation.theories import Units, solve_theory
from rnnmft.validation.verdicts import Prediction, judge

WIDTHS = (24, 48, 96)


LAW: dict[str, Any] = {"e": {"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3}}
INPUTS = Inputs(R=0.7, correlation=0.6)


def run(**options: Any) -> ValidationReport:
    cell = cells.vanilla()
    given = {"widths": WIDTHS, "steps": 9, "seed": 3, "device": "cpu", "tyings": ("untied",)}
    given |= {"horizons": (1,), "lags": ()} | options
    return validate(cell, cell.ensemble(**LAW), INPUTS, **given)


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    # A control of 4 % takes a quarter of the networks that one of 2 % does.
    return run(networks=650, control=0.04)


def test_a_true_theory_passes(report: ValidationReport) -> None:
    assert report.passed, report
    assert [c.name for c in report.claims] == [
        "E[h^2]",
        "E[h_a h_b]",
        "c_h",
        "q*_e",
        "m_1",
        "d_eff",
    ]
    assert not report.untested
    assert all(c.verdict.control_rejected for c in report.claims)


def test_heavy_tailed_moments_are_shown_and_decide_nothing(report: ValidationReport) -> None:
    (m_2,) = report.shown
    assert m_2.name == "m_2"
    assert abs(m_2.deviation) < 5 * m_2.deviation_error
    assert "verdict" not in m_2.to_dict()
    assert "m_2: shown, not tested" in repr(report)


class Elsewhere(MeanField):
    """A theory that does not start where it is told."""

    def __init__(self, *setting: Any, start: Any, **rest: Any) -> None:
        super().__init__(*setting, start=0.5, **rest)


def test_theory_and_networks_start_alike(
    report: ValidationReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autonomous and chaotic: from zero there is nothing to test, from elsewhere all holds."""
    cell = cells.vanilla()
    ensemble, still = cell.ensemble(e={"sigma_w": 2.0}), Inputs(R=0.0, correlation=0.7)
    options: dict[str, Any] = {"steps": 9, "horizons": (), "lags": (), "tyings": ("tied",)}
    options |= {"networks": 400, "seed": 3, "device": "cpu", "gap": False}
    found = validate(cell, ensemble, still, WIDTHS, start=1.0, **options)
    assert not found.rejected, found
    assert {"E[h^2]", "E[h_a h_b]", "c_h", "q*_e"} <= {c.name for c in found.claims}
    assert found.to_dict()["start"] == {"h": 1.0}
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "9 steps from states of standard deviation 1 (h)" in page
    assert report.to_dict()["start"] == {"h": 0.0}
    nothing = validate(cell, ensemble, still, WIDTHS, **options)
    assert "E[h^2]" not in {c.name for c in nothing.claims}
    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Elsewhere)
    assert validate(cell, ensemble, still, WIDTHS, start=1.0, **options).rejected


def test_the_thresholds_share_the_declared_rate(report: ValidationReport) -> None:
    thresholds = [c.verdict.threshold for c in report.claims]
    assert sum(thresholds) == pytest.approx(report.false_alarm_rate)


def test_tied_networks_of_the_vanilla_cell_have_no_gap_in_one_time_moments(
    report: ValidationReport,
) -> None:
    # Its one-time law is the same, tied or not: the gap must vanish within its error.
    gaps = {g.name: g for g in report.gaps}
    for name in ("E[h^2]", "q*_e", "m_1"):
        assert abs(gaps[name].gap) < 5 * gaps[name].gap_error, gaps[name]


MINIMAL: dict[str, Any] = {"e": {"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3}}


@pytest.fixture(scope="module")
def both() -> ValidationReport:
    """A gated cell, tied and untied; few units and networks, so that little can be resolved."""
    cell = cells.minimal()
    units = {"particles": 1 << 15, "repetitions": 16}
    options: dict[str, Any] = {"networks": 200, "steps": 24, "horizons": (1, 3), "seed": 1}
    return validate(
        cell, cell.ensemble(**MINIMAL), None, WIDTHS, sampling=units, device="cpu", **options
    )


def test_the_tied_theory_comes_first_and_the_untied_beside_it(both: ValidationReport) -> None:
    assert both.tyings == ("tied", "untied")
    assert both.main == "tied"
    assert not both.rejected, both
    names = ["E[h^2]", "E[h_a h_b]", "c_h", "q*_e", "C_h", "m_1", "d_eff", "d_eff(3)"]
    names += ["growth(1-3)"]
    found = [(c.target.tying, c.name) for c in both.claims]
    assert found == [(tying, name) for tying in ("tied", "untied") for name in names]
    found = [(c.target.tying, c.name) for c in both.shown]
    names = ["m_2", "m_1(3)", "m_2(3)"]
    assert found == [(tying, name) for tying in ("tied", "untied") for name in names]
    assert both.summary().startswith("Tied theory: ")
    assert "Untied theory: " in both.summary()


def test_the_gap_of_the_theories_is_that_of_tied_networks(both: ValidationReport) -> None:
    gaps = {g.name: g for g in both.gaps}
    for gap in gaps.values():
        assert gap.theory_gap is not None
        assert gap.theory_gap_error is not None
        error = np.hypot(gap.gap_error, gap.theory_gap_error)
        assert abs(gap.gap - gap.theory_gap) < 5 * error, gap
    assert gaps["E[h^2]"].gap < -5 * gaps["E[h^2]"].gap_error
    theory = gaps["E[h^2]"]
    assert theory.theory_gap is not None
    assert theory.tied_theory == pytest.approx(theory.theory * (1 + theory.theory_gap), rel=0.02)


def test_the_page_leads_with_the_tied_theory(both: ValidationReport, tmp_path: Path) -> None:
    both.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    headlines = [page.index(f"disagrees with the {tying} theory") for tying in both.tyings]
    assert headlines == sorted(headlines)
    tables = [page.index(f"The {tying} theory against {tying} networks") for tying in both.tyings]
    assert tables == sorted(tables)
    assert "Gap of the theories" in page
    assert page.count("Beside them, not tested") == 2
    assert page.count("The effective dimension") == 1
    assert "at lag 10" in page


def test_a_sampled_theory_carries_its_standard_error(both: ValidationReport) -> None:
    tied = [c.target.prediction for c in both.claims if c.target.tying == "tied"]
    assert {p.error_kind for p in tied} == {"standard error"}
    assert {p.error_degrees for p in tied} == {15.0}
    exact = [c for c in both.claims if c.name == "E[h^2]" and c.target.tying == "untied"]
    assert exact[0].target.prediction.error_kind == "bound"


def test_untied_theory_is_rejected_by_tied_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    # The control of the tied verdict: a wrong theory in the place of the tied one.
    class Untied(MeanField):
        def __init__(self, cell: Any, ensemble: Any, inputs: Any, tying: str, **rest: Any) -> None:
            super().__init__(cell, ensemble, inputs, "untied", **rest)

        def evolve(self, steps: int) -> Trajectory:
            return dataclasses.replace(super().evolve(steps), tying="tied")

    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Untied)
    cell = cells.minimal()
    options: dict[str, Any] = {"networks": 250, "steps": 12, "horizons": (), "seed": 1}
    ensemble = cell.ensemble(**MINIMAL)
    found = validate(cell, ensemble, None, WIDTHS, tyings=("tied",), device="cpu", **options)
    assert found.verdict("tied") == "rejected"
    assert "E[h^2]" in {c.name for c in found.outcomes("rejected")}


def test_units_are_added_until_the_theory_is_precise_enough() -> None:
    cell = cells.minimal()
    setting = make_setting(cell, cell.ensemble(**MINIMAL), None, 8, (1,), (1,), 0, "cpu", "float32")
    coarse, fine = (
        solve_theory(setting, "tied", Units(1 << 12, 16, fixed), 4e-3) for fixed in (True, False)
    )
    errors = [max(t.prediction.level_error for t in theory.claims) for theory in (coarse, fine)]
    # A standard error from 16 repetitions is itself uncertain by a fifth.
    assert errors[0] > 8e-3
    assert errors[1] < 1.6 * 4e-3


def test_units_that_are_too_few_are_named(both: ValidationReport) -> None:
    coarse = {c.name: c.verdict for c in both.claims if c.target.tying == "tied"}
    assert {v.limited_by for v in coarse.values() if v.control_rejected} <= {""}
    assert {v.limited_by for v in coarse.values() if not v.control_rejected} <= {
        "networks",
        "units",
    }
    prediction = Prediction(np.array(1.0), np.array(0.01), np.array(1.0), "standard error", 15.0)
    rng = np.random.default_rng(1)
    design = WidthDesign(WIDTHS, (50, 50, 50))
    fitted = extrapolate(design, [1 + 1e-4 * rng.standard_normal(50) for _ in WIDTHS])
    found = judge(prediction, fitted, fitted, 1e-3, 0.02)
    assert (found.outcome, found.limited_by) == ("inconclusive", "units")


def test_a_theory_that_does_not_exist_is_left_out() -> None:
    # An elementwise input with a given autocorrelation has no untied recursion.
    cell = cells.minimal()
    given = Inputs(temporal=(1.0, 0.5))
    options: dict[str, Any] = {"networks": 4, "steps": 3, "horizons": (), "device": "cpu"}
    units = {"particles": 1 << 10, "repetitions": 4}

    found = validate(cell, None, given, WIDTHS, sampling=units, **options)
    assert {c.target.tying for c in found.claims} == {"tied"}
    assert [u.tying for u in found.untested] == ["untied"]
    assert "needs tying='tied'" in found.untested[0].reason
    assert (found.verdict("untied"), found.gaps) == ("untested", ())
    with pytest.raises(ParameterError, match="needs tying='tied'"):
        validate(cell, None, given, WIDTHS, tyings=("untied",), **options)


def test_a_short_run_leaves_out_the_lags_it_does_not_reach() -> None:
    found = run(networks=3, steps=4, gap=False, lags=(1, 2, 5))
    assert found.lags == (1, 2)


def scaled(which: str, factor: float) -> Callable[[Trajectory], Trajectory]:
    def change(trajectory: Trajectory) -> Trajectory:
        values = {k: np.asarray(v) * factor for k, v in getattr(trajectory, which).items()}
        return dataclasses.replace(trajectory, **{which: values})

    return change


def late(trajectory: Trajectory) -> Trajectory:
    """Off by 5 % at the third step alone."""
    values = {k: np.array(v) for k, v in trajectory.second_moment.items()}
    for v in values.values():
        v[2] *= 1.05
    return dataclasses.replace(trajectory, second_moment=values)


BROKEN = {
    "E[h^2]": scaled("second_moment", 1.04),
    "E[h_a h_b]": scaled("cross_moment", 0.96),
    "c_h": scaled("correlation", 1.04),
    "one step": late,
}


RUN = SimulationSetting.run


@cache
def drawn_once(*which: Any) -> Simulation:
    """What is broken is the theory: the networks of `run` are drawn once."""
    cell = cells.vanilla()
    setting = make_setting(cell, cell.ensemble(**LAW), INPUTS, 9, (), (), 3, "cpu", "float32")
    return RUN(setting, *which)


@pytest.mark.parametrize(
    ("name", "networks"),
    [(name, 2000 if name == "one step" else 500) for name in BROKEN],
)
def test_a_broken_theory_is_rejected(
    name: str, networks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(MeanField):
        def evolve(self, steps: int) -> Trajectory:
            return BROKEN[name](super().evolve(steps))

    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Broken)
    monkeypatch.setattr(SimulationSetting, "run", lambda _, *which, **__: drawn_once(*which))
    found = run(gap=False, networks=networks, horizons=())
    assert found.rejected
    assert not found.passed
    want = "E[h^2]" if name == "one step" else name
    assert want in [c.name for c in found.outcomes("rejected")]
    assert "Rejected" in found.summary()


def test_broken_gradients_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MeanField):
        def jacobian_means(self, horizon: int, *, burn_in: int = 30) -> Quantity:
            found = super().jacobian_means(horizon, burn_in=burn_in)
            growing = 1.04 ** np.arange(1, horizon + 1)
            return dataclasses.replace(found, value=np.asarray(found.value) * growing)

        def jacobian(self, horizon: int = 1, **rest: Any) -> JacobianLaw:
            law = super().jacobian(horizon, **rest)

            def compute(highest: int) -> Any:
                values, errors, status = law.known.compute(highest)
                return np.asarray(values) * 1.04, errors, status

            return dataclasses.replace(law, known=dataclasses.replace(law.known, compute=compute))

    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Broken)
    found = run(gap=False, networks=400, horizons=(1, 3))
    assert {"m_1", "growth(1-3)"} <= {c.name for c in found.outcomes("rejected")}


def test_too_few_networks_say_so() -> None:
    found = run(networks=4, gap=False)
    assert not found.rejected
    assert not found.passed
    assert found.outcomes("inconclusive")
    assert "too few networks" in found.summary()
    worst = max(c.verdict.resolution for c in found.outcomes("inconclusive"))
    times = rounded((worst / found.control) ** 2, 2)
    assert f"(about {times} times as many would do)" in found.summary()


def test_a_pilot_finds_the_size_that_sees_the_control() -> None:
    found = run(gap=False, horizons=(), control=0.04)
    pilot = found.pilot["untied"]
    assert found.design["untied"].networks == (pilot.networks,) * 3
    assert pilot.networks >= pilot.wanted
    assert found.passed, found


def test_a_given_size_is_kept() -> None:
    assert run(networks=[5, 6, 7], gap=False).design["untied"].networks == (5, 6, 7)


def test_a_seed_gives_one_report_and_another_seed_another() -> None:
    a, b, c = (run(networks=5, gap=False, seed=s) for s in (1, 1, 2))
    values = [[float(x.fitted.limit.value.sum()) for x in r.claims] for r in (a, b, c)]
    assert values[0] == values[1]
    assert all(p != q for p, q in zip(values[0], values[2], strict=True))


def test_no_two_simulations_share_a_seed() -> None:
    # One stream for all widths would make their errors move together: the fit assumes they do not.
    cell = cells.vanilla()
    setting = make_setting(cell, None, None, 1, (), (), 0, "cpu", "float32")
    seeds = [
        setting.run(width, 2, tying, purpose).seed
        for width in WIDTHS
        for tying in ("tied", "untied")
        for purpose in (0, 1)
    ]
    assert len(set(seeds)) == len(seeds)


def test_an_unstable_theory_is_not_tested_and_says_why() -> None:
    cell = cells.vanilla(relu)
    ensemble = cell.ensemble(e={"sigma_w": 3.0})
    found = validate(cell, ensemble, widths=WIDTHS, steps=40, networks=4)
    assert not found.passed
    assert not found.rejected
    assert found.untested
    assert "unstable" in found.untested[0].reason


def test_a_state_that_stays_zero_is_not_tested_and_has_a_page(tmp_path: Path) -> None:
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 0.5})
    found = validate(cell, ensemble, Inputs(R=0.0), WIDTHS, 3, 5, device="cpu")
    assert {"E[h^2]", "q*_e", "C_h"} <= {u.name for u in found.untested}
    found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 0


def test_what_is_not_stationary_yet_is_not_claimed_to_be() -> None:
    found = run(steps=2, networks=4, gap=False)
    assert {"q*_e", "m_1", "m_2", "d_eff"} == {u.name for u in found.untested}
    assert "take more steps" in found.untested[0].reason


def test_a_zero_cross_moment_is_a_claim_too() -> None:
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 0.7})
    found = validate(
        cell, ensemble, Inputs(correlation=0.0), WIDTHS, 2000, 4, 2, ("untied",), (), gap=False
    )
    claim = next(c for c in found.claims if c.name == "E[h_a h_b]")
    assert np.abs(claim.target.prediction.value).max() < 1e-12
    second = next(c for c in found.claims if c.name == "E[h^2]").target.prediction.value
    assert claim.target.prediction.scale == pytest.approx(second / 4)
    assert claim.verdict.outcome != "rejected"
    assert 0 < claim.verdict.resolution < 0.05


def test_the_json_holds_what_was_claimed(report: ValidationReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report.to_json(path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["passed"] is True
    assert found["false_alarm_rate"] == 1e-3
    claim = found["claims"][0]
    assert len(claim["limit"]["value"]) == report.steps
    assert {"value", "error", "degrees"} <= set(claim["limit"])
    assert {"p_value", "z", "threshold", "outcome", "control_rejected"} <= set(claim["verdict"])
    assert {"versions", "processor", "device", "date"} <= set(found["provenance"])


def test_the_repr_says_the_verdict(report: ValidationReport) -> None:
    text = repr(report)
    assert "'vanilla'" in text
    assert "untied E[h^2]: accepted" in text
    assert "gap from the untied theory in E[h^2]: tied networks" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": (24, 48)}, "three different widths"),
        ({"widths": 24}, "widths must be a sequence"),
        ({"widths": (24, 48, 0)}, "each of widths"),
        ({"networks": 1}, "networks must be a whole number >= 2"),
        ({"networks": (5, 5)}, "at least 2 for each"),
        ({"steps": 0}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"horizons": (0,)}, "each of horizons"),
        ({"lags": (0,)}, "each of lags"),
        ({"tyings": ("loose",)}, "tyings must be among"),
        ({"tyings": ()}, "tyings must name"),
        ({"false_alarm_rate": 0.0}, "false_alarm_rate must be"),
        ({"false_alarm_rate": float("nan")}, "false_alarm_rate must be"),
        ({"control": 2}, "control must be"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"sampling": {"units": 3}}, "sampling knows"),
    ],
)
def test_what_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        run(**options)


def test_a_cell_must_be_one() -> None:
    with pytest.raises(ParameterError, match="cell must be a Cell"):
        validate("minimal")  # type: ignore[arg-type]


def test_progress_counts_up_to_the_total() -> None:
    seen: list[tuple[float, float]] = []
    run(networks=3, progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert len({t for _, t in seen}) == 1
    assert seen[-1][0] == pytest.approx(seen[-1][1])
