"""Tracing: how a PyTorch module that is a cell becomes a `Cell`, and where its parameters went."""

from rnnmft.tracing.bindings import Binding, Slice
from rnnmft.tracing.exporting import evaluation
from rnnmft.tracing.hints import HintOptions
from rnnmft.tracing.layers import Layer, recurrent_layers
from rnnmft.tracing.traced import Traced, trace

__all__ = [
    "Binding",
    "HintOptions",
    "Layer",
    "Slice",
    "Traced",
    "evaluation",
    "recurrent_layers",
    "trace",
]
