"""An ensemble into a PyTorch module: W, V and b of every gate, layer and direction, drawn anew.

W_k: sigma_w times iid N(0, 1/N) or Haar orthogonal, a block for each gate (N: its columns)
V_k: iid N(0, sigma_v^2 / N_in), N_in being what the layer really sees
b_k: iid N(mu_b, sigma_b^2), all of it in the first of two bias vectors; the other becomes zero
     (and c_k p besides, where an elementwise parameter p of the ensemble's cell only shifts e_k)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, Unpack

import torch

from rnnmft.cells import Stack
from rnnmft.errors import ParameterError
from rnnmft.initialization.matching import matching_names
from rnnmft.initialization.offsets import without_offsets
from rnnmft.language import Cell, Ensemble, PreactivationLaw
from rnnmft.parts.find import recurrent_parts, single_layers
from rnnmft.simulation.weights import haar_reflectors
from rnnmft.tracing import HintOptions, Layer, recurrent_layers
from rnnmft.tracing.effective import plain, write_back
from rnnmft.tracing.wrappers import check_numbers, unwrapped

__all__ = ["apply_"]

Module = TypeVar("Module", bound=torch.nn.Module)
Tensor = torch.Tensor


@dataclass(frozen=True)
class _Names:
    """{a module's name: the ensemble's}; and what elementwise parameters add to biases."""

    renamed: Mapping[str, str]
    offsets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def offset(self, name: str) -> Mapping[str, float]:
        """{parameter: factor} in the bias of a module's preactivation."""
        return self.offsets.get(self.renamed[name], {})


#: A layer, the names that its ensemble has for its own, and the ensemble.
Drawn = tuple[Layer, _Names, Ensemble]


def apply_(
    ensemble: Ensemble,
    module: Module,
    generator: torch.Generator | None = None,
    *,
    cell: Cell | None = None,
    layer_gain: float = 1.0,
    **hints: Unpack[HintOptions],
) -> Module:
    """Draw the module's parameters from the ensemble, in place.

    Every layer and direction gets its own draws. Numbers are drawn in double precision on the
    generator's device and converted, so dtype and device of the module stay, and one seed gives the
    same network in any of them.

    Args:
        ensemble: from `cell.ensemble(...)`.
        module: nn.RNN, nn.GRU or nn.LSTM, one of their cells, or a module of one's own that
            `rnnmft.cells.from_torch` reads; or a model that holds some: those of its recurrent
            parts whose cell is the ensemble's are drawn, the others stay.
        generator: where the random numbers come from; torch's global one when absent, as with
            `torch.nn.init`. A given one leaves the global one untouched.
        cell: the ensemble's cell. With it the module's cell may have other names, and is compared
            as a function; without it names alone decide. A stack (`cells.stack`) draws each layer
            of a module with as many layers from its own ensemble.
        layer_gain: a factor on sigma_v above the first layer. A layer above sees the h of the one
            below, of second moment E[h^2] instead of R: sqrt(R / E[h^2]) keeps the variance
            sigma_v^2 E[x^2] that the input gives to a preactivation the same in every layer.
        hints: states, input, arguments, returned: of `from_torch`, for a module of one's own.

    Returns:
        The module.

    Raises:
        CellError: the module is no cell.
        ParameterError: the ensemble is of another cell, or wants a bias of a module that has none;
            parameters share their memory, or these have no numbers (a meta device). Nothing is
            written then.

    >>> from rnnmft import cells
    >>> ensemble = cells.lstm().ensemble(weights="orthogonal", f=dict(mu_b=3.0))
    >>> lstm = apply_(ensemble, torch.nn.LSTM(4, 8), torch.Generator().manual_seed(0))
    >>> lstm.bias_ih_l0[8:16].tolist() == [3.0] * 8, lstm.bias_hh_l0.any().item()
    (True, False)
    """
    if not isinstance(ensemble, Ensemble):
        raise ParameterError(f"ensemble must come from cell.ensemble(...), got {ensemble!r}")
    if not 0.0 < layer_gain < float("inf"):
        raise ParameterError(f"layer_gain must be a positive number, got {layer_gain!r}")
    if not isinstance(generator, torch.Generator | None):
        raise ParameterError(f"generator must be a torch.Generator, got {generator!r}")
    inside = unwrapped(module)
    check_numbers(inside)
    with torch.inference_mode(False):
        copied = plain(inside)
        drawn = _layers_of(copied, ensemble, cell, hints)
        _check_apart([layer for layer, *_ in drawn])
        for layer, names, law in drawn:
            _check_biases(layer, law, names)
        source = torch.default_generator if generator is None else generator
        for layer, names, law in drawn:
            gain = layer_gain if layer.index else 1.0
            _draw_layer(layer, law, names, gain, source)
        write_back(copied, inside)
    return module


