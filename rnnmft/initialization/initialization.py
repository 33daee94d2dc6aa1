"""Initialization: an ensemble to start from, what theory predicts of it, and why it is this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import sympy as sp

from rnnmft.errors import ParseError, RnnmftError
from rnnmft.initialization import files
from rnnmft.initialization.critical_ensemble import CriticalEnsemble
from rnnmft.initialization.reading import fields_from
from rnnmft.initialization.report import markdown
from rnnmft.initialization.source import source

if TYPE_CHECKING:
    import torch

    from rnnmft.tracing import HintOptions

__all__ = ["Initialization"]


@dataclass(frozen=True)
class Initialization(CriticalEnsemble):
    """A critical ensemble on its way into networks and files. `critical` makes one.

    Its attributes are `CriticalEnsemble`'s.
    """

    def report(self) -> str:
        """What it is, what theory predicts for both tyings, and why; in Markdown."""
        return markdown(self)

    # --- into networks -------------------------------------------------------------------------

    def apply_(
        self,
        module: torch.nn.Module,
        generator: torch.Generator | None = None,
        **hints: Unpack[HintOptions],
    ) -> torch.nn.Module:
        """Draw the parameters of a torch module from the ensemble, in place; returns the module.

        Above the first layer sigma_v is multiplied by (R / E[h^2])^(1/2), with the tied E[h^2] of
        the layer below: the variance that the input gives to a gate is the same in every layer.

        Args:
            module: nn.RNN, nn.GRU, nn.LSTM, their cells, or a module that `cells.from_torch` reads.
            generator: the source of randomness; torch's own if absent.
            hints: states, input, arguments, returned: of `from_torch`, for a module of one's own.
        """
        from rnnmft.initialization.modules import apply_

        gain = 1.0
        if getattr(module, "num_layers", 1) > 1:
            below = self._handed_up()
            gain = (self.inputs.R / below) ** 0.5 if below > 0 and self.inputs.R > 0 else 1.0
        return apply_(self.ensemble, module, generator, cell=self.cell, layer_gain=gain, **hints)

    def _handed_up(self) -> float:
        """The tied E[h^2] that a layer above sees: stationary, or its mean over the horizon.

        Sampled units are stationary to what a draw asks for when their burn-in ends.
        """
        state = next((s.name for s in self.cell.states if s.name == "h"), self.cell.states[-1].name)
        theory, grows = self.sketched("tied"), self.variance_growth is not None
        if not grows and not theory.is_sampled:
            return theory.fixed_point().second_moment[state]
        steps = max(round(self.horizon), 1) if grows else self.burn_in
        path = theory.evolve(steps).second_moment[state]
        return float(path[0 if grows else -steps // 4 :].mean())

    def source(self, framework: str) -> str:
        """A function that draws the ensemble: for pytorch, flax, flax_nnx, keras or numpy."""
        return source(self.ensemble, framework, self.cell)

    # --- files ---------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything that `from_dict` needs, JSON-safe."""
        design = self.design
        return {
            "cell": {"name": design.cell.name, "toml": design.cell.to_toml()},
            "inputs": design.inputs.to_dict(),
            "ensemble": self.ensemble.to_dict(),
            "untied_ensemble": self.untied_ensemble.to_dict(),
            "tying": self.tying,
            "objective": self.objective,
            "horizon": self.horizon,
            "method": self.method,
            "solved_for": design.main,
            "choices": {n: vars(c) for n, c in design.choices.items()},
            "fixed": {n: dict(given) for n, given in design.fixed.items()},
            "reasons": list(self.reasons),
            "tied_growth": {n: q.to_dict() for n, q in self.tied_growth.items()},
            "burn_in": self.burn_in,
            "sampling": self.sampling.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Initialization:
        """What `to_dict` wrote.

        Raises:
            RnnmftError: something is missing, is not what it should be, or is outside its domain.
        """
        return cls(**fields_from(data))

    def to_json(self, path: str | Path) -> None:
        """Write it to a file."""
        files.write(path, self.to_dict())

    @classmethod
    def from_json(cls, path: str | Path) -> Initialization:
        """Read it from a file.

        Raises:
            ParseError: the file is damaged, newer than this rnnmft, or something else altogether.
        """
        data = files.read(path)
        try:
            return cls.from_dict(data)
        except RnnmftError as error:
            raise ParseError(f"the file is damaged: {error}", source=str(path)) from None

    def _repr_latex_(self) -> str | None:
        if self.formula is None:
            return None
        rows = r" \\ ".join(sp.latex(e) for e in self.formula)
        return rf"$$\begin{{gathered}}{rows}\end{{gathered}}$$"

    def __repr__(self) -> str:
        rows = [
            f"  {n}: sigma_w = {p.sigma_w:.6g}, sigma_v = {p.sigma_v:.6g}, mu_b = {p.mu_b:.6g}, "
            f"sigma_b = {p.sigma_b:.6g}, {p.weights}"
            for n, p in self.ensemble.items()
        ]
        rows += [f"  {n}: {law!r}" for n, law in self.ensemble.parameters.items()]
        head = f"Initialization of {self.cell.name!r}, critical for {self.tying} weights"
        growth = self.variance_growth
        if growth is not None:
            rows.append(
                f"  no variance is stationary: it grows by {growth:.4g} a step, a free choice, to "
                f"{self.design.choices[next(iter(self.ensemble))].q:.4g} after {self.horizon:g} "
                "steps"
            )
        return "\n".join([head, *rows])
