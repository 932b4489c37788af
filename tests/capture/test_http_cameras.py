"""Cameras over HTTP as they are in the wild, each a real server: their pictures, or one line that says what is wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.http_content import Content, content_of
from ferstream.capture.options import Connecting
from ferstream.capture.source import SourceInfo
from ferstream.capture.stream import StreamSource
from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError
from ferstream.runtime.counters import Counters
from tests.capture.test_jpeg_stream import jpeg
from tests.support import http_stub
from tests.support.cameras import ScriptedCamera
from tests.support.digest import accepts, digest_challenge
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task, wait_until

Make = Callable[..., StreamSource]
COUNT = 6
JPEGS = [jpeg(number) for number in range(COUNT)]


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door``; takes the fields of ``Connecting``."""

    def make(url: str, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 5.0, "read_timeout_s": 2.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting)

    return make


def read(source: StreamSource) -> tuple[SourceInfo, int, str]:
    """Read a source to its end; return its format, the number of frames, and the text of the error."""
    frames = 0
    info = source.open()
    with pytest.raises(SourceError) as caught:
        for _ in source.frames():
            frames += 1
    source.close()
    return info, frames, str(caught.value)


def answer(content_type: str | None, body: bytes, *, version: str = "1.1", length: bool = False) -> http_stub.Answer:
    head = [f"HTTP/{version} 200 OK"] + ([f"Content-Type: {content_type}"] if content_type else [])
    head += [f"Content-Length: {len(body)}"] if length else []
    return http_stub.says("\r\n".join([*head, "", ""]).encode() + body)


def multipart(part: str = "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n", end: str = "\r\n") -> bytes:
    return b"".join(part.format(length=len(picture)).encode() + picture + end.encode() for picture in JPEGS)


