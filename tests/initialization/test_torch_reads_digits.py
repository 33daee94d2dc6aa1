"""The whole way: PyTorch's own stacked LSTM, drawn by `apply_`, reads digits as the theory says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.experiments.digits import sklearn_digits
from rnnmft.initialization.modules import apply_
from rnnmft.language import Inputs

WIDTH, NETWORKS, LAYERS = 192, 60, 3
FALSE_ALARM = 1e-4


@pytest.mark.slow
def test_a_stacked_lstm_reads_two_digits() -> None:
    """E[s_a s_b] of h and c of all layers after eight rows. Control: layers told apart by 15 %.

    Of 60 networks whose bias of order 1/N is below their standard error, Student's t over the 18
    numbers, Bonferroni.
    """
    digits = sklearn_digits().images[[20, 59]].reshape(2, 8, 8)
    stack = cells.stack(cells.lstm(), LAYERS)
    ensemble = stack.ensemble(
        f={"mu_b": 1.0}, g={"sigma_w": 1.5, "sigma_v": 2.0}, o_3={"sigma_b": 0.5}
    )
    samples = []
    for seed in range(NETWORKS):
        random = torch.Generator().manual_seed(seed)
        module = torch.nn.LSTM(8, WIDTH, LAYERS, batch_first=True)
        apply_(ensemble, module, random, cell=stack)
        with torch.no_grad():
            _, (h, c) = module(torch.as_tensor(digits))
        products = torch.einsum("slan,slbn->slab", *[torch.stack([h, c])] * 2) / WIDTH
        samples.append(products.numpy()[..., [0, 0, 1], [0, 1, 1]])
    measured = np.array(samples)  # (networks, 2, layers, [aa, ab, bb])
    inputs = Inputs.from_data(*digits)
    theory = MeanField(stack, ensemble, inputs, particles=1 << 15, device="cpu").evolve(8)
    both = [measured[..., [0, 2]].mean(-1), measured[..., 1]]
    for kind, found in zip(("second_moment", "cross_moment"), both, strict=True):
        for s, state in enumerate("hc"):
            for layer in range(LAYERS):
                at = f"{state}_{layer + 1}"
                value, error = getattr(theory, kind)[at][-1], theory.error[kind][at][-1]
                mean, sem = found[:, s, layer].mean(), stats.sem(found[:, s, layer])
                limit = stats.t.isf(FALSE_ALARM / 2 / 18, NETWORKS - 1) * np.hypot(sem, error)
                assert abs(mean - value) < limit
                assert abs(mean - 1.15 * value) > limit
