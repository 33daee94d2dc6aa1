"""The traced cell beside its module on random numbers: the same step, and the same derivatives.

The comparison is made in double precision on a copy of the module with random parameters, so that
nothing hides behind a parameter that is zero, or, where a module cannot be copied, on itself. New
states are compared, and the pull-back of a random vector: a backward of the module's own that is
not the derivative of its forward is seen in the latter.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rnnmft.errors import CellError
from rnnmft.language.symbols import Average
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.tracing.constants import is_mask
from rnnmft.tracing.examples import own_randomness

__all__ = ["agree", "check_beside", "traced_step"]

_BATCH = 5
# Rounding in some hundred operations of numbers of order one leaves 1e-13 in double and 1e-5 in
# single precision; torch's softplus cuts at 20, which leaves 2e-9.
_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-3}
# A derivative is linear in what is pulled back; what clips gradients shows at this size.
_LARGE_PULL = 1e6
# A copy in double precision of more numbers than this is not made.
_LARGE = 4_000_000


def check_beside(module: torch.nn.Module, traced: Any) -> None:
    """Run the cell beside the module it was traced from.

    Raises:
        CellError: they differ, in the step or in its derivatives; the message shows both.
    """
    own = _copy(module, traced)
    first = next((p for p in own.parameters() if p.is_floating_point()), torch.zeros(0))
    if first.is_meta:
        return  # PyTorch's own cells, whose traces are tested
    dtype = first.dtype if first.numel() else torch.get_default_dtype()
    generator = torch.Generator().manual_seed(0)

    def draw(size: int) -> Any:
        drawn = torch.randn(_BATCH, size, generator=generator, dtype=torch.float64)
        return drawn.to(first.device, dtype)

    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype if dtype == torch.float64 else default)
        _compare_steps(module, own, traced, draw)
    finally:
        torch.set_default_dtype(default)


def _compare_steps(module: Any, own: torch.nn.Module, traced: Any, draw: Any) -> None:
    for scale, pull in ((1.0, 1.0), (4.0, _LARGE_PULL)):
        x = scale * draw(traced.input_width)
        states = [scale * draw(width) for width in traced.widths]
        with own_randomness():
            theirs = _with_gradients(lambda x, s: _step_of(own, traced, x, s), x, states, pull)
            ours = _with_gradients(lambda x, s: traced_step(traced, own, x, s), x, states, pull)
        names = [f"the new {n}" for n in traced.states]
        grads = ["the input", *(f"the old {n}" for n in traced.states)]
        _compare(module, names, ours[0], theirs[0], "computes {what} otherwise than")
        if theirs[1] is None or ours[1] is None:
            continue
        _compare(
            module,
            grads,
            ours[1],
            theirs[1],
            "has gradients of {what} that are not the derivative of its forward (a backward or a "
            "hook of its own), and so not those of",
        )


def traced_step(
    traced: Any, module: torch.nn.Module, x: Any, states: Sequence[Any]
) -> tuple[Any, ...]:
    """The cell's step, with the matrices and vectors that are read from the module."""
    cell = traced.cell
    symbols = {s.name: s for s in cell.states}
    values: dict[Any, Any] = {
        symbols[name]: value for name, value in zip(traced.states, states, strict=True)
    }
    fixed = traced.elementwise_parameters(module)
    values |= {p: fixed[p.name].to(x).expand(len(x), -1) for p in cell.parameters}
    if cell.input is not None:
        values[cell.input] = x
    weights = traced.parameters(module)
    for p in cell.order:
        if isinstance(p, Average):
            (f,) = _evaluate([p.of], values)
            values[p] = f.mean(-1, keepdim=True)
            continue
        w, v, b = weights[p.name]
        e = b.to(x).expand(len(x), -1)
        if p.is_recurrent:
            e = e + _evaluate([cell.sees[p]], values)[0] @ w.to(x).T
        if p.has_input:
            e = e + x @ v.to(x).T
        values[p] = e
    new = _evaluate([cell.update[symbols[name]] for name in traced.states], values)
    return tuple(value.expand(old.shape) for value, old in zip(new, states, strict=True))


