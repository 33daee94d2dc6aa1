"""Populations: kinds of units that differ in cell, bias and gain, with a random matrix a block.

    e_k = sum_l W_kl Y_l(..) + V_k x + b_k,    W_kl: iid N(0, sigma_kl^2 / N),    N_l = f_l N,

for the units of population k, N all units together, f_l the fraction of population l, and Y_l what
its units show. A network of populations is a cell: each population has states of its own, each
block of W is a preactivation, and e_k is the sum of K of them.

The states of population k are of width f_k. A block's sigma_w is sigma_kl sqrt(f_l), since the
variance of its entries is sigma_w^2 over the units that it sees, N_l: what it passes on is
sigma_kl^2 f_l E[Y_l^2].

Source: [aljadeff2015]. Eq. (populations), Eq. (widths).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from rnnmft.errors import CellError, ParameterError
from rnnmft.language.cell import Cell
from rnnmft.language.ensemble import Ensemble
from rnnmft.language.laws import Law
from rnnmft.language.symbols import Average, Preactivation, RandomParameter, State
from rnnmft.parameters import PREACTIVATION_PARAMETERS

__all__ = ["Populations", "populations"]

#: What the sum of fractions such as 0.1, 0.2, 0.7 may be off 1 by rounding.
_ROUNDING = 1e-12


def populations(
    cell: Cell | Sequence[Cell],
    fractions: Mapping[str, float] | Sequence[float],
    *,
    name: str | None = None,
) -> Populations:
    """A network of populations of the given fractions. Eq. (populations).

    Names end in _k for population k, and those of blocks in _k_l: W of e_k_l goes from population l
    to k. Where a cell averages over units, it does so over all of them.

    Args:
        cell: one cell for all populations, or the cell of each, with preactivations of the same
            names; a leak or an activation of its own makes a cell of its own.
        fractions: {population: fraction of the units}, or fractions alone, numbered from 1.
        name: of the whole; the cells' names joined by + where absent.

    Raises:
        CellError: cells whose preactivations or averages differ in name or kind.
        ParameterError: fractions that are not positive with sum 1, or not one a cell.

    >>> from rnnmft import cells
    >>> populations(cells.rate(), {"E": 0.8, "I": 0.2}).preactivations
    (e_E_E, e_E_I, e_I_E, e_I_I)
    """
    if not isinstance(fractions, Mapping):
        fractions = {str(k): f for k, f in enumerate(fractions, 1)}
    cells = [cell] * len(fractions) if isinstance(cell, Cell) else list(cell)
    if len(cells) != len(fractions) or not all(isinstance(one, Cell) for one in cells):
        raise ParameterError(f"cell must be a Cell, or one for each of {len(fractions)} fractions")
    return Populations(cells, fractions, name)


class Populations(Cell):
    """A network of populations as a cell; `populations` makes it.

    Attributes:
        members: the cell of each population.
        fractions: {population: fraction of the units}.
    """

    def __init__(
        self, members: Sequence[Cell], fractions: Mapping[str, float], name: str | None = None
    ) -> None:
        self.members, self.fractions = tuple(members), dict(fractions)
        _check(self.members, self.fractions)
        update: dict[State, sp.Expr] = {}
        preactivations: list[Preactivation] = []
        averages: list[Average] = []
        sources = dict(zip(self.fractions, self.members, strict=True))
        named = {k: self._names_in(cell, k) for k, cell in sources.items()}
        for k, cell in sources.items():
            whole, width = named[k], self.fractions[k]
            update |= {whole[s]: f.xreplace(whole) for s, f in cell.update.items()}  # type: ignore[misc]
            averages += [Average(f"{m}_{k}", f.xreplace(whole)) for m, f in cell.averages.items()]
            for p in cell.preactivations:
                if not p.is_recurrent:
                    preactivations.append(Preactivation(f"{p}_{k}", 0, width=width))
                    continue
                for j, source in sources.items():
                    sees = _of_name(source, p.name).sees.xreplace(named[j])
                    own = p.has_input and j == k
                    preactivations.append(Preactivation(f"{p}_{k}_{j}", sees, own, width))
        name = name or "+".join(cell.name for cell in self.members)
        super().__init__(name, update, preactivations, averages)

    def _names_in(self, cell: Cell, k: str) -> dict[sp.Basic, sp.Basic]:
        """What the symbols of population k's cell are in the whole: symbols, and sums of them."""
        total = {
            p: [f"{p}_{k}_{j}" if p.is_recurrent else f"{p}_{k}" for j in self.fractions]
            for p in cell.preactivations
        }
        return {
            **{s: State(f"{s}_{k}", self.fractions[k]) for s in cell.states},
            **{p: RandomParameter(f"{p}_{k}") for p in cell.parameters},
            **{p: sp.Add(*map(_symbol, dict.fromkeys(names))) for p, names in total.items()},
            **{
                m: sp.Add(*(f * _symbol(f"{m}_{j}") for j, f in self.fractions.items()))
                for m in cell.averages
            },
        }

    def ensemble(
        self,
        weights: str | Mapping[str, str] = "gaussian",
        parameters: Mapping[str, Law] | None = None,
        **preactivations: Mapping[str, Any],
    ) -> Ensemble:
        """The law of all blocks: e=dict(sigma_w=(K, K), sigma_v=(K,), mu_b=(K,), sigma_b=(K,)).

        sigma_w[k][l] is sigma_kl, the block from population l to k, of variance sigma_kl^2 / N with
        N all units; a number stands for all populations, so that one sigma_w gives the network
        without populations. A block by its own name, e_k_l=.., has its sigma_w as the ensemble and
        sweeps have it, sigma_kl sqrt(f_l), and goes before.

        Args:
            weights: "gaussian"; blocks of other laws are not square.
            parameters: {name: law} of elementwise random parameters; that of p_k goes before p.
            preactivations: by name.

        Raises:
            ParameterError: an unknown name, a value outside its domain or of the wrong shape.

        >>> from rnnmft import cells
        >>> two = populations(cells.vanilla(), (0.25, 0.75))
        >>> law = two.ensemble(e=dict(sigma_w=[[2.0, 1.0], [1.0, 0.5]], mu_b=[0.1, 0.0]))
        >>> law["e_1_1"].sigma_w, law["e_2_1"].sigma_w, law["e_1_1"].mu_b
        (1.0, 0.5, 0.1)
        """
        kinds = set(weights.values()) if isinstance(weights, Mapping) else {weights}
        if kinds - {"gaussian"}:
            raise ParameterError(f"weights of populations must be 'gaussian', got {weights!r}")
        rows: dict[str, dict[str, Any]] = {}
        for p in self.members[0].preactivations:
            rows |= self._blocks(p, _mapping(p.name, preactivations.pop(p.name, {})))
        for name, row in preactivations.items():
            rows[name] = {**rows.get(name, {}), **_mapping(name, row)}
        laws = dict(parameters or {})
        shared = {
            p.name: laws.pop(p.name) for c in self.members for p in c.parameters if p.name in laws
        }
        for k, cell in zip(self.fractions, self.members, strict=True):
            own = {f"{p}_{k}": shared[p.name] for p in cell.parameters if p.name in shared}
            laws = {**own, **laws}
        return super().ensemble(weights, laws, **rows)

    def _blocks(self, p: Preactivation, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The parameters of the blocks that a preactivation is made of."""
        size = len(self.fractions)
        each = {key: _for_each(f"{p}.{key}", value, size) for key, value in given.items()}
        sigmas = each.pop("sigma_w", [1.0] * size)
        rows: dict[str, dict[str, Any]] = {}
        for i, k in enumerate(self.fractions):
            own = {key: values[i] for key, values in each.items()}
            if not p.is_recurrent:
                rows[f"{p}_{k}"] = own
                continue
            row = _for_each(f"{p}.sigma_w", sigmas[i], size)
            for sigma, (j, fraction) in zip(row, self.fractions.items(), strict=True):
                name = f"{p}_{k}_{j}"
                known = PREACTIVATION_PARAMETERS["sigma_w"].validate(sigma, name)
                rows[name] = {"sigma_w": known * math.sqrt(fraction), **(own if j == k else {})}
        return rows

    def over_units(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Means over all units, sum_k f_k x_k, of what is known for each population's state.

        Args:
            values: {state of a population: number or array}, as `FixedPoint.second_moment`.

        >>> from rnnmft import cells
        >>> populations(cells.vanilla(), (0.25, 0.75)).over_units({"h_1": 4.0, "h_2": 0.0})
        {'h': 1.0}
        """
        names = [s.name for s in self.members[0].states]
        known = [s for s in names if all(f"{s}_{k}" in values for k in self.fractions)]
        return {s: sum(f * values[f"{s}_{k}"] for k, f in self.fractions.items()) for s in known}

    def __reduce__(self) -> Any:
        return type(self), (self.members, self.fractions, self.name)


def _check(members: Sequence[Cell], fractions: Mapping[str, float]) -> None:
    values = list(fractions.values())
    if not values or not all(isinstance(f, (int, float)) and f > 0 for f in values):
        raise ParameterError(f"fractions must be positive numbers, got {values}")
    if abs(math.fsum(values) - 1.0) > _ROUNDING:
        raise ParameterError(f"fractions must have the sum 1, got {math.fsum(values)!r}")
    first, *others = (
        (
            {p.name: p.is_recurrent for p in cell.preactivations},
            {m.name for m in cell.averages},
        )
        for cell in members
    )
    for cell, names in zip(members[1:], others, strict=True):
        if names != first:
            raise CellError(
                f"cells of populations must have preactivations and averages of the same names, "
                f"{members[0].name!r} and {cell.name!r} have not"
            )


def _of_name(cell: Cell, name: str) -> Preactivation:
    return next(p for p in cell.preactivations if p.name == name)


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


def _mapping(name: str, row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ParameterError(f"{name} must be a mapping of parameters, got {row!r}")
    return row


def _for_each(name: str, value: Any, size: int) -> list[Any]:
    """What is given for each population, or for all of them alike."""
    if not hasattr(value, "__len__") or isinstance(value, str):
        return [value] * size
    if len(value) != size:
        raise ParameterError(f"{name} must be a number or {size}, one a population")
    return [value[i] for i in range(size)]
