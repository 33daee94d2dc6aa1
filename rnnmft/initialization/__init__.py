"""Initialization: the ensemble that a cell should start from, why, and into real networks."""
