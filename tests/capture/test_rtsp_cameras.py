"""RTSP cameras as they are in the wild, each a real server: their pictures, or one line that says what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.capture.options import Connecting
from ferstream.capture.stream import StreamSource
from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.clock import FakeClock
from tests.support.digest import digest_challenge
from tests.support.rtsp_camera import RtspCamera, access_units
from tests.support.threads import Task, wait_until

Make = Callable[..., StreamSource]
BASIC = 'Basic realm="cam"'
MD5, SHA_256 = digest_challenge("MD5"), digest_challenge("SHA-256")


@pytest.fixture(scope="module")
def pictures(clips_dir: Path) -> list[list[bytes]]:
    """NAL units of twenty pictures with a key frame every ten."""
    return access_units(write_clip(clips_dir / "rtsp.mp4", frames=20, options={"g": "10", "bf": "0"}))


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door``; takes the fields of ``Connecting``."""

    def make(url: str, clock: FakeClock | None = None, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 10.0, "read_timeout_s": 5.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting, clock=clock)

    return make


def read(source: StreamSource) -> int:
    """Read a source to its end; return the number of frames."""
    frames = 0
    source.open()
    with pytest.raises(SourceError):
        for _ in source.frames():
            frames += 1
    source.close()
    return frames


def error_of(source: StreamSource) -> str:
    """Open a source that fails; return the text of its error."""
    with pytest.raises(SourceError) as caught:
        source.open()
    source.close()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def url(port: int, rest: str = "/door", user: str = "joe:hunter2@") -> str:
    return f"rtsp://{user}127.0.0.1:{port}{rest}"


# -- authentication -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offered",
    [
        (BASIC,),
        (MD5,),
        (digest_challenge(qop=None),),
        (digest_challenge("MD5-sess"),),
        (digest_challenge("MD5", qop="auth,auth-int"),),
        (BASIC, MD5),
        (MD5, BASIC),
        (SHA_256, MD5),
    ],
)
def test_what_libav_can_answer_is_answered(make: Make, pictures: list[list[bytes]], offered: tuple[str, ...]) -> None:
    with http_stub.serving(RtspCamera(pictures, challenges=offered, plays=20)) as port:
        assert read(make(url(port))) == 20


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        ((SHA_256,), "SHA-256"),
        ((digest_challenge("SHA-256-sess"),), "SHA-256"),
        ((digest_challenge("SHA-512-256"),), "SHA-512-256"),
        ((MD5, SHA_256), "SHA-256"),
        ((BASIC, SHA_256), "SHA-256"),
    ],
)
def test_a_digest_that_libav_cannot_answer_is_named(make: Make, pictures: list[list[bytes]], offered: tuple[str, ...], name: str) -> None:
    with http_stub.serving(RtspCamera(pictures, challenges=offered)) as port, pytest.raises(SourceAuthError) as caught:
        make(url(port)).open()
    assert f"the camera asks for {name} digest over RTSP, which ferstream does not support here" in str(caught.value)
    assert str(caught.value).endswith("set it to MD5 digest, or to basic over rtsps (TLS)")


@pytest.mark.parametrize(
    ("user", "offered", "words"),
    [
        ("joe:wrong@", MD5, "authentication failed; check the user name and password_file"),
        ("", MD5, "the camera asks for a user name and password, and none is set; set username and password_file"),
        ("joe:hunter2@", "Negotiate", "the camera asks for negotiate, which ferstream does not support here; set it to MD5 digest"),
    ],
)
def test_a_password_that_is_refused_is_explained(make: Make, pictures: list[list[bytes]], user: str, offered: str, words: str) -> None:
    with http_stub.serving(RtspCamera(pictures, challenges=(offered,))) as port:
        assert words in error_of(make(url(port, user=user)))


# -- transports, media, paths ---------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_with_one_transport_is_read_over_it(make: Make, pictures: list[list[bytes]], transport: str) -> None:
    with http_stub.serving(RtspCamera(pictures, transports=[transport], plays=200)) as port:
        source = make(url(port), transport=transport, read_timeout_s=1)
        source.open()
        assert next(source.frames()).info.width == 96
        source.close()


