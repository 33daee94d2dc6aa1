"""The papers' experiments, run again: whether the theory of initialization predicts training."""
