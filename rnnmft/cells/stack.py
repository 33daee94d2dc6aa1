"""Stacks: layers of cells of one width, each fed by the new hidden state of the one below.

    e_k of layer l:  W_k y_k + U_k h'^(l-1) + b_k,    U_k: iid N(0, sigma_v^2 / N)

as in torch.nn.LSTM(num_layers=..). A stack is a cell: its states are those of all layers, numbered
from the first, and U_k is a matrix that sees what the layer below has just become. So the law of
each layer's input, its correlation in time and between two sequences, and every Jacobian, within a
layer, across layers and time, are those of a cell.

Eq. (stack), Eq. (cell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from rnnmft.errors import CellError, ParameterError
from rnnmft.language.cell import Cell
from rnnmft.language.definitions import Definition
from rnnmft.language.ensemble import Ensemble, PreactivationLaw
from rnnmft.language.laws import Law
from rnnmft.language.symbols import Average, Preactivation, RandomParameter, State
from rnnmft.parameters import check_count

__all__ = ["Stack", "stack"]

_BELOW = "below"


def stack(
    cell: Cell | Sequence[Cell], layers: int | None = None, *, output: str | None = None
) -> Stack:
    """Layers of cells, the first of which is fed with the input.

    The names of layer l end in _l: h_1, f_1, .. A preactivation of layer l > 1 that has an input
    and weights of its own is a sum of two, f_2 = W h_2 + b and f_2_below = U h_1'.

    Args:
        cell: one cell for all layers, or the cell of each layer, from the first to the last.
        layers: how many, for one cell.
        output: the state that the layer above sees; h where absent, or a cell's only state.

    Raises:
        CellError: no such state.
        ParameterError: layers is not a whole number >= 1, or given beside a sequence of cells.

    >>> from rnnmft import cells
    >>> stack(cells.gru(), 2)
    Cell 'gru,gru': states h_1, h_2; preactivations r_1, z_1, n_1, r_2, r_2_below, z_2, z_2_below, \
