"""The suite's own law: nothing is skipped in silence.

A skipped test is a layer nobody looked at, so a skip fails the run. The one exception is a test
marked `cuda` on a machine without a CUDA device; those are left out and counted in one line.
"""

from __future__ import annotations

import hypothesis
import pytest

# The same examples at every run and no deadline: a busy machine is not a wrong result.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")

_without_device = pytest.StashKey[int]()
_skipped = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_without_device] = 0
    config.stash[_skipped] = []
    config.pluginmanager.register(_NoSkips(config), "no-skips")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    on_cuda = [item for item in items if item.get_closest_marker("cuda")]
    if not on_cuda:
        return
    import torch

    if torch.cuda.is_available():
        return
    for item in on_cuda:
        item.add_marker(pytest.mark.skip(reason="no CUDA device"))


class _NoSkips:
    """Counts skips from the reports, so that it also works where xdist's workers make them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def _note(self, report: pytest.TestReport | pytest.CollectReport, cuda: bool) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            if cuda:
                self.config.stash[_without_device] += 1
            else:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
                self.config.stash[_skipped].append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report, "cuda" in report.keywords)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report, False)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.config.stash[_skipped] and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        count = self.config.stash[_without_device]
        if count:
            terminalreporter.write_line(f"{count} cuda tests left out: no CUDA device here")
        for line in self.config.stash[_skipped]:
            terminalreporter.write_line(f"FAILED (a skip is not a pass) {line}", red=True)
