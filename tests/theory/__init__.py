"""Tests of the symbolic theory."""
