"""Cells from PyTorch modules: the traced cell steps exactly as the module, and the rest is refused.

The reference is the module itself. Its step is compared with the cell's: preactivations from the
matrices and vectors that `Traced` reads from the module, everything else by the compiled updates.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import linecache

import pytest
import sympy as sp
import torch
from torch import nn

from rnnmft import Cell, CellError, ParameterError, cells
from rnnmft.cells import from_torch
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.tracing import trace
from tests.tracing import modules

BATCH, STEPS = 5, 4
N_IN, N = modules.N_IN, modules.N
# Every step is compared from the module's own states, so nothing piles up: some 50 roundings of
# numbers up to 50 (the powers and exponentials below) are 50 * 50 * 2e-16 < 1e-12.
TOLERANCE = 1e-12

KINDS = (
    lambda: nn.RNNCell(N_IN, N),
    lambda: nn.RNNCell(N_IN, N, nonlinearity="relu", bias=False),
    lambda: nn.GRUCell(N_IN, N),
    lambda: nn.LSTMCell(N_IN, N),
    *modules.TRACEABLE,
)
IDS = ["RNNCell", "RNNCell-relu", "GRUCell", "LSTMCell"]
IDS += [kind.__name__ for kind in modules.TRACEABLE]


@functools.cache
def made(kind):
    """A module in double precision and its trace, shared by the tests of this file."""
    torch.manual_seed(1)
    module = kind().double().eval()
    return module, trace(module)


def cell_step(traced, module, x, states, parameters=None, elementwise=None):
    """The new states, {name: tensor}, from matrices and vectors that are read from the module."""
    parameters = parameters or traced.parameters(module)
    fixed = elementwise or traced.elementwise_parameters(module)
    cell = traced.cell
    values = {s: states[s.name] for s in cell.states}
    values |= {p: fixed[p.name].expand_as(states[cell.states[0].name]) for p in cell.parameters}
    if cell.input is not None:
        values[cell.input] = x
    for p in cell.order:
        if p in cell.averages:
            values[p] = evaluate(p.of, values).mean(-1, keepdim=True)
            continue
        w, v, b = parameters[p.name]
        e = b.expand(*x.shape[:-1], N)
        if p.is_recurrent:
            e = e + evaluate(cell.sees[p], values) @ w.T
        if p.has_input:
            e = e + x @ v.T
        values[p] = e
    return {s.name: evaluate(f, values) for s, f in cell.update.items()}


def evaluate(expression, values):
    (result,) = compiled(expression, tuple(values))(*values.values())
    return result


@functools.cache
def compiled(expression, symbols):
    return compile_elementwise([expression], symbols, "torch")


def module_step(module, traced, x, states):
    """The new states by the module itself, called as its forward wants it."""
    given = [states[name] for name in traced.states]
    if isinstance(module, modules.CoupledLSTM):
        result = module(x, *given)
    else:
        result = module(x, tuple(given) if len(given) > 1 else given[0])
    flat = []
    for part in result if isinstance(result, tuple) else (result,):
        flat += part if isinstance(part, tuple) else [part]
    return dict(zip(traced.states, flat[-len(given) :], strict=True))


def largest_difference(module, traced, steps=STEPS, **changed):
    generator = torch.Generator().manual_seed(2)
    vectors = isinstance(module, modules.LeakyRNN)  # its products from the left take no batch
    lead = () if vectors else (BATCH,)

    def draw(size):
        return torch.randn(*lead, size, generator=generator, dtype=torch.float64)

    states = {name: draw(N) for name in traced.states}
    worst = 0.0
    with torch.no_grad():
        for _ in range(steps):
            x = draw(traced.input_width)
            theirs = module_step(module, traced, x, states)
            ours = cell_step(traced, module, x, states, **changed)
            worst = max(worst, *(float((ours[n] - theirs[n]).abs().max()) for n in traced.states))
            states = theirs
    return worst


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_cell_steps_as_the_module(kind):
    assert largest_difference(*made(kind)) <= TOLERANCE


@pytest.mark.parametrize("kind", [modules.MGU, modules.FastGRNN, modules.StackedWeights])
def test_control_one_wrong_number_is_seen(kind):
    """Any single matrix or vector that is read 1e-9 too large makes the comparison fail."""
    module, traced = made(kind)
    for name, parts in traced.parameters(module).items():
        for place, part in enumerate(parts):
            if part is None or not part.any():
                continue
            wrong = traced.parameters(module)
            wrong[name] = tuple(p + 1e-9 if j == place else p for j, p in enumerate(parts))
            assert largest_difference(module, traced, 1, parameters=wrong) > 10 * TOLERANCE
    for name in traced.elementwise:
        fixed = traced.elementwise_parameters(module)
        fixed[name] = fixed[name] + 1e-9
        assert largest_difference(module, traced, 1, elementwise=fixed) > 10 * TOLERANCE


def test_pytorchs_cells_are_those_of_the_zoo():
    from rnnmft.activations import relu

    lstm, rnn, rectified, gru = (
        made(kind)[1].cell for kind in (KINDS[3], KINDS[0], KINDS[1], KINDS[2])
    )
    assert lstm == cells.lstm()
    assert rnn == cells.vanilla()
    assert rectified == cells.vanilla(relu)
    zoo = cells.gru_torch()
    assert gru.sees == zoo.sees
    (ours,), (theirs,) = gru.update.values(), zoo.update.values()
    assert sp.expand(ours - theirs) == 0


STRUCTURE = {
    modules.MGU: ("h", {"f": "h", "candidate": "h*sigmoid(f)"}, ()),
    modules.UGRNN: ("h", {"g": "h", "c": "h"}, ()),
    modules.SRU: ("c", {"u": "0", "f": "0"}, ("v_f",)),
    modules.FastGRNN: ("h", {"pre": "h"}, ("bias_gate", "bias_update")),
    modules.STAR: ("h", {"K": "h", "z": "0"}, ()),
    modules.MinLSTM: ("h", {"forget": "0", "admit": "0", "candidate": "0"}, ()),
    modules.IndRNN: ("h", {"e": "0"}, ("u",)),
    modules.PeepholeLSTM: ("h, c", dict.fromkeys("ifgo", "h"), ("p_f", "p_i", "p_o")),
    modules.CoupledLSTM: ("h, c", dict.fromkeys("fgo", "h"), ()),
    modules.LeakyRNN: ("h", {"drive": "tanh(h)"}, ()),
    modules.GRUResetBefore: ("h", {"r": "h", "z": "h", "candidate": "h*sigmoid(r)"}, ()),
    modules.RAN: ("h, c", {"i": "h", "f": "h", "content": "0"}, ()),
}


@pytest.mark.parametrize("kind", STRUCTURE, ids=lambda kind: kind.__name__)
def test_names_and_structure(kind):
    """What a reader of the module would write down, under the module's own names."""
    states, sees, parameters = STRUCTURE[kind]
    cell = made(kind)[1].cell
    assert cell.name == kind.__name__
    assert ", ".join(s.name for s in cell.states) == states
    assert {p.name: str(y) for p, y in cell.sees.items()} == sees
    assert tuple(p.name for p in cell.parameters) == parameters


