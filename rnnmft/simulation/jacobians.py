"""The T-step Jacobian of finite networks by direct products, and what is measured of it.

The tangent d s^t / d s^0 is pushed through the linearised step

    delta y_k = sum dY_k/d(s, e) delta(s, e)     delta e_k = W_k delta y_k
    delta s_a' = sum dF_a/d(s, e) delta(s, e)

(averages over units move as well: delta m = (1/N) sum_i delta f_i, a term of rank one)
whose elementwise derivatives come from torch.autograd (the gradient of the sum), not from SymPy:
this floor shares no calculus with the theory it is to test. States are stacked in the cell's order.

Eq. (jacobian-product), Eq. (linearised).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

from rnnmft.language import Average, Preactivation, State
from rnnmft.simulation.elementwise import Elementwise
from rnnmft.simulation.weights import Matrix

__all__ = ["JacobianSample", "TangentMap", "measure"]


class TangentMap:
    """d s^t / d s^0 of many networks, as it is pushed from step to step along trajectory 0.

    It is kept at a root-mean-square singular value of 1, with the logarithm of what was taken out,
    so that hundreds of steps neither overflow nor vanish.

    Args:
        networks: how many.
        sizes: {state: its units}.
        device: where.
        dtype: torch.float32 or torch.float64.
        directions: (networks, n, columns) to be pushed, n the units of all states; all n unit
            vectors when absent.
    """

    def __init__(
        self,
        networks: int,
        sizes: Mapping[State, int],
        device: torch.device,
        dtype: torch.dtype,
        directions: Tensor | None = None,
    ) -> None:
        self.sizes = dict(sizes)
        if directions is None:
            identity = torch.eye(sum(sizes.values()), dtype=dtype, device=device)
            directions = identity.expand(networks, -1, -1)
        self.states = self._split(directions)
        self.log_scale = torch.zeros(networks, dtype=torch.float64, device=device)
        self._defined: dict[sp.Basic, Tensor] = {}

    def _split(self, columns: Tensor) -> list[Tensor]:
        return list(columns.split(list(self.sizes.values()), dim=1))

    def jacobian(self) -> Tensor:
        """d s^t / d s^0, or its columns, without its scale: (networks, n, columns)."""
        return torch.cat(self.states, dim=1)

    def orthonormalize(self) -> Tensor:
        """Let an orthonormal basis take the place of the columns; log |R_ii|, (networks, columns).

        |R_11 .. R_jj| is the volume that the first j columns had spanned, scale included; from
        here on the scale begins anew. What is left of a direction that the step kills is rounding,
        of any size down to 0: it counts as eps.
        """
        q, r = torch.linalg.qr(self.jacobian())
        left = r.diagonal(dim1=-2, dim2=-1).abs().clamp_min(torch.finfo(r.dtype).eps)
        grown = left.double().log() + self.log_scale[:, None]
        self.states = self._split(q)
        self.log_scale = torch.zeros_like(self.log_scale)
        return grown

    def push_preactivation(
        self,
        p: Preactivation,
        matrix: Matrix | None,
        sees: Elementwise,
        known: Mapping[sp.Basic, Tensor],
    ) -> None:
        """delta e_k = W_k delta y_k; called for one preactivation after the other."""
        if matrix is None:
            return
        (delta,) = self._linearised(sees, known)
        if delta is not None:
            self._defined[p] = matrix.columns(delta)

    def push_average(
        self, m: Average, function: Elementwise, known: Mapping[sp.Basic, Tensor]
    ) -> None:
        """delta m, (networks, 1, columns): the mean of delta f over the units; called likewise."""
        (delta,) = self._linearised(function, known)
        if delta is not None:
            self._defined[m] = delta.mean(1, keepdim=True)

    def push_states(
        self, updates: Sequence[tuple[list[State], Elementwise]], known: Mapping[sp.Basic, Tensor]
    ) -> None:
        """delta s', which ends the step."""
        pushed: dict[State, Tensor | None] = {}
        for group, update in updates:
            pushed |= zip(group, self._linearised(update, known), strict=True)
        old = dict(zip(self.sizes, self.states, strict=True))
        found = {s: pushed[s] for s in old}
        self.states = [torch.zeros_like(old[s]) if d is None else d for s, d in found.items()]
        self._defined = {}
        self._rescale()

    def _linearised(
        self, function: Elementwise, known: Mapping[sp.Basic, Tensor]
    ) -> list[Tensor | None]:
        deltas = {**dict(zip(self.sizes, self.states, strict=True)), **self._defined}
        results: list[Tensor | None] = []
        for row in function.derivatives(known):
            total: Tensor | None = None
            for derivative, argument in zip(row, function.arguments, strict=True):
                delta = deltas.get(argument)
                if derivative is None or delta is None:
                    continue
                factor = derivative.unsqueeze(-1)
                total = factor * delta if total is None else total.addcmul_(factor, delta)
            results.append(total)
        return results

    def _rescale(self) -> None:
        columns = self.states[0].shape[-1]
        square = torch.stack([_squares(s) for s in self.states]).sum(0) / columns
        norm = torch.where((square > 0) & square.isfinite(), square.sqrt(), 1.0)
        for s in self.states:
            s.div_(norm.to(s.dtype)[:, None, None])
        self.log_scale += norm.log()


