"""The tables: every activation is there, right in its tails, and the same on NumPy and torch."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch

import rnnmft.activations as act
from rnnmft.errors import CompileError, ParameterError
from rnnmft.numerics.backends import get_backend, numpy_backend, register, torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.numerics.devices import choose_device
from tests.stand_in_device import GPU

BACKENDS = [
    numpy_backend("float64"),
    numpy_backend("float32"),
    torch_backend("cpu", "float64"),
    torch_backend("cpu", "float32"),
    pytest.param("cuda64", marks=pytest.mark.cuda),
    pytest.param("cuda32", marks=pytest.mark.cuda),
]


def _name(backend) -> str:
    return backend if isinstance(backend, str) else f"{backend.name}-{backend.dtype}"


@pytest.fixture(params=BACKENDS, ids=_name)
def backend(request):
    if isinstance(request.param, str):
        return torch_backend(GPU, "float" + request.param[-2:])
    return request.param


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _softsign(x):
    return x / (1 + abs(x))


# What each function is, independently of the tables; derivatives are those of mpmath.
MEANING = {
    act.tanh: mp.tanh,
    act.tanh_prime: lambda x: mp.sech(x) ** 2,
    act.sigmoid: _sigmoid,
    act.sigmoid_prime: lambda x: _sigmoid(x) * _sigmoid(-x),
    act.gaussian_cdf: mp.ncdf,
    act.gaussian_cdf_prime: mp.npdf,
    act.softplus: lambda x: mp.log(1 + mp.exp(x)),
    act.silu: lambda x: x * _sigmoid(x),
    act.gelu: lambda x: x * mp.ncdf(x),
    act.step: lambda x: mp.mpf(x > 0),
    act.relu: lambda x: max(x, 0),
    act.leaky_relu: lambda x: x if x > 0 else x / 100,
    act.leaky_relu_prime: lambda x: mp.mpf(1) if x > 0 else mp.mpf("0.01"),
    act.hard_tanh: lambda x: min(1, max(-1, x)),
    act.hard_tanh_prime: lambda x: mp.mpf(abs(x) < 1),
    act.hard_sigmoid: lambda x: min(1, max(0, x / 6 + mp.mpf(1) / 2)),
    act.hard_sigmoid_prime: lambda x: mp.mpf(abs(x) < 3) / 6,
    act.softsign: _softsign,
    act.softsign_prime: lambda x: 1 / (1 + abs(x)) ** 2,
    act.softsign_second: lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3,
    sp.exp: mp.exp,
    sp.erf: mp.erf,
    sp.erfc: mp.erfc,
    sp.sin: mp.sin,
    sp.cos: mp.cos,
    sp.atan: mp.atan,
    sp.Abs: abs,
    sp.sign: mp.sign,
}
POINTS = (-30.0, -12.0, -4.5, -2.9, -0.999, -0.3, -1e-5, 1e-5, 0.3, 0.999, 2.9, 4.5, 12.0, 30.0)
# ulps of the result that a library function may be off: erfc, Phi and the Gaussian density magnify
# the rounding of x^2 / 2 in their tails.
ULPS = 8
TAIL_ULPS = {act.gaussian_cdf: 500, act.gaussian_cdf_prime: 500, act.gelu: 500, sp.erfc: 1000}


def _activations() -> list[type]:
    found = [v for v in vars(act).values() if isinstance(v, type)]
    return [v for v in found if issubclass(v, act.Activation) and v is not act.Activation]


def test_every_activation_has_an_entry_and_a_meaning_here(backend) -> None:
    assert len(_activations()) >= 20
    for function in _activations():
        assert function in backend.functions
        assert function in MEANING


@pytest.mark.parametrize("function", list(MEANING), ids=lambda f: f.__name__)
def test_values_are_right_to_a_few_ulps_in_both_tails(backend, function) -> None:
    points = backend.asarray(POINTS)
    with backend.quiet():
        found = backend.to_numpy(backend.function(function)(points)).astype(float)
    mp.mp.dps = 40
    held = backend.to_numpy(points).astype(float)
    ulps = TAIL_ULPS.get(function, ULPS)
    for x, value in zip(held, found, strict=True):
        exact = MEANING[function](mp.mpf(float(x)))
        # Below the smallest normal number precision is lost by design.
        allowed = ulps * backend.eps * abs(exact) + backend.tiny
        assert abs(mp.mpf(float(value)) - exact) <= allowed, (function, x, value, exact)


@pytest.mark.parametrize("function", [act.sigmoid, act.tanh, act.softplus, act.gelu, act.silu])
def test_nothing_overflows_far_out(backend, function) -> None:
    points = backend.asarray([-1e30, -1e4, 1e4, 1e30])
    found = backend.to_numpy(backend.function(function)(points))
    assert np.all(np.isfinite(found))


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (act.hard_sigmoid, torch.nn.Hardsigmoid()),
        (act.hard_tanh, torch.nn.Hardtanh()),
        (act.leaky_relu, torch.nn.LeakyReLU()),
        (act.softsign, torch.nn.Softsign()),
        (act.gelu, torch.nn.GELU()),
        (act.silu, torch.nn.SiLU()),
        (act.softplus, torch.nn.Softplus(threshold=1000)),
    ],
)
def test_the_functions_are_those_of_torch_nn(function, module) -> None:
    points = torch.linspace(-8, 8, 401, dtype=torch.float64)
    ours = get_backend("torch").function(function)(points)
    torch.testing.assert_close(ours, module(points), rtol=1e-13, atol=1e-14)


def test_a_missing_function_fails_when_compiled_and_says_how_to_add_it() -> None:
    swish7 = act.define_activation("swish7", sp.S.One)
    x = sp.Symbol("x", real=True)
    with pytest.raises(CompileError, match=r"'swish7'.*register\(swish7, numpy=\.\.\., torch="):
        compile_elementwise([swish7(x)], [x])
    register(swish7, numpy=lambda v: v * 7)
    assert compile_elementwise([swish7(x)], [x])(np.array([2.0]))[0] == 14.0
    with pytest.raises(CompileError, match="torch table has no function 'swish7'"):
        compile_elementwise([swish7(x)], [x], "torch")


def test_a_dirac_delta_is_refused_with_a_reason() -> None:
    x = sp.Symbol("x", real=True)
    with pytest.raises(CompileError, match="Dirac delta has no values"):
        compile_elementwise([sp.DiracDelta(x)], [x])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "jax"}, "backend must be"),
        ({"name": "numpy", "device": "cuda"}, "numpy backend must be 'cpu'"),
        ({"name": "torch", "device": "tpu7"}, "device must be"),
        ({"name": "torch", "dtype": "float16"}, "dtype must be"),
        ({"name": "numpy", "dtype": "int32"}, "dtype must be"),
    ],
)
def test_unknown_choices_are_refused(arguments, message) -> None:
    with pytest.raises(ParameterError, match=message):
        get_backend(**arguments)


def test_cuda_that_is_not_there_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ParameterError, match="torch sees no such device"):
        torch_backend.__wrapped__("cuda")
    assert torch_backend.__wrapped__("auto").device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


def test_a_backend_is_one_object() -> None:
    assert get_backend("numpy") is get_backend("numpy")
    found = get_backend("torch", "cpu", "float32")
    assert get_backend(found) is found
