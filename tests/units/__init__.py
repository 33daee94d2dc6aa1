"""Sampled units."""
