"""Variants of one page: which the zoo offers, and which fit together."""

from __future__ import annotations

import pytest

from rnnmft import Explorer, ParameterError, cells
from rnnmft.explorer.variants import zoo_variants


def test_the_zoo_offers_activations_and_leaks() -> None:
    assert list(zoo_variants("vanilla"))[:3] == ["tanh", "erf", "relu"]
    # The first is the zoo's own cell.
    for name in ("vanilla", "leaky_rnn", "residual_rnn"):
        first = next(iter(zoo_variants(name).values()))
        assert first.update == cells.get(name).update
    assert zoo_variants("minimal") == zoo_variants("get") == zoo_variants("no such cell") == {}


def test_a_variant_of_another_shape_is_refused() -> None:
    with pytest.raises(ParameterError, match="'other' has other states"):
        Explorer(cells.minimal(), variants={"own": cells.minimal(), "other": cells.gru()})
