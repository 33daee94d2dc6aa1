"""Sums of a two-time kernel over pairs of times, against a linear cell; and blocks of rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.units.kernel_sums import KernelSums
from rnnmft.units.slope_history import BLOCK, Rows

TIMES = 12


def sums_of(kernel: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """The class on a kernel (times, times, R) given in units of 2^exponent at either time."""
    sums = KernelSums()
    for t in range(len(kernel)):
        scale = np.exp2(exponents[: t + 1] + exponents[t])
        before, after = kernel[t, : t + 1] / scale, kernel[: t + 1, t] / scale
        sums.append(*map(torch.from_numpy, (before[:t], after[:t])), torch.from_numpy(exponents[t]))
    assert len(sums) == len(kernel)
    return sums.log_sums().numpy()


@pytest.mark.parametrize("size", [0.0, 300.0, -300.0])
def test_the_sums_are_those_of_the_definition(size: float) -> None:
    """S(n) = sum over t + s = 2 n + 1 of C(t, s), also where C itself would overflow a float."""
    rng = np.random.default_rng(4)
    kernel = rng.standard_normal((TIMES, TIMES, 3))
    found = sums_of(kernel, np.zeros((TIMES, 3)))
    direct = np.array(
        [
            sum(kernel[t, 2 * n + 1 - t] for t in range(2 * n + 2))
            for n in range(TIMES // 2)
        ]
    )  # fmt: skip
    assert found.shape == (3, TIMES // 2)
    np.testing.assert_allclose(found, np.log(np.abs(direct)).T, rtol=1e-12, atol=1e-12)
    # 2^size at each time is a factor 4^size of every sum, whatever the units of a step are.
    moved = KernelSums()
    for t in range(TIMES):
        rows = kernel[t, :t], kernel[:t, t]
        moved.append(*map(torch.from_numpy, rows), torch.full((3,), size, dtype=torch.float64))
    scaled = moved.log_sums().numpy()
    np.testing.assert_allclose(scaled - found, 2 * size * math.log(2), rtol=1e-12, atol=1e-9)


def test_units_of_a_step_change_nothing() -> None:
    rng = np.random.default_rng(5)
    kernel = rng.standard_normal((TIMES, TIMES, 2))
    exponents = rng.integers(-8, 9, (TIMES, 2)).astype(float)
    plain = sums_of(kernel, np.zeros((TIMES, 2)))
    np.testing.assert_allclose(sums_of(kernel, exponents), plain, rtol=1e-11, atol=1e-12)


def test_a_linear_cell_has_the_sums_of_its_two_rates() -> None:
    """h' = a h + b W h, w = b sigma_w: S(n) = ((a + w)^(2n+2) - (a - w)^(2n+2)) / (2 w).

    A perturbation after t steps is (a + b W)^t of the first, and W^k y of different k are
    independent: C(t, s) = sum_k binom(t, k) binom(s, k) a^(t + s - 2 k) w^(2 k).
    """
    a, w = 0.7, 0.4
    kernel = np.array(
        [
            [
                sum(
                    math.comb(t, k) * math.comb(s, k) * a ** (t + s - 2 * k) * w ** (2 * k)
                    for k in range(min(s, t) + 1)
                )
                for s in range(TIMES)
            ]
            for t in range(TIMES)
        ]
    )[..., None]
    found = np.exp(sums_of(kernel, np.zeros((TIMES, 1)))[0])
    n = np.arange(TIMES // 2)
    exact = ((a + w) ** (2 * n + 2) - (a - w) ** (2 * n + 2)) / (2 * w)
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_rows_are_kept_by_blocks_and_in_order() -> None:
    rows, given = Rows(), [torch.full((2, 3), float(t)) for t in range(2 * BLOCK + 3)]
    for row in given:
        rows.append(row)
    blocks = [rows.block(number) for number in range(3)]
    assert [len(block) for block in blocks] == [BLOCK, BLOCK, 3]
    assert torch.equal(torch.cat(blocks), torch.stack(given))
