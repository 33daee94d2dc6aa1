"""diagnose: predictions against measurements, verdicts, records, pages, and what it refuses."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import pytest
import torch

import rnnmft as mft
from rnnmft import cells
from rnnmft.diagnosis import diagnose
from rnnmft.errors import CellError, ParameterError, UnhealthyError
from rnnmft.initialization.modules import apply_

FEW = {"particles": 4096, "advice": False, "budget": None}


@pytest.fixture(scope="module")
def vanishing():
    torch.manual_seed(0)
    return diagnose(torch.nn.RNN(32, 128), 20, **FEW)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def contracting():
    """Orthogonal, with so little input that it is nearly linear: its gradients live."""
    ensemble = cells.vanilla().ensemble("orthogonal", e={"sigma_v": 0.02})
    return apply_(ensemble, torch.nn.RNN(32, 128), seeded())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_pytorchs_defaults_at_width_512_over_50_steps(kind, seed) -> None:
    torch.manual_seed(seed)
    (layer,) = diagnose(kind(64, 512), 50, advice=False).layers
    assert layer.verdict == "vanishing"
    assert layer.phase == "ordered"
    assert abs(layer.predicted_log10_mean - layer.log10_mean) < 0.2
    assert layer.measured.at(50)[1] < 0.05
    # The control: weights larger by 2 % would move log10 m_1(50) of the vanilla RNN by 0.86.
    assert abs(layer.predicted_log10_mean + 100 * math.log10(1.02) - layer.log10_mean) > 0.2


def test_the_prediction_is_measured(vanishing) -> None:
    (layer,) = vanishing.layers
    for horizon in (1, 5, 20):
        (value, error), (predicted, noise) = (
            series.at(horizon) for series in (layer.measured, layer.predicted)
        )
        assert abs(value - predicted) < 4.0 * math.hypot(error, noise) + 0.05
    # The control: weights larger by 5 %.
    moved = layer.predicted.at(20)[0] + 40 * math.log10(1.05)
    assert abs(layer.log10_mean - moved) > 4.0 * math.hypot(error, noise) + 0.05


def test_matrices_that_are_not_random_are_taken_as_they_are() -> None:
    # One eigenvalue near 0.9 beside a disc of radius 0.58, with so little input that the units stay
    # linear: no ensemble has such a matrix.
    torch.manual_seed(0)
    module = torch.nn.RNN(32, 128)
    with torch.no_grad():
        module.weight_hh_l0 += 0.9 / 128
        module.weight_ih_l0 *= 0.03
        module.bias_ih_l0.zero_()
        module.bias_hh_l0.zero_()
    (layer,) = diagnose(module, 30, **FEW).layers
    assert abs(layer.predicted_log10_mean - layer.log10_mean) < 0.2
    assert layer.log10_mean - layer.tied.log10_mean > 3.0


def test_a_healthy_network_passes_and_a_sick_one_fails(vanishing) -> None:
    found = diagnose(contracting(), 40, **FEW)
    assert found.healthy
    found.assert_healthy()
    assert not vanishing.healthy
    with pytest.raises(AssertionError, match=r"layer 0, vanish over 20 steps: log10 m_1\(20\) ="):
        vanishing.assert_healthy()
    with pytest.raises(UnhealthyError):
        vanishing.assert_healthy()


def test_advice_mends_what_it_is_given_for() -> None:
    torch.manual_seed(0)
    module = torch.nn.RNN(16, 64, 2)
    before = {n: p.clone() for n, p in module.state_dict().items()}
    found = diagnose(module, 20, particles=4096)
    (advice,) = found.advice
    assert advice.layers == ("layer 0", "layer 1")
    assert all(abs(value) < 2.0 for value in advice.log10_mean)
    assert all(torch.equal(p, before[n]) for n, p in module.state_dict().items())
    assert f"sigma_w = {advice.initialization.ensemble['e'].sigma_w:.4g}" in advice.sentence
    with pytest.raises(UnhealthyError, match="Draw the module from e: sigma_w"):
        found.assert_healthy()
    assert advice.sentence in found.report()
    json.dumps(found.to_dict(), allow_nan=False)
    advice.initialization.apply_(module, seeded())
    mended = diagnose(module, 20, **FEW)
    mended.assert_healthy()
    # The layer above sees what the first hands up, and its gates vary as much.
    q = [layer.tied.preactivation_variance["e"] for layer in mended.layers]
    assert q[1] == pytest.approx(q[0], rel=0.5)
    assert found.layers[1].inputs.R < 0.2 * found.layers[0].inputs.R


@pytest.mark.slow
def test_an_lstm_over_many_steps_is_mended_where_it_has_settled() -> None:
    """Critical for fresh weights, a network explodes from the zero state and settles to health.

    Simulated networks of width 256 have log10 m_1(200) = 2.6 after 30 steps, .5 to .9 after 400 and
    0 to .2 after 1500: c is still growing. A single network of width 128 scatters by about .2.
    """
    torch.manual_seed(0)
    module = torch.nn.LSTM(32, 128)
    (advice,) = diagnose(module, 200, particles=4096).advice
    assert abs(advice.log10_mean[0]) < 1.0
    assert f"critical for {advice.initialization.tying} weights" in advice.sentence
    untied = apply_(advice.initialization.untied_ensemble, module, seeded())
    early = diagnose(untied, 200, **{**FEW, "burn_in": 30})
    assert early.layers[0].log10_mean > 1.0


def test_where_no_advice_is_it_says_why() -> None:
    module = torch.nn.RNN(16, 64, bias=False)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    found = diagnose(module, 20, data=torch.zeros(60, 2, 16), particles=4096)
    assert not found.healthy
    assert len(found.advice) == 1
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_threshold_decides_beyond_its_error() -> None:
    module = contracting()
    value, error = diagnose(module, 40, **FEW).layers[0].measured.at(40)
    size = abs(value)
    assert size > 4.0 * error
    for off, verdict in ((3.0, "healthy"), (1.0, "borderline"), (-1.0, "borderline")):
        found = diagnose(module, 40, threshold=size + off * error, **FEW)
        assert found.verdict == found.layers[0].verdict == verdict
        assert found.healthy is (verdict == "healthy")
        found.assert_healthy()  # nothing is wrong beyond doubt
    found = diagnose(module, 40, threshold=size - 3.0 * error, **FEW)
    assert (found.verdict, found.layers[0].verdict) == ("unhealthy", "vanishing")
    with pytest.raises(UnhealthyError):
        found.assert_healthy()


def test_explosions_are_told() -> None:
    ensemble = cells.vanilla().ensemble(e={"sigma_w": 4.0})
    found = diagnose(apply_(ensemble, torch.nn.RNN(32, 128), seeded()), 60, **FEW)
    (layer,) = found.layers
    assert (layer.verdict, layer.phase) == ("exploding", "chaotic")
    assert "gradients explode" in found.report()


def test_every_layer_and_direction_has_a_row_and_sees_what_the_one_below_hands_up() -> None:
    torch.manual_seed(0)
    module = torch.nn.RNN(8, 32, 2, bidirectional=True, dropout=0.3)
    before = {n: p.clone() for n, p in module.state_dict().items()}
    state = torch.get_rng_state()
    found = diagnose(module, 6, burn_in=10, sequences=4, **FEW)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert all(torch.equal(p, before[n]) for n, p in module.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    names = ["layer 0", "layer 0, reverse", "layer 1", "layer 1, reverse"]
    assert [layer.layer for layer in found] == names
    assert [layer.input_width for layer in found] == [8, 8, 64, 64]
    below = torch.nn.RNN(8, 32, bidirectional=True)
    below.load_state_dict({n: p for n, p in before.items() if "_l0" in n})
    x = torch.randn(16, 4, 8, generator=seeded(), dtype=torch.float64).float()
    with torch.no_grad():
        R = float(below(x)[0].double().square().mean())
    assert abs(found.layers[2].inputs.R - R) < 1e-5 * R
    assert found.layers[0].inputs == mft.Inputs()


def test_data_decide_what_the_theory_sees() -> None:
    torch.manual_seed(0)
    module = torch.nn.RNN(8, 64, batch_first=True)
    data = 3.0 * torch.randn(30, 50, 8, generator=seeded())
    found = diagnose(module, 10, data=data, sequences=16, burn_in=30, **FEW)
    assert abs(found.layers[0].inputs.R - 9.0) < 9.0 * 4.0 * math.sqrt(2 / (40 * 16 * 8))
    assert "16 of the given sequences, 40 steps each" in found.source
    short = diagnose(module, 100, data=data, **FEW)
    # At most a quarter of the 50 steps is burn-in.
    assert len(short.layers[0].measured.log10) == 38
    assert any("followed over 38 of 100 steps" in w for w in short.layers[0].warnings)
    assert "continued" in short.report()


def test_records_are_json_and_words(vanishing) -> None:
    found = json.loads(json.dumps(vanishing.to_dict(), allow_nan=False))
    assert found["healthy"] is False
    (layer,) = found["layers"]
    assert layer["verdict"] == "vanishing"
    assert layer["tied"]["chi_1"] == pytest.approx(math.exp(layer["tied"]["growth"]))
    assert len(layer["measured"]["log10_m_1_over_horizons"]) == 20
    assert layer["gates"][0]["name"] == "e"
    text = vanishing.report()
    for part in ("gradients vanish", "log10 m_1(20)", "sigma_w", "ordered phase", "isometry"):
        assert part in text
    assert "not healthy" in repr(vanishing)


class _Page(HTMLParser):
    """Tags that are open, and addresses that something would be loaded from."""

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_everything_it_shows(vanishing, tmp_path) -> None:
    path = tmp_path / "page.html"
    vanishing.to_html(path)
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.loads
    assert all(each.startswith(("data:", "#")) for each in page.loads)
    assert "Gradients vanish over 20 steps." in text
    assert text.count("<img") == 2


@pytest.mark.parametrize("kind", ["no recurrence", "closed gates"])
def test_a_network_without_a_path_is_no_error(tmp_path, kind) -> None:
    module = torch.nn.RNN(8, 32) if kind == "no recurrence" else torch.nn.LSTM(8, 16)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        if kind == "closed gates":
            module.bias_ih_l0.fill_(-1e4)
    found = diagnose(module, 5, **FEW)
    assert found.layers[0].log10_mean == -math.inf
    found.to_html(tmp_path / "page.html")
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.slow
def test_states_that_overflow_are_no_error(tmp_path) -> None:
    module = torch.nn.RNN(8, 32, nonlinearity="relu")
    with torch.no_grad():
        module.weight_hh_l0 *= 20.0
    found = diagnose(module, 60, burn_in=5, sequences=2, probes=2, **FEW)
    (layer,) = found.layers
    assert layer.verdict == "exploding"
    assert any("grows without bound" in reason for reason in layer.tied.missing)
    assert "not known" in found.report()
    found.to_html(tmp_path / "page.html")
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"sequence_length": 0}, ParameterError, "sequence_length must be a whole number"),
        ({"sequence_length": 5, "threshold": -1.0}, ParameterError, "threshold must be"),
        ({"sequence_length": 5, "probes": 0}, ParameterError, "probes must be"),
        ({"sequence_length": 5, "data": torch.zeros(9, 2, 3)}, ParameterError, "with 8 features"),
    ],
)
def test_arguments_outside_their_domain_are_refused(arguments, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        diagnose(torch.nn.RNN(8, 16), **arguments)


def test_a_module_that_is_no_cell_is_refused() -> None:
    with pytest.raises(CellError, match="forward"):
        diagnose(torch.nn.Linear(8, 16), 5)


def test_hints_say_which_tensor_is_the_state() -> None:
    """`diagnose` and `apply_` take the hints of `from_torch`; PyTorch's own layers need none."""

    class Ambiguous(torch.nn.Module):
        """Returns an output as wide as its state before it."""

        def __init__(self) -> None:
            super().__init__()
            self.V, self.W = torch.nn.Linear(4, 32), torch.nn.Linear(32, 32)

        def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            new = torch.tanh(self.V(x) + self.W(h))
            return 2.0 * new, new

    options = {"particles": 1024, "advice": False}
    with pytest.raises(CellError, match="returned=0"):
        diagnose(Ambiguous(), 20, **options)
    ensemble = cells.vanilla().ensemble(e={"sigma_w": 1.7, "sigma_v": 0.3})
    module = apply_(ensemble, Ambiguous(), cell=cells.vanilla(), returned=1)
    found = diagnose(module, 20, returned=1, **options)
    assert [s.name for s in found.layers[0].cell.states] == ["h"]
    (gate,) = found.layers[0].gates
    # The standard deviation of 1024 entries is known to 1 / sqrt(2048) = 2.2 % of itself.
    assert gate.sigma_w == pytest.approx(1.7, rel=0.09)
    with pytest.raises(CellError, match="read as it is"):
        diagnose(torch.nn.LSTM(4, 8), 20, returned=1, **options)