def test_dense_peepholes_are_preactivations_of_their_own():
    cell = made(modules.DensePeepholeLSTM)[1].cell
    seen = {p.name: (str(cell.sees[p]), p.has_input) for p in cell.preactivations}
    assert seen["i"] == ("h", True)
    assert seen["ci"] == ("c", False)
    assert seen["co"] == ("c*sigmoid(cf + f) + tanh(g)*sigmoid(ci + i)", False)


def test_a_scalar_is_the_number_that_it_is():
    module, traced = made(modules.FastRNN)
    assert dict(traced.numbers) == {"alpha": -3.0, "beta": 3.0}
    h = traced.cell.states[0]
    gain = torch.sigmoid(module.beta.detach()).item()
    assert float(traced.cell.update[h].coeff(h)) == pytest.approx(gain, rel=1e-15)


def test_a_changed_scalar_is_noticed():
    module = modules.FastRNN()
    traced = trace(module)
    traced.parameters(module)
    with torch.no_grad():
        module.alpha.add_(1.0)
    with pytest.raises(CellError, match=r"'alpha' was -3.0 .* and is -2.0 now"):
        traced.parameters(module)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_what_is_written_is_what_the_module_does(kind):
    """Random W, V, b and elementwise parameters go in, come out, and make the module's step."""
    torch.manual_seed(3)
    module = kind().double().eval()
    traced = made(kind)[1]
    new = {
        name: tuple(None if part is None else torch.randn_like(part) for part in parts)
        for name, parts in traced.parameters(module).items()
    }
    for name, (w, v, _) in new.items():
        if not traced.bindings[name].bias:
            new[name] = (w, v, torch.zeros(N, dtype=torch.float64))
    fixed = {n: torch.randn_like(p) for n, p in traced.elementwise_parameters(module).items()}
    assert traced.write_(module, new, fixed) is module
    back = traced.parameters(module)
    for name, parts in new.items():
        for mine, theirs in zip(parts, back[name], strict=True):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert torch.allclose(mine, theirs, rtol=1e-15, atol=0)
    for name, values in fixed.items():
        assert torch.equal(values, traced.elementwise_parameters(module)[name])
    assert largest_difference(module, traced, 1, parameters=new, elementwise=fixed) <= TOLERANCE


