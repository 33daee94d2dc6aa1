"""Cells that others published: every cell class of torchrecurrent and ncps, and its theory.

Each is read, and stepped beside the module in double precision; or it is refused, with the reason
that it has no theory here. Of a sample, E[h^2] after some steps is compared with that of wide
modules as their authors initialize them.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from rnnmft import CellError, Inputs, MeanField, simulate
from rnnmft.language.laws import Constant, Empirical
from rnnmft.tracing import trace
from rnnmft.tracing.beside import traced_step

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the packages' own, when they are imported
    import ncps.torch
    import ncps.wirings
    import torchrecurrent.cells
    from ncps.torch.lstm import LSTMCell as MixedMemoryCell

N_IN, N = 16, 32
PREVIOUS_INPUT = {"TGRUCell", "TLSTMCell"}  # which is a state of theirs, as wide as the input
SQUARE = {*PREVIOUS_INPUT, "IntersectionRNNCell"}
REFUSED = {
    "AntisymmetricRNNCell": "the antisymmetric matrix of the matrix 'weight_hh'",
    "GatedAntisymmetricRNNCell": "the antisymmetric matrix of the matrix 'weight_hh'",
}
NAMES = [name for name in torchrecurrent.cells.__all__ if name.endswith("Cell")]
# All of them take ten seconds; each of these is written in a way of its own.
QUICK = {"AntisymmetricRNNCell", "BRCell", "FastGRNNCell", "IntersectionRNNCell", "LEMCell"}
QUICK |= {"MultiplicativeLSTMCell", "NASCell", "PeepholeLSTMCell", "tauGRUCell", "TGRUCell"}
QUICK |= {"UnICORNNCell", "WMCLSTMCell"}


def made(name, n_in=N_IN, width=N):
    torch.manual_seed(0)
    return getattr(torchrecurrent.cells, name)(width if name in SQUARE else n_in, width).double()


def steps_differ_by(module, traced):
    """The largest difference of two steps of the module and of the cell, from random states."""
    generator = torch.Generator().manual_seed(0)
    shape = {"generator": generator, "dtype": torch.float64}
    theirs = ours = [torch.randn(5, traced.width, **shape) for _ in traced.states]
    for _ in range(2):
        x = torch.randn(5, traced.input_width, **shape)
        with torch.no_grad():
            theirs = traced.step(module, x, theirs)
            ours = traced_step(traced, module, x, ours)
    return max(float((a - b).abs().max()) for a, b in zip(theirs, ours, strict=True))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in NAMES]
)
def test_every_cell_of_torchrecurrent(name):
    module = made(name)
    if name in REFUSED:
        with pytest.raises(CellError, match=REFUSED[name]):
            trace(module)
        return
    traced = trace(module)
    assert steps_differ_by(module, traced) < 1e-12
    slices = [s for parts in traced.elementwise.values() for s in parts]
    slices += [s for b in traced.bindings.values() for s in (*b.recurrent, *b.input, *b.bias)]
    assert {s.parameter for s in slices} >= {n for n, p in module.named_parameters() if p.ndim > 1}


def test_another_module_is_seen():
    module, other = made("MGUCell"), made("MGUCell")
    with torch.no_grad():
        other.weight_hh[0, 0] += 1e-9
    traced = trace(module)
    generator = torch.Generator().manual_seed(0)
    x, h = (torch.randn(5, n, generator=generator, dtype=torch.float64) for n in (N_IN, N))
    with torch.no_grad():
        (theirs,), (ours,) = traced.step(other, x, [h]), traced_step(traced, module, x, [h])
    assert (theirs - ours).abs().max() > 1e-11


@pytest.mark.parametrize("name", sorted(PREVIOUS_INPUT))
def test_a_state_as_wide_as_the_input_has_that_width(name):
    traced = trace(getattr(torchrecurrent.cells, name)(N_IN, N))
    assert traced.widths == (N, N_IN)
    _, last = traced.states
    before = next(s for s in traced.cell.states if s.name == last)
    assert traced.cell.update[before] == traced.cell.input
    assert {traced.cell.seen_widths[p] for p in traced.cell.preactivations} == {before.width}


# --- ncps ----------------------------------------------------------------------------------------


def wired(wiring):
    wiring.build(N_IN)
    return wiring


def random_mask():
    return np.random.default_rng(0).binomial(1, 0.5, (N, N_IN + N))


NCPS = {
    "CfC": lambda: ncps.torch.CfCCell(N_IN, N),
    "CfC, pure": lambda: ncps.torch.CfCCell(N_IN, N, mode="pure", backbone_layers=0),
    "CfC, no gate": lambda: ncps.torch.CfCCell(N_IN, N, mode="no_gate", backbone_units=N),
    "CfC, two layers": lambda: ncps.torch.CfCCell(N_IN, N, backbone_units=N, backbone_layers=2),
    "CfC, sparse": lambda: ncps.torch.CfCCell(
        N_IN, N, backbone_layers=0, sparsity_mask=random_mask().T
    ),
    "wired": lambda: ncps.torch.WiredCfCCell(N_IN, ncps.wirings.FullyConnected(N)),
}


@pytest.mark.parametrize("kind", NCPS)
def test_cells_of_ncps(kind):
    torch.manual_seed(0)
    module = NCPS[kind]().double()
    further = "timespans" if kind == "wired" else "ts"
    with pytest.raises(CellError, match=f"the further argument '{further}'"):
        trace(module)
    traced = trace(module, arguments={further: 0.25})
    assert traced.states == ("h",)
    assert steps_differ_by(module, traced) < 1e-12


def test_the_memory_beside_a_cell_of_ncps():
    module = MixedMemoryCell(N_IN, N).double()
    traced = trace(module)
    assert len(traced.states) == 2
    assert steps_differ_by(module, traced) < 1e-12


def test_synapses_of_their_own_are_refused():
    module = ncps.torch.LTCCell(wired(ncps.wirings.FullyConnected(N)), in_features=N_IN)
    with pytest.raises(CellError, match="a function of its own for each pair of units"):
        trace(module)


@pytest.mark.slow  # several ways to hold its state are tried first
def test_layers_of_unequal_widths_are_refused():
    module = ncps.torch.WiredCfCCell(N_IN, ncps.wirings.AutoNCP(N, 4))
    with pytest.raises(CellError, match="splits the 32 units into groups of 17, 11 and 4"):
        trace(module, arguments={"timespans": 1.0})


# --- a perceptron of the input in front ----------------------------------------------------------


class Embedded(torch.nn.Module):
    """relu(V x + b) into a GRU, as most people embed their inputs."""

    def __init__(self):
        super().__init__()
        self.embed, self.cell = torch.nn.Linear(N_IN, N), torch.nn.GRUCell(N, N)

    def forward(self, x, h):
        return self.cell(torch.relu(self.embed(x)), h)


@pytest.mark.slow
def test_a_perceptron_of_the_input_costs_no_further_integral():
    cell = trace(Embedded()).cell
    ensemble, inputs = cell.ensemble(), Inputs(R=0.5)
    theory = MeanField(cell, ensemble, inputs, tying="untied")
    found = theory.fixed_point()  # three nested integrals took minutes
    networks = simulate(
        cell, ensemble, inputs, tying="untied", width=300, networks=40, steps=20, seed=0
    ).second_moment["h"]
    # Finite widths move it by some 1 / N; a normal deviate of five is one false alarm in 10^6.
    allowed = 5 * networks.sem[-1] + found.second_moment["h"] / 300
    assert abs(networks.mean[-1] - found.second_moment["h"]) < allowed
    assert abs(networks.mean[-1] - 1.2 * found.second_moment["h"]) > allowed


# --- their theory --------------------------------------------------------------------------------

WIDTH, INPUTS, STEPS, NETWORKS, BATCH = 1000, 500, 6, 8, 8
# Of Student's t with NETWORKS - 1 = 7 degrees of freedom: one false alarm in 10^4 comparisons.
LIMIT = 7.1


def ensemble_of(traced, module, factor=1.0):
    """The ensemble whose statistics the module's matrices have, times a factor."""
    laws = {}
    for p in traced.cell.preactivations:
        w, v, b = traced.parameters(module)[p.name]
        laws[p.name] = {"mu_b": float(b.mean()), "sigma_b": float(b.std(correction=0))}
        if w is not None:
            laws[p.name]["sigma_w"] = factor * float((w.square().mean() * w.shape[1]).sqrt())
        if v is not None:
            laws[p.name]["sigma_v"] = factor * float((v.square().mean() * v.shape[1]).sqrt())
    drawn = {}
    for name, values in traced.elementwise_parameters(module).items():
        own = values.flatten().tolist()
        drawn[name] = Constant(own[0]) if len({*own}) == 1 else Empirical(tuple(own))
    return traced.cell.ensemble("gaussian", drawn, **laws)


