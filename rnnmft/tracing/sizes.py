"""Guesses at the widths of a cell module's state and input from the shapes of its parameters.

They are tried one after the other: a wrong one does not fit the module's own products.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

__all__ = ["MOST", "guesses", "named"]

_WIDTH = ("hidden_size", "hidden_dim", "hidden_features", "hidden_units", "hidden", "n_hidden")
_WIDTH += ("num_hidden", "hid_size", "nhid", "num_units", "units", "n_units", "state_size", "width")
_WIDTH += ("d_hidden", "d_model", "dim_hidden", "hdim", "size", "dim", "N")
_INPUT = (
    "input_size",
    "input_dim",
    "in_features",
    "input_features",
    "n_in",
    "n_input",
    "num_input",
)
_INPUT += ("n_inputs", "num_inputs", "in_dim", "in_size", "d_in", "d_input", "dim_in", "xdim")
_INPUT += ("sensory_size",)
MOST = 60


def named(module: Any) -> tuple[int | None, int | None]:
    """(width of the state, width of the input) as the module's own attributes name them."""
    state, x = (_attributes(module, names) for names in (_WIDTH, _INPUT))
    return (state[0] if state else None), (x[0] if x else None)


def guesses(
    module: Any, width: int | None, inputs: int | None, has_input: bool = True
) -> Iterator[tuple[int, int]]:
    """Pairs (width of the state, width of the input), likely ones first, at most `MOST`.

    Args:
        module: the cell module.
        width: the state's, where it is known.
        inputs: the input's, where it is known.
        has_input: whether there is one; its width is 0 where there is none.
    """
    shapes = [tuple(t.shape) for t in (*module.parameters(), *module.buffers())]
    widths = [width] if width is not None else _widths(module, shapes)
    pairs = ((n, k) for n in widths for k in _known(module, shapes, n, inputs, has_input))
    yield from islice(pairs, MOST)


def _known(
    module: Any, shapes: list[tuple[int, ...]], width: int, inputs: int | None, has_input: bool
) -> list[int]:
    if not has_input:
        return [0]
    return [inputs] if inputs is not None else _inputs(module, shapes, width)


def _attributes(module: Any, names: tuple[str, ...]) -> list[int]:
    found = [_attribute(module, name) for name in names]
    return [n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 1]


def _attribute(module: Any, name: str) -> Any:
    """An attribute, or a property that can be asked for."""
    if name in vars(module) or not isinstance(getattr(type(module), name, None), property):
        return vars(module).get(name)
    try:
        return getattr(module, name)
    except Exception:
        return None


def _widths(module: Any, shapes: list[tuple[int, ...]]) -> list[int]:
    """Named attributes, then square and fused recurrent matrices, then vectors, then the rest."""
    matrices = [s[-2:] for s in shapes if len(s) > 1]
    found = _attributes(module, _WIDTH)
    found += [a for a, b in matrices if a == b]
    found += [min(m) for m in matrices if min(m) > 0 and max(m) % min(m) == 0]
    found += [s[-1] for s in shapes if s]
    found += [n for s in shapes for n in s]
    found += [n // k for s in shapes for n in s for k in range(2, 7) if n % k == 0]
    return [n for n in dict.fromkeys(found) if n > 1]


def _inputs(module: Any, shapes: list[tuple[int, ...]], width: int) -> list[int]:
    """Named attributes, then the sizes of matrices that are not the state's, joined or alone."""
    sizes = [n for s in shapes if len(s) > 1 for n in s]
    found = _attributes(module, _INPUT)
    found += [n for n in sizes if n % width]
    found += [n - k * width for k in (1, 2, 3, 4) for n in sizes if n > k * width]
    found += [width, *sizes]
    likely = [n for n in dict.fromkeys(found) if n > 1]
    # One number last: it would be spread over the units where it is the wrong guess.
    return [*likely, 1]