def test_of_two_biases_one_gets_all_and_the_other_zero():
    module = nn.LSTMCell(N_IN, N)
    traced = trace(module)
    (w, v, b) = traced.parameters(module)["f"]
    rows = slice(N, 2 * N)
    assert torch.equal(w, module.weight_hh[rows])
    assert torch.equal(v, module.weight_ih[rows])
    assert torch.allclose(b, (module.bias_ih + module.bias_hh)[rows], rtol=1e-6)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    traced.write_(module, {"f": (None, None, torch.ones(N))})
    halves = (module.bias_ih[rows].detach(), module.bias_hh[rows].detach())
    assert sorted(float(part.sum()) for part in halves) == [0.0, float(N)]
    for name, parameter in module.named_parameters():
        kept = torch.ones(4 * N, dtype=torch.bool)
        kept[rows] = not name.startswith("bias")
        assert torch.equal(parameter[kept], before[name][kept])


WRONG_WRITES = {
    "unknown": ({"q": (None, None, None)}, "unknown preactivation 'q'; this cell has e"),
    "shape": ({"e": (torch.zeros(2, 2), None, None)}, r"W of 'e' must be a tensor of shape \(4, 4"),
    "no bias": ({"e": (None, None, torch.ones(N))}, "b of 'e' cannot be written"),
    "no tensor": ({"e": (None, 0.5, None)}, "V of 'e' must be a tensor of shape"),
}


@pytest.mark.parametrize("case", WRONG_WRITES)
def test_a_wrong_write_is_refused_and_writes_nothing(case):
    values, message = WRONG_WRITES[case]
    module, traced = made(KINDS[1])
    before = [p.detach().clone() for p in module.parameters()]
    good = torch.zeros(N, N, dtype=torch.float64)
    with pytest.raises(ParameterError, match=message):
        traced.write_(module, {"e": (good, None, None), **values})
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))


def test_another_module_is_told_apart():
    traced = made(KINDS[3])[1]
    with pytest.raises(CellError, match="has no parameter 'weight_hh'"):
        traced.parameters(modules.MGU())
    with pytest.raises(CellError, match="which is not that of the module that was traced"):
        traced.parameters(nn.LSTMCell(N_IN, N - 1))


def refused_line(kind):
    """(file, line) of the comment "refused here" in a class or its parents."""
    for one in kind.__mro__:
        if one.__module__ == modules.__name__:
            source, first = inspect.getsourcelines(one)
            for offset, line in enumerate(source):
                if "# refused here" in line:
                    return modules.__file__, first + offset
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", modules.REFUSED, ids=lambda kind: kind.__name__)
def test_what_is_no_cell_is_refused_at_its_line(kind, capfd):
    file, line = refused_line(kind)
    with pytest.raises(CellError) as caught:
        from_torch(kind())
    message = str(caught.value)
    assert modules.REFUSED[kind] in message
    assert f"{file}:{line}: {linecache.getline(file, line).strip()}" in message
    assert message.startswith(f"cannot trace {kind.__name__}")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", modules.FORGETFUL, ids=lambda kind: kind.__name__)
def test_a_memory_beside_the_states_is_refused(kind):
    with pytest.raises(CellError, match=modules.FORGETFUL[kind]):
        from_torch(kind())


@pytest.mark.parametrize(
    "kind", [modules.Wrapped, modules.Remembering, modules.KeepingTensors, modules.LiGRUBatchNorm]
)
def test_a_trace_leaves_the_module_as_it_was(kind):
    module = kind()
    module.requires_grad_(True)
    next(module.children()).eval()
    modes = [m.training for m in module.modules()]
    tensors = {n: (id(t), t.detach().clone()) for n, t in module.state_dict(keep_vars=True).items()}
    attributes = {*vars(module)}
    random = torch.random.get_rng_state()
    with contextlib.suppress(CellError):
        from_torch(module)
    assert [m.training for m in module.modules()] == modes
    assert True in modes
    assert False in modes
    after = module.state_dict(keep_vars=True)
    assert {n: id(t) for n, t in after.items()} == {n: i for n, (i, _) in tensors.items()}
    assert all(torch.equal(after[n], value) for n, (_, value) in tensors.items())
    assert all(p.requires_grad for p in module.parameters())
    assert {*vars(module)} == attributes
    assert torch.equal(torch.random.get_rng_state(), random)


