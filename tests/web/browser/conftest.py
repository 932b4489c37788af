"""Chromium for tests of the page: Debian's own, driven by Playwright, which downloads nothing here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, Visit
from tests.support.page_server import ScriptedDaemon

CHROMIUM = shutil.which("chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no Chromium."""
    here = Path(__file__).parent
    for item in items:
        if CHROMIUM is None and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no chromium: apt-get install chromium"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One running Chromium with a fresh user folder.

    For one module: while it runs, this thread has a running event loop, with which tests of other modules would fail.
    """
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def daemon() -> Iterator[ScriptedDaemon]:
    """A scripted daemon, started."""
    with ScriptedDaemon() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, daemon: ScriptedDaemon) -> Iterator[Callable[..., Visit]]:
    """Opens a view of the daemon's page. At the end, the browser must not have complained, and every request went to the page's address."""
    visits: list[Visit] = []

    def open_view(view: str = "live", **options: Any) -> Visit:
        visits.append(browser.open(f"{daemon.url}#{view}", **options))
        return visits[-1]

    yield open_view
    for opened in visits:
        opened.close()
    complaints = [line for opened in visits for line in opened.complaints]
    assert not complaints
    assert {address for opened in visits for address in opened.addresses} <= {daemon.url}