MIXED = "multipart/x-mixed-replace;boundary=frame"
WITHOUT_FIRST = multipart()[len("--frame\r\n") :]
BODIES = {
    "as it should be": (MIXED, multipart()),
    "no first boundary": (MIXED, WITHOUT_FIRST),
    "a blank line, then no first boundary": (MIXED, b"\r\n" + WITHOUT_FIRST),
    "image/jpg": (MIXED, multipart("--frame\r\nContent-Type: image/jpg\r\n\r\n")),
    "no type": (MIXED, multipart("--frame\r\nContent-Length: {length}\r\n\r\n")),
    "no headers of a part": (MIXED, multipart("--frame\r\n\r\n")),
    "no length": (MIXED, multipart("--frame\r\nContent-Type: image/jpeg\r\n\r\n")),
    "wrong length": (MIXED, multipart("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 17\r\n\r\n")),
    "quoted boundary": ('multipart/x-mixed-replace; boundary="frame"', multipart()),
    "boundary with dashes, in both places": ("multipart/x-mixed-replace; boundary=--frame", multipart()),
    "boundary without dashes in the body": (MIXED, multipart("frame\r\nContent-Type: image/jpeg\r\n\r\n")),
    "another boundary than stated": (MIXED, multipart("--other\r\nContent-Type: image/jpeg\r\n\r\n")),
    "no boundary stated": ("multipart/x-mixed-replace", multipart()),
    "line feeds": (MIXED, multipart("--frame\nContent-type: image/jpeg\n\n", end="\n")),
    "preamble": (MIXED, b"This is a multipart message.\r\n\r\n" + multipart()),
    "further headers": (MIXED, multipart("--frame\r\nContent-Type: image/jpeg\r\nX-Timestamp: 1.5\r\nDate: now\r\n\r\n")),
    "blanks in the header": (MIXED, multipart("--frame \r\nContent-Type : image/jpeg \r\n\r\n")),
    "zeros after each picture": (MIXED, multipart(end="\0" * 64)),
    "capitals": ("Multipart/X-Mixed-Replace; Boundary=frame", multipart()),
    "multipart/mixed": ("multipart/mixed; boundary=frame", multipart()),
    "no media type": (None, multipart()),
    "text/plain": ("text/plain", multipart()),
    "image/jpeg without an end": ("image/jpeg", b"".join(JPEGS)),
    "video/x-motion-jpeg": ("video/x-motion-jpeg", b"".join(JPEGS)),
    "sound between pictures": (MIXED, multipart("--frame\r\nContent-Type: audio/basic\r\n\r\n" + "s" * 400 + "\r\n--frame\r\n\r\n")),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_motion_jpeg_is_read_whatever_is_around_the_pictures(make: Make, kind: str, version: str) -> None:
    content_type, body = BODIES[kind]
    with http_stub.serving(answer(content_type, body, version=version)) as port:
        info, frames, error = read(make(f"http://127.0.0.1:{port}/mjpg"))
    assert (info.width, info.height, frames) == (64, 48, COUNT)
    assert info.fps == 0
    assert "the server ended the stream" in error


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@pytest.mark.parametrize("size", [100, 10_000])
def test_motion_jpeg_in_chunks_is_read(make: Make, size: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MIXED}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with http_stub.serving(http_stub.says(head + chunked(multipart(), size) + b"0\r\n\r\n")) as port:
        assert read(make(f"http://127.0.0.1:{port}/mjpg"))[1] == COUNT


def test_a_picture_is_delivered_before_the_next_begins(make: Make, counters: Counters) -> None:
    sent, go_on = threading.Event(), threading.Event()

    def one_and_a_pause(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n" + b"".join(JPEGS[:2]) + JPEGS[2])
        sent.set()
        go_on.wait(PATIENCE_S)

    with http_stub.serving(one_and_a_pause) as port:
        source = make(f"http://127.0.0.1:{port}/mjpg", read_timeout_s=60)
        source.open()
        reading = Task(lambda: list(source.frames()))
        wait_until(lambda: counters.snapshot().frames.get(("door", "decode"), 0) == 3)
        go_on.set()
        with pytest.raises(SourceError):
            reading.result()
        source.close()


def test_the_answer_of_a_real_camera_without_a_first_boundary_gives_its_pictures(make: Make, shared_dir: Path) -> None:
    path = shared_dir / "cases" / "mjpeg_no_first_boundary.http"
    if not path.is_file():
        pytest.skip("../shared/cases is not on this machine")
    with http_stub.serving(http_stub.says(path.read_bytes())) as port:
        assert read(make(f"http://127.0.0.1:{port}/stream"))[1] == 12


# -- snapshots ------------------------------------------------------------------------------------


class Snapshots:
    """A camera that answers each request with its next picture, and at the end with an error; with a password if it is asked to."""

    def __init__(self, *, challenges: tuple[str, ...] = (), length: bool = True) -> None:
        self._challenges, self._length = challenges, length
        self._left = list(JPEGS)
        self.requests: list[str] = []

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Answer one request."""
        request = connection.recv(65536).decode()
        self.requests.append(request)
        given = request.partition("Authorization: ")[2].partition("\r\n")[0]
        if self._challenges and not accepts(given, "GET", self._challenges):
            head = "".join(f"WWW-Authenticate: {one}\r\n" for one in self._challenges)
            connection.sendall(f"HTTP/1.1 401 Unauthorized\r\n{head}Content-Length: 0\r\n\r\n".encode())
        elif self._left:
            picture = self._left.pop(0)
            length = f"Content-Length: {len(picture)}\r\n" if self._length else ""
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode() + picture)
        else:
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("length", [True, False])
def test_an_address_that_answers_with_one_picture_is_asked_again(make: Make, length: bool) -> None:
    camera = Snapshots(length=length)
    with http_stub.serving(camera) as port:
        _, frames, error = read(make(f"http://127.0.0.1:{port}/snapshot.jpg?channel=1", snapshot_interval_s=0.001))
    assert (frames, len(camera.requests)) == (COUNT, COUNT + 1)
    assert "the camera is busy or starting (the server answered 503)" in error


def test_a_snapshot_camera_gets_its_digest_with_each_request_and_one_challenge(make: Make) -> None:
    camera = Snapshots(challenges=(digest_challenge("SHA-256"),))
    with http_stub.serving(camera) as port:
        assert read(make(f"http://joe:hunter2@127.0.0.1:{port}/snapshot.jpg", snapshot_interval_s=0.001))[1] == COUNT
    assert [request.count("Digest") for request in camera.requests] == [0] + [1] * (COUNT + 1)


def test_close_ends_the_wait_for_the_next_snapshot(make: Make, counters: Counters) -> None:
    with http_stub.serving(Snapshots()) as port:
        source = make(f"http://127.0.0.1:{port}/snapshot.jpg", snapshot_interval_s=600)
        source.open()
        reading = Task(lambda: list(source.frames()))
        wait_until(lambda: counters.snapshot().frames.get(("door", "decode"), 0) == 1)
        source.close()
        reading.result()


# -- authentication -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offered",
    [
        ('Basic realm="cam"',),
        (digest_challenge(qop=None),),
        (digest_challenge("MD5"),),
        (digest_challenge("MD5", qop="auth,auth-int"),),
        (digest_challenge("MD5", qop="auth-int"),),
        (digest_challenge("MD5-sess"),),
        (digest_challenge("SHA-256"),),
        (digest_challenge("SHA-256-sess"),),
        (digest_challenge("SHA-512-256"),),
        (digest_challenge("SHA-256"), digest_challenge("MD5")),
        (digest_challenge("FUTURE"), digest_challenge("MD5")),
        (digest_challenge("FUTURE") + ", " + digest_challenge("SHA-256") + ', Basic realm="cam"',),
        ("Negotiate", 'Bearer realm="cam"', digest_challenge("SHA-256")),
    ],
)
def test_every_kind_of_password_is_answered(make: Make, offered: tuple[str, ...]) -> None:
    with http_stub.serving(Snapshots(challenges=offered)) as port:
        assert read(make(f"http://joe:hunter2@127.0.0.1:{port}/a.jpg", snapshot_interval_s=0.001))[1] == COUNT


@pytest.mark.parametrize(
    ("user", "offered", "words"),
    [
        ("joe:wrong@", digest_challenge("SHA-256"), "authentication failed; check the user name and password_file"),
        ("", digest_challenge("SHA-256"), "asks for a user name and password, and none is set; set username"),
        ("joe@", 'Basic realm="cam"', "asks for a user name and password, and none is set; set username"),
        (
            "joe:hunter2@",
            "Negotiate, NTLM",
            "negotiate or ntlm, which ferstream does not support here; set it to digest",
        ),
        ("joe:hunter2@", digest_challenge("FUTURE"), "the camera asks for FUTURE digest, which ferstream does not support here"),
    ],
)
def test_a_password_that_is_refused_is_explained(make: Make, user: str, offered: str, words: str) -> None:
    with http_stub.serving(Snapshots(challenges=(offered,))) as port, pytest.raises(SourceAuthError) as caught:
        make(f"http://{user}127.0.0.1:{port}/a").open()
    assert words in str(caught.value)


# -- what is not a stream -------------------------------------------------------------------------

PAGE = b"<!DOCTYPE html>\n<html><form action=login>password</form></html>"
WRONG = {
    "login page": (answer("text/html; charset=utf-8", PAGE), "sends a web page, no video that can be decoded; it may be the login page"),
    "login page without a type": (answer(None, b"\r\n" + PAGE), "sends a web page"),
    "json": (answer("application/json", b'{"error": "not logged in"}'), "the server sends application/json, no video that can be decoded"),
    "empty": (answer("image/jpeg", b"", length=True), "the server's answer is empty; check the path"),
    "dash": (answer("application/dash+xml", b'<?xml version="1.0"?>\n<MPD></MPD>'), "the server sends DASH, which is not supported"),
    "png": (answer("image/png", b"\x89PNG\r\n\x1a\n" + bytes(99)), "a picture in another format than JPEG"),
    "noise": (answer("video/mp4", bytes(range(256)) * 400), "the server sends video/mp4, no video that can be decoded"),
    "list of channels": (answer("audio/x-mpegurl", b"#EXTM3U\n#EXTINF:-1,One\nrtsp://tv.lan/1\n"), "a playlist that is not HLS"),
    "busy": (http_stub.http_status("503 Service Unavailable"), "the camera is busy or starting (the server answered 503); wait a minute"),
    "other status": (http_stub.http_status("418 Teapot"), "cannot be read (the server answered 418 I'm a Teapot)"),
    "no content": (http_stub.http_status("204 No Content"), "cannot be read (the server answered 204 No Content)"),
    "locked": (http_stub.http_status("403 Forbidden"), "the camera does not allow this (403); check the password, the rights"),
    "rtsp": (http_stub.says("RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n"), "speaks RTSP here, not HTTP; write rtsp:// in the source"),
    "hangs up": (http_stub.says(""), "the server closed the connection without an answer"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_not_a_stream_is_named(make: Make, kind: str) -> None:
    served, words = WRONG[kind]
    with http_stub.serving(served) as port, pytest.raises(SourceError) as caught:
        make(f"http://joe:hunter2@127.0.0.1:{port}/a").open()
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_is_announced_as_motion_jpeg_is_an_error(make: Make) -> None:
    with http_stub.serving(answer(MIXED, PAGE)) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/a").open()


@pytest.mark.parametrize("sent", [b"", JPEGS[0] + JPEGS[1] + JPEGS[2][:99]])
def test_a_camera_that_falls_silent_says_so(make: Make, sent: bytes) -> None:
    def falls_silent(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {MIXED}\r\n\r\n".encode() + sent)
        stop.wait(PATIENCE_S)

    with http_stub.serving(falls_silent) as port:
        source = make(f"http://127.0.0.1:{port}/a", connect_timeout_s=0.5, read_timeout_s=0.3)
        with pytest.raises(SourceTimeoutError) as caught:
            source.open()
            list(source.frames())
        source.close()
    assert ("connected, but no data within 0.3 s" if sent else "connected, but no answer with enough video") in str(caught.value)


def test_a_camera_that_is_busy_for_a_while_comes_online(make: Make) -> None:
    asked: list[str] = []

    def busy_twice(connection: socket.socket, stop: threading.Event) -> None:
        asked.append(connection.recv(65536).decode())
        if len(asked) < 3:
            connection.sendall(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
            return
        connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: {MIXED}\r\n\r\n".encode() + multipart())
        stop.wait(PATIENCE_S)

    with http_stub.serving(busy_twice) as port:
        camera = ScriptedCamera([make(f"http://127.0.0.1:{port}/a") for _ in range(3)]).start()
        camera.until(lambda: len(camera.frames) == COUNT)
        camera.finish()
    assert [state.status for state in camera.states][:3] == ["connecting", "reconnecting", "online"]
    assert "the camera is busy or starting (the server answered 503)" in camera.states[1].reason


def test_a_connection_that_breaks_in_a_picture_is_an_error_after_the_whole_ones(make: Make) -> None:
    with http_stub.serving(answer(MIXED, multipart()[:-900])) as port:
        _, frames, _ = read(make(f"http://127.0.0.1:{port}/a"))
    assert frames in (COUNT - 1, COUNT)


def test_a_format_error_is_raised_for_text_in_a_multipart_answer(make: Make) -> None:
    with (
        http_stub.serving(answer(MIXED, b"--frame\r\nContent-Type: text/plain\r\n\r\nhello\r\n" * 100)) as port,
        pytest.raises(SourceFormatError, match="no video that can be decoded"),
    ):
        make(f"http://127.0.0.1:{port}/a").open()


@given(st.binary(max_size=300), st.sampled_from(["", "text/html", "image/jpeg", "multipart/x", "application/json"]))
def test_any_beginning_of_a_body_is_a_kind_or_an_error(head: bytes, media_type: str) -> None:
    with suppress(SourceFormatError):
        assert content_of(head, media_type, "cam") in Content
