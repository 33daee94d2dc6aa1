"""The calibration as a table: what a run leaves in its JSON, and how documentation shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmft.validation.provenance import provenance
from validation.calibration.asked import KINDS
from validation.calibration.comparison import Comparison
from validation.calibration.tally import ALL, Tally, false_alarm_rate

__all__ = ["RESULTS", "Table", "committed", "document"]

RESULTS = Path(__file__).parents[1] / "results" / "calibration.json"
COMMAND = "python -m validation.calibration"
# Between the numbers of one setting: none, and as much as their sharing units could do.
_CORRELATIONS = {"independent": 0.0, "sharing": 0.8}
_SOURCES = {
    "exact": "exact oracle",
    "solver": "another solver",
    "networks": "networks, extrapolated",
}


def document(tally: Tally, made: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every comparison, the verdicts, the rate of false alarms and where it was made; JSON-safe.

    Args:
        tally: the comparisons, judged.
        made: the provenance of comparisons that were made before; None: here and now.
    """
    return {
        "passed": tally.passed,
        "reasons": tally.reasons,
        "verdicts": {kind: v.to_dict() for kind, v in tally.verdicts.items()},
        "false_alarm_rate": {
            name: false_alarm_rate(tally.comparisons, correlation)
            for name, correlation in _CORRELATIONS.items()
        },
        "comparisons": [c.to_dict() for c in tally.comparisons],
        "provenance": made or provenance("cpu", COMMAND).to_dict(),
    }


@dataclass(frozen=True)
class Table:
    """The committed calibration, for a page: `_repr_markdown_` is a table."""

    content: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """One sentence: how many comparisons, of how many settings, and the verdict."""
        rows = self.content["comparisons"]
        settings = len({c["setting"] for c in rows})
        verdict = "accepted" if self.content["passed"] else "rejected"
        return f"{len(rows)} comparisons in {settings} settings: {verdict}."

    def _repr_markdown_(self) -> str:
        verdicts = self.content["verdicts"]
        head = "| quantity | compared | said so | beyond 3 | beyond 5 | largest | mean | bound | |"
        rule = "| --- | --: | --: | --: | --: | --: | --: | --: | --- |"
        kinds = [k for k in (*KINDS, ALL) if k in verdicts]
        return "\n".join([head, rule, *(_row(k, verdicts[k]) for k in kinds)])

    @property
    def tally(self) -> Tally:
        """Its comparisons under the present rules."""
        return Tally(tuple(Comparison.from_dict(c) for c in self.content["comparisons"]))

    def sources(self) -> _Sources:
        """The same by the source of the truth."""
        return _Sources(self.content["comparisons"])

    def farthest(self, count: int = 8) -> _Farthest:
        """The promises that lie farthest from their truths."""
        rows = [c for c in self.content["comparisons"] if c["status"] == "OK"]
        rows.sort(key=lambda c: -abs(float(c["score"])))
        return _Farthest(rows[:count])


@dataclass(frozen=True)
class _Sources:
    comparisons: list[Mapping[str, Any]]

    def _repr_markdown_(self) -> str:
        lines = ["| truth | settings | compared | said so |", "| --- | --: | --: | --: |"]
        for source, name in _SOURCES.items():
            rows = [c for c in self.comparisons if c["source"] == source]
            settings = len({c["setting"] for c in rows})
            said_so = sum(c["status"] != "OK" for c in rows)
            lines.append(f"| {name} | {settings} | {len(rows)} | {said_so} |")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Farthest:
    comparisons: list[Mapping[str, Any]]

    def _repr_markdown_(self) -> str:
        lines = ["| setting | quantity | value | truth | z |", "| --- | --- | --: | --: | --: |"]
        for c in self.comparisons:
            value = f"{_short(c['value'])} ± {_short(c['error'], 2)}"
            truth = _short(c["truth"])
            if c["truth_error"]:
                truth += f" ± {_short(c['truth_error'], 2)}"
            name = f"{c['kind']} ({c['quantity']})"
            lines.append(
                f"| {c['setting']} | {name} | {value} | {truth} | {_short(c['score'], 2)} |"
            )
        return "\n".join(lines)


def _row(kind: str, verdict: Mapping[str, Any]) -> str:
    mean = verdict["mean_size"]
    cells = [kind, *(str(verdict[n]) for n in ("count", "said_so", "beyond_3", "beyond_5"))]
    cells += [_short(verdict["worst"], 2), "" if mean is None else _short(mean, 2)]
    cells += [_short(verdict["worst_bound"], 2) if verdict["bounds"] else ""]
    cells += ["; ".join(verdict["reasons"]) or "accepted"]
    return f"| {' | '.join(cells)} |"


def _short(value: Any, digits: int = 4) -> str:
    return f"{float(value):.{digits}g}"


def committed() -> Table:
    """The calibration in this repository."""
    return Table(json.loads(RESULTS.read_text(encoding="utf-8")))
