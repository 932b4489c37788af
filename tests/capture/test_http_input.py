"""HTTP read by ferstream for libav: playlists, ranges, passwords, servers that fail."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.capture.options import Connecting
from ferstream.capture.stream import StreamSource
from ferstream.errors import SourceError, SourceFormatError, SourceTimeoutError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.threads import Task

Make = Callable[..., StreamSource]
M3U8 = "application/vnd.apple.mpegurl"


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door``; takes the fields of ``Connecting``."""

    def make(url: str, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 5.0, "read_timeout_s": 2.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting)

    return make


@pytest.fixture(scope="module")
def segment(clips_dir: Path) -> bytes:
    """Thirty pictures as MPEG-TS."""
    return write_clip(clips_dir / "part.ts", codec="mpeg4", frames=30).read_bytes()


def frames_of(source: StreamSource) -> tuple[int, str]:
    """Read a source to its end; return the number of frames and the text of the error."""
    frames = 0
    with pytest.raises(SourceError) as caught:
        source.open()
        for _ in source.frames():
            frames += 1
    source.close()
    return frames, str(caught.value)


def playlist(*segments: str, ends: bool = True) -> tuple[str, bytes]:
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:2", *(f"#EXTINF:1.2,\n{name}" for name in segments)]
    return M3U8, "\n".join([*lines, "#EXT-X-ENDLIST" if ends else "", ""]).encode()


def test_a_playlist_is_recognised_by_its_media_type(make: Make, segment: bytes) -> None:
    site = http_stub.Site({"/live": playlist("a.ts", "b.ts"), "/a.ts": ("video/mp2t", segment), "/b.ts": ("video/mp2t", segment)})
    with http_stub.serving(site) as port:
        frames, _ = frames_of(make(f"http://127.0.0.1:{port}/live"))
    assert site.paths == ["/live", "/a.ts", "/b.ts"]
    assert frames == 60


def test_segments_are_relative_to_the_playlist_that_the_camera_redirects_to(make: Make, segment: bytes) -> None:
    site = http_stub.Site({"/deep/live.m3u8": playlist("a.ts"), "/deep/a.ts": ("video/mp2t", segment)})
    with http_stub.serving(site) as port, http_stub.serving(http_stub.redirect(f"http://127.0.0.1:{port}/deep/live.m3u8")) as camera:
        frames, _ = frames_of(make(f"http://127.0.0.1:{camera}/live.m3u8"))
    assert frames == 30


def test_a_segment_that_is_missing_is_skipped(make: Make, segment: bytes) -> None:
    site = http_stub.Site(
        {"/live.m3u8": playlist("a.ts", "gone.ts", "b.ts"), "/a.ts": ("video/mp2t", segment), "/b.ts": ("video/mp2t", segment)}
    )
    with http_stub.serving(site) as port:
        frames, _ = frames_of(make(f"http://127.0.0.1:{port}/live.m3u8"))
    assert frames == 60


def test_segments_that_are_ranges_of_a_file_are_read(make: Make, segment: bytes) -> None:
    size = len(segment)
    kind, content = playlist(f"#EXT-X-BYTERANGE:{size}@0\nall.ts", f"#EXT-X-BYTERANGE:{size}@{size}\nall.ts")
    site = http_stub.Site({"/live.m3u8": (kind, content), "/all.ts": ("video/mp2t", segment * 2)}, ranges=True)
    with http_stub.serving(site) as port:
        frames, _ = frames_of(make(f"http://127.0.0.1:{port}/live.m3u8"))
    assert frames == 60
    assert f"Range: bytes={size}-{2 * size - 1}" in site.requests[-1]


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "crypto:file:///etc/passwd", "data:,x", "concat:a|b", "subfile,,start,0,end,9,,:/etc/passwd"]
)
def test_a_playlist_leads_to_no_other_protocol(make: Make, uri: str) -> None:
    with http_stub.serving(http_stub.Site({"/live.m3u8": playlist(uri)})) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/live.m3u8").open()


