"""Source text for other frameworks: executed, and held to the ensemble's statistics and layouts.

Where Flax and Keras are installed, their own cells run on what the texts give; where they are not,
their equations, typed by hand below, do.
"""

from __future__ import annotations

import ast
import os
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rnnmft import cells
from rnnmft.activations import relu
from rnnmft.cells import (
    Cell,
    ChronoBias,
    Constant,
    Ensemble,
    LogUniform,
    Normal,
    Preactivation,
    State,
    Uniform,
)
from rnnmft.errors import ParameterError
from rnnmft.initialization.source import source
from rnnmft.tracing import recurrent_layers
from tests.initialization.deviations import deviations
from tests.initialization.test_modules import GRU, LSTM, RNN

INPUTS, UNITS = 24, 96
# The GRU whose reset gate acts before the product.
GRU_BEFORE = cells.gru().ensemble(
    r={"sigma_w": 0.9, "sigma_b": 0.2}, z={"sigma_v": 0.6, "mu_b": 1.0}, n={"sigma_w": 1.3}
)
ENSEMBLES = {"lstm": LSTM, "gru_torch": GRU, "gru": GRU_BEFORE, "vanilla": RNN}


def run(text):
    """The names that a text defines; it may import what it needs, and nothing of rnnmft."""
    imported = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= {"numpy", "torch"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(ast.parse(text)))
    names = {}
    exec(compile(text, "source", "exec"), names)
    return names


def drawn(ensemble, seed=0, inputs=INPUTS, units=UNITS):
    """{gate: (W, V, b)} from the text for NumPy, as torch tensors."""
    found = run(source(ensemble, "numpy"))["initialize"](inputs, units, seed=seed)
    return {n: tuple(torch.from_numpy(p[k]) for k in "WVb") for n, p in found.items()}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_the_numpy_text_draws_the_ensemble(name) -> None:
    found = deviations(drawn(ENSEMBLES[name], units=320, inputs=64), ENSEMBLES[name])
    assert len(found) >= 6
    assert {k: z for k, (z, _) in found.items() if abs(z) > 4.0} == {}
    moved = deviations(drawn(ENSEMBLES[name], units=320), ENSEMBLES[name], moved=1.02)
    large = [z for key, (z, n) in moved.items() if key.startswith("dev") and n >= 80_000]
    assert large
    assert all(abs(z) > 4.0 for z in large)


