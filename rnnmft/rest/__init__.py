"""Networks without input: their fixed points, stability, transitions and phase diagrams."""
