"""What is read from a file: each value by its kind, and one sentence for each that is not of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmft.content import Content, json_content
from rnnmft.errors import ParseError

TABLE = Content(
    {"n": 3, "x": 0.5, "yes": True, "word": "tied", "list": [1, 2], "inner": {"h": 1.5}}, "start"
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value: object) -> None:
    text = json.dumps(value)
    assert json_content(text) == json.loads(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[NaN]", "NaN is no finite number"),
        ("[-Infinity]", "-Infinity is no finite number"),
        ("[1e999]", "1e999 is no finite number"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        ('{"a": {"c": 1, "c": 1}}', "the key 'c' stands twice"),
        ("[1, ", "it is no JSON"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 10_000, "too many digits"),
    ],
)
def test_what_json_is_not_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ParseError, match=sentence):
        json_content(text, "a.json")


def test_each_value_by_its_kind() -> None:
    assert (TABLE.whole("n", 3), TABLE.number("n"), TABLE.number("x")) == (3, 3.0, 0.5)
    assert (TABLE.truth("yes"), TABLE.text("word", ("tied", "untied"))) == (True, "tied")
    assert (TABLE.numbers("list"), TABLE.wholes("list")) == ([1, 2], [1, 2])
    assert TABLE.table("inner").number("h") == 1.5
    assert list(TABLE.only(["n", "x", "yes", "word", "list", "inner"])) == list(TABLE)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda t: t.whole("n", 4), "start.n must be a whole number >= 4, got 3"),
        (lambda t: t.whole("x", 0), "start.x must be a whole number >= 0, got 0.5"),
        (lambda t: t.whole("yes", 0), "start.yes must be a whole number >= 0, got True"),
        (lambda t: t.number("yes"), "start.yes must be a finite number, got True"),
        (lambda t: t.truth("n"), "start.n must be true or false, got 3"),
        (lambda t: t.text("word", ("a", "b")), "start.word must be one of a, b, got 'tied'"),
        (lambda t: t.texts("list"), "start.list must be a list of texts"),
        (lambda t: t.numbers("word"), "start.word must be a list of finite numbers"),
        (lambda t: t.table("n"), "start.n must be a table, got 3"),
        (lambda t: t.table("inner").number("c"), "'start.inner.c' is missing"),
        (lambda t: t.only(["n"]), "unknown key 'x' in start; known are n"),
        (lambda t: Content({"a": 10**400}).number("a"), "a must be a finite number"),
    ],
)
def test_a_refusal_names_the_place_and_what_stands_there(ask, sentence: str) -> None:
    with pytest.raises(ParseError) as refused:
        ask(TABLE)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 160