def measured(traced, make):
    """E[h^2] of the first state after STEPS steps from zero, for each of NETWORKS modules."""
    found = []
    for seed in range(NETWORKS):
        torch.manual_seed(seed)
        module = make()
        states = [torch.zeros(BATCH, WIDTH) for _ in traced.states]
        with torch.no_grad():
            for _ in range(STEPS):
                states = traced.step(module, torch.randn(BATCH, INPUTS), states)
        found.append(float(states[0].square().mean()))
    return found


def package_cell(name):
    return lambda: getattr(torchrecurrent.cells, name)(INPUTS, WIDTH)


WIDE = {
    **{name: package_cell(name) for name in ("ATRCell", "NBRCell", "CFNCell", "MGUCell")},
    **{name: package_cell(name) for name in ("FastGRNNCell", "LEMCell", "PeepholeLSTMCell")},
    "CfCCell": lambda: ncps.torch.CfCCell(INPUTS, WIDTH, backbone_layers=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_the_theory_is_that_of_wide_modules(name):
    torch.manual_seed(0)
    module = WIDE[name]()
    traced = trace(module, arguments={"ts": 1.0} if name == "CfCCell" else None)

    networks = measured(traced, WIDE[name])
    sem = np.std(networks, ddof=1) / math.sqrt(NETWORKS)
    state = traced.states[0]

    def standard_errors(factor):
        theory = MeanField(traced.cell, ensemble_of(traced, module, factor), Inputs(R=1.0))
        run = theory.evolve(STEPS)
        error = run.quantity("second_moment", state).error[-1]
        return (np.mean(networks) - run.second_moment[state][-1]) / math.hypot(sem, error)

    assert abs(standard_errors(1.0)) < LIMIT
    assert abs(standard_errors(1.1)) > LIMIT