@pytest.mark.parametrize("name", ["lstm", "gru_torch"])
def test_orthogonal_gates_are_orthogonal(name) -> None:
    ensemble = ENSEMBLES[name]
    kinds = {n for n, law in ensemble.items() if law.weights == "orthogonal"}
    assert kinds
    for gate, (w, _, _) in drawn(ensemble).items():
        gram = w.T @ w / max(ensemble[gate].sigma_w, 1e-9) ** 2
        assert torch.allclose(gram, torch.eye(UNITS, dtype=w.dtype), atol=1e-12) is (gate in kinds)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("lstm", lambda: torch.nn.LSTM(64, 320, 2)),
        ("gru_torch", lambda: torch.nn.GRU(64, 320, bidirectional=True, dtype=torch.float64)),
        ("vanilla", lambda: torch.nn.RNN(64, 320)),
        ("lstm", lambda: torch.nn.LSTMCell(64, 320)),
    ],
    ids=["LSTM", "GRU", "RNN", "LSTMCell"],
)
def test_the_pytorch_text_draws_the_ensemble_into_a_module(name, make) -> None:
    ensemble, module = ENSEMBLES[name], make()
    before = torch.get_rng_state()
    dtypes = [p.dtype for p in module.parameters()]
    names = run(source(ensemble, "pytorch"))
    names["initialize_"](module, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert [p.dtype for p in module.parameters()] == dtypes
    found = {}
    for layer in recurrent_layers(module):
        found |= deviations(layer.parameters(), ensemble, f" in {layer.name}")
        for gate, (w, _, _) in layer.parameters().items():
            if ensemble[gate].weights == "orthogonal":
                gram = w.double().T @ w.double() / ensemble[gate].sigma_w ** 2
                assert torch.allclose(gram, torch.eye(320, dtype=gram.dtype), atol=1e-6)
    assert {k: z for k, (z, _) in found.items() if abs(z) > 4.0} == {}
    if name != "gru_torch":
        assert not any(p.any() for n, p in module.named_parameters() if n.startswith("bias_hh"))


def test_the_pytorch_text_refuses_a_module_without_biases() -> None:
    initialize_ = run(source(LSTM, "pytorch"))["initialize_"]
    with pytest.raises(ValueError, match="bias=True"):
        initialize_(torch.nn.LSTM(3, 4, bias=False))


def test_the_pytorch_text_scales_layers_above() -> None:
    initialize_ = run(source(RNN, "pytorch"))["initialize_"]
    plain, gained = (
        initialize_(torch.nn.RNN(3, 4, 2), torch.Generator().manual_seed(0), layer_gain=gain)
        for gain in (1.0, 3.0)
    )
    assert torch.equal(plain.weight_ih_l0, gained.weight_ih_l0)
    assert torch.allclose(3.0 * plain.weight_ih_l1, gained.weight_ih_l1)


# --- layouts: one step of each framework's cell, against the zoo's equations ---------------------


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def zoo_step(name, parts, x, h, c):
    """The new states by the zoo's equations."""
    w, v, b = ({g: p[j].numpy() for g, p in parts.items()} for j in range(3))

    def e(gate, seen=h):
        return w[gate] @ seen + v[gate] @ x + b[gate]

    if name == "lstm":
        new = sigmoid(e("f")) * c + sigmoid(e("i")) * np.tanh(e("g"))
        return sigmoid(e("o")) * np.tanh(new), new
    if name == "vanilla":
        return np.tanh(e("e")), c
    r, z = sigmoid(e("r")), sigmoid(e("z"))
    if name == "gru":
        return z * h + (1 - z) * np.tanh(e("n", r * h)), c
    candidate = v["n_x"] @ x + b["n_x"] + r * (w["n_h"] @ h + b["n_h"])
    return z * h + (1 - z) * np.tanh(candidate), c


def flax_step(name, params, x, h, c):
    """flax.linen's LSTMCell, GRUCell and SimpleCell as their documentation has them."""

    def dense(layer, value):
        return value @ params[layer]["kernel"] + params[layer].get("bias", 0.0)

    if name == "lstm":
        i, f, o = (sigmoid(dense("i" + g, x) + dense("h" + g, h)) for g in "ifo")
        new = f * c + i * np.tanh(dense("ig", x) + dense("hg", h))
        return o * np.tanh(new), new
    if name == "vanilla":
        return np.tanh(dense("i", x) + dense("h", h)), c
    r, z = (sigmoid(dense("i" + g, x) + dense("h" + g, h)) for g in "rz")
    n = np.tanh(dense("in", x) + r * dense("hn", h))
    return (1 - z) * n + z * h, c


def nnx_step(name, params, x, h, c):
    """flax.nnx's LSTMCell, GRUCell and SimpleCell, from their source."""

    def dense(layer, value):
        return value @ params[layer]["kernel"] + params[layer].get("bias", 0.0)

    if name == "lstm":
        inside = {"i": "ii", "f": "if_", "g": "ig", "o": "io"}
        i, f, g, o = (dense(inside[k], x) + dense("h" + k, h) for k in "ifgo")
        new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(new), new
    if name == "vanilla":
        return np.tanh(dense("dense_i", x) + dense("dense_h", h)), c
    x_r, x_z, x_n = np.split(dense("dense_i", x), 3)
    h_r, h_z, h_n = np.split(dense("dense_h", h), 3)
    z = sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h, c


def keras_step(name, weights, x, h, c):
    """keras.layers' LSTM, GRU (reset after or before) and SimpleRNN, from their source."""
    kernel, recurrent, bias = weights
    if name == "vanilla":
        return np.tanh(x @ kernel + h @ recurrent + bias), c
    if name == "lstm":
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(new), new
    of_input, of_state = bias if name == "gru_torch" else (bias, 0.0 * bias)
    x_z, x_r, x_h = np.split(x @ kernel + of_input, 3)
    if name == "gru":
        h_z, h_r, _ = np.split(h @ recurrent, 3)
        r = sigmoid(x_r + h_r)
        candidate = x_h + (r * h) @ np.split(recurrent, 3, axis=1)[2]
    else:
        h_z, h_r, h_h = np.split(h @ recurrent + of_state, 3)
        candidate = x_h + sigmoid(x_r + h_r) * h_h
    z = sigmoid(x_z + h_z)
    return z * h + (1 - z) * np.tanh(candidate), c


def installed_flax_step(name, params, x, h, c):
    """Flax's own cell."""
    import flax.linen

    kinds = {"lstm": "LSTMCell", "gru_torch": "GRUCell", "vanilla": "SimpleCell"}
    cell = getattr(flax.linen, kinds[name])(UNITS)
    state = (c, h) if name == "lstm" else h
    new, _ = cell.apply({"params": params}, state, x)
    return (np.asarray(new[1]), np.asarray(new[0])) if name == "lstm" else (np.asarray(new), c)


def installed_nnx_step(name, params, x, h, c):
    """Flax's own nnx cell, with the parameters written into it."""
    from flax import nnx

    kinds = {"lstm": "LSTMCell", "gru_torch": "GRUCell", "vanilla": "SimpleCell"}
    cell = getattr(nnx, kinds[name])(INPUTS, UNITS, rngs=nnx.Rngs(0))
    run(source(without_inner_bias(name), "flax_nnx"))["initialize_"](cell, seed=3)
    assert all((getattr(cell, k).kernel[...] == v["kernel"]).all() for k, v in params.items())
    state = (c, h) if name == "lstm" else h
    new, _ = cell(state, x)
    return (np.asarray(new[1]), np.asarray(new[0])) if name == "lstm" else (np.asarray(new), c)


def installed_keras_step(name, weights, x, h, c):
    """Keras' own layer, over a sequence of one step, on the backend that is installed anyway."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    kinds = {"lstm": "LSTM", "gru_torch": "GRU", "gru": "GRU", "vanilla": "SimpleRNN"}
    options = {"reset_after": False} if name == "gru" else {}
    layer = getattr(keras.layers, kinds[name])(UNITS, return_state=True, **options)
    layer.build((1, 1, INPUTS))
    layer.set_weights(weights)
    state = [h[None], c[None]] if name == "lstm" else [h[None]]
    _, *new = layer(np.asarray(x[None, None], np.float32), initial_state=state)
    new = [keras.ops.convert_to_numpy(s)[0] for s in new]
    return new[0], new[1] if name == "lstm" else c


def without_inner_bias(name):
    """The ensemble, without the bias inside the GRU's reset gate, which nnx does not have."""
    given = ENSEMBLES[name]
    if name != "gru_torch":
        return given
    laws = {
        n: replace(law, mu_b=0.0, sigma_b=0.0) if n == "n_h" else law for n, law in given.items()
    }
    return Ensemble(laws, given.parameters)


LAYOUTS = {"flax": flax_step, "flax_nnx": nnx_step, "keras": keras_step}
LAYOUTS |= {"flax, installed": installed_flax_step} if find_spec("flax") else {}
LAYOUTS |= {"flax_nnx, installed": installed_nnx_step} if find_spec("flax") else {}
LAYOUTS |= {"keras, installed": installed_keras_step} if find_spec("keras") else {}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:keras")
@pytest.mark.parametrize("framework", LAYOUTS)
@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_framework_computes_the_zoos_cell_from_its_layout(framework, name) -> None:
    ensemble = without_inner_bias(name) if "nnx" in framework else ENSEMBLES[name]
    if "flax" in framework and name == "gru":
        with pytest.raises(ParameterError, match="reset after the product"):
            source(ensemble, framework.split(",")[0])
        return
    text = source(ensemble, framework.split(",")[0])
    layout = run(text)["initialize"](INPUTS, UNITS, seed=3)
    random = np.random.default_rng(0)
    x, h, c = (random.standard_normal(n).astype(np.float32) for n in (INPUTS, UNITS, UNITS))
    expected = zoo_step(name, drawn(ensemble, seed=3), x, h, c)
    found = LAYOUTS[framework](name, layout, x, h, c)
    for value, wanted in zip(found, expected, strict=True):
        # Sums of some 100 products in single precision.
        assert np.abs(value - wanted).max() < 100 * np.finfo(np.float32).eps


def test_elementwise_parameters_follow_their_laws() -> None:
    laws = {
        "a": Normal(1.0, 0.5),
        "b": Uniform(-1.0, 2.0),
        "c": LogUniform(0.1, 10.0),
        "d": ChronoBias(784.0),
        "k": Constant(0.7),
    }
    ensemble = Ensemble(RNN.laws, laws)
    count = 20_000
    found = run(source(ensemble, "numpy"))["initialize_elementwise"](count, seed=0)
    assert found.keys() == laws.keys()
    assert (found.pop("k") == 0.7).all()
    for name, values in found.items():
        law = laws[name]
        assert values.min() >= law.support[0]
        assert values.max() <= law.support[1]
        for n in (1, 2):
            noise = (law.moment(2 * n) - law.moment(n) ** 2) ** 0.5 / count**0.5
            assert abs((values**n).mean() - law.moment(n)) < 4.0 * noise
    with pytest.raises(ParameterError, match="no twin"):
        source(ensemble, "pytorch")


def test_one_seed_gives_one_network_in_every_framework() -> None:
    (w, _, b), layout = drawn(RNN, seed=5)["e"], run(source(RNN, "keras"))["initialize"]
    _, recurrent, bias = layout(INPUTS, UNITS, seed=5)
    assert np.array_equal(recurrent, w.numpy().T.astype(np.float32))
    assert np.array_equal(bias, b.numpy().astype(np.float32))
    assert not np.array_equal(layout(INPUTS, UNITS, seed=6)[1], recurrent)


def test_a_cell_of_ones_own_is_recognised_under_its_names() -> None:
    h = State("h")
    gate = Preactivation("gate", h)
    own = Cell("own", update={h: relu(gate)})
    text = source(own.ensemble(gate={"sigma_w": 1.25}), "keras", own)
    assert '"e": (1.25, 1.0, 0.0, 0.0, "gaussian"),' in text
    minimal = cells.minimal()
    with pytest.raises(ParameterError, match="no twin of the cell 'minimal'"):
        source(minimal.ensemble(), "flax", minimal)
    assert "minimal cell" in source(minimal.ensemble(), "numpy", minimal)


class NnxCell:
    """Layers with parameters, as a cell of flax.nnx holds them."""

    def __init__(self, layers):
        self.in_features, self.hidden_features = 3, 4
        for layer, values in layers.items():
            made = {n: np.zeros(v.shape, "f2") for n, v in values.items()}
            setattr(self, layer, SimpleNamespace(**made))


def test_the_nnx_text_writes_into_a_cell() -> None:
    names = run(source(LSTM, "flax_nnx"))
    wanted = names["initialize"](3, 4, seed=1)
    cell = names["initialize_"](NnxCell(wanted), seed=1)
    assert cell.if_.kernel.dtype == np.float16
    for layer, values in wanted.items():
        for name, value in values.items():
            found = getattr(getattr(cell, layer), name)
            assert np.array_equal(found, value.astype("f2"))
    assert wanted["hf"]["bias"].any()


def test_a_bias_inside_the_reset_gate_has_no_place_in_nnx() -> None:
    with pytest.raises(ParameterError, match="no bias inside its reset gate, and 'n_h' has one"):
        source(cells.gru_torch().ensemble(n_h={"mu_b": 0.5}), "flax_nnx")


def test_an_unknown_framework_is_refused() -> None:
    with pytest.raises(
        ParameterError, match="one of pytorch, flax, flax_nnx, keras, numpy, got 'mxnet'"
    ):
        source(RNN, "mxnet")


@pytest.mark.parametrize("framework", ["numpy", "pytorch", "flax", "flax_nnx", "keras"])
def test_numbers_are_written_exactly(framework) -> None:
    sigma = 1.0 / 3.0
    text = source(cells.vanilla().ensemble(e={"sigma_w": sigma}), framework)
    assert run(text)["GATES"]["e"][0] == sigma
