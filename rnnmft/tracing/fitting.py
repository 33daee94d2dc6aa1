"""Which call of a module fits: it is run on random numbers, with one guess after the other.

A call fits if forward takes it and returns the new states as it was given the old ones. The attempt
that came closest is what the message shows where none fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rnnmft.errors import CellError
from rnnmft.tracing.calls import Call, calls, joined_calls
from rnnmft.tracing.examples import batch_size, examples, own_randomness
from rnnmft.tracing.hints import Hints, drawn_arguments
from rnnmft.tracing.refusal import further_argument, looks_up, of_tokens, one_unit, unchanged
from rnnmft.tracing.results import (
    AmbiguousResultError,
    ResultError,
    UnchangedError,
    new_states,
)
from rnnmft.tracing.signature import Signature
from rnnmft.tracing.sizes import guesses, named
from rnnmft.tracing.source import place_of_error
from rnnmft.tracing.values import Values, recorded

__all__ = ["Fit", "Search"]


@dataclass(frozen=True)
class Fit:
    """A call that a module takes.

    Attributes:
        call: the call.
        widths: of the states.
        inputs: of the input; 0 where there is none.
        batch: the size of the batch of the run, or None for a module that takes vectors.
        values: what forward read of its data while it ran.
        used: the number of the module's parameters that it used.
        delays: for each new state, whether it is another one's old value.
    """

    call: Call
    widths: tuple[int, ...]
    inputs: int
    batch: int | None
    values: Values
    used: int
    delays: tuple[bool, ...]

    @property
    def width(self) -> int:
        """N: that of the widest state."""
        return max(self.widths)


@dataclass(frozen=True)
class _Attempt:
    """One that failed: how far it came (a likelier one counts more than a longer), what it was."""

    reach: tuple[int, int, int]
    call: Call
    widths: tuple[int, ...]
    inputs: int
    batch: int | None
    error: BaseException


# Of cells that run one behind the other, the states are looked for up to this number.
_MOST_STATES = 8
# Of states of two widths: the sizes and the pairs of sizes that are tried, so many runs at most.
_MOST_SIZES, _MOST_PAIRS = 8, 12
# What no cell has: their weights repeat over places.
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


class Search:
    """The calls of a module that fit.

    Args:
        module: in evaluation mode.
        signature: what its forward takes.
        hints: what the user says of it.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        signature: Signature,
        hints: Hints,
    ) -> None:
        self.module, self.signature, self.hints = module, signature, hints
        self.closest: _Attempt | None = None
        self._buffers = dict(module.named_buffers())
        self._named = named(module)

    def fits(self) -> Iterator[Fit]:
        """Every call that fits, one for each form of the states, likely ones first."""
        if self.signature.further:
            yield from self._delayed()
            return
        for call in calls(self.signature, self.hints.states, self.hints.arguments):
            if self._is_ambiguous and not call.form.container:
                continue  # it runs with a plainer form, of whose results nothing tells the state
            yield from map(self._fuller, self._first(call))

    def _delayed(self) -> Iterator[Fit]:
        """With further arguments as states, where forward returns an old state in their place.

        `h, d = cell(x, h, d)` where forward returns new_h, h: who calls it has the old h already,
        so that it comes back only to be given again.
        """
        signature, open_ = self.signature, self.signature.further
        names = tuple(n for n in signature.positional if n in {*signature.states, *open_})
        if self.hints.states is not None or not set(open_) <= set(names):
            return
        for call in calls(replace(signature, states=names), None, self.hints.arguments):
            for fit in self._first(call):
                if all(late for n, late in zip(names, fit.delays, strict=True) if n in open_):
                    yield fit

    def _fuller(self, fit: Fit) -> Fit:
        """The fit, or one with more states in the same list that uses more of the parameters.

        `for cell, h in zip(self.cells, states)` runs with fewer states than it has cells.
        """
        form = fit.call.form
        total = len({p.untyped_storage().data_ptr() for p in self.module.parameters()})
        if form.container not in ("tuple", "list") or form.group or self.hints.states is not None:
            return fit
        best = fit
        for more in range(form.count + 1, _MOST_STATES + 1):
            if best.used == total:
                break
            names = tuple(f"h_{j + 1}" for j in range(more))
            call = replace(fit.call, form=replace(form, count=more), states=names, called=names)
            found = self._run(replace(call, returned=()), [fit.width] * more, fit.inputs)
            if found is not None and found.used > best.used:
                best = found
        return best

    def one_state(self) -> Iterator[Fit]:
        """Those with one state in one tensor (B, N), whatever the user named."""
        if self.signature.further:
            return
        for call in calls(self.signature, ("h",), self.hints.arguments):
            if call.form.tensor == "rows" and not call.form.container:
                yield from self._first(call)

    def joined(self) -> Iterator[Fit]:
        """Those that hold several states in one tensor of width k N."""
        for call in joined_calls(self.signature, self.hints.states, self.hints.arguments):
            if self._is_ambiguous or self.signature.further:
                return
            yield from self._first(call)

    @property
    def _is_ambiguous(self) -> bool:
        return self.closest is not None and isinstance(self.closest.error, AmbiguousResultError)

    def _first(self, call: Call) -> Iterator[Fit]:
        yield from islice(self._runs_of(call, self._guesses(call)), 1)

    def _runs_of(self, call: Call, sizes: Iterable[tuple[Sequence[int], int]]) -> Iterator[Fit]:
        for widths, inputs in sizes:
            found = self._run(call, widths, inputs)
            if found is not None and max(widths) == 1:
                raise one_unit(self.module)
            if found is not None:
                yield found

    def _guesses(self, call: Call) -> Iterator[tuple[Sequence[int], int]]:
        hints, count = self.hints, len(call.states)
        entering = call.input is not None
        if hints.widths is not None and len({*hints.widths}) > 1:
            pairs = guesses(self.module, max(hints.widths), hints.input_width, entering)
            yield from ((hints.widths, inputs) for _, inputs in pairs)
            return
        width = None if hints.widths is None else hints.widths[0]
        pairs = guesses(self.module, width, hints.input_width, entering)
        yield from (([n] * count, inputs) for n, inputs in pairs)

    def of_two_widths(self) -> Iterator[Fit]:
        """Calls with states of their own, of which one has another width than the others."""
        if self.hints.widths is not None or self.signature.further or self._is_ambiguous:
            return
        for call in calls(self.signature, self.hints.states, self.hints.arguments):
            if call.form.separate and not call.form.group and len(call.states) > 1:
                yield from islice(self._runs_of(call, self._unequal(call)), 1)

    def _unequal(self, call: Call) -> Iterator[tuple[Sequence[int], int]]:
        pairs = [*guesses(self.module, None, self.hints.input_width, call.input is not None)]
        sizes = [*dict.fromkeys(n for pair in pairs for n in pair if n > 1)][:_MOST_SIZES]
        for width, inputs in islice(pairs, _MOST_PAIRS):
            for other in (n for n in sizes if n != width):
                for place in range(len(call.states)):
                    widths = [width] * len(call.states)
                    widths[place] = other
                    yield widths, inputs

    def _run(self, call: Call, widths: Sequence[int], inputs: int) -> Fit | None:
        call = replace(call, inputs=self.hints.inputs)
        batch = batch_size(self.module, *widths, inputs) if call.batched else None
        x, states = examples(self.module, widths, inputs, batch)
        before = [s.clone() for s in states]  # a forward may change them in place
        counter = _Counter(self.module)
        try:
            drawn = drawn_arguments(call.given, call.vector_width(max(widths), inputs))
            args, kwargs = call.arguments(x, states, drawn)
            with own_randomness(), torch.no_grad(), recorded() as values, counter:
                held = {n: b.clone() for n, b in self._buffers.items()}
                result = torch.func.functional_call(self.module, held, args, kwargs)
            if values.beyond:
                raise ResultError(values.beyond[0])
            shapes = call.form.shapes(batch or 1, widths)
            returned = self.hints.returned or new_states(
                result,
                call.form,
                call.called,
                self.signature.spelling.returned,
                shapes,
                states,
                tree_leaves((args, kwargs)),
            )
            call = replace(call, returned=returned)
            new = call.results(result)
            for name, one, old in zip(call.states, new, before, strict=True):
                if self.hints.states is None and one.equal(old):
                    raise UnchangedError(name)
        except RecursionError:
            name = type(self.module).__name__
            raise CellError(f"cannot trace {name}: its forward calls itself without end") from None
        except (Exception, SystemExit) as error:
            if looks_up(error):
                raise of_tokens(type(self.module).__name__, place_of_error(error)) from error
            finished = isinstance(error, ResultError) + isinstance(error, AmbiguousResultError)
            likely = self._likelihood(call, widths, inputs)
            reach = (finished, likely, counter.count)
            self._note(_Attempt(reach, call, tuple(widths), inputs, batch, error))
            return None
        others = [[s for s in states if s is not own] for own in states]
        delays = tuple(any(n is s for s in o) for n, o in zip(new, others, strict=True))
        return Fit(call, tuple(widths), inputs, batch, values, len(counter.used), delays)

    def _likelihood(self, call: Call, widths: Sequence[int], inputs: int) -> int:
        """In how many ways it is what the module's attributes name, and what most people write."""
        state, x = self._named
        same = {*widths} == {state}
        return same + (inputs == x) + (call.form.tensor == "rows")

    def _note(self, attempt: _Attempt) -> None:
        if self.closest is None or attempt.reach > self.closest.reach:
            self.closest = attempt

    def refusal(self) -> CellError:
        """What to say where nothing fits: the closest attempt and the hint to write."""
        name, best = type(self.module).__name__, self.closest
        if self.signature.further:
            taken = self.signature
            return further_argument(name, taken.input, taken.states, taken.further[0])
        if best is None:
            return CellError(
                f"cannot trace {name}: no sizes of its state and input are known; pass them, as in "
                "from_torch(module, states={'h': 64}, input=32)"
            )
        if self._has_one_unit():
            return one_unit(self.module)
        for path, part in self.module.named_modules():
            if isinstance(part, _CONVOLUTIONS):
                return CellError(
                    f"cannot trace {name}: {path} convolves ({type(part).__name__}): a cell has "
                    "matrices whose entries are independent, and no weights that repeat over places"
                )
        place = place_of_error(best.error)
        where = f" (at {place})" if place else ""
        if isinstance(best.error, AmbiguousResultError):
            return CellError(
                f"cannot trace {name}: {best.error}; say which by from_torch(module, returned=0), "
                "the place of the new state among them, from 0"
            )
        if isinstance(best.error, UnchangedError):
            return unchanged(name, best.error.name, best.call.states, best.call.holders)
        said = ", ".join(f"{n!r}: {w}" for n, w in zip(best.call.states, best.widths, strict=True))
        return CellError(
            f"cannot trace {name}: no call of it fits; the closest is {_spoken(best)}, where "
            f"{_reason(best.error)}{where}; say what it takes, as in from_torch(module, "
            f"states={{{said}}}, input={best.inputs})"
        )

    def _has_one_unit(self) -> bool:
        """Whether forward takes a state of one number and returns one."""
        hints = self.hints
        for call in calls(self.signature, hints.states, hints.arguments):
            if call.form.tensor == "rows" and not call.form.group:
                pairs = guesses(self.module, 1, hints.input_width, call.input is not None)
                one = [1] * len(call.states)
                if any(self._run(call, one, inputs) for _, inputs in pairs):
                    return True
        return False


def _spoken(attempt: _Attempt) -> str:
    """A call in words: forward(x of shape (7, 3), h of shape (7, 4))."""
    call, lead = attempt.call, () if attempt.batch is None else (attempt.batch,)
    parts = []
    if call.input is not None:
        parts.append(f"{call.input} of shape {(*lead, attempt.inputs)}")
    shapes = call.form.shapes(attempt.batch or 1, attempt.widths)
    for j, holder in enumerate(call.holders):
        kind, every = call.form.container, dict.fromkeys(shapes)
        held = f"of shape {shapes[j]}"
        if kind:
            held = f"a {kind} of {len(shapes)} of shape {' and '.join(map(str, every))}"
        parts.append(f"{holder} {held}")
    return f"forward({', '.join(parts)})"


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    if isinstance(error, ResultError):
        return str(error)
    return f"it raises {type(error).__name__}" + (f" ({text[0][:160]})" if text else "")


class _Counter(TorchDispatchMode):
    """Counts the operations of a run, and notes whose parameters they use."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.count = 0
        self.used: set[int] = set()
        self._parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.count += 1
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                self.used |= {tensor.untyped_storage().data_ptr()} & self._parameters
        return func(*args, **(kwargs or {}))
