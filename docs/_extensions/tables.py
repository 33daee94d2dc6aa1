"""Tables that pages compute: Markdown where a code cell ends in one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Table"]


class Table:
    """Rows of text below a head; `_repr_markdown_` is what a code cell shows."""

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self.head, self.rows = (
            list(head),
            [[str(value).replace("|", r"\|") for value in row] for row in rows],
        )

    def _repr_markdown_(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
