"""Language models: known ones cost what they must, one batch is learnt, shuffled text is not."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnmft import cells
from rnnmft.experiments.corpus import Corpus, corpus, pydoc_text
from rnnmft.experiments.language import comparisons, run_comparison, starts
from rnnmft.experiments.language_models import (
    LanguageModels,
    bits,
    matched_width,
    model_parameters,
)
from rnnmft.experiments.optimizer import Adam, clip
from rnnmft.experiments.reading import TextReading, read_text
from rnnmft.experiments.store import save

CHARACTERS = corpus(pydoc_text(), "characters")


def short(length: int, seed: int | None = None) -> Corpus:
    """The first characters; shuffled all through by a seed."""
    parts = [CHARACTERS.train[:length], CHARACTERS.valid[:length], CHARACTERS.test[:length]]
    if seed is not None:
        whole = np.random.default_rng(seed).permutation(np.concatenate(parts))
        parts = np.split(whole, 3)
    train, valid, test = parts
    return dataclasses.replace(CHARACTERS, train=train, valid=valid, test=test)


def models(name: str = "minimal", count: int = 2, **options: Any) -> LanguageModels:
    settings: dict[str, Any] = {"width": 16, "symbols": len(CHARACTERS.symbols)} | options
    return LanguageModels(getattr(cells, name)(), [None] * count, **settings)


def without_memory(logits: torch.Tensor) -> LanguageModels:
    found = models(width=4)
    with torch.no_grad():
        found.parameters["U"].zero_()
        found.parameters["c"].copy_(logits.expand_as(found.parameters["c"]))
    return found


@pytest.mark.parametrize("streams", [1, 7, 16])
def test_models_without_memory_cost_their_entropy(streams: int) -> None:
    """However the text is cut, every symbol but the first counts once."""
    text = short(1000)
    nothing = without_memory(torch.zeros(len(text.symbols)))
    assert bits(nothing, text.test, streams) == pytest.approx([text.uniform] * 2, rel=1e-6)
    counts = np.bincount(text.train, minlength=len(text.symbols)) + 1
    known = without_memory(torch.from_numpy(np.log(counts / counts.sum())))
    first = -math.log2(counts[text.test[0]] / counts.sum())
    expected = (text.unigram * len(text.test) - first) / (len(text.test) - 1)
    assert bits(known, text.test, streams) == pytest.approx([expected] * 2, rel=1e-6)


@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
def test_a_window_is_its_steps(name: str) -> None:
    """TextReading at once is reading one by one, and `step` on one-hot symbols is the same cell."""
    found = models(name)
    ids = torch.from_numpy(CHARACTERS.train[:30].reshape(3, 10))
    at_once, states = found.window(found.start(3), ids)
    now, logits = found.start(3), []
    for t in range(10):
        more, now = found.window(now, ids[:, t : t + 1])
        logits.append(more)
    torch.testing.assert_close(torch.cat(logits, 1), at_once)
    for one, other in zip(now, states, strict=True):
        torch.testing.assert_close(one, other)


def test_pytorchs_lstm_reads_the_same() -> None:
    found = models("lstm", count=1)
    own = {n: p.detach()[0] for n, p in found.parameters.items()}
    twin = torch.nn.LSTM(16, 16)
    with torch.no_grad():
        for letter, name in (("W", "weight_hh_l0"), ("V", "weight_ih_l0"), ("b", "bias_ih_l0")):
            whole = torch.cat([own[f"{letter}_{gate}"] for gate in "ifgo"])
            getattr(twin, name).copy_(whole)
        twin.bias_hh_l0.zero_()
        ids = torch.from_numpy(CHARACTERS.train[:20].reshape(2, 10))
        hidden, _ = twin(own["embedding"][ids.T])
        expected = hidden @ own["U"].T + own["c"]
    logits, _ = found.window(found.start(2), ids)
    torch.testing.assert_close(logits[0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_the_default_is_pytorchs() -> None:
    """Moments of 2 x 64 x 64 entries of one matrix: sd sigma^2 sqrt(.8 / 8192), five of them."""
    found = models("lstm", width=64)
    w, b = found.parameters["W_f"].detach(), found.parameters["b_f"].detach()
    assert float(w.abs().max()) <= 1 / 8
    expected = 1 / (3 * 64)
    assert float(w.var()) == pytest.approx(expected, rel=5 * math.sqrt(0.8 / 8192))
    assert 1 / 8 < float(b.abs().max()) <= 2 / 8
    twin = torch.nn.LSTM(64, 64).weight_hh_l0
    assert float(twin.detach().var()) == pytest.approx(float(w.var()), rel=0.07)


def test_equal_parameters() -> None:
    for name in ("minimal", "gru", "lstm"):
        cell = getattr(cells, name)()
        width = matched_width(cell, 104, 40_000)
        found = LanguageModels(cell, [None], width=width, symbols=104)
        counted = sum(p[0].numel() for p in found.parameters.values())
        assert counted == model_parameters(cell, width, 104)
        assert counted == pytest.approx(40_000, rel=0.02)


def test_one_batch_is_learnt_by_heart() -> None:
    """64 characters again and again end at a hundredth of what they cost who knows nothing."""
    text = short(65)
    found = models("minimal", width=48)
    reading = TextReading(150, streams=4, window=16, every=150)
    seen = read_text(found, text.train, text.train, reading, [3e-2, 3e-2])
    assert max(bits(found, text.train, streams=4)) < 0.01 * text.uniform
    assert seen.diverged == [0, 0]


def test_shuffled_text_costs_its_unigram_entropy() -> None:
    """The control: without order there is nothing to learn but how often each symbol occurs."""
    reading = TextReading(60, streams=16, window=16, every=60)
    ordered, shuffled = short(12_000), short(12_000, seed=0)
    found = {}
    for name, text in (("ordered", ordered), ("shuffled", shuffled)):
        learnt = models(width=24)
        read_text(learnt, text.train, text.valid, reading, [2e-2, 2e-2])
        found[name] = bits(learnt, text.test)
    # The test part's own frequencies scatter: bits a symbol have a deviation of about 1.6.
    noise = 5 * 1.6 / math.sqrt(len(shuffled.test))
    assert min(found["shuffled"]) > shuffled.unigram - noise
    assert max(found["shuffled"]) < 1.05 * shuffled.unigram
    assert max(found["ordered"]) < 0.95 * ordered.unigram


def test_a_run_that_goes_on_is_the_uninterrupted_one_to_the_bit(tmp_path: Path) -> None:
    """Cut within the text and at the looks' own pace: parameters, moments, states, the best."""
    text, reading = short(2000), TextReading(15, streams=4, window=16, every=4)
    whole = models("lstm")
    one = read_text(whole, text.train, text.valid, reading, [1e-2, 3e-2])
    kept = tmp_path / "kept.npz"

    def stop(done: float, total: float) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_text(
            models("lstm"), text.train, text.valid, reading, [1e-2, 3e-2],
            checkpoint=kept, progress=stop,
        )  # fmt: skip
    again = models("lstm", seed=9)
    two = read_text(again, text.train, text.valid, reading, [1e-2, 3e-2], checkpoint=kept)
    assert one == two
    for name, value in whole.parameters.items():
        assert torch.equal(value, again.parameters[name])


