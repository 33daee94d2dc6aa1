"""The errors that rnnmft reports are right: the suite of known answers, held to the tally's rules.

The fast part is every twelfth setting; the whole is slow. What the documentation shows is a
committed run of the whole: it is of the present settings, and it passed.
"""

from __future__ import annotations

import pytest

from validation.calibration.asked import KINDS
from validation.calibration.suite import fast_settings, run, settings
from validation.calibration.table import COMMAND, Table, committed, document
from validation.calibration.tally import false_alarm_rate

# Of the whole suite, were every error right and the numbers of a setting correlated by .8.
FALSE_ALARMS = 0.10


def said(tally):
    """The reasons, and the numbers that lie farthest off, for whoever reads the failure."""
    far = [f"{c.setting}: {c.kind} {c.quantity}: z = {c.z:.2f}" for c in tally.worst()]
    return "\n".join([*tally.reasons, *far])


def test_the_errors_of_every_twelfth_setting_are_right():
    tally = run(fast_settings())
    assert len({c.kind for c in tally.comparisons}) == len(KINDS)
    assert tally.passed, said(tally)


@pytest.mark.slow
def test_the_errors_of_the_whole_suite_are_right():
    tally = run(settings())
    assert sum(c.promised for c in tally.comparisons) >= 300
    assert false_alarm_rate(tally.comparisons, 0.8) < FALSE_ALARMS
    assert tally.passed, said(tally)


def test_settings_have_names_and_seeds_of_their_own():
    every = settings()
    assert len({s.name for s in every}) == len({s.seed for s in every}) == len(every)


def test_every_kind_has_a_truth_of_its_own():
    asked = {q.kind for s in settings() if s.source == "exact" for q in s.truths()}
    assert asked == set(KINDS)


# --- what is committed ----------------------------------------------------------------------------


def test_the_committed_calibration_is_of_these_settings_and_passed():
    content = committed().content
    names = {c["setting"] for c in content["comparisons"]}
    # A setting whose truth is another solver's is left out where there is none.
    assert names <= {s.name for s in settings()}
    assert names >= {s.name for s in settings() if s.source != "solver"}
    assert content["provenance"]["command"] == COMMAND
    assert set(content["verdicts"]) == {*KINDS, "all"}
    assert content["passed"], content["reasons"]


def test_the_present_rules_accept_what_is_committed_and_seldom_reject_what_is_right():
    content = committed().content
    tally = committed().tally
    assert tally.passed, said(tally)
    # But for the roundings of SciPy's distributions, which its versions differ in.
    for kind, verdict in tally.verdicts.items():
        for name, value in verdict.to_dict().items():
            kept = content["verdicts"][kind][name]
            rounded = pytest.approx(kept, rel=1e-12) if isinstance(kept, float) else kept
            assert value == rounded, (kind, name)
    rates = content["false_alarm_rate"]
    assert false_alarm_rate(tally.comparisons, 0.8) == rates["sharing"] < FALSE_ALARMS
    assert false_alarm_rate(tally.comparisons, 0.0) == rates["independent"] < FALSE_ALARMS


def test_the_table_has_a_row_for_every_kind():
    setting = next(s for s in settings() if s.name.startswith("vanilla erf"))
    table = Table(document(run([setting])))
    rows = table._repr_markdown_().splitlines()
    assert rows[0].count("|") == rows[-1].count("|")
    assert [r.split(" | ")[0].strip("| ") for r in rows[2:]] == [
        *(k for k in KINDS if k in table.content["verdicts"]),
        "all",
    ]
    assert "exact oracle | 1 |" in table.sources()._repr_markdown_()
    assert table.farthest(3)._repr_markdown_().count("\n") == 4
    assert table.summary.endswith("in 1 settings: accepted.")