@pytest.mark.parametrize(("wanted", "offered"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_camera_without_the_wanted_transport_says_which_to_set(
    make: Make, pictures: list[list[bytes]], wanted: str, offered: str
) -> None:
    with http_stub.serving(RtspCamera(pictures, transports=[offered])) as port:
        text = error_of(make(url(port), transport=wanted))
    assert text.endswith(f'the camera does not send over {wanted.upper()}; set transport = "{offered}"')


def test_udp_that_does_not_arrive_is_named(make: Make, pictures: list[list[bytes]]) -> None:
    with http_stub.serving(RtspCamera(pictures, mute=True)) as port:
        text = error_of(make(url(port), transport="udp", connect_timeout_s=1, read_timeout_s=0.5))
    assert 'connected, but no data over UDP within 0.5 s; set transport = "tcp"' in text


@pytest.mark.parametrize("media", [("audio", "video"), ("video", "audio")])
def test_sound_beside_the_video_is_left_out(make: Make, pictures: list[list[bytes]], media: tuple[str, ...]) -> None:
    camera = RtspCamera(pictures, media=media, plays=20)
    with http_stub.serving(camera) as port:
        assert read(make(url(port))) == 20
    assert [request.split()[1][-5:] for request in camera.requests if request.startswith("SETUP")] == ["video"]


def test_sound_without_video_is_named(make: Make, pictures: list[list[bytes]]) -> None:
    with http_stub.serving(RtspCamera(pictures, media=("audio",))) as port, pytest.raises(SourceFormatError, match="no video, only audio"):
        make(url(port)).open()


@pytest.mark.parametrize("rest", ["/?user=a&password=b&channel=1", "?user=a", "/cam/realmonitor?channel=1&subtype=0"])
def test_the_query_of_a_url_reaches_the_camera(make: Make, pictures: list[list[bytes]], rest: str) -> None:
    camera = RtspCamera(pictures, plays=20)
    with http_stub.serving(camera) as port:
        assert read(make(url(port, rest))) == 20
    assert {request.split()[1].partition(f":{port}")[2] for request in camera.requests if request.startswith("DESCRIBE")} == {rest}


# -- servers that are not what they seem ----------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http_stub.http_status("400 Bad Request"), "the server speaks HTTP here, not RTSP; check the port (RTSP usually has 554)"),
        (http_stub.rtsp_status("503 Service Unavailable"), "the camera is busy or starting (the server answered 503); wait a minute"),
        (http_stub.rtsp_status("453 Not Enough Bandwidth"), "the camera is busy or starting (the server answered 453)"),
        (http_stub.rtsp_status("454 Session Not Found"), "cannot be read (the server answered 454)"),
        (http_stub.rtsp_status("403 Forbidden"), "the camera does not allow this (403); check the password, the rights of this user"),
        (http_stub.rtsp_status("404 Not Found"), "the server has no such stream (404); check the path"),
        (http_stub.says(""), "the server closed the connection without an answer"),
    ],
)
def test_a_server_that_refuses_says_why(make: Make, answer: http_stub.Answer, words: str) -> None:
    with http_stub.serving(answer) as port:
        assert words in error_of(make(url(port)))


# -- key frames that come late --------------------------------------------------------------------


@pytest.mark.parametrize("in_description", [True, False])
def test_a_stream_that_begins_between_key_frames_is_read_from_the_next(
    make: Make, pictures: list[list[bytes]], in_description: bool
) -> None:
    with http_stub.serving(RtspCamera(pictures, late=3, plays=17, in_description=in_description)) as port:
        assert read(make(url(port))) == 10


class LateKeyFrame:
    """A camera whose key frame is held back, and a source that waits for it."""

    def __init__(self, make: Make, pictures: list[list[bytes]], **options: float) -> None:
        self.release = threading.Event()
        self.camera = RtspCamera(pictures, late=1, keys_after=self.release)
        self.clock = FakeClock()
        self._make, self._options = make, options

    def frame_after(self, seconds: float) -> int:
        """Let time pass between the first packets and the key frame; return the width of the first frame."""
        with http_stub.serving(self.camera) as port:
            source = self._make(url(port), self.clock, **self._options)
            opening = Task(source.open)
            wait_until(lambda: self.camera.sent > 20)
            self.clock.advance(seconds)
            self.release.set()
            try:
                return opening.result().width
            finally:
                source.close()


def test_a_key_frame_that_is_forty_seconds_away_is_waited_for(make: Make, pictures: list[list[bytes]]) -> None:
    assert LateKeyFrame(make, pictures, open_timeout_s=60).frame_after(40) == 96


def test_a_key_frame_later_than_open_timeout_s_is_a_timeout_that_says_so(make: Make, pictures: list[list[bytes]]) -> None:
    with pytest.raises(SourceTimeoutError) as caught:
        LateKeyFrame(make, pictures, open_timeout_s=30).frame_after(40)
    assert "data arrives, but no picture within 30 s; the camera sends key frames too seldom" in str(caught.value)
    assert "a larger open_timeout_s" in str(caught.value)


def test_connecting_and_receiving_data_have_their_own_time(make: Make, pictures: list[list[bytes]]) -> None:
    late = LateKeyFrame(make, pictures, open_timeout_s=1, connect_timeout_s=40, read_timeout_s=5)
    assert late.frame_after(44) == 96