def test_each_network_has_its_own_rate_and_its_own_best() -> None:
    text, reading = short(2000), TextReading(12, streams=4, window=16, every=4)
    both, alone = models(), models(count=1)
    seen = read_text(both, text.train, text.valid, reading, [1e-2, 3.0])
    read_text(alone, text.train, text.valid, reading, [1e-2])
    for name, value in alone.parameters.items():
        torch.testing.assert_close(value[0], both.parameters[name][0], rtol=1e-4, atol=1e-5)
    # A rate of 3 destroys what it had: the models come back as they were at their best.
    least = np.min(seen.bits, axis=0)
    assert bits(both, text.valid) == pytest.approx(least.tolist(), rel=1e-6)


def test_a_network_that_diverges_is_named() -> None:
    text, reading = short(2000), TextReading(6, streams=4, window=16, every=6)
    found = models("lstm")
    with torch.no_grad():
        found.parameters["U"][1] = torch.inf
    seen = read_text(found, text.train, text.valid, reading, [1e-2, 1e-2])
    assert seen.diverged == [0, 1]
    assert math.isfinite(seen.bits[-1][0])


def test_adam_is_pytorchs_at_every_rate() -> None:
    drawn = torch.Generator().manual_seed(0)
    start = torch.randn(2, 5, 3, generator=drawn, dtype=torch.float64)
    own = start.clone().requires_grad_()
    twins = [start[k].clone().requires_grad_() for k in (0, 1)]
    rates = (1e-2, 3e-1)
    adam = Adam({"p": own}, torch.tensor(rates, dtype=torch.float64))
    theirs = [torch.optim.Adam([p], lr=r) for p, r in zip(twins, rates, strict=True)]
    for _ in range(20):
        gradient = torch.randn(2, 5, 3, generator=drawn, dtype=torch.float64)
        own.grad = gradient.clone()
        adam.step()
        for k, one in enumerate(theirs):
            twins[k].grad = gradient[k].clone()
            one.step()
    torch.testing.assert_close(own, torch.stack(twins), rtol=1e-12, atol=1e-12)


def test_gradients_are_clipped_network_by_network() -> None:
    value = torch.zeros(3, 4, requires_grad=True)
    value.grad = torch.tensor([[3.0, 4, 0, 0], [0.3, 0.4, 0, 0], [1, torch.nan, 0, 0]])
    assert clip({"p": value}, 1.0).tolist() == [True, True, False]
    expected = torch.tensor([[0.6, 0.8, 0, 0], [0.3, 0.4, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(value.grad, expected)


def test_every_scale_is_defined() -> None:
    for scale in ("smoke", "small", "full"):
        assert [one.level for one in comparisons(scale)] == ["characters", "words"]


def test_a_comparison_is_kept_and_found_again(tmp_path: Path) -> None:
    cell, text = cells.minimal(), short(4000)
    # What would take seconds to find.
    save(tmp_path / "minimal-critical.json", cell.ensemble(e={"mu_b": 2.0}).to_dict())
    asked = comparisons("smoke")[0]
    first = run_comparison(asked, text, tmp_path)
    by_start = {m["start"]: m for m in first["models"]}
    assert list(by_start) == list(starts(cell, asked.particles, tmp_path))
    (kept,) = tmp_path.glob("characters-*.json")
    before = kept.stat().st_mtime_ns
    assert run_comparison(asked, text, tmp_path) == first
    assert kept.stat().st_mtime_ns == before
    assert not list(tmp_path.glob("*.npz"))
    for model in by_start.values():
        assert model["diverged"] == [0] * asked.seeds
        assert all(0 < x < 2 * first["uniform"] for x in model["test"])
    assert by_start["critical"]["ensemble"]["e"]["mu_b"] == 2.0
    # Another text is another comparison.
    assert run_comparison(asked, short(5000), tmp_path)["models"] != first["models"]
