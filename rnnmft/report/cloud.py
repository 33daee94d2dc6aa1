"""Where the eigenvalues of the Jacobian lie: the theory's boundary around a network's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import DerivationError
from rnnmft.page.figure import BLACK, BLUE, GREY, Figure, draw_figure
from rnnmft.page.numbers import significant
from rnnmft.simulation import simulate

__all__ = ["cloud_figure"]

# Width of the network that is drawn: 200 points are told apart. Sampled units, for a curve as
# thick as a line.
_WIDTH, _UNITS = 200, 1024
# Points of the unit circle.
_TURN = 2j * np.pi * np.linspace(0.0, 1.0, 200)
_CIRCLE: NDArray[np.complex128] = np.exp(_TURN, dtype=np.complex128)


def cloud_figure(field: MeanField, steps: int, seed: int) -> Figure:
    """The boundary of the cloud and the eigenvalues of one network, after so many steps.

    Raises:
        RnnmftError: there is no stationary state, or no cloud.
    """
    law = field.eigenvalues(units=_UNITS)
    curves = law.boundary()
    if not curves:
        raise DerivationError("No recurrent weights spread the eigenvalues of the Jacobian.")
    run = simulate(
        field.cell, field.ensemble, field.inputs, width=_WIDTH, networks=1, steps=steps,
        tying=field.tying, jacobian_horizons=(1,), eigenvalues=True, seed=seed, device="cpu",
        start=field.start,
    )  # fmt: skip
    found = run.jacobian[1].eigenvalues
    assert found is not None
    network: NDArray[np.complex128] = np.asarray(found[0], dtype=np.complex128)

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.plot(_CIRCLE.real, _CIRCLE.imag, color=GREY, lw=0.8, ls=":", label="unit circle")
        axes.plot(network.real, network.imag, ".", color=BLUE, markersize=3, label="one network")
        for k, curve in enumerate(curves):
            label = f"{field.tying} theory" if k == 0 else None
            axes.plot(curve.real, curve.imag, color=BLACK, label=label)
        axes.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$", aspect="equal")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1.0)

    reach = float(np.abs(np.concatenate(curves)).max())
    inside = float((law.edge(network) > 0).mean())
    alt = (
        f"Eigenvalues of the one-step Jacobian: the boundary reaches to {significant(reach, 3)} "
        f"from 0; {inside:.0%} of the network's eigenvalues lie inside of it."
    )
    caption = (
        f"Eigenvalues of the one-step Jacobian. Line: where they end in theory. Points: one "
        f"network of width {_WIDTH} after {steps} steps. Modes near 1 are slow."
    )
    return draw_figure(draw, alt, caption)
