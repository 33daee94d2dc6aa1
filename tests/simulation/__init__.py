"""Tests of the finite networks."""
