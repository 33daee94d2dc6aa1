"""Sampled units: the tied theory, and the untied one where nothing closes."""
