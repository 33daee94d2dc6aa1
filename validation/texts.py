"""Cells outside the zoo, written as text, that several validations try."""

from __future__ import annotations

__all__ = ["TEXTS"]

TEXTS = {
    "probit": """
name = "probit"
states = ["h"]
[preactivations]
u = { sees = "h" }
n = { sees = "h" }
[update]
h = "gaussian_cdf(u)*h + (1 - gaussian_cdf(u))*erf(n)"
""",
    "modulated": """
name = "modulated"
states = ["h"]
[preactivations]
z = { sees = "h" }
r = { sees = "0" }
g = { sees = "sigmoid(r)*h" }
[update]
h = "(1 - sigmoid(z))*h + sigmoid(z)*tanh(g)"
""",
}
