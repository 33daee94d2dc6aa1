"""Names for what a text cell writes more than once: the [let] table."""

from __future__ import annotations

import pytest

from rnnmft import ParseError, cells

LSTM = """
name = "lstm"
states = ["c", "h"]

[preactivations]
i = { sees = "h" }
f = { sees = "h" }
g = { sees = "h" }
o = { sees = "h" }

[let]
squashed = "tanh(new)"
new = "sigmoid(f)*c + sigmoid(i)*tanh(g)"

[update]
c = "new"
h = "sigmoid(o)*squashed"
"""


def test_an_lstm_need_not_be_written_twice():
    assert cells.loads(LSTM) == cells.lstm()
    assert cells.loads(cells.loads(LSTM).to_toml()) == cells.lstm()


def test_a_preactivation_sees_a_name():
    text = LSTM.replace('o = { sees = "h" }', 'o = { sees = "squashed" }')
    cell = cells.loads(text)
    o = next(p for p in cell.preactivations if p.name == "o")
    assert str(cell.sees[o]) == "tanh(c*sigmoid(f) + tanh(g)*sigmoid(i))"


DOUBLING = "\n".join(f'a{j} = "a{j - 1}*tanh(a{j - 1}) + a{j - 1}"' for j in range(1, 50))
WRONG = {
    "circle": ('new = "squashed"', "circle"),
    "itself": ('new = "new + h"', "circle"),
    "taken": ('h = "c"', "stands in states and in let"),
    "unknown": ('new = "q"', "unknown name 'q'"),
    "no text": ("new = 3", "must be text"),
    "doubling": (f'new = "c"\na0 = "new"\n{DOUBLING}', "stands for more than"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_names_are_refused(case):
    line, message = WRONG[case]
    before = 'new = "sigmoid(f)*c + sigmoid(i)*tanh(g)"'
    with pytest.raises(ParseError, match=message):
        cells.loads(LSTM.replace(before, line))
