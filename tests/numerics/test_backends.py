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
from rnnmft.numerics.numpy_functions import NUMPY_FUNCTIONS
from tests.meaning import MEANING as meaning
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


# {function: what it is}, for every function of SymPy's or rnnmft's that has a row in the tables.
MEANING = {
    function: exact
    for function, exact in ((getattr(act, n, getattr(sp, n, None)), m) for n, m in meaning.items())
    if function in NUMPY_FUNCTIONS
}
POINTS = (-30.0, -12.0, -4.5, -2.9, -0.999, -0.3, -1e-5, 1e-5, 0.3, 0.999, 2.9, 4.5, 12.0, 30.0)
# ulps of the result that a library function may be off: erfc, Phi and the Gaussian density magnify
# the rounding of x^2 / 2 in their tails.
ULPS = 8
TAIL_ULPS = {act.gaussian_cdf: 500, act.gaussian_cdf_prime: 500, act.gelu: 500, sp.erfc: 1000}


def _activations() -> list[type]:
    found = [v for v in vars(act).values() if isinstance(v, type) and issubclass(v, act.Activation)]
    return [v for v in found if v is not act.Activation and v.definition is None]


def test_every_activation_without_a_definition_has_an_entry_and_a_meaning(backend) -> None:
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
    with pytest.raises(CompileError, match="jumps has a Dirac delta in its derivative"):
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
