"""The content of a file: every value is asked for by name and kind, and what is not so is refused.

Each refusal is a `ParseError` of one sentence that names the place: "choices.e.share must be a
finite number, got inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from rnnmft.errors import ParseError

__all__ = ["Content", "json_content"]


def json_content(text: str, source: str | None = None) -> Any:
    """The value of a JSON text: finite numbers only, and each key once.

    Raises:
        ParseError: it is not JSON, or holds a number that JSON does not know.

    >>> json_content("[1e999]")
    Traceback (most recent call last):
    rnnmft.errors.ParseError: 1e999 is no finite number
    """

    def finite(word: str) -> float:
        if not math.isfinite(value := float(word)):
            raise ParseError(f"{word} is no finite number", source=source)
        return value

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(k for i, (k, _) in enumerate(pairs) if k in dict(pairs[:i]))
            raise ParseError(f"the key {twice!r} stands twice", source=source)
        return found

    try:
        return json.loads(text, parse_constant=finite, parse_float=finite, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ParseError("it is no JSON", error.lineno, error.colno, source) from None
    except RecursionError:
        raise ParseError("it is nested too deep", source=source) from None
    except ParseError:
        raise
    except ValueError:  # Python's bound on the digits of a whole number
        raise ParseError("it holds a number with too many digits", source=source) from None


class Content:
    """A table of named values, as JSON or TOML gives them.

    Args:
        values: the table.
        place: its name in the file; nothing for the whole of it.

    Raises:
        ParseError: `values` is no table.

    >>> Content({"start": {"h": True}}).table("start").number("h")
    Traceback (most recent call last):
    rnnmft.errors.ParseError: start.h must be a finite number, got True
    """

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, Mapping):
            raise ParseError(f"{place or 'the whole'} must be a table, got {_shown(values)}")
        self.values, self.place = values, place

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Say what the value of a name must be."""
        raise ParseError(f"{self._at(name)} must be {wanted}, got {_shown(self.values[name])}")

    def only(self, names: Iterable[str]) -> Content:
        """This table, if it has no other names than these."""
        known = tuple(names)
        for name in self.values:
            if name not in known:
                where = f" in {self.place}" if self.place else ""
                raise ParseError(f"unknown key {name!r}{where}; known are {', '.join(known)}")
        return self

    def value(self, name: str) -> Any:
        """Whatever stands there."""
        if name not in self.values:
            raise ParseError(f"{self._at(name)!r} is missing")
        return self.values[name]

    def table(self, name: str) -> Content:
        """The table of a name."""
        return Content(self.value(name), self._at(name))

    def tables(self) -> Iterator[tuple[str, Content]]:
        """Every name and its table."""
        return ((name, self.table(name)) for name in self.values)

    def text(self, name: str, among: Iterable[str] = ()) -> str:
        """A text, one of those that there are."""
        value, known = self.value(name), tuple(among)
        if not isinstance(value, str) or (known and value not in known):
            self.refuse(name, f"one of {', '.join(known)}" if known else "text")
        return value

    def truth(self, name: str) -> bool:
        """True or false."""
        if not isinstance(value := self.value(name), bool):
            self.refuse(name, "true or false")
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.value(name)
        if not _is_number(value):
            self.refuse(name, "a finite number")
        return float(value)

    def whole(self, name: str, least: int) -> int:
        """A whole number, not below the least."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(name, f"a whole number >= {least}")
        return value

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers."""
        return self._list(name, _is_number, "a list of finite numbers")

    def wholes(self, name: str) -> list[int]:
        """A list of whole numbers."""
        return self._list(
            name, lambda v: isinstance(v, int) and _is_number(v), "a list of whole numbers"
        )

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return self._list(name, lambda v: isinstance(v, str), "a list of texts")

    def _list(self, name: str, fits: Callable[[Any], bool], wanted: str) -> list[Any]:
        value = self.value(name)
        if not isinstance(value, (list, tuple)) or not all(map(fits, value)):
            self.refuse(name, wanted)
        return list(value)

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else str(name)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: Any) -> str:
    """The value in a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}.."
