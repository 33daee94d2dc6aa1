"""Closed moments."""