def _layers_of(
    module: torch.nn.Module, ensemble: Ensemble, cell: Cell | None, hints: HintOptions
) -> list[Drawn]:
    """The layers that are drawn."""
    single = single_layers(module, **hints)
    if single is not None:
        return _named(single, ensemble, cell)
    found, refused = [], []
    for part in recurrent_parts(module).parts:
        layers = recurrent_layers(part.module)
        try:
            named = _named(layers, ensemble, cell)
        except ParameterError as error:
            refused.append(f"{part.path}: {error}")
            continue
        found += [(replace(x, name=f"{part.path}, {x.name}"), *rest) for x, *rest in named]
    if not found:
        raise ParameterError(f"no part of {type(module).__name__} fits: {'; '.join(refused)}")
    return found


def _named(layers: Sequence[Layer], ensemble: Ensemble, cell: Cell | None) -> list[Drawn]:
    """The layers of one module; of a stack each has a cell and an ensemble of its own."""
    if not isinstance(cell, Stack):
        names = _matching(ensemble, cell, layers[0].traced.cell)
        return [(layer, names, ensemble) for layer in layers]
    count, laws = 1 + max(layer.index for layer in layers), cell.of_layers(ensemble)
    if count != len(laws):
        raise ParameterError(f"the stack has {len(laws)} layers, and the module has {count}")
    return [
        (x, _matching(laws[x.index], cell.layers[x.index], x.traced.cell), laws[x.index])
        for x in layers
    ]


def _matching(ensemble: Ensemble, cell: Cell | None, theirs: Cell) -> _Names:
    """The names in a module's cell, which may lack parameters that only shift preactivations."""
    shifted = None if cell is None or theirs.parameters else without_offsets(cell)
    if shifted is None:
        return _Names(matching_names(ensemble, cell, theirs))
    plain, offsets = shifted
    return _Names(matching_names(ensemble, plain, theirs), offsets)


def _check_apart(layers: Sequence[Layer]) -> None:
    """Refuse parameters that two layers share: each would be drawn over the other's."""
    owner: dict[int, str] = {}
    for layer in layers:
        _check_memory(layer)
        for name, parameter in layer.module.named_parameters():
            other = owner.setdefault(id(parameter), layer.name)
            if other is not layer.name:
                raise ParameterError(
                    f"{other} and {layer.name} share {name!r}: drawing one would overwrite the "
                    "other; draw a module of its own and share its parameters afterwards"
                )


def _check_memory(layer: Layer) -> None:
    """Refuse two parameters of a layer in one place: what is written last would stand for both."""
    taken: list[tuple[int, int, str]] = []
    for name in _written(layer):
        parameter = layer.module.get_parameter(name)
        steps = [*zip(parameter.shape, parameter.stride(), strict=True)]
        if any(n > 1 and s == 0 for n, s in steps):
            raise ParameterError(
                f"{name!r} of {layer.name} holds one number in several places (expand): it cannot "
                "be drawn; make it a parameter of its own by clone()"
            )
        start = parameter.data_ptr()
        end = start + (sum((n - 1) * s for n, s in steps) + 1) * parameter.element_size()
        if start == 0:  # a tensor that wraps others has no place of its own
            continue
        for first, last, other in taken:
            if start < last and first < end:
                raise ParameterError(
                    f"{other!r} and {name!r} of {layer.name} share their memory: drawing one would "
                    "overwrite the other; draw a module of its own and share it afterwards"
                )
        taken.append((start, end, name))


