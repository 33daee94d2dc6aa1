"""The analysis: where symbols meet numbers. Mean fields, fixed points, timescales, spectra."""
