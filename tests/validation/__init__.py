"""Tests of rnnmft.validation."""
