"""Networks that predict the next symbol of a text: an embedding, a cell, a readout.

    x_t = E[symbol t],    s_t = F(s_(t-1), x_t),    p(symbol t+1) = softmax(U s_t + c)

Embeddings are drawn from N(0, 1), so that R = 1, and the readout is that of `torch.nn.Linear`,
whatever the cell and its initialization: those alone differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rnnmft.experiments.corpus import Ids
from rnnmft.experiments.trainees import Trainees, uniform
from rnnmft.language import Cell, Ensemble

__all__ = [
    "LanguageModels",
    "bits",
    "cell_parameters",
    "cross_entropy",
    "matched_width",
    "model_parameters",
]

#: Not a symbol: what stands behind the end of a text.
_NOTHING = -100


def cell_parameters(cell: Cell, width: int) -> int:
    """Entries of every W, V and b.

    >>> from rnnmft import cells
    >>> cell_parameters(cells.lstm(), 10) == 4 * (2 * 10**2 + 10)
    True
    """
    return sum((1 + p.is_recurrent) * width**2 + width for p in cell.preactivations)


def model_parameters(cell: Cell, width: int, symbols: int) -> int:
    """Everything that learns: the cell, the embedding, and the readout with its bias."""
    return cell_parameters(cell, width) + 2 * symbols * width + symbols


def matched_width(cell: Cell, symbols: int, parameters: int) -> int:
    """The N at which a model has about so many parameters, embedding and readout included."""
    width = 1
    while model_parameters(cell, width + 1, symbols) <= parameters:
        width += 1
    short, long = (abs(model_parameters(cell, w, symbols) - parameters) for w in (width, width + 1))
    return width if short <= long else width + 1


class LanguageModels(Trainees):
    """Language models of one cell that learn side by side.

    Args:
        cell: without elementwise random parameters.
        ensembles: one a network; None for PyTorch's default, as in `Trainees`.
        width: N, of states and embeddings.
        symbols: how many there are.
        seed: of the parameters.
        device: where.
    """

    def __init__(
        self,
        cell: Cell,
        ensembles: Sequence[Ensemble | None],
        *,
        width: int,
        symbols: int,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            cell,
            ensembles,
            width=width,
            features=symbols,
            classes=symbols,
            seed=seed,
            device=device,
        )

    def _network(self, ensemble: Ensemble | None, own: torch.Generator) -> dict[str, Tensor]:
        width, symbols = self.shapes.width, self.shapes.classes
        return {
            **self._of_cell(ensemble, width, own),
            "embedding": torch.randn(symbols, width, generator=own),
            "U": uniform(width, own, symbols, width),
            "c": uniform(width, own, symbols),
        }

    def window(self, states: Sequence[Tensor], ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Read on for some steps.

        Args:
            states: (G, B, N) each.
            ids: (B, T), of symbols.

        Returns:
            Logits (G, T, B, symbols) of the symbols that follow, and the states at the end.
        """
        batch, steps = ids.shape
        flat = self.parameters["embedding"].index_select(1, ids.T.reshape(-1))
        x = flat.unflatten(1, (steps, batch)).unbind(1)
        # All steps enter at once: one large product instead of T small ones.
        entering = [e.unflatten(1, (steps, batch)).unbind(1) for e in self.entering(flat)]
        now, seen = list(states), []
        for t in range(steps):
            now = self.advance(now, x[t], [e[t] for e in entering])
            seen.append(now[-1])
        logits = self.read([torch.cat(seen, 1)])
        return logits.unflatten(1, (steps, batch)), now


def cross_entropy(logits: Tensor, following: Tensor) -> Tensor:
    """-log p of the symbols that follow, (B, T), summed for each network: (G,)."""
    networks = logits.shape[0]
    targets = following.T.reshape(-1).expand(networks, -1)
    losses = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        ignore_index=_NOTHING,
        reduction="none",
    )
    return losses.reshape(networks, -1).sum(1)


@torch.no_grad()
def bits(models: LanguageModels, ids: Ids, streams: int = 16, window: int = 64) -> list[float]:
    """-log2 p of a text, a mean over all symbols but the first, for each network.

    Args:
        models: what predicts.
        ids: the text.
        streams: pieces that are read side by side, each from the zero state.
        window: steps at once, which changes no number.
    """
    length = math.ceil((len(ids) - 1) / streams)
    whole = torch.full((streams * length + 1,), _NOTHING)
    whole[: len(ids)] = torch.from_numpy(ids)
    whole = whole.to(models.device)
    following = whole[1:].reshape(streams, length)
    read = whole[:-1].clamp_min(0).reshape(streams, length)
    states = models.start(streams)
    total = torch.zeros(models.shapes.networks, dtype=torch.float64, device=models.device)
    for first in range(0, length, window):
        logits, states = models.window(states, read[:, first : first + window])
        total += cross_entropy(logits, following[:, first : first + window]).double()
    return (total / ((len(ids) - 1) * math.log(2))).tolist()