def _evaluate(expressions: Sequence[Any], values: Mapping[Any, Any]) -> list[Any]:
    """Each of what it holds: vectors of several widths do not meet."""
    found = []
    for f in expressions:
        held = {s: v for s, v in values.items() if f.has(s)}
        found += compile_elementwise([f], tuple(held), "torch")(*held.values())
    return found


def _copy(module: torch.nn.Module, traced: Any) -> torch.nn.Module:
    """The module in double precision with random parameters; itself where it cannot be copied."""
    tensors = [*module.parameters(), *module.buffers()]
    if sum(t.numel() for t in tensors) > _LARGE:
        return module
    try:
        copied = copy.deepcopy(module)
    except Exception:
        return module
    if any(t.is_meta for t in tensors):
        copied = copied.to_empty(device="cpu")
    copied = copied.double()
    for part in copied.modules():
        plain = {n: v for n, v in vars(part).items() if isinstance(v, torch.Tensor)}
        vars(part).update({n: v.double() for n, v in plain.items() if v.is_floating_point()})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in copied.named_parameters():
            if p.is_floating_point() and name not in traced.numbers and not is_mask(p):
                drawn = torch.randn(p.shape, generator=generator, dtype=torch.float64)
                p.copy_(drawn / math.sqrt(max(p.shape[-1:], default=1)) if p.ndim > 1 else drawn)
    return copied


def _step_of(module: torch.nn.Module, traced: Any, x: Any, states: Sequence[Any]) -> Any:
    """The module's own step, element by element of the batch where it takes vectors alone."""
    if traced.batched:
        return traced.step(module, x, states)
    rows = [traced.step(module, x[j], [s[j] for s in states]) for j in range(len(x))]
    return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))


def _with_gradients(
    step: Any, x: Any, states: Sequence[Any], pull: float
) -> tuple[list[Any], list[Any] | None]:
    """The new states, and the pull-back of a fixed vector to the input and the old states.

    The vector is of size `pull`, and the pull-back is divided by it. None for the latter where
    torch cannot pull back (writes in place may be in its way).
    """
    with torch.enable_grad():
        leaves = [t.detach().clone().requires_grad_() for t in (x, *states)]
        given = [t.clone() for t in leaves]
        new = list(step(given[0], given[1:]))
        total: Any = sum((n * pull * (k + _ramp(n).cos())).sum() for k, n in enumerate(new, 1))
        gradients: Sequence[Any] = [None] * len(leaves)
        if getattr(total, "requires_grad", False):
            try:
                gradients = torch.autograd.grad(total, leaves, allow_unused=True)
            except (RuntimeError, NotImplementedError):
                return [n.detach() for n in new], None
    filled = [
        torch.zeros_like(t) if g is None else g / pull
        for t, g in zip(leaves, gradients, strict=True)
    ]
    return [n.detach() for n in new], filled


def _ramp(like: Any) -> Any:
    return torch.linspace(-1.0, 1.0, like.shape[-1]).to(like)


def _compare(
    module: Any, names: Sequence[str], ours: Sequence[Any], theirs: Sequence[Any], sentence: str
) -> None:
    for name, a, b in zip(names, ours, theirs, strict=True):
        place = agree(a, b)
        if place is not None:
            raise CellError(
                f"cannot trace {type(module).__name__}: on random numbers the module "
                f"{sentence.format(what=name)} the cell that was read from it: at {place} the "
                f"module has {float(b[place]):.6g} and the cell {float(a[place]):.6g}"
            )


def agree(a: Any, b: Any) -> tuple[int, ...] | None:
    """None where two tensors agree within rounding, else the first place where they do not."""
    tolerance = _TOLERANCE.get(b.dtype, 0.05) if b.is_floating_point() else _TOLERANCE[a.dtype]
    b = b.to(a.dtype)  # a forward may turn to another precision, or to whole numbers
    finite = b.nan_to_num(0.0, 0.0, 0.0).abs()
    scale = 1.0 + (float(finite.max()) if b.numel() else 0.0)
    same = torch.isclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
    return None if bool(same.all()) else tuple((~same).nonzero()[0].tolist())
