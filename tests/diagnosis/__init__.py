"""Diagnosis: what is read, measured, predicted and said of PyTorch modules."""
