"""Rate networks with a connectivity of low rank beside the random one: [mastrogiuseppe2018].

The Euler step of dh/dt = -h + J phi(h) + I with leak = dt / tau and J = W + sum_r m_r n_r^T / N: of
the n_r only the overlaps kappa_r = (1/N) sum_j n_rj phi(h_j) come back, along m_r. n and I are
written as what they share with m, and a rest of their own, so that laws of independent numbers make
any joint Gaussian. The leak multiplies the new value; leak = 1 is discrete time. Ranks above 1:
[schuessler2020].
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import sympy as sp

from rnnmft.activations import tanh
from rnnmft.cells.rate import leak_of
from rnnmft.errors import ParameterError
from rnnmft.language.cell import Cell
from rnnmft.language.laws import Constant, Law, Normal
from rnnmft.language.symbols import Average, Preactivation, RandomParameter, State

__all__ = ["low_rank", "low_rank_laws"]

_LEAK = sp.Rational(1, 5)
# Three overlaps make the dynamics that are asked for (bistable, ring, limit cycle, chaotic ones).
_RANKS = 3


def low_rank(
    rank: int = 1,
    leak: Any = _LEAK,
    activation: Callable[..., Any] = tanh,
    *,
    stimulus: bool = False,
) -> Cell:
    """h' = (1 - leak) h + leak (e + sum_r m_r kappa_r + I), kappa_r = E[n_r phi(h)], e = W phi(h).

    n_r = sum_s overlap_rs m_s + stimulus_n_r stimulus + z_r, and the input vector
    I = sum_s stimulus_m_s m_s + stimulus, if there is one. m, stimulus and z are independent random
    parameters, the others constants; of rank 1 no name has a number. `low_rank_laws` makes all of
    them of a covariance. That the m of different ranks are uncorrelated is no restriction: for any
    invertible A, (m A)(n A^-T)^T = m n^T.

    Raises:
        ParameterError: rank is not 1, 2 or 3, or leak not in (0, 1].

    >>> low_rank()
    Cell 'low_rank': states h; preactivations e; averages kappa; random parameters m, overlap, z
    """
    names = _ParameterNames(rank)
    leaking = leak_of(leak)
    h = State("h")
    rate = activation(h)
    p = {name: RandomParameter(name) for name in names.all(stimulus)}
    m = [p[name] for name in names.own("m")]
    left = leaking * Preactivation("e", rate)
    if stimulus:
        shared = zip(names.own("stimulus_m"), m, strict=True)
        left += leaking * (p["stimulus"] + sp.Add(*(p[name] * v for name, v in shared)))
    for r, name in enumerate(names.own("kappa")):
        n = p[names.own("z")[r]] + sp.Add(*(p[names.overlap(r, s)] * v for s, v in enumerate(m)))
        if stimulus:
            n += p[names.own("stimulus_n")[r]] * p["stimulus"]
        left += leaking * m[r] * Average(name, n * rate)
    name = "low_rank" if rank == 1 else f"low_rank_{rank}"
    return Cell(name, update={h: (1 - leaking) * h + left})


def low_rank_laws(
    covariance: Sequence[Sequence[float]], mean: Sequence[float] | None = None
) -> dict[str, Law]:
    """The laws with which (m_1, .., n_1, ..) or (m_1, .., n_1, .., I) is jointly Gaussian.

    The entries of `covariance` between different n are not used: what the n have in common beside m
    and I moves no overlap of a wide network.

    Args:
        covariance: over the units, (2 R, 2 R) or, with the input vector last, (2 R + 1, 2 R + 1).
        mean: of each; 0 when absent.

    Raises:
        ParameterError: not symmetric, not non-negative, or with correlated m.

    >>> low_rank_laws([[1, 2], [2, 5]])
    {'m': Normal(mean=0.0, std=1.0), 'overlap': Constant(value=2.0), 'z': Normal(mean=0.0, std=1.0)}
    """
    size = len(covariance)
    names, stimulus = _ParameterNames(size // 2), size % 2 == 1
    try:
        c = [[float(x) for x in row] for row in covariance]
        mu = [0.0] * size if mean is None else [float(x) for x in mean]
    except (TypeError, ValueError):
        raise ParameterError("covariance and mean must be numbers") from None
    if any(len(row) != size for row in c) or len(mu) != size:
        raise ParameterError(f"covariance must be square, and mean as long: {size}")
    if any(c[i][j] != c[j][i] for i, j in product(range(size), repeat=2)):
        raise ParameterError("covariance must be symmetric")
    rank = names.rank
    if any(c[i][j] for i, j in product(range(rank), repeat=2) if i != j):
        raise ParameterError("the m must be uncorrelated: m n^T = (m A)(n A^-T)^T for any A")
    # One after the other: what is shared with the independent parts before, and what is left.
    parts = [*range(rank), *([size - 1] if stimulus else [])]
    share: dict[tuple[int, int], float] = {}
    left: dict[int, float] = {}
    middle: dict[int, float] = {}
    for i in (*parts, *range(rank, 2 * rank)):
        before = [j for j in parts if j in left and j != i]
        for j in before:
            known = sum(share[i, k] * share.get((j, k), 0.0) * left[k] for k in before if k < j)
            share[i, j] = _ratio(c[i][j] - known, left[j])
        left[i] = c[i][i] - sum(share[i, j] ** 2 * left[j] for j in before)
        middle[i] = mu[i] - sum(share[i, j] * middle[j] for j in before)
    laws: dict[str, Law] = {}
    for r in range(rank):
        laws[names.own("m")[r]] = _normal(middle[r], left[r], c[r][r])
        for s in range(rank):
            laws[names.overlap(r, s)] = Constant(share[rank + r, s])
        laws[names.own("z")[r]] = _normal(middle[rank + r], left[rank + r], c[rank + r][rank + r])
        if stimulus:
            laws[names.own("stimulus_m")[r]] = Constant(share[size - 1, r])
            laws[names.own("stimulus_n")[r]] = Constant(share[rank + r, size - 1])
    if stimulus:
        laws["stimulus"] = _normal(middle[size - 1], left[size - 1], c[size - 1][size - 1])
    return laws


class _ParameterNames:
    """What the parameters of a rank are called."""

    def __init__(self, rank: Any) -> None:
        if isinstance(rank, bool) or rank not in range(1, _RANKS + 1):
            raise ParameterError(f"rank must be 1, 2 or 3, got {rank!r}")
        self.rank: int = rank

    def own(self, name: str) -> list[str]:
        """One for each rank."""
        return [name] if self.rank == 1 else [f"{name}_{r + 1}" for r in range(self.rank)]

    def overlap(self, r: int, s: int) -> str:
        """Of n_r with m_s."""
        return "overlap" if self.rank == 1 else f"overlap_{r + 1}{s + 1}"

    def all(self, stimulus: bool) -> list[str]:
        """Every parameter."""
        found = [*self.own("m"), *self.own("z")]
        found += [self.overlap(r, s) for r, s in product(range(self.rank), repeat=2)]
        if stimulus:
            found += ["stimulus", *self.own("stimulus_m"), *self.own("stimulus_n")]
        return found


def _ratio(shared: float, variance: float) -> float:
    if variance > 0:
        return shared / variance
    if shared:
        raise ParameterError("covariance is not non-negative: a constant shares nothing")
    return 0.0


def _normal(mean: float, variance: float, whole: float) -> Normal:
    """What is left of a variance; rounding's is nothing."""
    if variance < -1e-12 * whole:
        raise ParameterError("covariance is not non-negative: an overlap exceeds the variances")
    return Normal(mean, max(variance, 0.0) ** 0.5)
