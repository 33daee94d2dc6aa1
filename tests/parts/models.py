"""Models as people write them, for the tests of whole models."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


class CharacterModel(nn.Module):
    """Tokens in, logits out; a hidden state may be given."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.rnn = nn.Embedding(50, 8), nn.LSTM(8, 16, batch_first=True)
        self.out = nn.Linear(16, 50)

    def forward(self, tokens: Tensor, hidden: tuple[Tensor, Tensor] | None = None) -> Tensor:
        y, _ = self.rnn(self.emb(tokens), hidden)
        return self.out(y)


class OwnCell(nn.Module):
    def __init__(self, inputs: int = 8, width: int = 16) -> None:
        super().__init__()
        self.w = nn.Linear(inputs + width, width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.w(torch.cat([x, h], -1)))


class Block(nn.Module):
    """No cell, though it keeps the width."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.map(x))


class Loop(nn.Module):
    """A cell of one's own in a loop, behind a block and a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.cell, self.drop = Block(), OwnCell(), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 16)
        for t in range(x.shape[1]):
            h = self.cell(self.block(x[:, t]), self.drop(h))
        return h


class Translator(nn.Module):
    """An encoder, and a decoder that starts where it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.RNN(8, 16, batch_first=True), nn.RNNCell(8, 16)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        _, last = self.encoder(source)
        h = last[0]
        for t in range(target.shape[1]):
            h = self.decoder(target[:, t], h)
        return h


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(8, 16, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1]


class Inline(nn.Module):
    """A recurrence without a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros_like(x[0])
        for row in x:
            h = torch.tanh(self.w(h) + row)
        return h


def in_parallel(module: nn.Module) -> nn.DataParallel:
    """As DataParallel holds it, without looking for devices."""
    wrapped = nn.DataParallel.__new__(nn.DataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = module
    return wrapped
