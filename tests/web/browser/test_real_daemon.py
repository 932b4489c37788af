"""The page in Chromium on ``ferstream run``: the login, a camera that dies and returns, uploads, a restart.

A start of the daemon takes several seconds, so all tests share one; each leaves it as it was.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api_client import PATIENCE_S
from tests.support.browser import Browser, Visit
from tests.support.clips import portrait_clip, write_clip
from tests.support.daemon import RunningDaemon
from tests.support.pictures import portrait_path
from tests.support.rtsp import SERVER, RtspServer, rtsp_server

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="rtsp-server (aio-rtsp-toolkit) is not installed")

TOKEN = "a-token-that-nobody-guesses"
SLOW_MS = 1000 * PATIENCE_S  # uploads are analysed at low priority: beside other work they take minutes
SETTINGS = """
[outbox]
path = "memory"
[[cameras]]
name = "hall"
source = "demo:"
[[cameras]]
name = "yard"
source = "{yard}"
read_timeout_s = 2
reconnect_min_s = 0.2
reconnect_max_s = 1
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """An RTSP server with a clip of test cards."""
    folder = tmp_path_factory.mktemp("rtsp")
    write_clip(folder / "street.mp4", size=(320, 240), frames=50, options={"g": "10", "bf": "0", "tune": "zerolatency"})
    with rtsp_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, street: RtspServer) -> Iterator[RunningDaemon]:
    """A daemon with a token and pictures."""
    settings = SETTINGS.format(yard=street.url("street.mp4"))
    environment = {"FERSTREAM_HTTP__TOKEN": TOKEN, "FERSTREAM_HTTP__PIXELS": "true"}
    with RunningDaemon(tmp_path_factory.mktemp("daemon"), settings, program=None, **environment) as daemon:
        daemon.wait_log("http://")
        yield daemon


@pytest.fixture
def enter(browser: Browser, real: RunningDaemon) -> Iterator[Callable[[str], Visit]]:
    """Opens a view after the login; the browser must not complain."""
    visits: list[Visit] = []

    def open_view(view: str) -> Visit:
        visit = browser.open(f"http://127.0.0.1:{real.port}/")
        visit.page.context.set_default_timeout(SLOW_MS)
        visits.append(visit)
        _log_in(visit)
        visit.page.goto(f"http://127.0.0.1:{real.port}/#{view}")
        return visit

    yield open_view
    for visit in visits:
        visit.close()
    assert [line for visit in visits for line in visit.complaints] == []
    assert {address for visit in visits for address in visit.addresses} == {f"http://127.0.0.1:{real.port}/"}


def _log_in(visit: Visit) -> None:
    visit.page.get_by_label("Token").fill(TOKEN)
    visit.page.get_by_role("button", name="Log in").click()
    visit.page.get_by_role("heading", name="Live").wait_for()


def test_the_login_form_is_accessible_and_a_wrong_token_is_refused(browser: Browser, real: RunningDaemon) -> None:
    visit = browser.open(f"http://127.0.0.1:{real.port}/#status")
    visit.expect_complaints("403")

    assert visit.page.url.partition("#")[0].endswith("/login")
    assert visit.accessibility_faults() == []
    visit.page.get_by_label("Token").fill("wrong")
    visit.page.get_by_role("button", name="Log in").click()

    visit.wait_for_text("not the token", "[role=alert]")
    assert visit.accessibility_faults() == []
    assert visit.complaints == []
    visit.close()


def test_faces_are_seen_with_their_picture_and_the_log_out_ends_it(enter: Callable[[str], Visit]) -> None:
    visit = enter("live/hall")

    visit.page.locator(".face").first.wait_for()
    visit.wait_until("() => document.querySelector('.picture').getAttribute('aria-label').includes('face: ')")
    assert "after the privacy masks" in visit.text(".lead")

    visit.page.get_by_role("button", name="Log out").click()
    visit.page.get_by_label("Token").wait_for()


def test_a_camera_that_dies_and_returns(enter: Callable[[str], Visit], street: RtspServer) -> None:
    visit = enter("live")
    yard = visit.page.locator('[data-camera="yard"]')
    yard.locator(".pill.good").wait_for()
    yard.locator(".cover").wait_for(state="hidden")

    street.kill()
    yard.locator(".cover").wait_for(state="visible")
    assert yard.locator(".pill").inner_text() != "online"

    street.start()
    yard.locator(".pill.good").wait_for()
    yard.locator(".cover").wait_for(state="hidden")


def test_a_photograph_is_analysed(enter: Callable[[str], Visit]) -> None:
    visit = enter("stills")

    visit.page.set_input_files("input[type=file]", [portrait_path()])

    visit.wait_for_text("1 face", ".result")
    visit.wait_for_text("sure", ".result .confidence")


def test_a_recording_becomes_a_timeline_with_downloads(enter: Callable[[str], Visit], tmp_path: Path) -> None:
    path = portrait_clip(tmp_path / "portraits.mp4")
    visit = enter("recording")

    visit.page.set_input_files("input[type=file]", [path])

    visit.page.locator(".timeline").wait_for()
    visit.wait_until("() => document.querySelector('.player video')?.videoWidth > 0")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="CSV").click()
    assert "neutral" in Path(download.value.path()).read_text()
    visit.page.get_by_role("button", name="Delete portraits.mp4").click()
    visit.page.locator(".result").wait_for(state="detached")


def test_after_a_restart_the_page_asks_for_the_token_and_goes_on(enter: Callable[[str], Visit], real: RunningDaemon) -> None:
    visit = enter("live")
    visit.expect_complaints("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY_RESPONSE", "401")
    visit.page.locator(".face").first.wait_for()

    real.end(signal.SIGTERM)
    visit.wait_for_text("reconnecting", "#connection")
    real.start()

    visit.page.get_by_label("Token").wait_for()
    _log_in(visit)
    visit.page.locator(".face").first.wait_for()