def test_a_playlist_cannot_ask_for_any_number_of_files(make: Make) -> None:
    site = http_stub.Site({"/live.m3u8": playlist(*(f"{number}.ts" for number in range(500)))})
    with http_stub.serving(site) as port, pytest.raises(SourceFormatError, match="no picture after 64 requests"):
        make(f"http://127.0.0.1:{port}/live.m3u8").open()
    assert len(site.requests) <= 64


@pytest.mark.parametrize("ranges", [True, False])
def test_a_recording_with_its_index_at_the_end_needs_a_server_with_ranges(make: Make, clips_dir: Path, ranges: bool) -> None:
    content = write_clip(clips_dir / "large.mp4", codec="mjpeg", pixel_format="yuvj420p", size=(1920, 1080), frames=20).read_bytes()
    site = http_stub.Site({"/clip.mp4": ("video/mp4", content)}, ranges=ranges)
    assert content.find(b"moov") > content.find(b"mdat") + 65_536
    with http_stub.serving(site) as port:
        if ranges:
            assert frames_of(make(f"http://127.0.0.1:{port}/clip.mp4"))[0] == 20
            assert "Range: bytes=" in site.requests[-1]
        else:
            with pytest.raises(SourceError):
                make(f"http://127.0.0.1:{port}/clip.mp4").open()


class DigestCamera:
    """A camera that wants a Digest with a new nonce for every request, and sends a video."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._nonces = 0
        self.requests: list[str] = []

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Answer one request."""
        request = connection.recv(65536).decode()
        self.requests.append(request)
        if f'response="{self._expected(request)}"' in request:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: {len(self._content)}\r\n\r\n"
            connection.sendall(head.encode() + self._content)
            return
        self._nonces += 1
        challenge = f'Digest realm="cam", nonce="{self._nonces}", qop="auth", algorithm=MD5'
        connection.sendall(f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n".encode())

    def _expected(self, request: str) -> str:
        field = dict(re.findall(r'(\w+)="?([^",\s]*)', request))
        secret, target = md5("joe:cam:hunter2"), md5(f"GET:{request.split()[1]}")
        return md5(f"{secret}:{self._nonces}:{field.get('nc')}:{field.get('cnonce')}:auth:{target}")


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_a_camera_that_wants_digest_gets_it_and_not_the_password(make: Make, segment: bytes) -> None:
    camera = DigestCamera(segment)
    with http_stub.serving(camera) as port:
        assert frames_of(make(f"http://joe:hunter2@127.0.0.1:{port}/a.ts?x=1"))[0] == 30
    assert len(camera.requests) == 2
    assert "Basic" not in "".join(camera.requests)


def test_a_header_that_comes_too_slowly_is_a_timeout(make: Make) -> None:
    def drips(connection: socket.socket, stop: threading.Event) -> None:
        while not stop.wait(0.01):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with http_stub.serving(drips) as port, pytest.raises(SourceTimeoutError):
        make(f"http://127.0.0.1:{port}/a", connect_timeout_s=0.5).open()


def test_a_body_that_comes_too_slowly_is_a_timeout_of_connecting(make: Make) -> None:
    def drips(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        while not stop.wait(0.01):
            connection.sendall(b"x")

    with http_stub.serving(drips) as port, pytest.raises(SourceTimeoutError, match=r"within 0.5 s"):
        make(f"http://127.0.0.1:{port}/a", connect_timeout_s=0.5).open()


def test_close_ends_opening_at_once(make: Make) -> None:
    asked = threading.Event()

    def silent(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        asked.set()
        connection.recv(65536)
        stop.wait(20)

    with http_stub.serving(silent) as port:
        source = make(f"http://127.0.0.1:{port}/a", connect_timeout_s=60.0)
        opening = Task(source.open)
        assert asked.wait(20)
        source.close()
        with pytest.raises(SourceError):
            opening.result()
