"""Tests of rnnmft.numerics."""
