"""The analysis: where symbols meet numbers. Mean fields, fixed points, timescales, spectra.

`mean_field` is the meeting room, `choice` decides who answers, `contract` and `results` say what
an answer is. Behind them: `closed` (moments that close), `transport` (the law of an accumulated
state), `units` (sampled units, tied and untied), `two_time` (tied cells whose two-time kernels
close), `spectra` (singular values) and `critical` (initialization).
"""
