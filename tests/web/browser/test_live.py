"""The live view in a real browser."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import cv2
import numpy as np

from tests.support import page_faces
from tests.support.browser import Visit
from tests.support.page_server import ScriptedDaemon

Open = Callable[..., Visit]
STRIP_IS_DRAWN = """() => {
  const canvas = document.querySelector('.strip');
  return canvas.getContext('2d').getImageData(0, 7, canvas.width, 1).data.some((value) => value > 0);
}"""
PIXEL_AT = """([x, y]) => {
  const canvas = document.querySelector('.camera canvas.picture');
  const data = canvas.getContext('2d').getImageData(canvas.width * x, canvas.height * y, 1, 1).data;
  return [...data.slice(0, 3)];
}"""


def _picture(shade: int) -> str:
    """Return a data address of a JPEG of one shade of blue."""
    _, jpeg = cv2.imencode(".jpg", np.full((180, 320, 3), (shade, 0, 0), np.uint8))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _wait_for_stream(daemon: ScriptedDaemon, opened: Visit) -> None:
    """Wait until the page shows a camera and listens."""
    opened.page.locator(".camera").first.wait_for()
    while not daemon.streams:
        opened.page.evaluate("new Promise(requestAnimationFrame)")


def test_faces_are_shown_with_label_bars_and_strip(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)

    daemon.send("frame", page_faces.frame("door", 1, page_faces.face("k3f9-7", "happy", (100, 100, 200, 260))))

    face = opened.page.locator(".face")
    face.wait_for()
    assert "track 7" in face.inner_text()
    assert "82 % sure" in face.inner_text()
    assert face.locator(".label").inner_text() == "happy"
    assert face.locator(".bars").get_attribute("aria-label", timeout=5000) == ", ".join(
        ["happy 82 %", *(f"{name} 3 %" for name in ("angry", "disgust", "fear", "sad", "surprise", "neutral"))]
    )
    opened.wait_until(STRIP_IS_DRAWN)


def test_a_face_without_a_label_says_why(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)

    daemon.send("frame", page_faces.frame("door", 1, page_faces.face("k-1", "unknown", (5, 5, 20, 20), abstained="occluded")))

    opened.wait_for_text("covered", ".face")
    assert opened.page.locator(".face .bars").get_attribute("aria-label") == "not classified"


def test_without_pixels_no_picture_is_drawn(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)
    daemon.send("frame", page_faces.frame("door", 1, page_faces.face("k-1", "happy", (500, 200, 200, 260))))
    opened.page.locator(".face").wait_for()

    assert "no picture leaves the daemon" in opened.text()
    assert opened.page.evaluate(PIXEL_AT, [0.01, 0.01]) == [227, 231, 237]
    assert opened.page.locator("main img").count() == 0


def test_a_picture_is_shown_with_its_own_faces_only(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["pixels"] = True
    opened = visit("live")
    _wait_for_stream(daemon, opened)
    # The label is read from the row and the shade from the canvas in one step, at each change of the row.
    opened.page.evaluate(
        f"""() => {{
        globalThis.seen = [];
        const pixelAt = {PIXEL_AT};
        const look = () => {{
            const label = document.querySelector('.face .label')?.textContent;
            if (label) globalThis.seen.push([label, pixelAt([0.02, 0.97])[2]]);
            requestAnimationFrame(look);
        }};
        requestAnimationFrame(look);
    }}"""
    )

    for index in range(30):
        label, shade = ("happy", 60) if index % 2 else ("sad", 220)
        message = page_faces.frame("door", index, page_faces.face("k-1", label, (400, 200, 200, 260)), picture=_picture(shade))
        daemon.send("frame", message)
        opened.page.evaluate("new Promise(requestAnimationFrame)")

    opened.wait_until("() => new Set(globalThis.seen.map(String)).size >= 2")
    expected = {"happy": 60, "sad": 220}
    seen = opened.page.evaluate("globalThis.seen")
    # The canvas is drawn with the next screen frame after the row; a wrong pair would stay until the next message.
    wrong = [pair for pair, following in itertools.pairwise(seen) if pair == following and abs(pair[1] - expected[pair[0]]) > 20]
    assert not wrong


def test_a_camera_that_fails_says_so_and_its_faces_go(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)
    daemon.send("frame", page_faces.scene("door", 1))
    opened.page.locator(".face").first.wait_for()

    daemon.send("camera", {"camera": "door", "status": "stalled", "reason": "no picture for 10 s", "since": page_faces.NOW, "fps": 0.0})
    opened.wait_for_text("no picture for 10 s", ".cover")
    assert opened.page.locator(".face").count() == 0

    daemon.send("camera", {"camera": "door", "status": "online", "reason": "", "since": page_faces.NOW, "fps": 25.0})
    opened.page.locator(".cover").wait_for(state="hidden")
    daemon.send("frame", page_faces.scene("door", 2))
    opened.page.locator(".face").first.wait_for()


def test_groups_only_shows_counts_and_explains(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["aggregate_only"] = True
    opened = visit("live")
    _wait_for_stream(daemon, opened)
    opened.wait_for_text("The first counts come", ".camera")

    daemon.send("summary", page_faces.summary("door", 6, happy=40, neutral=60))

    opened.wait_for_text("6 faces now", ".camera")
    assert "no single face is shown" in opened.text(".explain")
    assert opened.page.locator(".camera canvas").count() == 0
    assert opened.page.locator(".counts dd").nth(7).inner_text() == "40"


def test_pause_holds_the_picture_and_goes_on(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)
    daemon.send("frame", page_faces.frame("door", 1, page_faces.face("k-1", "happy", (100, 100, 200, 260))))
    opened.wait_for_text("happy", ".face .label")

    opened.page.get_by_role("button", name="Pause").click()
    daemon.send("frame", page_faces.frame("door", 2, page_faces.face("k-1", "sad", (100, 100, 200, 260))))
    daemon.send("camera", {"camera": "door", "status": "online", "reason": "", "fps": 7.0})
    opened.wait_for_text("7.0 fps", ".camera .side")  # the messages arrived
    assert opened.page.locator(".face .label").inner_text() == "happy"

    opened.page.get_by_role("button", name="Go on").click()
    daemon.send("frame", page_faces.frame("door", 3, page_faces.face("k-1", "sad", (100, 100, 200, 260))))
    opened.wait_for_text("sad", ".face .label")


def test_one_camera_can_be_shown_alone(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["cameras"] = [page_faces.camera("door"), page_faces.camera("back yard")]
    opened = visit("live")

    opened.page.get_by_role("button", name="Show only back yard").click()

    opened.page.get_by_role("button", name="Show all cameras").wait_for()
    assert opened.page.locator(".camera h2").all_inner_texts() == ["back yard"]
    assert opened.page.url.endswith("#live/back%20yard")


def test_changes_are_said_to_screen_readers(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    _wait_for_stream(daemon, opened)

    daemon.send("frame", page_faces.frame("door", 1, page_faces.face("k-1", "happy", (100, 100, 200, 260))))

    opened.wait_until("() => document.querySelector('main [aria-live=polite]').textContent === 'door: 1 face: happy'")
    opened.wait_until("() => document.querySelector('.picture').getAttribute('aria-label') === 'door: 1 face: happy'")


def test_the_page_recovers_when_the_daemon_restarts(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    opened.expect_complaints("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY_RESPONSE", "503")
    _wait_for_stream(daemon, opened)
    opened.wait_for_text("connected", "#connection")

    daemon.stop()
    opened.wait_for_text("reconnecting", "#connection")
    daemon.state["cameras"] = [page_faces.camera("door"), page_faces.camera("new")]
    daemon.start()

    opened.wait_for_text("connected", "#connection")
    opened.wait_for_text("new", ".camera h2")
    _wait_for_stream(daemon, opened)
    daemon.send("frame", page_faces.frame("new", 1, page_faces.face("k-1", "happy", (100, 100, 200, 260))))
    opened.wait_for_text("happy", ".face .label")


def test_a_new_version_of_the_daemon_offers_its_page(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("status")
    opened.wait_for_text("0.1.0", ".facts")

    daemon.state["version"] = "0.2.0"

    opened.page.get_by_role("button", name="Load its page").click()
    opened.wait_for_text("0.2.0", ".facts")


def test_a_refused_stream_says_why_until_it_is_open(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.refusal = "too many viewers; close another page, or try again later"
    opened = visit("live")
    opened.expect_complaints("503")
    opened.wait_for_text("No live faces: too many viewers", "[role=alert]")

    daemon.refusal = ""

    opened.page.locator("[role=alert]").wait_for(state="hidden")
    _wait_for_stream(daemon, opened)