n_2, n_2_below
    """
    if isinstance(cell, Cell):
        return Stack([cell] * check_count("layers", layers), output)
    cells = list(cell) if isinstance(cell, Sequence) else []
    if not cells or not all(isinstance(one, Cell) for one in cells):
        raise ParameterError(f"cell must be a Cell or a sequence of them, got {cell!r}")
    if layers is not None:
        raise ParameterError("layers must be absent where the cell of each layer is given")
    return Stack(cells, output)


class Stack(Cell):
    """A stack as a cell; `stack` makes it.

    Attributes:
        layers: the cells, from the first layer to the last.
        output: the state that a layer shows to the one above, None for h or the only one.
    """

    def __init__(self, layers: Sequence[Cell], output: str | None = None) -> None:
        self.layers, self.output = tuple(layers), output
        update: dict[State, sp.Expr] = {}
        defined: list[Definition] = []
        below: sp.Expr | None = None
        for number, layer in enumerate(self.layers, 1):
            found, new = _numbered(layer, number, below)
            update |= found
            defined += new
            name = f"{_output_of(layer, output)}_{number}"
            below = next(new for s, new in found.items() if s.name == name)
        kinds = ([d for d in defined if isinstance(d, k)] for k in (Preactivation, Average))
        super().__init__(",".join(layer.name for layer in self.layers), update, *kinds)

    def ensemble(
        self,
        weights: str | Mapping[str, str] = "gaussian",
        parameters: Mapping[str, Law] | None = None,
        **preactivations: Mapping[str, float],
    ) -> Ensemble:
        """The law of all layers: f=.. is for every layer that has an f, f_2=.. for the second.

        What is given for f_2 adds to what is given for f, and goes before it. sigma_v is that of
        whatever feeds a layer: V of the first, U of the others, which are gaussian.

        Args:
            weights: "gaussian" or "orthogonal" recurrent matrices, or one of them by name.
            parameters: {name: law} of elementwise random parameters, by the same rule.
            preactivations: {sigma_w, sigma_v, mu_b, sigma_b} by name.

        Raises:
            ParameterError: an unknown name, a value outside its domain.

        >>> from rnnmft import cells
        >>> law = stack(cells.vanilla(), 2).ensemble(e=dict(sigma_w=1.5), e_2=dict(sigma_v=0.5))
        >>> law["e_1"].sigma_w, law["e_2"].sigma_w, law["e_2_below"].sigma_w
        (1.5, 1.5, 0.5)
        """
        kinds = weights if isinstance(weights, Mapping) else None
        self._check_known(preactivations, "preactivation")
        self._check_known(kinds or {}, "preactivation")
        self._check_known(parameters or {}, "parameter")
        found = []
        for number, layer in enumerate(self.layers, 1):
            names = [p.name for p in layer.preactivations]
            rows = {n: _merged(preactivations, n, number) for n in names}
            chosen = weights if kinds is None else _chosen(kinds, names, number)
            laws = _chosen(parameters or {}, [p.name for p in layer.parameters], number)
            try:
                found.append(layer.ensemble(chosen, laws or None, **rows))
            except ParameterError as error:
                raise ParameterError(f"layer {number}, {layer.name}: {error}") from None
        return self.joined(found)

    def joined(self, ensembles: Sequence[Ensemble]) -> Ensemble:
        """The ensemble of the stack from one of each layer's cell, from the first to the last.

        Raises:
            ParameterError: not one for each layer, or one of another cell.

        >>> from rnnmft import cells
        >>> layer = cells.vanilla().ensemble(e=dict(sigma_w=1.2, sigma_v=0.3))
        >>> two = stack(cells.vanilla(), 2)
        >>> two.joined([layer, layer]) == two.ensemble(e=dict(sigma_w=1.2, sigma_v=0.3))
        True
        """
        if len(ensembles) != len(self.layers):
            raise ParameterError(
                f"ensembles must be {len(self.layers)}, one a layer, got {len(ensembles)}"
            )
        laws: dict[str, PreactivationLaw] = {}
        parameters: dict[str, Law] = {}
        for number, (layer, ensemble) in enumerate(zip(self.layers, ensembles, strict=True), 1):
            if set(ensemble) != {p.name for p in layer.preactivations}:
                raise ParameterError(
                    f"the ensemble of layer {number} has {', '.join(ensemble)}, and its cell "
                    f"{layer.name!r} {', '.join(p.name for p in layer.preactivations)}"
                )
            for p in layer.preactivations:
                laws |= _laws_of(p, ensemble[p.name], number)
            parameters |= {f"{n}_{number}": law for n, law in ensemble.parameters.items()}
        return Ensemble({p.name: laws[p.name] for p in self.preactivations}, parameters)

    def of_layers(self, ensemble: Ensemble) -> tuple[Ensemble, ...]:
        """The ensemble of each layer's cell, from the first to the last: `joined` undone.

        Raises:
            ParameterError: the ensemble is of another cell.

        >>> from rnnmft import cells
        >>> two = stack(cells.vanilla(), 2)
        >>> two.of_layers(two.ensemble(e_2=dict(sigma_v=0.5)))[1]["e"].sigma_v
        0.5
        """
        if set(ensemble) != {p.name for p in self.preactivations}:
            raise ParameterError(f"the ensemble is of another cell: it has {', '.join(ensemble)}")
        return tuple(_of_layer(c, ensemble, n) for n, c in enumerate(self.layers, 1))

    def _check_known(self, given: Mapping[str, Any], kind: str) -> None:
        """Every name is that of some layer's symbol, alone or with the layer's number."""
        known: dict[str, None] = {}
        for number, layer in enumerate(self.layers, 1):
            symbols = layer.preactivations if kind == "preactivation" else layer.parameters
            for symbol in symbols:
                known |= {symbol.name: None, f"{symbol.name}_{number}": None}
        for name in given:
            if name not in known:
                raise ParameterError(
                    f"unknown {kind} {name!r}; the layers of this stack have "
                    f"{', '.join(known) or 'none'}"
                )

    def __reduce__(self) -> Any:
        return type(self), (self.layers, self.output)


def _output_of(layer: Cell, output: str | None) -> str:
    """The name of the state that the next layer sees."""
    names = [s.name for s in layer.states]
    if output is None and len(names) == 1:
        return names[0]
    wanted = "h" if output is None else output
    if wanted not in names:
        raise CellError(
            f"cell {layer.name!r} has no state {wanted!r} for the layer above to see; it has "
            f"{', '.join(names)}: name one as output"
        )
    return wanted


def _numbered(
    layer: Cell, number: int, below: sp.Expr | None
) -> tuple[dict[State, sp.Expr], list[Definition]]:
    """The updates of a layer with its number at every name, and the definitions in their order.

    Args:
        layer: its cell.
        number: of the layer, from 1 on.
        below: what the layer below has become; None for the first.
    """
    # SymPy's own type: symbols become sums of symbols.
    whole: dict[sp.Basic, sp.Basic] = {
        **{s: State(f"{s.name}_{number}", s.width) for s in layer.states},
        **{p: RandomParameter(f"{p.name}_{number}") for p in layer.parameters},
    }
    if layer.input is not None and below is not None:
        whole[layer.input] = below
    defined: list[Definition] = []
    for d in layer.order:
        name, content = f"{d.name}_{number}", d.content.xreplace(whole)
        if isinstance(d, Average):
            whole[d] = Average(name, content)
        elif below is None or not d.has_input:
            whole[d] = Preactivation(name, content, d.has_input, d.width)
        elif d.is_recurrent:
            own, fed = (
                Preactivation(name, content, None, d.width),
                Preactivation(f"{name}_{_BELOW}", below, None, d.width),
            )
            defined += [own, fed]
            whole[d] = own + fed
            continue
        else:
            whole[d] = Preactivation(name, below, None, d.width)
        defined.append(whole[d])  # type: ignore[arg-type]
    return {whole[s]: f.xreplace(whole) for s, f in layer.update.items()}, defined  # type: ignore[misc]


def _laws_of(p: Preactivation, law: PreactivationLaw, number: int) -> dict[str, PreactivationLaw]:
    """The laws of the one or two preactivations that a layer's preactivation is made of."""
    name = f"{p.name}_{number}"
    if number == 1 or not p.has_input:
        return {name: law}
    fed = PreactivationLaw(sigma_w=law.sigma_v, sigma_v=0.0)
    if not p.is_recurrent:
        return {name: replace(fed, mu_b=law.mu_b, sigma_b=law.sigma_b)}
    return {name: replace(law, sigma_v=0.0), f"{name}_{_BELOW}": fed}


