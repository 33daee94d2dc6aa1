"""Exceptions and status sentences: everything rnnmft can say when a number is not simply right.

Scalar calls raise; sweeps over grids carry one `Status` per element instead. A status is a whole
sentence, so that it can be printed as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum

__all__ = [
    "CellError",
    "CompileError",
    "ConvergenceError",
    "DerivationError",
    "InfeasibleError",
    "OutOfTimeError",
    "ParameterError",
    "ParseError",
    "RnnmftError",
    "Status",
    "StoreError",
    "UnhealthyError",
    "did_you_mean",
]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """What to add to a sentence that refuses a name: the nearest known one, if any is near.

    >>> did_you_mean("sigma_W", ["sigma_w", "mu_b"]), did_you_mean("x", ["sigma_w"])
    (" (did you mean 'sigma_w'?)", '')
    """
    by_case = {k.lower(): k for k in known}
    near = get_close_matches(str(name).lower(), by_case, n=1)
    return f" (did you mean {by_case[near[0]]!r}?)" if near else ""


class RnnmftError(Exception):
    """Base class of every exception that rnnmft raises on purpose."""


class CellError(RnnmftError, ValueError):
    """The definition of a cell is not one: a circle, an unknown symbol, a missing state."""


class ParameterError(RnnmftError, ValueError):
    """An argument is outside its domain; the message names it, what it got and the domain."""


class ParseError(RnnmftError, ValueError):
    """A text could not be read as a cell; the message gives line, column and reason.

    Attributes:
        reason: what is wrong there.
        line: from 1, or None where no place can be named.
        column: from 1, or None.
        source: the file's name, or None.
    """

    def __init__(
        self,
        reason: str,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(reason, line, column, source)
        self.reason, self.line, self.column, self.source = reason, line, column, source

    def __str__(self) -> str:
        place = [] if self.source is None else [self.source]
        place += [] if self.line is None else [f"line {self.line}"]
        place += [] if self.column is None else [f"column {self.column}"]
        return f"{', '.join(place)}: {self.reason}" if place else self.reason


class DerivationError(RnnmftError):
    """The requested symbolic result does not exist for this cell; the message says why."""


class InfeasibleError(RnnmftError, ValueError):
    """No ensemble does what was asked; the message says which inequality fails, and what is near.

    Attributes:
        inequality: what fails, such as "sigma_v^2 >= 0".
        nearest: the nearest values that can be had, {(preactivation, parameter): value}.
        fix: what to fix instead, these and what was fixed besides, {preactivation: {parameter:
            value}}; empty where nothing near is known.
    """

    def __init__(
        self,
        message: str,
        inequality: str = "",
        nearest: dict[tuple[str, str], float] | None = None,
        fix: dict[str, dict[str, float]] | None = None,
    ) -> None:
        super().__init__(message)
        self.inequality, self.nearest, self.fix = inequality, dict(nearest or {}), dict(fix or {})


class CompileError(RnnmftError):
    """A symbolic function has no entry in the backend's table; the message says how to add it."""


class ConvergenceError(RnnmftError, ArithmeticError):
    """A number could not be computed to its tolerance; `status` holds the reason."""

    def __init__(self, status: Status, detail: str = "") -> None:
        self.status = status
        super().__init__(f"{status.value} {detail}".strip())


class OutOfTimeError(RnnmftError):
    """A time budget that was given ended a computation before it had its answer."""


class StoreError(RnnmftError):
    """A store of results cannot be read or written: damaged, unfinished, of another campaign.

    The message says which, and what helps.
    """


class UnhealthyError(RnnmftError, AssertionError):
    """A network's gradients vanish or explode over its sequence; the message says where and by how.

    Also an AssertionError, so that a test suite counts it as a failed test and not as an error.
    """


class Status(Enum):
    """Why a number is what it is. `Status.OK` is the only one that means success."""

    OK = "The result met its tolerance."
    NOT_CONVERGED = "The quadrature or the sampling reached its largest size before its tolerance."
    DIVERGENT_INTEGRAL = (
        "The Gaussian integral does not exist: the integrand outgrows the Gaussian's tails."
    )
    DIVERGES = "The second moment grows without bound: the cell is unstable at these parameters."
    NO_FIXED_POINT = "No stable fixed point was found in the range searched."
    STALLED = "The iteration stopped making progress before its tolerance (near-critical map)."
    MAX_STEPS = "The iteration reached its largest number of steps before its tolerance."
    FEW_UNITS = (
        "The weights have seen nearly as many directions as there are sampled units: this is a "
        "network of that width rather than its limit; take more particles."
    )
    INCONSISTENT = (
        "A check of the answer against itself failed: sampled and prescribed variances or "
        "covariances, or independent repetitions, differ by more than chance."
    )
    UNSTABLE = "This fixed point is unstable: the recursion does not approach it."
    INVALID = "An input of this element is outside its domain."
    NOT_COMPUTED = "This method does not compute the quantity."
    OUT_OF_TIME = "The time budget ended before this element was computed."
    UNDEFINED = "The quantity is not defined here (for example a correlation at zero variance)."

    @property
    def ok(self) -> bool:
        """Whether the result met its tolerance."""
        return self is Status.OK

    @staticmethod
    def worst(*statuses: Status) -> Status:
        """The first that is not OK; OK where all are.

        >>> Status.worst(Status.OK, Status.UNSTABLE).name
        'UNSTABLE'
        """
        return next((s for s in statuses if s is not Status.OK), Status.OK)

    def __str__(self) -> str:
        return self.value
