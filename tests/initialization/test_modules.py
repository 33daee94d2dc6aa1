"""apply_: what was drawn into a module, read back from its parameters and its own gradients."""

from __future__ import annotations

import math

import pytest
import torch

from rnnmft import cells
from rnnmft.activations import tanh
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Average, Cell, ChronoBias, Inputs, Preactivation, State, Uniform
from rnnmft.errors import CellError, ParameterError
from rnnmft.experiments.trainees import Trainees
from rnnmft.initialization.matching import same_cell
from rnnmft.initialization.modules import apply_
from rnnmft.initialization.source import source
from rnnmft.tracing import recurrent_layers
from tests.initialization.deviations import deviations
from tests.stand_in_device import GPU
from tests.tracing import modules as users

LSTM = cells.lstm().ensemble(
    weights={"i": "orthogonal", "g": "orthogonal"},
    i={"sigma_w": 0.9, "sigma_v": 0.7, "mu_b": 0.1, "sigma_b": 0.2},
    f={"sigma_w": 1.1, "sigma_v": 0.6, "mu_b": 2.0, "sigma_b": 0.3},
    g={"sigma_w": 1.3, "sigma_v": 0.5, "mu_b": -0.2, "sigma_b": 0.1},
    o={"sigma_w": 0.8, "sigma_v": 0.9, "mu_b": 0.3, "sigma_b": 0.4},
)
GRU = cells.gru_torch().ensemble(
    weights={"n_h": "orthogonal"},
    r={"sigma_w": 0.9, "sigma_v": 0.7, "mu_b": 0.5, "sigma_b": 0.2},
    z={"sigma_w": 1.1, "sigma_v": 0.6, "mu_b": 1.0, "sigma_b": 0.3},
    n_x={"sigma_v": 0.5, "mu_b": -0.3, "sigma_b": 0.1},
    n_h={"sigma_w": 1.3, "mu_b": 0.2, "sigma_b": 0.25},
)
RNN = cells.vanilla().ensemble(e={"sigma_w": 1.2, "sigma_v": 0.4, "mu_b": 0.1, "sigma_b": 0.2})
ENSEMBLES = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN}
FILLED = {
    "LSTM(64, 512, 2)": lambda: torch.nn.LSTM(64, 512, 2),
    "GRU, both directions": lambda: torch.nn.GRU(64, 320, 2, bidirectional=True, batch_first=True),
    "RNN": lambda: torch.nn.RNN(64, 512),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def all_deviations(module, ensemble, moved=1.0):
    found = {}
    for layer in recurrent_layers(module):
        found |= deviations(layer.parameters(), ensemble, f" in {layer.name}", moved)
    return found


@pytest.mark.parametrize("kind", FILLED)
def test_parameters_have_the_ensembles_statistics(kind) -> None:
    module = FILLED[kind]()
    ensemble = ENSEMBLES[type(module)]
    assert apply_(ensemble, module, seeded()) is module
    found = all_deviations(module, ensemble)
    assert len(found) == {"LSTM(64, 512, 2)": 40, "GRU, both directions": 72, "RNN": 6}[kind]
    assert {k: z for k, (z, _) in found.items() if abs(z) > 4.0} == {}
    # The control: a deviation of n numbers stands 0.02 sqrt(2 n) standard errors off a law that is
    # wrong by 2 %, which is 8 from n = 80000 on.
    moved = all_deviations(module, ensemble, moved=1.02)
    large = [z for key, (z, n) in moved.items() if key.startswith("dev") and n >= 80_000]
    assert large
    assert all(abs(z) > 4.0 for z in large)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal_blocks_are_orthogonal_gate_by_gate(dtype) -> None:
    module = apply_(LSTM, torch.nn.LSTM(64, 256, 2, dtype=dtype), seeded())
    for layer in recurrent_layers(module):
        for name, (w, _, _) in layer.parameters().items():
            gram = w.double().T @ w.double() / LSTM[name].sigma_w ** 2
            off = float((gram - torch.eye(256)).abs().max())
            assert off < 1e-6 if LSTM[name].weights == "orthogonal" else off > 0.1


def test_gates_stand_where_pytorch_has_them() -> None:
    means = {"i": 1.0, "f": 2.0, "g": 3.0, "o": 4.0}
    ensemble = cells.lstm().ensemble(**{n: {"mu_b": m} for n, m in means.items()})
    module = apply_(ensemble, torch.nn.LSTM(3, 4, 2), seeded())
    for layer in (0, 1):
        assert (
            getattr(module, f"bias_ih_l{layer}").tolist()
            == [1.0] * 4 + [2.0] * 4 + [3.0] * 4 + [4.0] * 4
        )
        assert not getattr(module, f"bias_hh_l{layer}").any()


def test_the_two_biases_of_the_grus_candidate_are_two() -> None:
    ensemble = cells.gru_torch().ensemble(n_x={"mu_b": 1.0}, n_h={"mu_b": 2.0}, z={"mu_b": 3.0})
    module = apply_(ensemble, torch.nn.GRU(3, 2), seeded())
    assert module.bias_ih_l0.tolist() == [0.0, 0.0, 3.0, 3.0, 1.0, 1.0]
    assert module.bias_hh_l0.tolist() == [0.0, 0.0, 0.0, 0.0, 2.0, 2.0]


def test_a_layer_above_gets_its_gain() -> None:
    plain = apply_(RNN, torch.nn.RNN(3, 4, 2), seeded())
    gained = apply_(RNN, torch.nn.RNN(3, 4, 2), seeded(), layer_gain=3.0)
    assert torch.equal(plain.weight_ih_l0, gained.weight_ih_l0)
    assert torch.allclose(3.0 * plain.weight_ih_l1, gained.weight_ih_l1)
    assert torch.equal(plain.weight_hh_l1, gained.weight_hh_l1)


def test_a_stack_draws_each_layer_from_its_own_law() -> None:
    stack = cells.stack(cells.lstm(), 2)
    ensemble = stack.ensemble(f={"mu_b": 1.0}, f_2={"mu_b": 2.0}, g_2={"sigma_v": 3.0})
    assert stack.joined(stack.of_layers(ensemble)) == ensemble
    module = apply_(ensemble, torch.nn.LSTM(64, 256, 2), seeded(), cell=stack)
    for layer, mean in ((0, 1.0), (1, 2.0)):
        assert getattr(module, f"bias_ih_l{layer}")[256:512].tolist() == [mean] * 256
    fed = [getattr(module, f"weight_ih_l{n}").detach()[512:768] for n in (0, 1)]
    # Of n numbers, a deviation is known to 1 / sqrt(2 n): 0.6 % of 64 x 256; five of them.
    assert float(fed[0].std()) * 64**0.5 == pytest.approx(1.0, rel=0.03)
    assert float(fed[1].std()) * 256**0.5 == pytest.approx(3.0, rel=0.03)
    with pytest.raises(ParameterError, match="the stack has 2 layers, and the module has 3"):
        apply_(ensemble, torch.nn.LSTM(4, 4, 3), cell=stack)
    with pytest.raises(ParameterError, match="the ensemble is of another cell"):
        apply_(LSTM, torch.nn.LSTM(4, 4, 2), cell=stack)


# --- the module's own gradients ----------------------------------------------------------------

NETWORKS, WIDTH, SEQUENCES, PROBES, BURN_IN = 12, 160, 12, 2, 25


def measured_means(kind, ensemble, horizons):
    """m_1(T) of the T-step Jacobian, backwards through the module itself: (networks, horizons)."""
    rows = []
    for seed in range(NETWORKS):
        random = seeded(1000 + seed)
        module = apply_(ensemble, kind(64, WIDTH, dtype=torch.float64), random)
        x = torch.randn(
            BURN_IN + max(horizons), SEQUENCES, 64, generator=random, dtype=torch.float64
        )
        with torch.no_grad():
            state = module(x[:BURN_IN])[1]
        start = [s.clone().requires_grad_() for s in (state if kind is torch.nn.LSTM else (state,))]
        row = []
        for horizon in horizons:
            given = tuple(start) if kind is torch.nn.LSTM else start[0]
            end = module(x[BURN_IN : BURN_IN + horizon], given)[1]
            ends = list(end) if kind is torch.nn.LSTM else [end]
            squares = 0.0
            for _ in range(PROBES):
                probe = [torch.randn(e.shape, generator=random, dtype=e.dtype) for e in ends]
                pulled = torch.autograd.grad(ends, start, probe, retain_graph=True)
                squares += sum(float(g.square().sum()) for g in pulled)
            row.append(squares / (PROBES * SEQUENCES * WIDTH * len(ends)))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    "kind",
    [
        torch.nn.RNN,
        pytest.param(torch.nn.GRU, marks=pytest.mark.slow),
        pytest.param(torch.nn.LSTM, marks=pytest.mark.slow),
    ],
)
def test_gradients_through_the_module_are_those_predicted(kind) -> None:
    # 12 networks: the bound is 4.5 standard errors (Student, 11 degrees of freedom, 1e-3) and
    # T^2 / N for the finite width.
    horizons = (1, 2, 4)
    ensemble = ENSEMBLES[kind]
    cell = {torch.nn.LSTM: cells.lstm, torch.nn.GRU: cells.gru_torch, torch.nn.RNN: cells.vanilla}
    field = MeanField(cell[kind](), ensemble, Inputs(), "tied", particles=1 << 15)
    predicted = field.jacobian_means(max(horizons))
    found = measured_means(kind, ensemble, horizons)
    error = found.std(0) / math.sqrt(NETWORKS)
    for k, horizon in enumerate(horizons):
        value = float(predicted.value[horizon - 1])
        noise = 4.5 * math.hypot(float(error[k]), float(predicted.error[horizon - 1]))
        bound = noise + value * horizon**2 / WIDTH
        assert abs(float(found[:, k].mean()) - value) < bound
        # The control: 10 % in one step, which sigma_w wrong by 5 % would make.
        assert horizon > 1 or abs(float(found[:, k].mean()) - 1.1 * value) > bound


