"""The suite's own law: nothing is skipped in silence.

A skipped test is a layer nobody looked at, so a skip fails the run. Tests marked `cuda` run on a
stand-in (`stand_in_device`) where there is no CUDA device, and one line says how many. The one
exceptions: with a torch that cannot have a stand-in they are left out, counted in that line; and so
are tests marked `browser` where there is no Chromium, in a line of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import hypothesis
import pytest

from tests.explorer.browser import CHROMIUM

# The same examples at every run and no deadline: a busy machine is not a wrong result.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")

_without_device, _left_out = pytest.StashKey[int](), pytest.StashKey[int]()
_skipped, _without_browser = pytest.StashKey[list[str]](), pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_without_device] = config.stash[_left_out] = config.stash[_without_browser] = 0
    config.stash[_skipped] = []
    config.pluginmanager.register(_NoSkips(config), "no-skips")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="no Chromium"))
    on_cuda = [item for item in items if item.get_closest_marker("cuda")]
    if not on_cuda:
        return
    import torch

    from tests.stand_in_device import IS_STAND_IN, register

    if IS_STAND_IN:
        register()
    if IS_STAND_IN or torch.cuda.is_available():
        return
    for item in on_cuda:
        item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _device(request: pytest.FixtureRequest) -> Iterator[None]:
    """The stand-in, for a test about CUDA on a machine without."""
    if request.node.get_closest_marker("cuda") is None:
        yield
        return
    from tests.stand_in_device import IS_STAND_IN, stand_in

    with stand_in() if IS_STAND_IN else nullcontext():
        yield


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


class _NoSkips:
    """Counts skips from the reports, so that it also works where xdist's workers make them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def _note(self, report: pytest.TestReport | pytest.CollectReport, excuse: str) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            if excuse == "cuda":
                self.config.stash[_left_out] += 1
            elif excuse == "browser":
                self.config.stash[_without_browser] += 1
            else:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
                self.config.stash[_skipped].append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cuda = "cuda" in report.keywords
        missing_browser = CHROMIUM is None and "browser" in report.keywords
        self._note(report, "cuda" if cuda else "browser" if missing_browser else "")
        self.config.stash[_without_device] += cuda and report.when == "call"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report, "")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.config.stash[_skipped] and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        count, left_out = (self.config.stash[key] for key in (_without_device, _left_out))
        if unseen := self.config.stash[_without_browser]:
            terminalreporter.write_line(f"{unseen} browser tests left out: no Chromium here")
        if left_out:
            terminalreporter.write_line(f"{left_out} cuda tests left out: no CUDA device here")
        elif count and not _has_cuda():
            terminalreporter.write_line(
                f"{count} cuda tests ran on a stand-in: no CUDA device here"
            )
        for line in self.config.stash[_skipped]:
            terminalreporter.write_line(f"FAILED (a skip is not a pass) {line}", red=True)
