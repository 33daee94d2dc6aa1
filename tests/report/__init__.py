"""Tests of rnnmft.report."""
