"""The report: the theory of one cell beside simulated networks, in one HTML file."""

from rnnmft.report.assemble import Report, make_report

__all__ = ["Report", "make_report"]
