"""Where the keys and strings of a TOML document stand: what `tomllib` does not tell.

A reader of the same syntax that keeps offsets instead of values. It refuses deep nesting and long
dotted keys, which would cost `tomllib` its stack or a quadratic time; of any other fault it makes
nothing, for `tomllib` reads the same text and says it better.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from rnnmft.errors import ParseError

__all__ = ["MAX_NESTING", "Place", "Positions"]

MAX_NESTING = 8
_SPACE = re.compile(r"[ \t]*")
_LINES = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#\"'{\[]+")
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t\n]*|.)", re.DOTALL)

Path = tuple[str, ...]


class _Lost(Exception):
    """The text is not TOML here; `tomllib` will say why."""


@dataclass
class Place:
    """Offsets of a key, of its value, and of each character of the value where it is a string."""

    key: int
    value: int = 0
    characters: list[int] = field(default_factory=list)


class Positions:
    r"""The places of a document by path: ("update", "h") is the key h of the table update.

    >>> text = '[update]\nh = "tanh(e)"'
    >>> place = Positions(text).places["update", "h"]
    >>> text[place.characters[0]:][:4]
    'tanh'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0
        self.places: dict[Path, Place] = {}
        try:
            self._document()
        except _Lost:
            return

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Both from 1."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - before.rfind("\n")

    def of(self, *path: str) -> tuple[int | None, int | None]:
        """Line and column of a key, or of the nearest table above it that stands in the text."""
        while path:
            if path in self.places:
                return self.line_and_column(self.places[path].key)
            path = path[:-1]
        return None, None

    # --- reading -------------------------------------------------------------------------------

    def _document(self) -> None:
        table: Path = ()
        while self._skip(_LINES) < len(self.text):
            if self._take("["):
                array = self._take("[")
                start = self.offset
                table = self._key()
                self.places.setdefault(table, Place(start))
                self._need("]]" if array else "]")
            else:
                self._pair(table)
            self._skip(_SPACE)

    def _pair(self, table: Path) -> None:
        start = self._skip(_SPACE)
        path = table + self._key()
        place = self.places.setdefault(path, Place(start))
        self._need("=")
        place.value = self._skip(_SPACE)
        self._value(path, place, len(table) + 1)

    def _value(self, path: Path, place: Place, depth: int) -> None:
        if depth > MAX_NESTING:
            self._refuse(f"nested deeper than {MAX_NESTING}")
        if self.text[self.offset : self.offset + 1] in ("'", '"'):
            place.characters = self._string()[1]
        elif self._take("{"):
            while not self._take("}"):
                self._pair(path)
                self._skip(_SPACE)
                if not self._take(","):
                    self._need("}")
                    return
                self._skip(_SPACE)
        elif self._take("["):
            index = 0
            while self._skip(_LINES) or True:
                if self._take("]"):
                    return
                item = (*path, str(index))
                self._value(item, self.places.setdefault(item, Place(self.offset)), depth + 1)
                index += 1
                self._skip(_LINES)
                if not self._take(","):
                    self._need("]")
                    return
        elif not self._skip_some(_SCALAR):
            raise _Lost

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.offset : self.offset + 1] in ("'", '"'):
                parts.append(self._string()[0])
            else:
                start = self.offset
                if not self._skip_some(_BARE):
                    raise _Lost
                parts.append(self.text[start : self.offset])
            if len(parts) > MAX_NESTING:
                self._refuse(f"a key of more than {MAX_NESTING} parts")
            self._skip(_SPACE)
            if not self._take("."):
                return tuple(parts)

    def _string(self) -> tuple[str, list[int]]:
        """The characters of a string, and the offset of each; of its end last."""
        quote = self.text[self.offset]
        end = quote * 3 if self.text.startswith(quote * 3, self.offset) else quote
        self.offset += len(end)
        if len(end) == 3 and self.text[self.offset : self.offset + 1] == "\n":
            self.offset += 1
        characters: list[str] = []
        offsets: list[int] = []
        while not self._closes(end):
            if self.offset >= len(self.text) or (len(end) == 1 and self.text[self.offset] == "\n"):
                raise _Lost
            step, shown = 1, self.text[self.offset]
            if quote == '"' and shown == "\\":
                escape = _ESCAPE.match(self.text, self.offset)
                if escape is None:
                    raise _Lost
                step, shown = len(escape[0]), "" if escape[0][-1] in " \t\n" else "?"
            characters.append(shown)
            offsets += [self.offset] * len(shown)
            self.offset += step
        offsets.append(self.offset)
        self.offset += len(end)
        return "".join(characters), offsets

    def _closes(self, end: str) -> bool:
        if not self.text.startswith(end, self.offset):
            return False
        # Up to two quotes may stand before the three that close a multi-line string.
        return len(end) == 1 or not self.text.startswith(end[0], self.offset + 3)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.offset)
        self.offset = found.end() if found else self.offset
        return self.offset

    def _skip_some(self, pattern: re.Pattern[str]) -> bool:
        before = self.offset
        return self._skip(pattern) > before

    def _take(self, text: str) -> bool:
        if self.text.startswith(text, self.offset):
            self.offset += len(text)
            return True
        return False

    def _need(self, text: str) -> None:
        self._skip(_SPACE)
        if not self._take(text):
            raise _Lost

    def _refuse(self, reason: str) -> NoReturn:
        raise ParseError(reason, *self.line_and_column(self.offset))
