"""Cells from PyTorch."""
