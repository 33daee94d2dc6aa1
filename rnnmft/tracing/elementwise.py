"""The elementwise operations of PyTorch as SymPy expressions with rnnmft's activations.

`LINEAR` and `FUNCTIONS` are tables from aten's names to functions of `Polynomial`s and numbers.
What is not in them is refused. Each function is exact; those that rnnmft has no activation for are
composed of those that it has, for example elu(x) = relu(x) + a (exp(-relu(-x)) - 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from rnnmft.activations import (
    gelu,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softplus,
    softsign,
    step,
    tanh,
)
from rnnmft.language.choices import choice
from rnnmft.tracing.refusal import RefusalError
from rnnmft.tracing.sums import Polynomial, exact

__all__ = ["FUNCTIONS", "LINEAR"]


def _add(a: Polynomial, b: Polynomial, *, alpha: float = 1) -> Polynomial:
    return a + b.times(exact(alpha))


def _subtract(a: Polynomial, b: Polynomial, *, alpha: float = 1) -> Polynomial:
    return a + b.times(exact(-alpha))


def _multiply(a: Polynomial, b: Polynomial) -> Polynomial | None:
    if a.number is not None:
        return b.times(a.number)
    return a.times(b.number) if b.number is not None else None


def _divide(a: Polynomial, b: Polynomial) -> Polynomial | None:
    if b.number == 0:
        raise RefusalError("it divides by zero")
    return None if b.number is None else a.times(1 / b.number)


def _interpolate(a: Polynomial, b: Polynomial, weight: Polynomial) -> Polynomial | None:
    return None if weight.number is None else a.times(1 - weight.number) + b.times(weight.number)


# Of open sums; None says that the sums must be closed: then the function below is used.
LINEAR: dict[str, Callable[..., Polynomial | None]] = {
    "add.Tensor": _add,
    "add.Scalar": _add,
    "sub.Tensor": _subtract,
    "sub.Scalar": _subtract,
    "rsub.Tensor": lambda a, b, *, alpha=1: _subtract(b, a, alpha=alpha),
    "rsub.Scalar": lambda a, b: _subtract(b, a),
    "neg": lambda a: a.times(sp.S.NegativeOne),
    "mul.Tensor": _multiply,
    "mul.Scalar": _multiply,
    "div.Tensor": _divide,
    "div.Scalar": _divide,
    "lerp.Scalar": _interpolate,
    "lerp.Tensor": _interpolate,
}


def _ratio(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """a / b; x / (1 + |x|) and 1 / (1 + exp(-x)) are known by their names."""
    if b == 1 + sp.Abs(a):
        return softsign(a)
    if isinstance(b - 1, sp.exp):
        return a * sigmoid(-(b - 1).args[0])
    return a / b


def _power(x: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    if not (2 * exponent).is_Integer:
        raise RefusalError(f"the power {exponent} is no integer and no square root")
    return x**exponent


def _clamp(x: sp.Expr, low: Any = None, high: Any = None) -> sp.Expr:
    """min(high, max(low, x)) by relu and hard_tanh."""
    if low is None and high is None:
        return x
    if low is None:
        return high - relu(high - x)
    if high is None:
        return low + relu(x - low)
    if low >= high:
        raise RefusalError(f"it clamps to the empty range from {low} to {high}")
    centre, half = (low + high) / 2, (high - low) / 2
    return centre + half * hard_tanh((x - centre) / half)


def _leaky(x: sp.Expr, slope: Any = 0.01) -> sp.Expr:
    if float(slope) == 0.01:
        return leaky_relu(x)
    return relu(x) - slope * relu(-x)


def _gelu(x: sp.Expr, *, approximate: str = "none") -> sp.Expr:
    if approximate == "none":
        return gelu(x)
    inner = sp.sqrt(2 / sp.pi) * (x + sp.Float(0.044715) * x**3)
    return x * (1 + tanh(inner)) / 2


def _softplus(x: sp.Expr, beta: sp.Expr = sp.S.One, threshold: Any = None) -> sp.Expr:
    """Without torch's shortcut: above its threshold, 20, torch gives x itself."""
    return softplus(beta * x) / beta


