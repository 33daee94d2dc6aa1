"""The solver by sampled units: any cell, any tying, with standard errors."""
