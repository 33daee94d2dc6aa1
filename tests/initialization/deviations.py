"""How far parameters stand from the laws of an ensemble, in standard errors of a sample their size.

Tests bound every statistic by 4 standard errors: a test of n statistics fails a correct program
with probability 6.4e-5 n when its seed changes.
"""

import math


def deviations(parts, ensemble, label="", moved=1.0):
    """{statistic: (standard errors from its law, sample size)} of {gate: (W, V, b)}.

    Args:
        parts: W, V and b as torch tensors, or None.
        ensemble: their laws.
        label: where they are.
        moved: a factor on the sigmas of the laws.
    """
    found = {}
    for name, (w, v, b) in parts.items():
        law = ensemble[name]
        samples = {"V": (v, 0.0, law.sigma_v), "b": (b, law.mu_b, law.sigma_b)}
        # Of an orthogonal matrix the entries' mean square is exact: it is tested elsewhere.
        if law.weights == "gaussian":
            samples["W"] = (w, 0.0, law.sigma_w)
        for what, (x, mean, sigma) in samples.items():
            if x is None:
                continue
            x, n = x.double(), x.numel()
            scale = sigma * moved * (x.shape[1] ** -0.5 if x.ndim == 2 else 1.0)
            key = f"{what} of {name}{label}"
            if sigma == 0.0:
                assert (x == mean).all(), key
                continue
            found[f"mean, {key}"] = (float(x.mean() - mean) / scale * math.sqrt(n), n)
            std = float((x - mean).square().mean().sqrt())
            found[f"deviation, {key}"] = ((std / scale - 1.0) * math.sqrt(2 * n), n)
    return found
