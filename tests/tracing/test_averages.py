"""Means over units and the norms made of them: modules as people write them, and what is refused.

`trace` runs each cell beside its module; here the cell that is found is compared with the one that
is meant, and with the module itself over several steps.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp
import torch
from torch import Tensor, nn

from rnnmft import cells
from rnnmft.activations import tanh
from rnnmft.cells import Average, Cell, Preactivation, State, from_torch
from rnnmft.errors import CellError
from rnnmft.initialization.matching import same_cell
from rnnmft.tracing import trace
from rnnmft.tracing.beside import traced_step

N, INPUTS = 6, 4
Normalised = Callable[[Tensor], Tensor]


class Vanilla(nn.Module):
    """h' = tanh(f(e)), with e = W h + V x + b, or W f(h) + V x + b."""

    def __init__(self, function: Normalised, of_state: bool = False) -> None:
        super().__init__()
        self.recurrent, self.input = nn.Linear(N, N, bias=False), nn.Linear(INPUTS, N)
        self.function, self.of_state = function, of_state

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        if self.of_state:
            return torch.tanh(self.recurrent(self.function(h)) + self.input(x))
        return torch.tanh(self.function(self.recurrent(h) + self.input(x)))


class NormalisedLSTM(nn.Module):
    """One norm over all gates, and one of the new state."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.input = nn.Linear(N, 4 * N), nn.Linear(INPUTS, 4 * N)
        self.norm, self.inside = nn.LayerNorm(4 * N), nn.RMSNorm(N, eps=1e-6)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        i, f, g, o = self.norm(self.recurrent(h) + self.input(x)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(self.inside(c)), c


def by_hand(e: Tensor) -> Tensor:
    centre = e.mean(dim=-1, keepdim=True)
    return (e - centre) / torch.sqrt(((e - centre) ** 2).mean(-1, keepdim=True) + 1e-5)


def by_rsqrt(e: Tensor) -> Tensor:
    return e * torch.rsqrt(e.pow(2).mean(1) + 1e-5).unsqueeze(-1)


def by_variance(e: Tensor) -> Tensor:
    variance, centre = torch.var_mean(e, -1, correction=0, keepdim=True)
    return (e - centre) * (variance + 1e-5) ** -0.5


LAYER = {
    "norm": nn.LayerNorm(N, elementwise_affine=False),
    "function": lambda e: nn.functional.layer_norm(e, (N,)),
    "by hand": by_hand,
    "var": lambda e: (e - e.mean(-1, True)) / (e.var(-1, False, keepdim=True) + 1e-5).sqrt(),
    "var_mean": by_variance,
}
ROOT = {
    "norm": nn.RMSNorm(N, 1e-5, elementwise_affine=False),
    "function": lambda e: nn.functional.rms_norm(e, (N,), eps=1e-5),
    "by hand": by_rsqrt,
}


def layer_norm(of_state: bool = False) -> Cell:
    h = State("h")
    one = h if of_state else Preactivation("e", h)
    centre = Average("centre", one)
    spread = Average("spread", (one - centre) ** 2)
    normal = (one - centre) / sp.sqrt(spread + sp.Float(1e-5))
    return Cell("c", update={h: tanh(Preactivation("e", normal) if of_state else normal)})


@pytest.mark.parametrize("of_state", [False, True], ids=["preactivation", "state"])
@pytest.mark.parametrize("way", LAYER)
def test_layer_normalisation_is_one_cell_however_it_is_written(way: str, of_state: bool) -> None:
    found = from_torch(Vanilla(LAYER[way], of_state))
    assert same_cell(found, layer_norm(of_state)) == {"e": "e"}
    assert same_cell(found, layer_norm(not of_state)) is None


@pytest.mark.parametrize("way", ROOT)
def test_root_mean_squares_are_one_cell_however_they_are_written(way: str) -> None:
    h = State("h")
    e = Preactivation("e", h)
    meant = tanh(e / sp.sqrt(Average("square", e**2) + sp.Float(1e-5)))
    assert same_cell(from_torch(Vanilla(ROOT[way])), Cell("c", update={h: meant})) == {"e": "e"}


@pytest.mark.parametrize(
    "module",
    [
        NormalisedLSTM(),
        Vanilla(nn.LayerNorm(N)),
        Vanilla(lambda e: e / (1 + e.std(-1, keepdim=True))),
    ],
    ids=["lstm", "affine", "std"],
)
def test_a_cell_steps_as_its_module(module: nn.Module) -> None:
    """Several steps of a batch, whose elements have averages of their own."""
    draw = torch.Generator().manual_seed(2)
    module = module.double()
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    traced = trace(module)
    assert traced.cell.averages
    states = tuple(torch.randn(3, N, generator=draw, dtype=torch.float64) for _ in traced.states)
    for _ in range(4):
        x = torch.randn(3, INPUTS, generator=draw, dtype=torch.float64)
        ours = traced_step(traced, module, x, states)
        states = traced.step(module, x, states)
        assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(ours, states, strict=True))


def test_the_averages_of_a_traced_cell_survive_text() -> None:
    cell = from_torch(NormalisedLSTM())
    assert len(cell.averages) == 3
    assert cells.loads(cell.to_toml()) == cell


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda e: e - e.mean(0), "the elements of a batch"),
        (lambda e: e - e.mean(), "couples the units"),
        (lambda e: e - e.mean((0, 1)), "the elements of a batch"),
        (lambda e: e / e.sum(-1, keepdim=True), "couples the units"),
        (lambda e: e / e.norm(dim=-1, keepdim=True), "couples the units"),
        (lambda e: torch.softmax(e, -1), "couples the units"),
        (lambda e: nn.functional.group_norm(e, 2), "couples the units"),
        (lambda e: e - e.view(-1, 2, N // 2).mean(-1).repeat(1, 3), "mixes units"),
    ],
    ids=["batch", "all", "both", "sum", "norm", "softmax", "groups", "half"],
)
def test_what_is_no_mean_over_all_units_is_refused(function: Normalised, sentence: str) -> None:
    with pytest.raises(CellError, match=sentence) as caught:
        from_torch(Vanilla(function))
    assert f"{__file__}:" in str(caught.value)


def test_a_mean_of_the_input_is_refused() -> None:
    class Centred(Vanilla):
        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            return super().forward(x - x.mean(-1, keepdim=True), h)

    with pytest.raises(CellError, match="not the units of a state"):
        from_torch(Centred(torch.tanh))
