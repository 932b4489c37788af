"""Drives a real Chromium over Playwright: pages, what the browser complains about, and axe-core."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

Scheme = Literal["light", "dark"]
_ARGS = (
    "--headless",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
TIMEOUT_MS = 20_000
"""How long a condition may take on a busy machine."""


class Visit:
    """A page that is open.

    Attributes:
        page: Playwright's page.
        complaints: Errors and warnings of the browser's console, and errors of scripts.
        addresses: Origins that were asked for anything, with a slash at the end.
    """

    def __init__(self, page: Page) -> None:
        """Listen to a page.

        Args:
            page: A page that nothing was loaded into yet.
        """
        self.page = page
        self.complaints: list[str] = []
        self.addresses: set[str] = set()
        self._expected: tuple[str, ...] = ("willReadFrequently",)  # tests read canvases
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note_request)

    def expect_complaints(self, *parts: str) -> None:
        """Ignore complaints that contain one of these texts, such as those about a daemon that a test stops."""
        self._expected += parts

    def close(self) -> None:
        """Close the page and its context."""
        self.page.context.close()

    def text(self, selector: str = "main") -> str:
        """Return the visible text of an element."""
        return self.page.locator(selector).inner_text()

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until an element with this text is visible."""
        self.page.locator(selector).filter(has_text=text).first.wait_for(state="visible")

    def wait_until(self, script: str, argument: Any = None) -> None:
        """Wait until a function of JavaScript returns something true."""
        self.page.wait_for_function(script, arg=argument)

    def accessibility_faults(self) -> list[str]:
        """Return what axe-core finds, one line each."""
        self.page.evaluate((importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8") + "; undefined")
        options = json.dumps({"runOnly": {"type": "tag", "values": _AXE_TAGS}, "resultTypes": ["violations"]})
        found = self.page.evaluate(f"axe.run(document, {options})")
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(part in message.text for part in self._expected):
            self.complaints.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"}:
            self.addresses.add(f"{parts.scheme}://{parts.netloc}/")


class Browser:
    """One Chromium, from ``with`` to its end.

    Args:
        executable: Path of Chromium.
        folder: An empty folder for its user data.
    """

    def __init__(self, executable: str, folder: Path) -> None:
        self._executable, self._folder = executable, folder

    def __enter__(self) -> Browser:
        self._playwright = sync_playwright().start()
        environment: dict[str, str | float | bool] = {"HOME": str(self._folder), "PATH": "/usr/bin:/bin"}
        self._browser = self._playwright.chromium.launch(executable_path=self._executable, args=list(_ARGS), env=environment)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._browser.close()
        self._playwright.stop()

    def open(self, url: str, *, width: int = 1200, height: int = 900, scheme: Scheme = "light", **context: Any) -> Visit:
        """Open an address in a context of its own.

        Args:
            url: The address.
            width: Width of the window in CSS pixels.
            height: Height of the window.
            scheme: The system's theme.
            context: More options of Playwright's ``new_context``.
        """
        opened = self._browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context)
        opened.set_default_timeout(TIMEOUT_MS)
        visit = Visit(opened.new_page())
        visit.page.goto(url)
        return visit
