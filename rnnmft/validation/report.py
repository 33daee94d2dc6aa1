"""ValidationReport: what `validate` returns; in words, in JSON and on a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnmft.validation.html import render_validation
from rnnmft.validation.record import ValidationRecord

__all__ = ["ValidationReport"]


@dataclass(frozen=True, eq=False, repr=False)
class ValidationReport(ValidationRecord):
    """Theory against networks; its attributes are `ValidationRecord`'s."""

    def to_html(self, path: str | Path) -> None:
        """Write one page that holds everything it shows."""
        Path(path).write_text(render_validation(self), encoding="utf-8")
