"""The source line of the settings: the kind of source it makes, or one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferstream.capture.demo import DemoSource
from ferstream.capture.factory import SourceOptions, is_live, open_source
from ferstream.capture.recording import FileSource
from ferstream.capture.stream import StreamSource
from ferstream.capture.webcam import WebcamSource
from ferstream.errors import ConfigError
from ferstream.runtime.counters import Counters


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        ("rtsp://cam/1", StreamSource, True),
        ("RTSPS://joe@cam:322/1?x=y", StreamSource, True),
        ("http://cam/video.mjpg", StreamSource, True),
        ("https://cam/live.m3u8", StreamSource, True),
        ("video.mp4", FileSource, False),
        ("/data/a:b.mp4", FileSource, False),
        ("file:video.mp4", FileSource, False),
        ("file:///data/my%20video.mp4", FileSource, False),
        ("webcam:0", WebcamSource, True),
        ("webcam:12", WebcamSource, True),
        ("demo:", DemoSource, True),
    ],
)
def test_each_scheme_makes_its_kind_of_source(source: str, kind: type, live: bool, counters: Counters) -> None:
    made = open_source(source, camera="door", observer=counters)
    assert type(made) is kind
    assert is_live(source) is live
    assert is_live(source, realtime=True)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "not supported"),
        ("  ", "not supported"),
        ("ftp://host/a.mp4", "not supported; use rtsp"),
        ("webcam:", "webcam:0 for /dev/video0"),
        ("webcam:front", "webcam:0 for /dev/video0"),
        ("rtsp://", "names no host"),
        ("rtsp:///door", "names no host"),
        ("rtsp://[::1/door", "is not a valid URL"),
        ("file://[/a.mp4", "is not a valid file URL"),
    ],
)
def test_an_unusable_source_is_a_config_error(source: str, words: str, counters: Counters) -> None:
    with pytest.raises(ConfigError, match=words):
        open_source(source, camera="door", observer=counters)


def test_a_password_in_a_bad_source_is_not_shown(counters: Counters) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source("rtps://joe:hunter2@cam/1", camera="door", observer=counters)
    assert "hunter2" not in str(caught.value)


def test_a_path_may_have_a_colon_or_be_a_file_url(counters: Counters, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "odd:name 1.mp4"
    named.write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    for source in (str(named), named.name, f"file:{named.name}", named.as_uri(), f"file:{named}"):
        opened = open_source(source, camera="door", observer=counters)
        assert opened.open().frames == 10, source
        opened.close()


def test_options_reach_the_source(counters: Counters, long_clip: Path) -> None:
    options = SourceOptions(width=64, analysis_fps=5, threads=2, thread_type="FRAME")
    source = open_source(str(long_clip), camera="door", observer=counters, options=options)
    source.open()
    frames = list(source.frames())
    assert len(frames) == 11
    assert frames[0].detection_image.shape == (32, 64, 3)


def test_a_very_long_url_is_a_stream(counters: Counters) -> None:
    assert isinstance(open_source("rtsp://cam/" + "x" * 5000, camera="door", observer=counters), StreamSource)


@example("~0")
@example("\n")
@given(st.text(max_size=40))
def test_any_text_is_a_source_or_a_config_error(text: str) -> None:
    try:
        open_source(text, camera="door", observer=Counters())
    except ConfigError as exc:
        assert "\n" not in str(exc)
