"""A text to model: the documentation that ships with Python, or a user's own, in three parts.

Symbols are characters, or words with punctuation and line ends. The models learn from the first
part, the second chooses between them, and the third is kept aside.
"""

from __future__ import annotations

import hashlib
import math
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError, ParseError

__all__ = ["LEVELS", "UNKNOWN", "Corpus", "Text", "corpus", "pydoc_text", "text_from"]

LEVELS = ("characters", "words")
#: What stands for a symbol that the first part does not have, as in the Penn Treebank.
UNKNOWN = "<unk>"
#: The shares of a text without parts of its own that end the first and the second.
_FIRST, _SECOND = 0.8, 0.9
#: A word that occurs once teaches what an unknown word looks like.
_RARE = 1
_WORD = re.compile(r"\n|\w+|[^\w\s]")

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Three pieces of text.

    Attributes:
        parts: to learn from, to choose by, to test on.
        tokenized: whether words are what stands between blanks; else punctuation is split off.
        source: where they come from.
    """

    parts: tuple[str, str, str]
    tokenized: bool
    source: str


@dataclass(frozen=True)
class Corpus:
    """A text as numbers of its symbols.

    Attributes:
        train, valid, test: symbol by symbol.
        symbols: what each number stands for; 0 is unknown.
        level: what symbols are.
        source: of the text.
    """

    train: Ids
    valid: Ids
    test: Ids
    symbols: tuple[str, ...]
    level: str
    source: str

    @property
    def uniform(self) -> float:
        """Bits a symbol of a model that knows nothing: log2 of their number."""
        return math.log2(len(self.symbols))

    @property
    def unigram(self) -> float:
        """Bits a test symbol by how often each occurs (once more than in the first part)."""
        counts = np.bincount(self.train, minlength=len(self.symbols)) + 1
        return float(-np.log2(counts / counts.sum())[self.test].mean())

    @property
    def digest(self) -> str:
        """Eight digits that tell this text, so numbered, from others."""
        found = hashlib.sha256("\0".join(self.symbols).encode())
        for part in (self.train, self.valid, self.test):
            found.update(part.tobytes())
        return found.hexdigest()[:8]

    @property
    def unknown(self) -> float:
        """The share of the test part that is unknown."""
        return float((self.test == 0).mean())


def pydoc_text() -> Text:
    """`pydoc_data.topics` of the Python that runs, each paragraph once.

    Chapters repeat whole paragraphs of others: a test that holds what was learnt would be none.
    """
    whole = "\n\n".join(topics.values())
    kept = {" ".join(p.split()): p for p in reversed(re.split(r"\n\s*\n", whole))}
    text = "\n\n".join(reversed(kept.values()))
    return Text(
        _split(text),
        False,
        _source("pydoc_data.topics of Python " + platform.python_version(), text),
    )


def _source(name: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{name} ({len(text)} characters, SHA-256 {digest}...)"


def text_from(path: Path) -> Text:
    """A user's own text: a file, or a folder with the three parts.

    Files of a folder have train, valid and test in their names, and are tokenized, as those of the
    Penn Treebank are. One file is cut into 80, 10 and 10 %.

    Raises:
        ParseError: the files are no UTF-8 text, are empty, or one of the three is missing.
        OSError: they cannot be read.
    """
    if not path.is_dir():
        text = _read(path)
        return Text(_split(text), False, _source(path.name, text))
    train, valid, test = (_read(_only(path, part)) for part in ("train", "valid", "test"))
    return Text((train, valid, test), True, _source(path.name, train + valid + test))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"{path.name} is no UTF-8 text") from error
    if not text.strip():
        raise ParseError(f"{path.name} is empty")
    return text


def _only(folder: Path, part: str) -> Path:
    found = sorted(folder.glob(f"*{part}*"))
    if len(found) != 1:
        raise ParseError(f"{folder.name} has {len(found)} files named *{part}*, not one")
    return found[0]


def _split(text: str) -> tuple[str, str, str]:
    first, second = round(_FIRST * len(text)), round(_SECOND * len(text))
    return text[:first], text[first:second], text[second:]


def corpus(text: Text, level: str, most: int = 10_000) -> Corpus:
    """Number the symbols of a text.

    Args:
        text: in three parts.
        level: "characters" or "words".
        most: words that are told apart, the most frequent ones of the first part; those that occur
            there once are unknown.
    """
    if level not in LEVELS:
        raise ParameterError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    cut: Callable[[str], Sequence[str]] = list if level == "characters" else _words(text)
    train, valid, test = (cut(part) for part in text.parts)
    counts = Counter(train)
    known: Iterable[str] = sorted(counts)
    if level == "words":
        frequent = [word for word, n in counts.most_common() if n > _RARE and word != UNKNOWN]
        known = frequent[:most]
    symbols = (UNKNOWN, *known)
    number = {symbol: k for k, symbol in enumerate(symbols)}

    def numbered(part: Sequence[str]) -> Ids:
        return np.array([number.get(symbol, 0) for symbol in part], np.int64)

    parts = numbered(train), numbered(valid), numbered(test)
    return Corpus(*parts, symbols, level, text.source)


def _words(text: Text) -> Callable[[str], Sequence[str]]:
    if text.tokenized:
        return lambda part: part.replace("\n", " <eos> ").split()
    return _WORD.findall
