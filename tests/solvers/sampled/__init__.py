"""The solver by sampled units."""
