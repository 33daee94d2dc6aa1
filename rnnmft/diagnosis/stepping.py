"""A layer's own step on batches, and its derivatives: tangents pushed, cotangents pulled.

Tangents go through forward-mode derivatives. Where an operation has none (PyTorch's fused GRU and
LSTM on CUDA, an autograd.Function of one's own) they go through the derivative of the reverse mode,
which is linear in what it pulls:  J v = d/du (J^T u) v.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch

from rnnmft.errors import CellError, RnnmftError
from rnnmft.tracing import Layer

__all__ = ["LayerStep"]

Tensor = torch.Tensor


class LayerStep:
    """One step of a layer on batches, with its parameters in at least single precision.

    Attributes:
        output: which of the states the layer hands on.
    """

    def __init__(self, layer: Layer) -> None:
        self.traced, self.module = layer.traced, layer.module
        first = next(layer.module.parameters())
        self.device = first.device
        self.dtype = torch.promote_types(first.dtype, torch.float32)
        tensors = {**dict(layer.module.named_parameters()), **dict(layer.module.named_buffers())}
        self.held = {
            n: t.detach().to(self.dtype) if t.is_floating_point() else t.detach()
            for n, t in tensors.items()
        }
        names = self.traced.states
        # What a recurrent layer hands on is its h; a cell of one's own, its last state.
        self.output = names.index("h") if "h" in names else len(names) - 1
        self._forward_mode = True

    def zeros(self, sequences: int) -> tuple[Tensor, ...]:
        """The state at which sequences start."""
        make: Any = {"dtype": self.dtype, "device": self.device}
        return tuple(torch.zeros((sequences, width), **make) for width in self.traced.widths)

    def cast(self, values: Tensor) -> Tensor:
        """Numbers as the module takes them."""
        return values.to(self.device, self.dtype)

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The new states, (sequences, units) each."""
        return self._stepped(self._call, x, states)

    def _call(self, *arguments: Any, **named: Any) -> Any:
        """The module with its parameters as they are held here."""
        return torch.func.functional_call(self.module, self.held, arguments, named)

    @cached_property
    def _reversed(self) -> Callable[..., Any]:
        """A module that has these parameters for good: a checkpoint calls it again, backwards.

        One that cannot be copied is called as above, which holds for all but checkpoints.
        """
        try:
            own = copy.deepcopy(self.module).to(self.dtype)
        except Exception:  # of the user's attributes
            return self._call
        return own.requires_grad_(False)

    def _stepped(
        self, call: Callable[..., Any], x: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        if self.traced.batched:
            return self.traced.step(call, x, states)
        return torch.vmap(lambda x, *s: self.traced.step(call, x, s))(x, *states)

    def advance(
        self, x: Tensor, states: Sequence[Tensor], call: Callable[..., Any] | None = None
    ) -> tuple[Tensor, ...]:
        """The new states; what the module's own code raises becomes one sentence.

        Raises:
            CellError: the module refuses these numbers.
        """
        try:
            return self._stepped(call or self._call, x, states)
        except RnnmftError:
            raise
        except Exception as error:  # of the user's forward
            reason = str(error).strip().partition("\n")[0]
            raise CellError(
                f"{type(self.module).__name__} failed on its sequences: {type(error).__name__}: "
                f"{reason}"
            ) from None

    def push(
        self, x: Tensor, states: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """J v of every tangent, (probes, sequences, units) a state.

        Raises:
            CellError: the step has no derivatives.
        """
        if self._forward_mode:
            try:
                return self._push_forward(x, states, tangents)
            except (
                RuntimeError,
                UserWarning,
            ):  # no forward mode, or none in batches (slow: warned)
                self._forward_mode = False
        shape = tangents[0].shape[:2]
        new, at = self._rows(x, states, shape[0])
        duals = [torch.zeros_like(n, requires_grad=True) for n in new]
        back = _gradients(new, at, duals, create_graph=True)
        flat = [v.flatten(0, 1) for v in tangents]
        pushed = _gradients(back, duals, flat)
        return tuple(d.detach().view(*shape, -1) for d in pushed)

    def pull(
        self, x: Tensor, states: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """J^T u of every cotangent, (probes, sequences, units) a state, by reverse mode."""
        shape = cotangents[0].shape[:2]
        new, at = self._rows(x, states, shape[0])
        found = _gradients(new, at, [u.flatten(0, 1) for u in cotangents])
        return tuple(d.view(*shape, -1) for d in found)

    def _push_forward(
        self, x: Tensor, states: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        _load_forward_mode()

        def one(*tangent: Tensor) -> tuple[Tensor, ...]:
            return torch.func.jvp(lambda *s: self(x, s), tuple(states), tangent)[1]

        return torch.vmap(one)(*tangents)

    def _rows(
        self, x: Tensor, states: Sequence[Tensor], probes: int
    ) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """New states and the old ones they depend on, each sequence as often as there are probes.

        Rows of a batch do not meet, so the derivative of all of it holds every row's own.
        """
        with torch.enable_grad():
            at = [s.detach().repeat(probes, 1).requires_grad_() for s in states]
            # Copies: a module may write into what it is given, which a leaf forbids.
            rows = [s.clone() for s in at]
            return self.advance(x.repeat(probes, 1), rows, self._reversed), at


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """sum_j cotangent_j d output_j / d input; zeros where nothing depends on an input."""
    pairs = [(y, u) for y, u in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(s) for s in inputs)
    options: Any = {"create_graph": create_graph, "allow_unused": True}
    try:
        with torch.enable_grad():
            return torch.autograd.grad(
                [y for y, _ in pairs],
                list(inputs),
                [u for _, u in pairs],
                materialize_grads=True,
                **options,
            )
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise CellError(f"the module's step cannot be differentiated: {reason}") from None


def _load_forward_mode() -> None:
    """Let torch load what forward-mode derivatives need without its own deprecation warning.

    On first use it compiles decompositions by `torch.jit.script`, which warns wherever warnings are
    errors, as in a test suite that asks whether a network is healthy.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))
