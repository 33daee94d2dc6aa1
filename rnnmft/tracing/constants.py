"""Constant matrices of a module: multiples of the identity, masks, and what else they may be.

A mask of zeros and ones that multiplies a matrix entry by entry leaves it one of independent
entries where its zeros lie at random: then W * M has, in the limit, the law of a full matrix with
the variance times the share of ones. A mask with a structure (triangular, in blocks) does not.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from rnnmft.tracing.arrays import TracedParameter
from rnnmft.tracing.refusal import RefusalError

__all__ = ["as_mask", "described", "is_mask", "masked"]

# A matrix of independent draws holds no exact zeros.
_MANY_ZEROS = 0.1
# The largest singular value of a random matrix of unit variance is sqrt(rows) + sqrt(columns); a
# mask in blocks or a triangle exceeds it by a multiple that grows with the width, and small random
# ones by a fifth at most, one time in a thousand.
_LARGEST = 1.2
# Sums of fewer terms than this are not near a Gaussian.
_FEWEST = 8


def described(parameter: TracedParameter, matrix: torch.Tensor) -> TracedParameter:
    """A constant matrix with what it is: c times the identity, zeros and ones, or structured.

    Args:
        parameter: the whole of it.
        matrix: its entries.
    """
    rows, columns = matrix.shape
    square = rows == columns
    c = matrix[0, 0]
    if square and torch.equal(matrix, c * torch.eye(rows, dtype=matrix.dtype, device=c.device)):
        return replace(parameter, multiple=float(c))
    zeros = float((matrix == 0).double().mean())
    structure = ""
    if zeros > _MANY_ZEROS or (square and bool((matrix.abs() == matrix.T.abs()).all())):
        structure = (
            f"the constant matrix {parameter.name!r} is no matrix of independent entries (it is "
            "sparse, triangular, symmetric or antisymmetric)"
        )
    found = replace(parameter, structure=structure)
    return as_mask(found, matrix) if is_mask(matrix) else found


def is_mask(matrix: torch.Tensor) -> bool:
    """Whether it is a matrix of zeros and ones, and not of zeros alone."""
    zeros_and_ones = bool(((matrix == 0) | (matrix == 1)).all())
    return matrix.ndim == 2 and zeros_and_ones and bool(matrix.any())


def as_mask(parameter: TracedParameter, matrix: torch.Tensor) -> TracedParameter:
    """A matrix of zeros and ones with what it does to a matrix that it multiplies."""
    density = float(matrix.double().mean())
    reason = "" if density == 1.0 else _not_random(parameter.name, matrix.double(), density)
    return replace(parameter, density=density, not_random=reason)


def _not_random(name: str, mask: torch.Tensor, density: float) -> str:
    """Why the ones of a mask do not lie at random; "" where they do."""
    rows, columns = mask.shape
    if density * columns < _FEWEST:
        return (
            f"the mask {name!r} leaves {density * columns:.2g} of {columns} entries a row: a "
            "preactivation that sums so few is not Gaussian"
        )
    deviation = (mask - density) / math.sqrt(density * (1.0 - density))
    largest = float(torch.linalg.matrix_norm(deviation, 2))
    if largest > _LARGEST * (math.sqrt(rows) + math.sqrt(columns)):
        return (
            f"the zeros of the mask {name!r} do not lie at random (a triangle, blocks, or layers): "
            "the units of a cell are all alike"
        )
    return ""


def masked(matrix: TracedParameter, mask: TracedParameter) -> TracedParameter:
    """A matrix times a mask, entry by entry.

    Raises:
        RefusalError: the mask has another shape, or a structure.
    """
    if mask.density is None or matrix.ranges != mask.ranges or matrix.axes != mask.axes:
        raise RefusalError(f"it multiplies the matrices {matrix.name!r} and {mask.name!r}")
    if mask.density == 1.0:
        return matrix
    if mask.not_random:
        raise RefusalError(mask.not_random)
    if matrix.mask is not None:
        raise RefusalError(f"it multiplies the matrix {matrix.name!r} by two masks")
    return replace(matrix, mask=mask.name)
