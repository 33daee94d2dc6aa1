"""The checks of `simulate`'s arguments, and the batches."""

import pytest

from rnnmft import Inputs, ParameterError, cells, simulate
from rnnmft.cells import Ensemble, Normal, PreactivationLaw
from rnnmft.simulation.plan import NetworkBatch, checked_plan

CELL = cells.minimal()
GOOD = {"cell": CELL, "ensemble": CELL.ensemble(), "inputs": Inputs(), "device": "cpu"}

BAD = {
    "width-0": ({"width": 0}, "width must be a whole number >= 1, got 0"),
    "width-text": ({"width": "64"}, "width must be a whole number"),
    "width-half": ({"width": 10.5}, "width must be a whole number"),
    "networks-0": ({"networks": 0}, "networks must be a whole number >= 1, got 0"),
    "steps-0": ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
    "tying": ({"tying": "loose"}, "tying must be 'tied' or 'untied', got 'loose'"),
    "dtype": ({"dtype": "float16"}, "dtype must be one of float32, float64, got 'float16'"),
    "horizon-0": ({"jacobian_horizons": (1, 0)}, "each of jacobian_horizons .* >= 1, got 0"),
    "horizon-negative": ({"jacobian_horizons": (-3,)}, "each of jacobian_horizons .* got -3"),
    "horizon-number": ({"jacobian_horizons": 3}, "jacobian_horizons must be a sequence"),
    "jacobian-networks": ({"networks": 3, "jacobian_networks": 4}, "at most networks = 3, got 4"),
    "jacobian-networks-0": ({"jacobian_networks": 0}, "jacobian_networks must be .* >= 1"),
    "lag-negative": ({"autocovariance_lags": (-1,)}, "each of autocovariance_lags .* got -1"),
    "lag-too-long": ({"steps": 5, "autocovariance_lags": (5,)}, "must be at most 4, got 5"),
    "point-text": ({"resolvent_points": ("z",)}, "resolvent_points must hold complex numbers"),
    "point-nan": ({"resolvent_points": (float("nan"),)}, "finite complex numbers"),
    "seed": ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    "start": ({"start": -1.0}, "start must be a finite number >= 0, got -1.0"),
    "start-state": ({"start": {"c": 1.0}}, "start names unknown state 'c'"),
    "memory": ({"memory": 0}, "memory must be a whole number >= 1"),
    "device": ({"device": "abacus"}, "device must be 'auto' or a torch device, got 'abacus'"),
    "device-kind": ({"device": "meta"}, "device must be 'auto', 'cpu' or 'cuda'"),
    "device-absent": ({"device": "cuda:99"}, "torch sees no such device"),
    "cell": ({"cell": "minimal"}, "cell must be of type Cell, got 'minimal'"),
    "inputs": ({"inputs": 1.0}, "inputs must be of type Inputs, got 1.0"),
    "no-ensemble": ({"ensemble": None}, "ensemble must be of type Ensemble, got None"),
    "other-ensemble": (
        {"ensemble": cells.gru().ensemble()},
        "ensemble must be of cell 'minimal' with preactivations e, got one with r, z, n",
    ),
    "same-names": (
        {"cell": cells.gru_torch(), "ensemble": Ensemble(dict.fromkeys(
            ("r", "z", "n_x", "n_h"), PreactivationLaw()))},
        "whose 'n_x' has no such matrix",
    ),
    "parameters": (
        {"ensemble": Ensemble({"e": PreactivationLaw()}, {"p": Normal(0.0, 1.0)})},
        "elementwise parameter of cell 'minimal' .none., got p",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), BAD.values(), ids=BAD)
def test_bad_arguments_are_named(change, sentence):
    with pytest.raises(ParameterError, match=sentence):
        simulate(**(GOOD | {"width": 4, "networks": 2, "steps": 2} | change))


def plan(**change):
    options = {
        "width": 64, "networks": 10, "steps": 7, "tying": "tied", "jacobian_horizons": (5, 2, 5),
        "jacobian_networks": 4, "spectrum": False, "resolvent_points": (),
        "autocovariance_lags": (), "dtype": "float32", "seed": 0, "memory": None,
    }  # fmt: skip
    return checked_plan(**(GOOD | options | change))


def test_horizons_are_sorted_and_single():
    assert plan().horizons == (2, 5)
    assert plan().last_step == 12


def test_batches_keep_the_networks_in_order_and_the_jacobians_first():
    assert list(plan().batches()) == [NetworkBatch(0, 4, True), NetworkBatch(4, 6, False)]
    assert list(plan(jacobian_horizons=()).batches()) == [NetworkBatch(0, 10, False)]
    three = 3 * plan().bytes_per_network(True)
    assert [b.count for b in plan(memory=three).batches() if b.jacobians] == [3, 1]
    assert [b.count for b in plan(memory=1).batches()] == [1] * 10


def test_the_default_memory_holds_the_benchmark_and_splits_what_is_larger():
    """Width 1024, 8 networks in one batch; with the Jacobian of an LSTM in several."""
    whole = plan(width=1024, networks=8, jacobian_horizons=(), jacobian_networks=8)
    assert len(list(whole.batches())) == 1
    lstm = cells.lstm()
    split = plan(cell=lstm, ensemble=lstm.ensemble(), width=1024, networks=8, jacobian_networks=8)
    assert len(list(split.batches())) > 1
    assert max(b.count for b in split.batches()) * split.bytes_per_network(True) < 2 * 2**30