def _of_layer(layer: Cell, ensemble: Ensemble, number: int) -> Ensemble:
    """The ensemble of one layer's cell out of the stack's."""
    laws = {}
    for p in layer.preactivations:
        name = f"{p.name}_{number}"
        law = ensemble[name]
        if number > 1 and p.has_input:
            fed = ensemble[f"{name}_{_BELOW}" if p.is_recurrent else name]
            law = replace(law, sigma_w=law.sigma_w if p.is_recurrent else 0.0, sigma_v=fed.sigma_w)
        laws[p.name] = law
    names = [p.name for p in layer.parameters]
    return Ensemble(laws, {n: ensemble.parameters[f"{n}_{number}"] for n in names})


def _merged(given: Mapping[str, Any], name: str, number: int) -> Any:
    """What is given for all layers, and over it what is given for this one."""
    rows = [given.get(n, {}) for n in (name, f"{name}_{number}")]
    if all(isinstance(row, Mapping) for row in rows):
        return {**rows[0], **rows[1]}
    return next(row for row in rows if not isinstance(row, Mapping))


def _chosen(given: Mapping[str, Any], names: Sequence[str], number: int) -> dict[str, Any]:
    """What is given for each name: with the layer's number, else without."""
    found = {n: given.get(f"{n}_{number}", given.get(n)) for n in names}
    return {n: value for n, value in found.items() if value is not None}
