"""Calibration: whether the errors that rnnmft reports are right, over settings of known answer.

    python -m validation.calibration

writes validation/results/calibration.json; docs/calibration.md renders it, and
tests/validation/test_calibration.py holds the same suite to the same rules.
"""
