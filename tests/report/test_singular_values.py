"""Singular values of networks in single precision, beside the same networks in double."""

from __future__ import annotations

import numpy as np

from rnnmft import cells
from rnnmft.language import Inputs
from rnnmft.report.singular_values import resolved_from
from rnnmft.simulation import simulate


def test_below_a_part_of_the_largest_they_are_rounding() -> None:
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3})

    def values(dtype: str) -> np.ndarray:
        found = simulate(
            cell,
            ensemble,
            Inputs(),
            width=96,
            networks=1,
            steps=40,
            jacobian_horizons=(30,),
            spectrum=True,
            device="cpu",
            dtype=dtype,
        ).jacobian[30]
        assert found.singular_values is not None
        return found.singular_values[0]

    single, double = values("float32"), values("float64")
    is_resolved = single > resolved_from(single)
    error = np.abs(np.log(single / double))
    assert 0.3 < is_resolved.mean() < 0.9
    assert error[is_resolved].max() < 0.2
    # A tenth of it is worth nothing.
    assert np.median(error[single < resolved_from(single) / 10]) > 0.5
