"""Which part of which parameter of a module is a preactivation's W, V and b.

A fused matrix holds several gates, a bias may be the sum of two vectors, and a matrix may be stored
transposed or be multiplied by a number. A `Slice` says all that, and reads and writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rnnmft.errors import CellError

__all__ = ["Binding", "Slice", "parameter_of", "read", "write"]


@dataclass(frozen=True, repr=False)
class Slice:
    """scale times a block of a parameter, with its axes in another order.

    Attributes:
        parameter: the name, as in `module.named_parameters()` (or buffers).
        ranges: (start, stop) along each of the parameter's own axes.
        axes: the parameter's axes in the order in which the block has them; an axis that is left
            out has a range of one.
        scale: what the module multiplies the block by before it uses it.
        mask: a constant matrix of zeros and ones that the module multiplies it by, entry by entry.
        against: a constant vector that the block, a matrix, multiplies (one number: the same
            everywhere); what is read is that product, one number a unit.
        columns: (first, number), where the block's columns stand among those of several inputs.

    >>> Slice("weight_hh", ((4, 8), (0, 4)), (0, 1)).shape
    (4, 4)
    """

    parameter: str
    ranges: tuple[tuple[int, int], ...]
    axes: tuple[int, ...]
    scale: float = 1.0
    mask: str | None = None
    against: tuple[float, ...] | None = None
    columns: tuple[int, int] | None = None

    def __repr__(self) -> str:
        shown = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return f"Slice({', '.join(f'{n}={v!r}' for n, v in shown if v is not None)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is read."""
        axes = self.axes if self.against is None else self.axes[:1]
        own = tuple(self.ranges[a][1] - self.ranges[a][0] for a in axes)
        return own if self.columns is None else (own[0], self.columns[1])

    def rows(self, start: int, stop: int) -> Slice:
        """Some rows of a matrix, or entries of a vector."""
        ranges, own = list(self.ranges), self.axes[0]
        first = ranges[own][0]
        ranges[own] = (first + start, first + stop)
        return replace(self, ranges=tuple(ranges))

    @property
    def transposed(self) -> bool:
        """Whether a matrix is read with its axes swapped."""
        return len(self.axes) == 2 and self.axes[0] > self.axes[1]

    def overlaps(self, other: Slice) -> bool:
        """Whether some entry of the parameter is in both."""
        return self.parameter == other.parameter and all(
            a < d and c < b for (a, b), (c, d) in zip(self.ranges, other.ranges, strict=True)
        )

    def of(self, module: Any) -> Any:
        """The block as it stands in the module's parameter, without the scale: a view."""
        return self._block(module, self.parameter)

    def read(self, module: Any) -> Any:
        """What the module uses: scale, mask and vector included."""
        block = self.scale * self.of(module)
        if self.mask is not None:
            block = block * self._block(module, self.mask).to(block)
        if self.columns is not None:
            whole = block.new_zeros(self.shape)
            whole[:, self.seen] = block
            return whole
        return block if self.against is None else block @ self._vector(block)

    @property
    def seen(self) -> slice:
        """The columns, among those of several inputs, that the block has."""
        first = 0 if self.columns is None else self.columns[0]
        start, stop = self.ranges[self.axes[1]]
        return slice(first, first + stop - start)

    def write(self, module: Any, value: Any) -> None:
        """Set the parameter so that `read` gives a value.

        A value that has entries where the mask has none is spread over those that it has, with its
        variance. Of the matrices that give a vector, the one nearest to the present one is taken.
        """
        block = self.of(module)
        if self.against is not None:
            vector = self._vector(block)
            wanted = value.to(block) / self.scale - block @ vector
            block.add_(wanted[:, None] * vector / vector.square().sum())
            return
        value = (value if self.columns is None else value[:, self.seen]) / self.scale
        if self.mask is not None:
            mask = self._block(module, self.mask).to(value)
            if (value * (1 - mask)).any():
                value = value / mask.mean().sqrt()
            value = value * mask
        block.copy_(value)

    def _vector(self, block: Any) -> Any:
        assert self.against is not None
        return block.new_tensor(self.against).expand(block.shape[1])

    def _block(self, module: Any, name: str) -> Any:
        tensor = parameter_of(module, name)
        if tensor.ndim != len(self.ranges) or any(
            stop > size for (_, stop), size in zip(self.ranges, tensor.shape, strict=True)
        ):
            raise CellError(
                f"parameter {name!r} has shape {tuple(tensor.shape)}, which is not that "
                "of the module that was traced"
            )
        block = tensor[tuple(slice(*r) for r in self.ranges)]
        dropped = [a for a in range(tensor.ndim) if a not in self.axes]
        block = block.permute(*self.axes, *dropped)
        for _ in dropped:
            block = block.squeeze(-1)
        return block


@dataclass(frozen=True)
class Binding:
    """The module's parameters that make one preactivation e = W y + V x + b.

    Each of the three is the sum of its slices; an empty one is absent.
    """

    recurrent: tuple[Slice, ...] = ()
    input: tuple[Slice, ...] = ()
    bias: tuple[Slice, ...] = ()


def parameter_of(module: Any, name: str) -> Any:
    """The module's parameter or buffer of that name, detached from the graph of gradients."""
    owner: Any = module
    for part in name.split("."):
        owner = getattr(owner, part, None)
    if owner is None:
        raise CellError(f"{type(module).__name__} has no parameter {name!r}: trace this module")
    return owner.detach()


def read(module: Any, slices: tuple[Slice, ...]) -> Any:
    """The sum of the slices as a new tensor, or None where there are none."""
    if not slices:
        return None
    total = slices[0].read(module)
    for one in slices[1:]:
        total = total + one.read(module)
    return total


def write(module: Any, slices: tuple[Slice, ...], value: Any) -> None:
    """Set the sum of the slices: all of it into the first, zero into the others.

    Of several inputs each has a first. A value that has entries for inputs that none of the slices
    sees is spread over those that they see, with its variance.
    """
    firsts = {one.columns: one for one in reversed(slices)}
    if slices[0].columns is not None:
        unseen = value.clone()
        for one in firsts.values():
            unseen[:, one.seen] = 0.0
        if unseen.any():
            number = sum(one.seen.stop - one.seen.start for one in firsts.values())
            value = value * (value.shape[1] / number) ** 0.5
    for one in slices:
        if firsts[one.columns] is one:
            one.write(module, value)
        else:
            one.of(module).zero_()
