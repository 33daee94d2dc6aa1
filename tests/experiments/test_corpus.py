"""Texts and their symbols: what is told apart, what is unknown, and files sound or damaged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnnmft.errors import ParameterError, ParseError
from rnnmft.experiments.corpus import UNKNOWN, Text, corpus, pydoc_text, text_from

SMALL = Text(("a cat. a dog.\na cat", "a cow.", "the cat."), False, "by hand")


def test_words_that_are_rare_or_new_are_unknown() -> None:
    found = corpus(SMALL, "words")
    assert set(found.symbols) == {UNKNOWN, "a", "cat", "."}
    read = [found.symbols[k] for k in found.train]
    assert read == ["a", "cat", ".", "a", UNKNOWN, ".", UNKNOWN, "a", "cat"]
    assert [found.symbols[k] for k in found.test] == [UNKNOWN, "cat", "."]
    assert found.unknown == pytest.approx(1 / 3)
    assert corpus(SMALL, "words", most=1).symbols == (UNKNOWN, "a")


def test_characters_of_the_first_part_are_known() -> None:
    found = corpus(SMALL, "characters")
    assert set(found.symbols) == {UNKNOWN, *SMALL.parts[0]}
    assert "".join(found.symbols[k] for k in found.train) == SMALL.parts[0]
    # "the cat." has an h and an e that the first part has not.
    assert found.unknown == pytest.approx(2 / 8)


def test_entropies_by_hand() -> None:
    """Three a and one b, each once more, and an unknown: 4/7, 2/7, 1/7."""
    found = corpus(Text(("aaab", "a", "ab?"), False, "by hand"), "characters")
    assert found.uniform == pytest.approx(math.log2(3))
    expected = -(math.log2(4 / 7) + math.log2(2 / 7) + math.log2(1 / 7)) / 3
    assert found.unigram == pytest.approx(expected)
    with pytest.raises(ParameterError, match="level must be one of characters, words"):
        corpus(SMALL, "letters")


def test_the_default_text_repeats_no_paragraph() -> None:
    text = pydoc_text()
    whole = "".join(text.parts)
    paragraphs = [" ".join(p.split()) for p in whole.split("\n\n")]
    # Cut at the same blank lines; a rest may stem from lines of blanks alone.
    assert len(set(paragraphs)) > 0.99 * len(paragraphs)
    assert len(whole) > 200_000
    assert f"{len(whole)} characters" in text.source
    assert [round(len(part) / len(whole), 2) for part in text.parts] == [0.8, 0.1, 0.1]


def test_a_folder_is_tokenized_and_split_by_its_owner(tmp_path: Path) -> None:
    for part, content in (
        ("train", " no it was n't <unk> N \n no it was n't N \n"),
        ("valid", " it was \n"),
        ("test", " it rained \n"),
    ):
        (tmp_path / f"ptb.{part}.txt").write_text(content, "utf-8")
    found = corpus(text_from(tmp_path), "words")
    assert set(found.symbols) == {UNKNOWN, "no", "it", "was", "n't", "N", "<eos>"}
    read = " ".join(found.symbols[k] for k in found.train[:7])
    assert read == "no it was n't <unk> N <eos>"
    assert [found.symbols[k] for k in found.test] == ["it", UNKNOWN, "<eos>"]


def test_files_that_are_no_text_are_refused_in_a_sentence(tmp_path: Path) -> None:
    one = tmp_path / "one.txt"
    one.write_text("x" * 10, "utf-8")
    assert [len(part) for part in text_from(one).parts] == [8, 1, 1]
    one.write_bytes(b"\xff\xfe")
    with pytest.raises(ParseError, match=r"one\.txt is no UTF-8 text"):
        text_from(one)
    one.write_text(" \n", "utf-8")
    with pytest.raises(ParseError, match=r"one\.txt is empty"):
        text_from(one)
    with pytest.raises(ParseError, match=r"has 0 files named \*train\*, not one"):
        text_from(tmp_path)


def test_numbers_are_whole() -> None:
    assert corpus(SMALL, "words").train.dtype == np.int64
