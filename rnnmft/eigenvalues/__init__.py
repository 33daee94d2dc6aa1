"""Eigenvalues of the one-step Jacobian: the cloud's boundary, its density and what it holds."""
