"""The report: the theory of one cell beside simulated networks, in one HTML file."""

from rnnmft.report.assemble import QUICK, Report, make_report
from rnnmft.report.comparison import ReportComparison
from rnnmft.report.in_place import first_report, report_in_place, write_report

__all__ = [
    "QUICK",
    "Report",
    "ReportComparison",
    "first_report",
    "make_report",
    "report_in_place",
    "write_report",
]