# --- generators, dtypes, names -----------------------------------------------------------------


def flat(module):
    return torch.cat([p.detach().flatten().double() for p in module.parameters()])


def test_a_generator_makes_it_reproducible_and_leaves_the_global_one() -> None:
    before = torch.get_rng_state()
    module = torch.nn.LSTM(3, 4, 2, device="meta").to_empty(device="cpu")
    first = flat(apply_(LSTM, module, seeded(1))).clone()
    assert torch.equal(flat(apply_(LSTM, module, seeded(1))), first)
    assert not torch.equal(flat(apply_(LSTM, module, seeded(2))), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_torchs_global_seed_decides() -> None:
    module, drawn = torch.nn.GRU(3, 4), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(flat(apply_(GRU, module)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_stays_and_the_numbers_are_the_same(dtype) -> None:
    module = apply_(RNN, torch.nn.RNN(3, 4, dtype=dtype), seeded())
    single = apply_(RNN, torch.nn.RNN(3, 4), seeded())
    assert {p.dtype for p in module.parameters()} == {dtype}
    tolerance = 8 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    assert torch.allclose(flat(module), flat(single), rtol=tolerance, atol=0.0)
    assert all(p.requires_grad for p in module.parameters())


@pytest.mark.cuda
def test_the_device_stays() -> None:
    module = apply_(LSTM, torch.nn.LSTM(3, 4, 2, device=GPU), seeded())
    assert {p.device.type for p in module.parameters()} == {torch.device(GPU).type}
    assert torch.allclose(flat(module).cpu(), flat(apply_(LSTM, torch.nn.LSTM(3, 4, 2), seeded())))


def test_an_input_of_one_number() -> None:
    module = apply_(LSTM, torch.nn.LSTM(1, 512), seeded())
    v = module.weight_ih_l0[512:1024].detach()
    assert abs(float(v.std()) / 0.6 - 1.0) < 4.0 / math.sqrt(2 * 512)


def test_a_module_of_ones_own_under_other_names() -> None:
    mgu = cells.mgu()
    ensemble = mgu.ensemble("orthogonal", f={"sigma_w": 2.0, "mu_b": 1.0}, g={"sigma_w": 0.5})
    module = apply_(ensemble, users.MGU(4, 16), seeded(), cell=mgu)
    for matrix, sigma in ((module.U_f, 2.0), (module.U_h, 0.5)):
        assert torch.allclose(matrix.T @ matrix, sigma**2 * torch.eye(16), atol=1e-6)
    assert module.b_f.tolist() == [1.0] * 16
    with pytest.raises(ParameterError, match="has f, g, the module candidate, f"):
        apply_(ensemble, users.MGU(4, 16), seeded())


def test_elementwise_parameters_are_drawn_from_their_law() -> None:
    module = users.IndRNN(3, 4000)
    traced = recurrent_layers(module)[0].traced
    (name,) = traced.elementwise
    (e,) = traced.cell.preactivations
    ensemble = traced.cell.ensemble(parameters={name: Uniform(0.5, 0.7)}, **{e.name: {}})
    apply_(ensemble, module, seeded())
    drawn = traced.elementwise_parameters(module)[name]
    assert float(drawn.min()) >= 0.5
    assert float(drawn.max()) <= 0.7
    # 4 standard errors of 4000 uniform numbers.
    assert abs(float(drawn.mean()) - 0.6) < 4.0 * 0.2 / math.sqrt(12 * 4000)


# --- refusals ------------------------------------------------------------------------------------


REFUSED = {
    "projection": (LSTM, lambda: torch.nn.LSTM(3, 8, proj_size=2), None, "is of another cell"),
    "no bias": (LSTM, lambda: torch.nn.LSTM(3, 8, bias=False), None, "bias=True"),
    "another cell": (GRU, lambda: torch.nn.LSTM(3, 8), None, "is of another cell"),
    "reset before": (
        cells.gru().ensemble(),
        lambda: torch.nn.GRU(3, 8),
        None,
        "after the product.*gru_torch",
    ),
    "reset before, by its cell": (
        cells.gru().ensemble(),
        lambda: torch.nn.GRU(3, 8),
        cells.gru(),
        "after the product.*gru_torch",
    ),
    "the same names, another cell": (
        cells.peephole_lstm().ensemble(),
        lambda: torch.nn.LSTM(3, 8),
        cells.peephole_lstm(),
        "is of another cell",
    ),
    "minimal": (cells.minimal().ensemble(), lambda: torch.nn.RNN(3, 8), cells.minimal(), "another"),
    "relu": (RNN, lambda: torch.nn.RNN(3, 8, nonlinearity="relu"), cells.vanilla(), "another cell"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_written(kind) -> None:
    ensemble, make, cell, sentence = REFUSED[kind]
    module = make()
    before = flat(module).clone()
    with pytest.raises((ParameterError, CellError), match=sentence):
        apply_(ensemble, module, seeded(), cell=cell)
    assert torch.equal(flat(module), before)


def test_no_bias_is_no_obstacle_to_an_ensemble_without() -> None:
    ensemble = cells.lstm().ensemble("orthogonal")
    module = apply_(ensemble, torch.nn.LSTM(3, 8, bias=False), seeded())
    w = module.weight_hh_l0[:8]
    assert torch.allclose(w.T @ w, torch.eye(8), atol=1e-6)


def test_cells_are_told_apart_as_functions() -> None:
    for one in cells.names():
        for other in cells.names():
            found = same_cell(cells.get(one), cells.get(other))
            assert (found is not None) is (one == other), (one, other)


def test_averages_are_told_apart_by_what_they_are_of() -> None:
    """Not by their names, nor by how they are written."""

    def normalised(state: str, size: str, power: int = 2) -> Cell:
        h = State(state)
        e = Preactivation(f"e_{state}", h)
        centre = Average(f"c_{size}", e)
        square = Average(size, (e - centre) ** power if power > 2 else (centre - e) ** 2)
        return Cell("c", update={h: tanh((e - centre) / (1 + square))})

    assert same_cell(normalised("h", "q"), normalised("g", "p")) == {"e_h": "e_g"}
    assert same_cell(normalised("h", "q"), normalised("g", "p", 4)) is None


def test_a_law_of_biases_goes_into_a_layer_that_has_biases() -> None:
    """The chrono LSTM into nn.LSTM: b_f = -b_i of every unit, in every layer, of the law."""
    cell = cells.chrono_lstm()
    for law in (ChronoBias(50.0), Uniform(1.0, 3.0)):
        ensemble = cell.ensemble(parameters={"b": law}, i={"mu_b": 0.5})
        module = apply_(ensemble, torch.nn.LSTM(8, 512, 2), seeded(), cell=cell)
        for biases in (module.bias_ih_l0, module.bias_ih_l1):
            i, f, g, o = biases.detach().chunk(4)
            assert torch.allclose(0.5 - i, f, atol=1e-6)
            assert not g.any()
            assert not o.any()
            # 4 standard errors of 512 draws' mean; all of them inside the law.
            assert abs(float(f.mean()) - law.mean) < 4.0 * math.sqrt(law.variance / 512)
            low, high = law.support
            assert low - 1e-6 <= float(f.min()) < float(f.max()) <= high + 1e-6
        assert not torch.equal(module.bias_ih_l0, module.bias_ih_l1)
    with pytest.raises(ParameterError, match="which b shifts: make the module with bias=True"):
        apply_(ensemble, torch.nn.LSTM(8, 16, bias=False), seeded(), cell=cell)
    # What does more than shift has no place in a layer of PyTorch.
    laws = {"u": Uniform(0.0, 1.0)}
    with pytest.raises(ParameterError, match="another cell"):
        apply_(cells.indrnn().ensemble(parameters=laws), torch.nn.RNN(8, 16), cell=cells.indrnn())


def test_no_source_or_training_with_several_widths() -> None:
    cell = cells.get("projection_lstm")
    with pytest.raises(ParameterError, match="no source is written for 'projection_lstm'"):
        source(cell.ensemble(), "numpy", cell)
    with pytest.raises(ParameterError, match="several widths, which do not train here"):
        Trainees(cell, [cell.ensemble()], width=8, features=2, classes=2)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_a_projection_is_drawn_by_its_shape(weights) -> None:
    """Entries of variance sigma_w^2 over the columns; orthonormal rows, or columns."""
    cell = cells.get("projection_lstm")
    ensemble = cell.ensemble(weights, f={"mu_b": 2.0}, p={"sigma_w": 1.5}, g={"sigma_w": 0.8})
    module = apply_(ensemble, torch.nn.LSTM(3, 64, proj_size=16).double(), seeded(), cell=cell)
    p, g = module.weight_hr_l0.detach(), module.weight_hh_l0.detach()[128:192]
    assert (p.shape, g.shape) == ((16, 64), (64, 16))
    assert module.bias_ih_l0[64:128].tolist() == [2.0] * 64
    if weights == "gaussian":
        for w, sigma in ((p, 1.5), (g, 0.8)):  # 5 standard errors of the mean of 1024 squares
            size = float(w.square().mean() * w.shape[1])
            assert abs(size / sigma**2 - 1.0) < 5.0 * math.sqrt(2.0 / 1024)
        return
    one = torch.eye(16, dtype=torch.float64)
    assert torch.allclose(p @ p.T, 1.5**2 * one, atol=1e-6)
    assert torch.allclose(g.T @ g, 0.8**2 * 64 / 16 * one, atol=1e-6)
