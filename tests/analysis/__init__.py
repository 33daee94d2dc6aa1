"""Tests of rnnmft.analysis."""