class Function(nn.Module):
    """h' = sum of c_k f_k(W h + V x + b): elementwise functions, a few at a time."""

    def __init__(self, *functions):
        super().__init__()
        self.W, self.V = nn.Linear(N, N), nn.Linear(N_IN, N)
        self.functions = functions

    def forward(self, x, h):
        e = self.W(h) + self.V(x)
        return sum((0.5 + k) * f(e) for k, f in enumerate(self.functions))


F = nn.functional
FUNCTIONS = {
    "smooth": (F.silu, F.gelu, F.mish, torch.erf, torch.sin, torch.cos, torch.special.expit),
    "exponentials": (torch.exp, torch.expm1, F.softplus, F.logsigmoid, torch.special.erfc),
    "softplus with beta": (lambda e: F.softplus(e, beta=2.0), lambda e: (1 + e.exp()).log()),
    "gelu by tanh": (lambda e: F.gelu(e, approximate="tanh"), F.tanhshrink),
    "kinks": (F.relu, torch.abs, F.leaky_relu, F.softsign, lambda e: F.leaky_relu(e, 0.2)),
    "hard": (F.hardtanh, F.hardsigmoid, F.hardswish, F.relu6, lambda e: F.hardtanh(e, -0.2, 0.5)),
    "exponential kinks": (F.elu, F.selu, F.celu, lambda e: F.celu(e, 0.3)),
    "clamps": (lambda e: e.clamp(min=0), lambda e: e.clamp(max=0.3), lambda e: e.clamp(-0.1, 0.7)),
    "two": (lambda e: torch.maximum(e, e**2), lambda e: torch.minimum(-e, e**3)),
    "powers": (lambda e: e**2, lambda e: torch.pow(e, 3), torch.square),
    "roots": (lambda e: torch.sigmoid(e).sqrt(), lambda e: torch.exp(e).rsqrt()),
    "quotients": (lambda e: 1 / (1 + torch.exp(-e)), lambda e: e / (2 + e.abs()), torch.sigmoid),
    "reversed": (lambda e: 1 - e, lambda e: 2.0 / (1 + e**2), torch.neg),
    "lerp": (lambda e: torch.lerp(e, e.tanh(), 0.3), lambda e: torch.lerp(e, -e, e.sigmoid())),
    "fused": (lambda e: torch.addcmul(e, e, e, value=0.5), lambda e: torch.log1p(e.exp())),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_elementwise_functions_are_exact(kind):
    torch.manual_seed(4)
    module = Function(*FUNCTIONS[kind]).double()
    assert largest_difference(module, trace(module), 1) <= TOLERANCE


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda e: e**0.3, "the power 0.3"),
        (torch.tan, "tan"),
        (torch.round, "round"),
        (lambda e: e.flip(-1), "moves units"),
        (lambda e: e - e.sum(-1, keepdim=True), "sum"),
        (lambda e: e[:, ::2].repeat(1, 2), "every 2th unit"),
        (lambda e: e / 0.0, "divides by zero"),
    ],
)
def test_other_functions_are_refused_by_name(function, message):
    with pytest.raises(CellError, match=message) as caught:
        from_torch(Function(function))
    assert f"{__file__}:" in str(caught.value)


def test_known_compositions_have_their_names():
    h = trace(Function(lambda e: e / (1 + e.abs()), lambda e: 1 / (1 + torch.exp(-e)))).cell
    assert {type(a).__name__ for a in h.update[h.states[0]].args for a in a.args} >= {
        "softsign",
        "sigmoid",
    }