def _squares(x: Tensor) -> Tensor:
    """The squared Frobenius norm of each network's matrix, summed in float64."""
    return torch.linalg.vector_norm(x, dim=(-2, -1), dtype=torch.float64).square()


@dataclass(frozen=True)
class JacobianSample:
    """Of each network: m_1..m_3 (networks, 3); singular and eigenvalues (networks, n) or None.

    `blocks`: |J_ab|^2 / N_a of the blocks from state b to state a of N_a units, (networks, m, m).
    """

    moments: Tensor
    blocks: Tensor
    singular_values: Tensor | None
    eigenvalues: Tensor | None


def measure(
    tangent: TangentMap, spectrum: bool, resolvent: bool, eigenvalues: bool = False
) -> JacobianSample:
    """m_k = tr (J J^T)^k / n for k = 1, 2, 3; singular and eigenvalues, in float64, if asked.

    Eq. (generating-function).

    m_1 = |J|^2 / n, m_2 = |J J^T|^2 / n, m_3 = |J J^T J|^2 / n (Frobenius norms), J being n x n.

    Args:
        tangent: of many networks.
        spectrum: whether to give the singular values.
        resolvent: whether they are needed for a resolvent; for it alone they are roots of the
            eigenvalues of J J^T, right to 1e-16 of the largest eigenvalue, in less time.
        eigenvalues: whether to give those of J.
    """
    moments, block_means, values, cloud = [], [], [], []
    # One network after another: the products need several n^2 matrices each.
    for scale, *blocks in zip(tangent.log_scale, *tangent.states, strict=True):
        jacobian = torch.cat(blocks)
        gram = jacobian @ jacobian.T
        traces = torch.stack([_squares(jacobian), _squares(gram), _squares(gram @ jacobian)])
        sizes = [len(row) for row in blocks]
        parts = [[_squares(b) / len(row) for b in row.split(sizes, dim=1)] for row in blocks]
        block_means.append(torch.stack([torch.stack(p) for p in parts]) * (2 * scale).exp())
        powers = 2.0 * torch.arange(1, 4, dtype=torch.float64, device=scale.device)
        moments.append(traces / len(jacobian) * (powers * scale).exp())
        if spectrum or resolvent:
            found = _singular_values(jacobian.double(), by_eigenvalues=not spectrum)
            values.append(found * scale.exp())
        if eigenvalues:
            cloud.append(_eigenvalues(jacobian.double()) * scale.exp())
    return JacobianSample(
        torch.stack(moments),
        torch.stack(block_means),
        torch.stack(values) if values else None,
        torch.stack(cloud) if cloud else None,
    )


def _singular_values(jacobian: Tensor, by_eigenvalues: bool) -> Tensor:
    """Descending."""
    if not jacobian.isfinite().all():  # LAPACK would raise; the caller reports the divergence
        return torch.full_like(jacobian[0], torch.nan)
    if by_eigenvalues:
        return torch.linalg.eigvalsh(jacobian @ jacobian.T).clamp_(min=0).sqrt().flip(0)
    return torch.linalg.svdvals(jacobian)


def _eigenvalues(jacobian: Tensor) -> Tensor:
    if not jacobian.isfinite().all():
        return torch.full_like(jacobian[0], torch.nan, dtype=torch.complex128)
    return torch.linalg.eigvals(jacobian)
