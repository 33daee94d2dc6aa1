"""Untied theory of one accumulated state: its law moved on a spectral grid."""
