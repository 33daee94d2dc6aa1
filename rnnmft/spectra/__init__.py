"""Singular values of the T-step Jacobian: the block equation, and what is read off it."""
