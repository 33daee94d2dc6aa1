"""Steps of a derivation: from what, to what, why, on what assumption, after whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import sympy as sp

from rnnmft.language import Cell

__all__ = ["Step", "StepsRecord"]


@dataclass(frozen=True)
class Step:
    """One step of a derivation: `before` and `after` are SymPy expressions or equations."""

    name: str
    before: Any
    after: Any
    reason: str
    assumption: str = ""
    citation: str = ""

    @property
    def equations(self) -> list[Any]:
        """What the step gives, as a list."""
        return _listed(self.after)

    def latex(self) -> str:
        """before -> after, one equation a line."""
        lines = [sp.latex(e) for e in _listed(self.before)]
        arrow = [r"\longrightarrow"] if lines else []
        return r" \\ ".join([*lines, *arrow, *(sp.latex(e) for e in self.equations)])


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class StepsRecord:
    """Base of the derivations: prints `self.steps`, for `self.cell` and `self.tying`.

    `kind` says more than `tying` where that is needed.
    """

    cell: Cell
    tying: ClassVar[str]
    kind: ClassVar[str] = ""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The derivation, step by step."""
        return tuple(self._derived())

    def _derived(self) -> Iterable[Step]:
        raise NotImplementedError

    @property
    def shown(self) -> tuple[sp.Eq, ...]:
        """The equations that stand for the whole where it is printed."""
        raise NotImplementedError

    def __repr__(self) -> str:
        rows = [f"  {e.lhs} = {e.rhs}" for e in self.shown]
        return "\n".join([f"Derivation of {self.cell.name!r} ({self.kind or self.tying})", *rows])

    def _repr_latex_(self) -> str:
        equations = r" \\ ".join(map(sp.latex, self.shown))
        return rf"$$\begin{{gathered}}{equations}\end{{gathered}}$$"

    def latex(self) -> str:
        """Every step's equations as LaTeX, one `gathered` block a step."""
        return "\n".join(
            rf"\text{{{step.name}}}\quad\begin{{gathered}}{step.latex()}\end{{gathered}}"
            for step in self.steps
        )

    def to_markdown(self) -> str:
        """The derivation as a Markdown text with LaTeX equations."""
        parts = [f"# Mean-field theory of the cell {self.cell.name} ({self.tying} weights)\n"]
        for number, step in enumerate(self.steps, 1):
            parts.append(f"## {number}. {step.name}\n\n{step.reason}\n")
            parts += [f"$$\n{sp.latex(e)}\n$$\n" for e in step.equations]
            if step.assumption:
                parts.append(f"*Assumption:* {step.assumption}\n")
            if step.citation:
                parts.append(f"*Source:* {step.citation}\n")
        return "\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: every step with its equations as LaTeX and as text."""
        return {
            "cell": self.cell.name,
            "tying": self.tying,
            "steps": [
                {
                    "name": s.name,
                    "equations": [{"latex": sp.latex(e), "text": str(e)} for e in s.equations],
                    "reason": s.reason,
                    "assumption": s.assumption,
                    "citation": s.citation,
                }
                for s in self.steps
            ],
        }
