"""Diagnosis: what `diagnose` returns; in words, in JSON, on a page, and as a test's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnmft.diagnosis.html import render_diagnosis
from rnnmft.diagnosis.record import DiagnosisRecord
from rnnmft.diagnosis.text import describe

__all__ = ["Diagnosis"]


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(DiagnosisRecord):
    """What `rnnmft.diagnose` found out about a module; its attributes are `DiagnosisRecord`'s."""

    def report(self) -> str:
        """The whole diagnosis in words."""
        return describe(self)

    def to_html(self, path: str | Path) -> None:
        """Write one page that holds everything it shows."""
        Path(path).write_text(render_diagnosis(self), encoding="utf-8")
