"""Redirects of real servers: the password stays with the configured host, whatever the camera answers."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.capture.options import Connecting
from ferstream.capture.stream import StreamSource
from ferstream.errors import SourceAuthError, SourceError, SourceRedirectError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.rtsp import SERVER, rtsp_server

Make = Callable[..., StreamSource]
JOE = "Basic am9lOmh1bnRlcjI="
"""The password of ``joe:hunter2`` as Basic authentication sends it."""


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door`` with short time limits; takes the fields of ``Connecting``."""

    def make(url: str, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 5.0, "read_timeout_s": 2.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting)

    return make


def opened(source: StreamSource) -> int:
    """Open a source and close it; return the width of its pictures."""
    try:
        return source.open().width
    finally:
        source.close()


def error_of(answer: http_stub.Answer, make: Make, scheme: str, kind: type[SourceError]) -> str:
    """Open a stream of a camera that answers like this, with the password of joe; return the text of the error."""
    with http_stub.serving(answer) as port, pytest.raises(kind) as caught:
        make(f"{scheme}://joe:hunter2@127.0.0.1:{port}/a").open()
    return str(caught.value)


def with_password(site: http_stub.Site) -> http_stub.Answer:
    """Answer like the site if a request has the password of joe, and ask for it otherwise."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        is_allowed = JOE.encode() in connection.recv(65536, socket.MSG_PEEK)
        (site if is_allowed else http_stub.challenge())(connection, stop)

    return answer


class AuthenticatedRedirect:
    """An RTSP server that asks for the password and redirects one method, after it has got the password."""

    def __init__(self, method: str, location: str) -> None:
        self._method, self._location = method, location

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Serve one connection."""
        while request := connection.recv(65536).decode():
            number = re.search(r"CSeq: (\d+)", request)
            head = f"CSeq: {number.group(1) if number else 0}\r\n"
            if JOE not in request:
                answer = f'RTSP/1.0 401 Unauthorized\r\n{head}WWW-Authenticate: Basic realm="x"\r\n\r\n'
            elif request.startswith(self._method):
                answer = f"RTSP/1.0 302 Moved\r\n{head}Location: {self._location}\r\n\r\n"
            else:
                answer = f"RTSP/1.0 200 OK\r\n{head}Public: DESCRIBE\r\n\r\n"
            connection.sendall(answer.encode())


# -- the password ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE"])
def test_an_rtsp_redirect_does_not_take_the_password_to_another_host(make: Make, method: str) -> None:
    thief = http_stub.challenge(protocol="RTSP/1.0")
    with http_stub.serving(thief) as port:
        error_of(AuthenticatedRedirect(method, f"rtsp://localhost:{port}/b"), make, "rtsp", SourceAuthError)
    assert "OPTIONS rtsp://localhost" in thief.text
    assert "Authorization" not in thief.text


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_redirect_with_the_stolen_user_name_in_it_gets_no_password(make: Make, scheme: str) -> None:
    protocol = "RTSP/1.0" if scheme == "rtsp" else "HTTP/1.1"
    thief = http_stub.challenge(protocol=protocol)
    with http_stub.serving(thief) as port:
        error_of(http_stub.redirect(f"{scheme}://joe@localhost:{port}/b", protocol=protocol), make, scheme, SourceAuthError)
    assert thief.text
    assert "Authorization" not in thief.text


def test_an_http_redirect_to_the_same_host_gets_the_password(make: Make) -> None:
    asked = http_stub.challenge()
    with http_stub.serving(asked) as port:
        error_of(http_stub.redirect(f"http://127.0.0.1:{port}/b"), make, "http", SourceAuthError)
    assert JOE in asked.text


def test_a_playlist_on_the_camera_does_not_take_the_password_to_the_host_of_its_segments(make: Make, clips_dir: Path) -> None:
    segment = write_clip(clips_dir / "segment.ts", codec="mpeg4", frames=30).read_bytes()
    cdn = http_stub.Site({"/1.ts": ("video/mp2t", segment)})
    with http_stub.serving(cdn) as port:
        lines = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\nhttp://joe@localhost:{port}/1.ts\n#EXT-X-ENDLIST\n"
        camera = http_stub.Site({"/live.m3u8": ("application/vnd.apple.mpegurl", lines.encode())})
        with http_stub.serving(with_password(camera)) as own:
            assert opened(make(f"http://joe:hunter2@127.0.0.1:{own}/live.m3u8")) == 96
    assert JOE in camera.requests[0]
    assert cdn.paths == ["/1.ts"]
    assert "Authorization" not in cdn.requests[0]


# -- where redirects lead ----------------------------------------------------------------------------


@pytest.mark.skipif(not SERVER.exists(), reason="rtsp-server (aio-rtsp-toolkit) is not installed")
def test_an_rtsp_redirect_to_the_same_kind_of_network_is_followed(make: Make, clips_dir: Path) -> None:
    write_clip(clips_dir / "door.mp4", size=(320, 240), frames=50, options={"g": "10", "bf": "0"})
    with rtsp_server(clips_dir) as server:
        redirect = http_stub.redirect(server.url("door.mp4"), protocol="RTSP/1.0")
        with http_stub.serving(redirect) as camera:
            assert opened(make(f"rtsp://localhost:{camera}/a")) == 320


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_endless_redirects_are_an_error(make: Make, scheme: str) -> None:
    protocol = "RTSP/1.0" if scheme == "rtsp" else "HTTP/1.1"
    assert "more than 5 redirects" in error_of(http_stub.redirect("/again", protocol=protocol), make, scheme, SourceRedirectError)


@pytest.mark.parametrize(("scheme", "location"), [("http", "file:///etc/passwd"), ("rtsp", "http://127.0.0.1:1/x"), ("rtsp", "")])
def test_a_redirect_to_no_camera_is_an_error(make: Make, scheme: str, location: str) -> None:
    protocol = "RTSP/1.0" if scheme == "rtsp" else "HTTP/1.1"
    with http_stub.serving(http_stub.redirect(location, protocol=protocol)) as port, pytest.raises(SourceError):
        make(f"{scheme}://127.0.0.1:{port}/a").open()


@pytest.mark.parametrize(
    "answer", ["RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "RTSP/1.0 20x\r\n\r\n"]
)
def test_an_answer_that_is_not_that_of_a_camera_is_a_format_error(make: Make, answer: str) -> None:
    with http_stub.serving(http_stub.says(answer)) as port, pytest.raises(SourceError, match="no video that can be decoded"):
        make(f"rtsp://127.0.0.1:{port}/a").open()
