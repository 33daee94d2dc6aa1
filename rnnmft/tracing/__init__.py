"""Tracing: how a PyTorch module that is a cell becomes a `Cell`, and where its parameters went."""

from rnnmft.tracing.bindings import Binding, Slice
from rnnmft.tracing.traced import Traced, trace

__all__ = ["Binding", "Slice", "Traced", "trace"]