def _written(layer: Layer) -> list[str]:
    """The names of the parameters that are drawn."""
    traced = layer.traced
    parts = [part for b in traced.bindings.values() for part in (b.recurrent, b.input, b.bias)]
    slices = [s for part in (*parts, *traced.elementwise.values()) for s in part]
    return [*dict.fromkeys(s.parameter for s in slices)]


def _check_biases(layer: Layer, ensemble: Ensemble, names: _Names) -> None:
    for name, binding in layer.traced.bindings.items():
        law = ensemble[names.renamed[name]]
        if not binding.bias and names.offset(name):
            raise ParameterError(
                f"{type(layer.module).__name__} has no bias for {name!r}, which "
                f"{', '.join(names.offset(name))} shifts: make the module with bias=True"
            )
        if not binding.bias and (law.mu_b or law.sigma_b):
            raise ParameterError(
                f"{type(layer.module).__name__} has no bias for {name!r}, and the ensemble has "
                f"mu_b = {law.mu_b:g}, sigma_b = {law.sigma_b:g} there: make the module with "
                "bias=True, or an ensemble without biases"
            )


def _draw_layer(
    layer: Layer,
    ensemble: Ensemble,
    names: _Names,
    gain: float,
    generator: torch.Generator,
) -> None:
    """Draw and write one layer, preactivation by preactivation: W, V, b."""
    traced = layer.traced
    drawn = {}
    parameters = layer.parameters()
    like = next(b for _, _, b in parameters.values())
    # One number a unit, the same in every gate that it shifts.
    shifting = ensemble.parameters if names.offsets else {}
    shifts = {p: law.quantile(_uniform(like, generator)) for p, law in shifting.items()}
    for name, (w, v, b) in parameters.items():
        law = ensemble[names.renamed[name]]
        shift = [_like(c * shifts[p], b) for p, c in names.offset(name).items()]
        law = replace(law, sigma_v=law.sigma_v * gain)
        drawn[name] = (
            None if w is None else _recurrent(law, w, generator),
            None if v is None else _normal(law.sigma_v / v.shape[1] ** 0.5, v, generator),
            sum(shift, law.mu_b + _normal(law.sigma_b, b, generator)),
        )
    elementwise = {
        name: _like(ensemble.parameters[names.renamed[name]].quantile(_uniform(p, generator)), p)
        for name, p in traced.elementwise_parameters(layer.module).items()
    }
    traced.write_(layer.module, drawn, elementwise)


def _recurrent(law: PreactivationLaw, like: Tensor, generator: torch.Generator) -> Tensor:
    rows, columns = like.shape
    if law.weights == "gaussian":
        return _normal(law.sigma_w / columns**0.5, like, generator)
    size = max(rows, columns)
    drawn = haar_reflectors([generator], size, torch.float64).dense().entries[0]
    return _like(law.sigma_w * (size / columns) ** 0.5 * drawn[:rows, :columns], like)


def _normal(sigma: float, like: Tensor, generator: torch.Generator) -> Tensor:
    if sigma == 0.0:
        return torch.zeros_like(like)
    options: Any = {"generator": generator, "device": generator.device, "dtype": torch.float64}
    return _like(sigma * torch.randn(like.shape, **options), like)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    options: Any = {"generator": generator, "device": generator.device, "dtype": torch.float64}
    # Never 0 or 1, where a quantile may be infinite: half a step of the generator's 2^-53 off
    # either end, the upper as near as a double can be.
    return torch.rand(like.shape, **options).clamp_(2.0**-54, 1.0 - 2.0**-53)


def _like(drawn: Tensor, like: Tensor) -> Tensor:
    return drawn.to(device=like.device, dtype=like.dtype)