class Sized(nn.Module):
    """A module whose parameters do not tell its sizes: one scalar gain, units by themselves."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, x, h):
        return torch.tanh(self.gain * h + x)


def test_sizes_can_be_given():
    with pytest.raises(CellError, match=r"pass them, as in from_torch\(module, states="):
        from_torch(Sized())
    cell = from_torch(Sized(), states={"s": 6}, input=6, name="sized")
    assert repr(cell) == "Cell 'sized': states s; preactivations none; input x elementwise"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"states": "h"}, "states must be names"),
        ({"states": {"h": 4, "c": 5}}, "no call of it fits"),
        ({"states": {"h": 9}}, "no call of it fits"),
        ({"states": ("h", "c")}, "no call of it fits"),
        ({"input": 9}, "no call of it fits"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(CellError, match=message):
        from_torch(modules.Simple(), **arguments)


def test_states_can_be_renamed():
    cell = from_torch(modules.RAN(), states=("y", "m"))
    assert [s.name for s in cell.states] == ["y", "m"]


class HiddenFirst(modules.Simple):
    def forward(self, hidden, inputs):
        return [torch.tanh(self.pre(inputs, hidden))]


class Separate(modules.Simple):
    def forward(self, x, h_prev, gate=None, scale=2):
        new = scale * torch.tanh(self.pre(x, h_prev))
        return new if gate is None else gate * new


@pytest.mark.parametrize(
    ("kind", "call"),
    [(HiddenFirst, lambda m, x, h: m(h, x)[0]), (Separate, modules.Simple.__call__)],
)
def test_ways_to_call_a_module(kind, call):
    """The state before the input, a list as result, further arguments with defaults."""
    torch.manual_seed(6)
    module = kind().double()
    traced = trace(module)
    assert traced.states == ("h",)
    h, x = torch.randn(BATCH, N, dtype=torch.float64), torch.randn(BATCH, N_IN, dtype=torch.float64)
    ours = cell_step(traced, module, x, {"h": h})["h"]
    assert (ours - call(module, x, h)).abs().max() <= TOLERANCE


class NoState(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (nn.LSTM(N_IN, N), r"LSTM runs over a sequence; give its cell, torch.nn.LSTMCell"),
        (nn.LazyLinear(4), "call it once"),
        (NoState(), r"must take the input and the state"),
        ("lstm", "takes a torch.nn.Module that is a cell, got 'lstm'"),
    ],
    ids=["sequence", "lazy", "no state", "no module"],
)
def test_what_is_no_cell_module_is_refused(thing, message):
    with pytest.raises(CellError, match=message):
        from_torch(thing)


def other_forward(self, x, h):
    return torch.tanh(self.pre(x, h)) + torch.softmax(h, -1)


def test_without_a_line_the_file_is_named():
    """torch records the lines of functions called forward alone."""
    kind = type("Renamed", (modules.Simple,), {"forward": other_forward, "__module__": __name__})
    with pytest.raises(CellError, match=r"softmax .* at an unknown line of .*test_from_torch.py$"):
        from_torch(kind())


def test_an_old_torch_is_named(monkeypatch):
    monkeypatch.delattr(torch.export, "default_decompositions")
    with pytest.raises(CellError, match=r"torch 2.10 or newer .* not 2\."):
        from_torch(modules.MGU())


class HeldTwice(modules.Simple):
    """The recurrent matrix under two names, used once each: still one matrix in two places."""

    def __init__(self):
        super().__init__()
        self.again = self.recurrent

    def forward(self, x, h):
        return torch.tanh(self.pre(x, h)) + torch.sigmoid(self.again(h * h))


def test_one_matrix_under_two_names_is_one_matrix():
    with pytest.raises(CellError, match=r"'recurrent.weight' has two places"):
        from_torch(HeldTwice())


class SharedSum(modules.Simple):
    """W h alone in one place and W h + V x + b in another: two preactivations, W in one of them."""

    def forward(self, x, h):
        own = self.recurrent(h)
        return torch.tanh(own + self.input(x)) - 0.1 * torch.relu(2 * own)


def test_what_is_shared_stays_shared():
    torch.manual_seed(5)
    module = SharedSum().double()
    traced = trace(module)
    assert {p.name: (p.is_recurrent, p.has_input) for p in traced.cell.preactivations} == {
        "own": (True, False),
        "e": (False, True),
    }
    assert largest_difference(module, traced) <= TOLERANCE


class Awkward(nn.Module):
    """Names that cannot be used: keywords, functions, those of states, arguments of ensembles."""

    def __init__(self):
        super().__init__()
        for name in ("lambda", "tanh", "h_c", "weights"):
            setattr(self, name, nn.Linear(N, N))
        self.V = nn.Linear(N_IN, N)

    def forward(self, x, state):
        h, c = state
        e = [getattr(self, name)(h) for name in ("lambda", "tanh", "h_c", "weights")]
        return torch.tanh(e[0]) * e[1] + self.V(x), torch.sigmoid(e[2]) * c + torch.sin(e[3])


def test_names_are_made_usable():
    cell = from_torch(Awkward())
    names = [p.name for p in cell.preactivations]
    assert len({*names, "h", "c"}) == len(names) + 2
    assert all(name.isidentifier() for name in names)
    cell.ensemble(**{name: {"mu_b": 0.5} for name in names})
    assert isinstance(cell, Cell)
    assert names[:2] == ["lambda_", "tanh_"]
