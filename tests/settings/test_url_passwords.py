"""Passwords in URLs of the settings: a warning that names the better place, and errors that never show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.settings import load
from ferstream.settings.fields import unencoded
from tests.settings.conftest import ErrorLines

SECRET = "zirkelkasten"


def warnings(tmp_path: Path, text: str, **environ: str) -> list[str]:
    file = tmp_path / "f.toml"
    file.write_text(text)
    lines = [str(problem).removeprefix(f"{tmp_path}/") for problem in load(file, environ=environ).passwords]
    assert SECRET not in "".join(lines)
    return lines


def camera(source: str) -> str:
    return f"[[cameras]]\nname = 'front-door'\nsource = '{source}'\n"


def test_a_password_in_the_url_of_a_camera_is_warned_of(tmp_path: Path) -> None:
    expected = (
        "f.toml:3: cameras.front-door.source: the URL has a password, which everyone who can read this file can read; put it into a file "
        "that only this user can read, and set cameras.front-door.password_file and cameras.front-door.username"
    )
    assert warnings(tmp_path, camera(f"rtsp://user:{SECRET}@cam/s")) == [expected]


def test_a_password_in_the_url_of_the_broker_is_warned_of(tmp_path: Path) -> None:
    (line,) = warnings(tmp_path, f"[mqtt]\nurl = 'mqtts://u:{SECRET}@broker'\n")
    assert line.startswith("f.toml:2: mqtt.url: the URL has a password")
    assert line.endswith("set mqtt.password_file and mqtt.username")


@pytest.mark.parametrize("query", ["user=a&pwd={}", "loginpas={}", "auth_token={}", "x=1;password={}"])
def test_a_password_in_a_query_is_warned_of(tmp_path: Path, query: str) -> None:
    (line,) = warnings(tmp_path, camera(f"http://cam/video?{query.format(SECRET)}"))
    assert line.endswith("put the whole URL into the variable FERSTREAM_CAMERAS__FRONT_DOOR__SOURCE")


@pytest.mark.parametrize(
    "source", ["rtsp://cam/s", "rtsp://user@cam/s", "rtsp://user:@cam/s", "http://cam/v?quality=5", "a.mp4", "webcam:0"]
)
def test_sources_without_a_password_are_not_warned_of(tmp_path: Path, source: str) -> None:
    assert warnings(tmp_path, camera(source)) == []


def test_a_password_in_a_variable_is_not_in_the_file(tmp_path: Path) -> None:
    environ = {"FERSTREAM_CAMERAS__FRONT_DOOR__SOURCE": f"rtsp://u:{SECRET}@cam/s", "FERSTREAM_MQTT__URL": f"mqtt://u:{SECRET}@h"}
    assert warnings(tmp_path, camera("rtsp://cam/s"), **environ) == []


@pytest.mark.parametrize(
    ("userinfo", "listed"),
    [
        (f"user:p@ss:{SECRET}#rd%ü", '"#" as %23'),
        (f"user:{SECRET}#", '"#" as %23'),
        (f"user:1#{SECRET}", '"#" as %23'),
        (f"user:{SECRET}/x", '"/" as %2F'),
        (f"user:{SECRET}?x", '"?" as %3F'),
        (f"user:a/{SECRET}#", '"/" as %2F and "#" as %23'),
        (f"user:{SECRET}[1", '"[" as %5B'),
        (f"us]er:{SECRET}", '"]" as %5D'),
    ],
)
def test_a_password_that_is_not_encoded_is_an_error_that_says_how(userinfo: str, listed: str, error_lines: ErrorLines) -> None:
    (line,) = error_lines(camera(f"rtsp://{userinfo}@host/s"))
    assert f"encode {listed}, or use password_file" in line
    assert SECRET not in line
    (line,) = error_lines(f"[mqtt]\nurl = 'mqtt://{userinfo}@host'\n")
    assert f"encode {listed}, or use password_file" in line
    assert SECRET not in line


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://u:p%23@h/x",
        "rtsp://u:p@ss@h/x",
        "http://h/a@b",
        "http://h:80/a@b",
        "http://h/x?mail=a@b",
        "rtsp://[::1]:554/a@b",
        "rtsp://u:p@[::1]:554/a@b",
        "rtsp://u:p@h/a@b#c",
        "rtsp://h/x#y",
    ],
)
def test_a_url_that_could_be_meant_as_it_is_is_accepted(url: str) -> None:
    assert unencoded(url) == ""
