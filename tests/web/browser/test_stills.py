"""The stills view in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import page_faces
from tests.support.browser import Visit
from tests.support.page_server import ScriptedDaemon

Open = Callable[..., Visit]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey picture."""
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((480, 640, 3), 128, np.uint8))
    return path


def test_a_chosen_picture_gets_boxes_bars_and_json(daemon: ScriptedDaemon, visit: Open, photo: Path) -> None:
    opened = visit("stills")

    opened.page.set_input_files("input[type=file]", [photo])
    opened.wait_for_text("1 face", ".result")

    assert opened.page.locator(".result .face .label").inner_text() == "happy"
    assert opened.page.locator(".result canvas").get_attribute("aria-label") == "photo.png: 1 face: happy"
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Download JSON").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert download.value.suggested_filename == "photo.png.faces.json"
    assert saved == {"file": "photo.png"} | page_faces.still()


def test_several_pictures_are_sent_one_after_the_other_and_a_busy_daemon_is_asked_again(
    daemon: ScriptedDaemon, visit: Open, photo: Path
) -> None:
    daemon.stills = [(503, {"error": "busy"}), (200, page_faces.still())]
    opened = visit("stills")
    opened.expect_complaints("503")

    opened.page.set_input_files("input[type=file]", [photo, photo])
    opened.wait_for_text("2 pictures, 2 faces", "[role=status]")

    assert daemon.calls.count("POST /api/1/stills") == 3
    opened.page.get_by_role("button", name="Remove photo.png").first.click()
    opened.wait_for_text("1 picture, 1 face", "[role=status]")


def test_a_refusal_is_shown_in_the_daemons_words(daemon: ScriptedDaemon, visit: Open, photo: Path) -> None:
    daemon.stills = [(415, {"error": "this is not a picture that can be read"})]
    opened = visit("stills")
    opened.expect_complaints("415")

    opened.page.set_input_files("input[type=file]", [photo])

    opened.wait_for_text("Not analysed: this is not a picture that can be read", ".error")


def test_a_file_that_the_browser_cannot_show_has_its_boxes_on_grey(daemon: ScriptedDaemon, visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "scan.tiff"
    path.write_bytes(b"II*\0 not shown by browsers")
    opened = visit("stills")

    opened.page.set_input_files("input[type=file]", [path])

    opened.wait_for_text("1 face", ".result")


def test_a_picture_larger_than_the_limit_is_not_sent(daemon: ScriptedDaemon, visit: Open, photo: Path) -> None:
    daemon.state["uploads"] = daemon.state["uploads"] | {"max_bytes": 100}
    opened = visit("stills")
    opened.page.locator(".drop").wait_for()

    opened.page.set_input_files("input[type=file]", [photo])

    opened.wait_for_text("more than the daemon takes (100 B)", ".error")
    assert "POST /api/1/stills" not in daemon.calls


def test_groups_only_takes_no_picture_and_says_why(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["aggregate_only"] = True

    opened = visit("stills")

    opened.wait_for_text("no single face is shown", ".explain")
    assert opened.page.get_by_role("button", name="Choose pictures").count() == 0


def test_the_browsers_camera_takes_a_picture(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("stills")
    opened.page.get_by_role("button", name="Take a picture").click()
    opened.wait_until("() => document.querySelector('video')?.videoWidth > 0")

    opened.page.get_by_role("button", name="Take the picture").click()

    opened.wait_for_text("camera.jpg", ".result h2")
    opened.wait_for_text("1 face", ".result")
    opened.page.get_by_role("button", name="Close the camera").click()
    assert opened.page.locator("video").count() == 0


def test_over_plain_http_the_camera_is_explained(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("stills")
    opened.page.evaluate("Object.defineProperty(globalThis, 'isSecureContext', { value: false })")

    opened.page.get_by_role("button", name="Take a picture").click()

    opened.wait_for_text("only over https", "[role=alert]")
