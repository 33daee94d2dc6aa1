"""One browser for the tests of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.explorer.browser import Page, browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A headless Chromium."""
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found