def _elu(
    x: sp.Expr, alpha: sp.Expr = sp.S.One, scale: sp.Expr = sp.S.One, inner: sp.Expr = sp.S.One
) -> sp.Expr:
    return scale * (relu(x) + alpha * (sp.exp(-inner * relu(-x)) - 1))


def _above(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """a > b as an indicator, one where it holds and zero elsewhere."""
    return step(a - b)


def _not_below(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return 1 - step(b - a)


def _hard_shrink(x: sp.Expr, threshold: sp.Expr = sp.S.Half) -> sp.Expr:
    """x outside of [-threshold, threshold], 0 inside."""
    return x * (step(x - threshold) + step(-threshold - x))


def _threshold(x: sp.Expr, threshold: sp.Expr, value: sp.Expr) -> sp.Expr:
    return choice(step(x - threshold), x, value)


# Of expressions; a number among the arguments comes as an expression too.
FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    "mul.Tensor": lambda a, b: a * b,
    "div.Tensor": _ratio,
    "lerp.Tensor": lambda a, b, weight: a + weight * (b - a),
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "silu": silu,
    "gelu": _gelu,
    "softplus": _softplus,
    "hardtanh": lambda x, low=sp.S.NegativeOne, high=sp.S.One: _clamp(x, low, high),
    "hardsigmoid": hard_sigmoid,
    "hardswish": lambda x: x * hard_sigmoid(x),
    "leaky_relu": _leaky,
    "prelu": lambda x, slope: relu(x) - slope * relu(-x),
    "_prelu_kernel": lambda x, slope: relu(x) - slope * relu(-x),
    "elu": _elu,
    "celu": lambda x, alpha=sp.S.One: _elu(x, alpha, inner=1 / alpha),
    "log_sigmoid": lambda x: -softplus(-x),
    "mish": lambda x: x * tanh(softplus(x)),
    "atan": sp.atan,
    "softshrink": lambda x, by=sp.S.Half: relu(x - by) - relu(-x - by),
    "hardshrink": _hard_shrink,
    "threshold": _threshold,
    **dict.fromkeys(["gt.Scalar", "gt.Tensor"], _above),
    **dict.fromkeys(["ge.Scalar", "ge.Tensor"], _not_below),
    **dict.fromkeys(["lt.Scalar", "lt.Tensor"], lambda a, b: _above(b, a)),
    **dict.fromkeys(["le.Scalar", "le.Tensor"], lambda a, b: _not_below(b, a)),
    **dict.fromkeys(
        ["where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar"], choice
    ),
    **dict.fromkeys(["masked_fill.Scalar", "masked_fill.Tensor"], lambda x, m, v: choice(m, v, x)),
    **dict.fromkeys(["logical_and", "bitwise_and.Tensor"], lambda a, b: a * b),
    **dict.fromkeys(["logical_or", "bitwise_or.Tensor"], lambda a, b: a + b - a * b),
    **dict.fromkeys(["logical_not", "bitwise_not"], lambda a: 1 - a),
    "erf": sp.erf,
    "erfc": lambda x: 1 - sp.erf(x),
    "sin": sp.sin,
    "cos": sp.cos,
    "exp": sp.exp,
    "expm1": lambda x: sp.exp(x) - 1,
    "log": sp.log,
    "log1p": lambda x: sp.log(1 + x),
    "sqrt": sp.sqrt,
    "rsqrt": lambda x: 1 / sp.sqrt(x),
    "reciprocal": lambda x: _ratio(sp.S.One, x),
    "abs": sp.Abs,
    "sign": sp.sign,
    "pow.Tensor_Scalar": _power,
    "pow.Tensor_Tensor": _power,
    "square": lambda x: x**2,
    "clamp": _clamp,
    "clamp.Tensor": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "maximum": lambda a, b: a + relu(b - a),
    "minimum": lambda a, b: a - relu(a - b),
}
