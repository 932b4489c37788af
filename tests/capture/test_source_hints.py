"""Hints for files that are not there because something else was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.capture.source_hints import camera_number, device_meant, what_was_meant


@pytest.mark.parametrize(
    ("name", "number"),
    [("0", 0), ("/dev/video2", 2), ("/etc/ferstream/0", 0), ("webcam", 0), ("webcam1", 1), ("cam:3", 3), ("Camera 2", 2), ("video10", 10)],
)
def test_a_webcam_is_proposed(name: str, number: int) -> None:
    assert camera_number(Path(name)) == number
    assert what_was_meant(Path(name)) == f"for the webcam /dev/video{number} write webcam:{number}"


@pytest.mark.parametrize("name", ["0.mp4", "video", "door.mp4", "2021-05-04", "videos", "1234"])
def test_other_names_are_paths(name: str) -> None:
    assert what_was_meant(Path(name)) == "check the path"


@pytest.mark.parametrize("address", ["rtsp://cam/s", "RTSP://cam/s", "http://cam/s", "/work/https://cam/s"])
def test_an_address_is_not_a_file(address: str) -> None:
    assert "an address of a camera" in what_was_meant(Path(address))


def test_a_device_is_answered_with_what_to_write() -> None:
    assert device_meant(Path("/dev/video3")) == "is a webcam, not a file; write webcam:3"
    assert device_meant(Path("/dev/null")).startswith("is a device or terminal")
