"""Figures of a diagnosis: m_1(T) measured and predicted, and the way to the critical point."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.deadline import deadline
from rnnmft.diagnosis.record import LayerDiagnosis
from rnnmft.errors import RnnmftError
from rnnmft.language import Ensemble
from rnnmft.page.figure import BLACK, BLUE, GREEN, GREY, RED, Figure, draw_figure
from rnnmft.page.numbers import significant

__all__ = ["gradient_figure", "scale_figure"]

# Common factors on every sigma_w, and units for the tied theory at each of its own.
_FACTORS = np.geomspace(0.5, 8.0, 9)
# Fewer for the tied theory, each of which is a sampled run of its own.
_TIED_FACTORS, _UNITS = np.geomspace(0.5, 8.0, 5), 2048
# Seconds for all of them; points that are not there by then are left out.
_SECONDS = 30.0


def gradient_figure(layer: LayerDiagnosis) -> Figure:
    """log10 m_1(T) over T: measured, predicted through the layer's own matrices, and the limit."""
    measured, predicted, tied = layer.measured, layer.predicted, layer.tied.log10_means
    value, error = measured.at(len(measured.log10))

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.axhspan(-layer.threshold, layer.threshold, color=GREEN, alpha=0.12, linewidth=0)
        if tied:
            steps = np.arange(1, len(tied) + 1)
            axes.plot(steps, _shown(tied), color=GREY, linewidth=3.4, label="infinite width, tied")
        steps = np.arange(1, len(predicted.log10) + 1)
        axes.plot(steps, _shown(predicted.log10), color=BLUE, label="predicted, its own matrices")
        every = max(len(measured.log10) // 12, 1)
        steps = np.arange(1, len(measured.log10) + 1)
        axes.errorbar(
            steps[::every],
            _shown(measured.log10)[::every],
            np.where(np.isfinite(measured.error), measured.error, 0.0)[::every],
            color=BLACK,
            fmt="o",
            label="measured",
        )
        axes.set_xlabel("steps T")
        axes.set_ylabel("$\\log_{10}\\,m_1(T)$")
        axes.legend(loc="best")

    alt = (
        f"log10 m_1 of {layer.layer} over the number of steps: it reaches {significant(value, 3)} "
        f"after {len(measured.log10)} steps."
    )
    caption = (
        f"The mean squared gradient over T steps. Measured by automatic differentiation, "
        f"{significant(value, 4)} ± {significant(error, 1)} at the end; the green band is healthy."
    )
    return draw_figure(draw, alt, caption, height=3.6)


def _shown(values: Any) -> Any:
    """Values with gaps where they are infinite."""
    return np.where(np.isfinite(values), values, np.nan)


def scale_figure(layer: LayerDiagnosis) -> Figure:
    """The growth of gradients when every sigma_w is multiplied by one factor.

    Raises:
        RnnmftError: there is no growth to draw.
    """
    with deadline(_SECONDS):
        untied = [_growth(layer, factor, "untied") for factor in _FACTORS]
        tied = [_growth(layer, factor, "tied") for factor in _TIED_FACTORS]
    here = layer.tied.growth
    if here is None or not np.isfinite(untied).any():
        raise RnnmftError("The theory has no growth of gradients here.")

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        axes.axhline(0.0, color=GREEN, linewidth=1)
        axes.plot(_FACTORS, untied, color=BLUE, linestyle="--", label="untied theory")
        axes.plot(_TIED_FACTORS, tied, "s-", color=BLACK, label="tied theory")
        axes.plot([1.0], [here], "o", color=RED, markersize=9, label="this layer")
        axes.set_xscale("log", base=2)
        axes.set_xticks([0.5, 1, 2, 4, 8], ["½", "1", "2", "4", "8"])
        axes.set_xlabel("factor on every $\\sigma_w$")
        axes.set_ylabel("growth of $\\log\\,m_1$ per step")
        axes.legend(loc="best")

    alt = (
        f"Growth of gradients of {layer.layer} against a factor on its recurrent weights; it "
        f"stands at {significant(here, 3)} where 0 is critical."
    )
    caption = (
        "Where it stands: below 0 gradients vanish, above they explode. All else stays; where the "
        "curve does not reach 0, no common factor is enough and biases have to change."
    )
    return draw_figure(draw, alt, caption, height=3.6)


def _growth(layer: LayerDiagnosis, factor: float, tying: str) -> float:
    """The growth with every sigma_w multiplied by a factor; nan where there is none."""
    laws = {n: replace(law, sigma_w=law.sigma_w * factor) for n, law in layer.ensemble.items()}
    ensemble = Ensemble(laws, layer.ensemble.parameters)
    try:
        field = MeanField(layer.cell, ensemble, layer.inputs, tying, particles=_UNITS, device="cpu")
        return float(field.gradient_growth())
    except RnnmftError:
        return math.nan
