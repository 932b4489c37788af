"""The recording view in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.browser import Visit
from tests.support.clips import write_clip
from tests.support.page_server import ScriptedDaemon

Open = Callable[..., Visit]
DONE = {"id": "r1", "name": "clip.mp4", "state": "done", "progress": 1.0, "frames": 300, "error": ""}
RUNNING = DONE | {"state": "running", "progress": 0.4, "frames": 120}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the name of a recording that no browser can play."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(300_000))
    return path


def test_a_recording_is_sent_analysed_and_becomes_a_timeline(daemon: ScriptedDaemon, visit: Open, file: Path) -> None:
    opened = visit("recording")

    opened.page.set_input_files("input[type=file]", [file])
    opened.page.get_by_role("progressbar", name="Analysing clip.mp4").wait_for()
    daemon.recordings = [RUNNING]
    opened.wait_for_text("40 %, 120 frames")
    daemon.recordings = [DONE]

    opened.page.locator(".timeline").wait_for()
    assert "2 tracks in 0:12.0" in opened.text()
    links = opened.page.locator("a.button")
    assert links.all_inner_texts() == ["JSON lines", "CSV", "Parquet"]
    assert links.nth(2).get_attribute("href") == "/api/1/recordings/r1/events.parquet"
    opened.wait_for_text("cannot play this format")


def test_cancelling_the_analysis_deletes_it(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [RUNNING]
    opened = visit("recording")
    opened.wait_for_text("40 %")
    assert not opened.page.locator(".drop").is_visible()

    opened.page.get_by_role("button", name="Cancel").click()

    opened.page.locator(".drop").wait_for()
    assert "DELETE /api/1/recordings/r1" in daemon.calls


def test_a_refusal_is_shown_and_another_file_can_be_chosen(daemon: ScriptedDaemon, visit: Open, file: Path) -> None:
    daemon.upload_answer = (409, {"error": "another recording is being analysed"})
    opened = visit("recording")
    opened.expect_complaints("409")

    opened.page.set_input_files("input[type=file]", [file])

    opened.wait_for_text("clip.mp4 was not analysed: another recording is being analysed", "[role=alert]")
    opened.page.locator(".drop").wait_for()


def test_a_failed_recording_says_why(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [DONE | {"state": "failed", "error": "no video stream in clip.mp4"}]

    opened = visit("recording")

    opened.wait_for_text("Not analysed: no video stream in clip.mp4", ".result")
    assert opened.page.locator("a.button").count() == 0


def test_a_file_over_the_limit_is_not_sent(daemon: ScriptedDaemon, visit: Open, file: Path) -> None:
    daemon.state["uploads"] = daemon.state["uploads"] | {"max_bytes": 1000}
    opened = visit("recording")
    opened.page.locator(".drop").wait_for()

    opened.page.set_input_files("input[type=file]", [file])

    opened.wait_for_text("http.max_upload_bytes", "[role=alert]")
    assert "POST /api/1/recordings" not in daemon.calls


def test_the_keyboard_scrubs_and_the_faces_follow(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [DONE]
    opened = visit("recording")
    slider = opened.page.get_by_role("slider", name="Time in the recording")
    slider.focus()

    for _ in range(4):
        opened.page.keyboard.press("ArrowRight")

    opened.wait_until("() => document.querySelector('.transport output').textContent.startsWith('0:04.0')")
    opened.wait_until(
        "() => document.querySelector('.timeline').getAttribute('aria-valuetext') === '0:04.0, track 1 happy, track 2 neutral'"
    )
    opened.wait_until("() => [...document.querySelectorAll('.now .label')].map((e) => e.textContent).join() === 'happy,neutral'")
    opened.page.get_by_role("button", name="Next change").click()
    opened.wait_until("() => document.querySelector('.transport output').textContent.startsWith('0:04.5')")


def test_the_pointer_scrubs(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [DONE]
    opened = visit("recording")
    timeline = opened.page.locator(".timeline")
    timeline.scroll_into_view_if_needed()
    box = timeline.bounding_box()
    assert box is not None

    opened.page.mouse.click(box["x"] + 44 + (box["width"] - 44) / 2, box["y"] + 30)

    opened.wait_until("() => document.querySelector('.transport output').textContent.startsWith('0:06.0')")


def test_without_the_file_the_figures_play_by_themselves(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [DONE]
    opened = visit("recording")

    opened.page.get_by_role("button", name="Play", exact=True).click()

    opened.wait_until("() => parseFloat(document.querySelector('.transport output').textContent.slice(2)) > 0.2")
    opened.page.get_by_role("button", name="Pause").click()
    opened.page.get_by_role("button", name="Play", exact=True).wait_for()


def test_the_visitors_own_file_is_played_under_the_boxes(daemon: ScriptedDaemon, visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    write_clip(path, frames=50, codec="libvpx")
    daemon.recordings = [DONE]
    opened = visit("recording")
    opened.page.get_by_role("button", name="Choose the file").wait_for()

    opened.page.set_input_files(".hint input[type=file]", [path])

    opened.wait_until("() => document.querySelector('.player video')?.videoWidth > 0")
    opened.wait_for_text("Your own file, played in your browser")
    covering = "getComputedStyle(document.querySelector('.player canvas')).backgroundColor"
    assert opened.page.evaluate(covering) == "rgba(0, 0, 0, 0)"
    assert not any(re.match("POST", call) for call in daemon.calls)


def test_deleting_removes_it_from_the_daemon(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.recordings = [DONE]
    opened = visit("recording")

    opened.page.get_by_role("button", name="Delete clip.mp4").click()

    opened.page.locator(".result").wait_for(state="detached")
    assert "DELETE /api/1/recordings/r1" in daemon.calls


def test_groups_only_takes_no_recording_and_says_why(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["aggregate_only"] = True

    opened = visit("recording")

    opened.wait_for_text("no single face is shown", ".explain")
    assert not opened.page.locator(".drop").is_visible()
