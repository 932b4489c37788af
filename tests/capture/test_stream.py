"""Streams: live frames, and errors of the right kind, in time, without the password."""

from __future__ import annotations

import traceback
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import pytest

from ferstream.capture.libav_errors import translate_error
from ferstream.capture.options import Connecting
from ferstream.capture.stream import StreamSource
from ferstream.domain.frame import Frame
from ferstream.errors import ConfigError, SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.threads import Task, wait_until

Make = Callable[..., StreamSource]


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door`` with short time limits; takes the fields of ``Connecting``."""

    def make(url: str, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 1.0, "read_timeout_s": 1.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting)

    return make


def error_of(source: StreamSource, kind: type[SourceError]) -> str:
    """Open a source that fails; return the message of its error."""
    with pytest.raises(SourceError) as caught:
        source.open()
    assert type(caught.value) is kind
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ("401 Unauthorized", SourceAuthError, "authentication failed"),
        ("403 Forbidden", SourceAuthError, "authentication failed"),
        ("404 Not Found", SourceError, "no such stream"),
        ("500 Internal Server Error", SourceError, "cannot be read"),
    ],
)
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_each_refusal_has_its_error(make: Make, scheme: str, status: str, kind: type[SourceError], words: str) -> None:
    answer = http_stub.rtsp_status(status) if scheme == "rtsp" else http_stub.http_status(status)
    with http_stub.serving(answer) as port:
        assert words in error_of(make(f"{scheme}://joe:hunter2@127.0.0.1:{port}/door"), kind)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_silent_server_is_a_timeout(make: Make, scheme: str) -> None:
    with http_stub.serving(http_stub.says_nothing) as port:
        text = error_of(
            make(f"{scheme}://joe:hunter2@127.0.0.1:{port}/door", connect_timeout_s=0.2, read_timeout_s=0.2), SourceTimeoutError
        )
    assert "no answer within 0.2 s" in text


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_closed_port_is_connection_refused(make: Make, scheme: str) -> None:
    text = error_of(make(f"{scheme}://joe:hunter2@127.0.0.1:{http_stub.free_port()}/door"), SourceError)
    assert "connection refused" in text
    assert "***@127.0.0.1" in text


def test_a_web_page_is_a_format_error(make: Make) -> None:
    with http_stub.serving(http_stub.http_body("text/html", b"<html>log in</html>" * 100)) as port:
        assert "no video that can be decoded" in error_of(make(f"http://127.0.0.1:{port}/door"), SourceFormatError)


def test_garbage_instead_of_rtsp_is_an_error(make: Make) -> None:
    with http_stub.serving(http_stub.says(bytes(range(256)) * 50)) as port, pytest.raises(SourceError):
        make(f"rtsp://127.0.0.1:{port}/door").open()


def test_a_playlist_cannot_name_files(make: Make, clip: Path) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
    with http_stub.serving(http_stub.http_body("application/vnd.apple.mpegurl", playlist)) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/list.m3u8").open()


def test_video_over_http_plays_at_its_own_speed_and_ends_in_an_error(make: Make, clips_dir: Path, counters: Counters) -> None:
    body = write_clip(clips_dir / "body.ts", codec="mpeg4").read_bytes()
    with http_stub.serving(http_stub.http_body("video/mp2t", body)) as port:
        source = make(f"http://127.0.0.1:{port}/door.ts")
        info = source.open()
        frames: list[Frame] = []
        with pytest.raises(SourceError, match="ended the stream"):
            frames.extend(source.frames())
        source.close()
    assert (info.width, info.height) == (96, 64)
    assert counters.snapshot().frames[("door", "decode")] >= 9


def test_media_times_of_motion_jpeg_come_from_the_clock(make: Make, clips_dir: Path) -> None:
    body = write_clip(clips_dir / "body.mjpeg", codec="mjpeg", pixel_format="yuvj420p").read_bytes()
    jpegs = [b"\xff\xd8" + part for part in body.split(b"\xff\xd8")[1:]]
    parts = b"".join(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg) for jpeg in jpegs)
    with http_stub.serving(http_stub.http_body("multipart/x-mixed-replace; boundary=frame", parts)) as port:
        source = make(f"http://127.0.0.1:{port}/mjpg")
        source.open()
        times = []
        with pytest.raises(SourceError):
            for frame in source.frames():
                times.append(frame.info.media_time_ns)
                assert frame.info.live
        source.close()
    assert len(times) >= 9
    assert times[-1] < 300_000_000


def test_close_while_connecting_ends_with_the_timeout(make: Make) -> None:
    with http_stub.serving(http_stub.says_nothing) as port:
        source = make(f"rtsp://127.0.0.1:{port}/door", connect_timeout_s=0.5, read_timeout_s=0.5)
        opening = Task(source.open)
        source.close()
        with pytest.raises(SourceTimeoutError):
            opening.result()


def test_a_server_that_falls_silent_is_a_timeout(make: Make, clips_dir: Path) -> None:
    body = write_clip(clips_dir / "silent.ts", codec="mpeg4", frames=30).read_bytes()
    with http_stub.serving(http_stub.http_body_then_silence("video/mp2t", body)) as port:
        source = make(f"http://127.0.0.1:{port}/door.ts", read_timeout_s=0.3)
        source.open()
        reading = Task(lambda: list(source.frames()))
        with pytest.raises(SourceTimeoutError):
            reading.result()
        source.close()


def test_close_ends_a_blocked_read(make: Make, clips_dir: Path, counters: Counters, no_new_threads: None) -> None:
    body = write_clip(clips_dir / "blocked.ts", codec="mpeg4", frames=30).read_bytes()
    with http_stub.serving(http_stub.http_body_then_silence("video/mp2t", body)) as port:
        source = make(f"http://127.0.0.1:{port}/door.ts", read_timeout_s=0.5)
        source.open()
        reading = Task(lambda: list(source.frames()))
        wait_until(lambda: counters.snapshot().frames.get(("door", "decode"), 0) > 0)
        source.close()
        with suppress(SourceTimeoutError):  # if the read under way ran into its limit, that is how it ended
            reading.result()
        assert not reading.alive


# -- errors by type ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in dir(av.error) if name.endswith("Error")])
def test_every_error_of_libav_has_a_translation(name: str) -> None:
    kind = getattr(av.error, name)
    if not (isinstance(kind, type) and issubclass(kind, av.FFmpegError)):
        return
    exc = kind(1, "it broke", "rtsp://joe:hunter2@cam/1")
    error = translate_error(exc, "rtsp://***@cam/1", 5)
    assert isinstance(error, SourceError)
    assert "hunter2" not in str(error)
    assert str(error).startswith("rtsp://***@cam/1: ")


def test_an_unknown_transport_is_a_config_error(make: Make) -> None:
    with pytest.raises(ConfigError, match="udp"):
        make("rtsp://cam/1", transport="pigeon")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_the_password_of_the_file_reaches_the_server_and_nothing_else(make: Make, scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("hunter2!/@:\n")
    protocol = "RTSP/1.0" if scheme == "rtsp" else "HTTP/1.1"
    refusal = [f"{protocol} 401 Unauthorized", "CSeq: {cseq}", 'WWW-Authenticate: Basic realm="cam"', "Content-Length: 0", "", ""]
    asked = http_stub.Transcript("\r\n".join(refusal))
    with http_stub.serving(asked) as port:
        text = error_of(make(f"{scheme}://joe@127.0.0.1:{port}/door", password_file=path), SourceAuthError)
    expected = b64encode(b"joe:hunter2!/@:").decode()
    assert f"Authorization: Basic {expected}" in asked.text
    assert expected not in text
