"""Tests of rnnmft.page."""
