"""Critical answers against simulated networks: m_1(1) untied, the growth of m_1(T) tied.

    python -m validation.critical validation/results/critical.json

For four cells of the zoo and two given as text, networks are drawn from `critical`'s answer:

    untied    m_1(1) = 1 within 4 standard errors and 3 %
    tied      (log m_1(40) - log m_1(10)) / 30 within 0.005 of 0

The Jacobians start after as many steps as the answer's own `burn_in`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnmft as mft
from rnnmft.simulation.inputs import InputSequence
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import Generators, TiedParameters
from rnnmft.validation.provenance import provenance
from validation.texts import TEXTS

WIDTH, NETWORKS, SEED = 1024, 8, 20260301
HORIZONS = (10, 20, 30, 40)
DIRECTIONS = 64
WITHIN_ERRORS, WITHIN_SHARE, WITHIN_GROWTH = 4.0, 0.03, 0.005


def cells() -> dict[str, mft.Cell]:
    """The cells, by name."""
    zoo = {name: mft.cells.get(name) for name in ("vanilla", "minimal", "gru", "lstm")}
    return zoo | {name: mft.cells.loads(text) for name, text in TEXTS.items()}


def untied(cell: mft.Cell) -> dict[str, Any]:
    """m_1(1) of networks with fresh weights at every step."""
    started = time.process_time()
    answer = mft.critical(cell, tying="untied")
    seconds = time.process_time() - started
    run = mft.simulate(
        cell,
        answer.ensemble,
        answer.inputs,
        width=WIDTH,
        networks=NETWORKS,
        steps=answer.burn_in,
        tying="untied",
        jacobian_horizons=(1,),
        device="cpu",
        seed=SEED,
    )
    found = run.jacobian[1].moments
    value, error = float(found.mean[0]), float(found.sem[0])
    return {
        "ensemble": answer.ensemble.to_dict(),
        "processor_seconds": seconds,
        "m_1": value,
        "standard_error": error,
        "holds": abs(value - 1.0) <= WITHIN_ERRORS * error + WITHIN_SHARE,
    }


def tied(cell: mft.Cell) -> dict[str, Any]:
    """The growth of m_1(T) of networks with one set of weights."""
    started = time.process_time()
    answer = mft.critical(cell, tying="tied", device="cpu")
    seconds = time.process_time() - started
    samples = mean_squares(cell, answer)
    steps = HORIZONS[-1] - HORIZONS[0]
    rate = float(np.log(samples[HORIZONS[-1]].mean() / samples[HORIZONS[0]].mean()) / steps)
    spread = np.log(samples[HORIZONS[-1]] / samples[HORIZONS[0]]).std(ddof=1)
    return {
        "ensemble": answer.ensemble.to_dict(),
        "processor_seconds": seconds,
        "solved_for": answer.solved_for,
        "correction": answer.correction,
        "growth_at_the_untied_answer": answer.tied_growth["untied answer"].to_dict(),
        "predicted_growth": answer.tied_growth["answer"].to_dict(),
        "m_1": {str(T): float(v.mean()) for T, v in samples.items()},
        "growth": rate,
        "standard_error": float(spread / steps / np.sqrt(NETWORKS)),
        "holds": abs(rate) <= WITHIN_GROWTH,
    }


@torch.no_grad()
def mean_squares(cell: mft.Cell, answer: mft.Initialization) -> dict[int, np.ndarray]:
    """m_1(T) of each network, by |J V|^2 / |V|^2 for random directions V.

    Over N (times the number of states) singular values, 64 directions read m_1 as well as the
    identity does, at a sixteenth of its cost.
    """
    generators = Generators(SEED, 0, NETWORKS, torch.device("cpu"))
    network = Network(cell, WIDTH, torch.device("cpu"), torch.float32)
    drawn = TiedParameters(cell, answer.ensemble, WIDTH, generators.parameters, torch.float32)
    steps = answer.burn_in + HORIZONS[-1]
    x = InputSequence(answer.inputs, steps, generators.inputs, WIDTH, torch.float32)
    states = network.zero_state(NETWORKS)
    for _ in range(answer.burn_in):
        states, _ = network.step(states, x.advance(), drawn)
    tangent = network.tangent(NETWORKS)
    random = torch.Generator().manual_seed(SEED)
    shape = (NETWORKS, WIDTH, DIRECTIONS)
    tangent.states = [torch.randn(shape, generator=random) for _ in cell.states]
    first = sum(s.double().square().sum((1, 2)) for s in tangent.states) / DIRECTIONS
    found = {}
    for T in range(1, HORIZONS[-1] + 1):
        states, _ = network.step(states, x.advance(), drawn, tangent)
        if T in HORIZONS:
            found[T] = ((2 * tangent.log_scale).exp() / first).numpy()
    return found


def main(path: Path) -> None:
    """Run every cell and write what was found."""
    kept = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else {}
    for name, cell in cells().items():
        if name in kept:
            continue
        kept[name] = {"untied": untied(cell), "tied": tied(cell)}
        command = f"python -m validation.critical {path}"
        content = {
            "width": WIDTH,
            "networks": NETWORKS,
            "directions": DIRECTIONS,
            "seed": SEED,
            "cells": kept,
            "provenance": provenance("cpu", command).to_dict(),
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
