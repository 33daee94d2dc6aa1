"""Critical initialization: the backward equations, their choices, and the tied correction."""
